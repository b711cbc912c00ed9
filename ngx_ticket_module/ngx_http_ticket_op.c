
/*
 * Operations: see ngx_http_ticket_op.h.
 */


#include "ngx_http_ticket_op.h"


#define NGX_HTTP_TICKET_OP_TIMEOUT   6000


static void ngx_http_ticket_detach_op(void *data);
static void ngx_http_ticket_op_timeout(ngx_event_t *ev);


ngx_http_ticket_op_t *
ngx_http_ticket_create_op(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
    ngx_http_cleanup_t           *cln;
    ngx_http_ticket_op_t         *op;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    if (ngx_http_ticket_visit(r, ctx) != NGX_OK) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    op = ngx_calloc(sizeof(ngx_http_ticket_op_t), r->connection->log);
    if (op == NULL) {
        return NULL;
    }

    op->request = r;
    op->ctx = ctx;
    op->done = done;
    op->subject.mcf = mcf;
    op->subject.room = ctx->room;
    op->subject.instance = ctx->instance;

    op->timer.handler = ngx_http_ticket_op_timeout;
    op->timer.data = op;
    op->timer.log = r->connection->log;

    cln->handler = ngx_http_ticket_detach_op;
    cln->data = ctx;

    ctx->op = op;

    return op;
}


ngx_int_t
ngx_http_ticket_ask_op(ngx_http_ticket_op_t *op,
    ngx_http_ticket_script_e script, ngx_http_ticket_reply_pt handler,
    ngx_uint_t n, ngx_str_t *args)
{
    if (ngx_http_ticket_script(script, &op->subject, handler, op, n, args)
        != NGX_OK)
    {
        ngx_http_ticket_drop_op(op);
        return NGX_OK;
    }

    ngx_http_ticket_start_op(op);

    return NGX_AGAIN;
}


void
ngx_http_ticket_start_op(ngx_http_ticket_op_t *op)
{
    ngx_add_timer(&op->timer, NGX_HTTP_TICKET_OP_TIMEOUT);
}


void
ngx_http_ticket_drop_op(ngx_http_ticket_op_t *op)
{
    ngx_http_ticket_detach_op(op->ctx);

    ngx_free(op);
}


ngx_http_request_t *
ngx_http_ticket_op_request(ngx_http_ticket_op_t *op)
{
    ngx_http_request_t  *r;

    r = op->request;

    if (r
        && ngx_http_get_module_ctx(r, ngx_http_ticket_module) != op->ctx)
    {
        ngx_http_ticket_detach_op(op->ctx);
        return NULL;
    }

    return r;
}


/* A request's cleanup; the operation goes on without it. */

static void
ngx_http_ticket_detach_op(void *data)
{
    ngx_http_ticket_ctx_t  *ctx = data;

    if (ctx->op == NULL) {
        return;
    }

    if (ctx->op->timer.timer_set) {
        ngx_del_timer(&ctx->op->timer);
    }

    ctx->op->request = NULL;
    ctx->op = NULL;
}


/* The reply, or the batch, still refers to the operation. */

static void
ngx_http_ticket_op_timeout(ngx_event_t *ev)
{
    ngx_http_request_t       *r;
    ngx_http_ticket_op_t     *op;
    ngx_http_ticket_ctx_t    *ctx;

    op = ev->data;
    ctx = op->ctx;

    r = ngx_http_ticket_op_request(op);

    if (r == NULL) {
        return;
    }

    ngx_http_ticket_detach_op(ctx);
    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    ngx_http_ticket_go_on(r, op->done);
}


void
ngx_http_ticket_complete(ngx_http_ticket_op_t *op,
    ngx_http_ticket_state_e state)
{
    ngx_http_request_t       *r;
    ngx_http_ticket_ctx_t    *ctx;
    ngx_http_ticket_done_pt   done;

    r = ngx_http_ticket_op_request(op);
    ctx = op->ctx;
    done = op->done;

    if (r == NULL) {
        ngx_free(op);
        return;
    }

    ngx_http_ticket_drop_op(op);

    ctx->state = state;

    ngx_http_ticket_go_on(r, done);
}


void
ngx_http_ticket_go_on(ngx_http_request_t *r, ngx_http_ticket_done_pt done)
{
    ngx_connection_t  *c;

    c = r->connection;

    done(r);
    ngx_http_run_posted_requests(c);
}
