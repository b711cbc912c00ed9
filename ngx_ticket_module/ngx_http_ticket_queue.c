
/*
 * The queue location: POST joins and claims, GET polls, DELETE leaves.  A
 * poll is answered from shared memory; the others go by way of Redis, each
 * in steps, of which ctx->next names the one that an answer leads to.
 */


#include "ngx_http_ticket_module.h"


#define NGX_HTTP_TICKET_QUEUE_OPENING  45000   /* ms after the opening */


static ngx_int_t ngx_http_ticket_queue_start(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_uint_t ngx_http_ticket_queue_asks(ngx_http_request_t *r,
    const char *what, size_t len);
static ngx_int_t ngx_http_ticket_queue_why(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_queue_get(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static uint32_t ngx_http_ticket_queue_early(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_queue_post(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_queue_checked(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_queue_delete(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_queue_left(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_queue_answer(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_queue_refuse(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_queue_clear(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static void ngx_http_ticket_queue_done(ngx_http_request_t *r);


ngx_int_t
ngx_http_ticket_queue_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_http_ticket_ctx_t       *ctx;
    ngx_http_ticket_loc_conf_t  *tlcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_POST
                       |NGX_HTTP_DELETE)))
    {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_METHOD, NULL);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_ticket_make_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    rc = ngx_http_ticket_resolve(r, tlcf->queue, ctx);

    if (rc == NGX_DECLINED) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_NO_SUCH_ROOM,
                                            NULL);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_ticket_read_tokens(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_ticket_watch_pass(ctx);

    rc = ngx_http_ticket_queue_start(r, ctx);

    if (rc != NGX_AGAIN) {
        return rc;
    }

    /* the answer finalizes the request, see ngx_http_ticket_queue_done() */

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_ticket_queue_start(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (r->method == NGX_HTTP_DELETE) {
        return ngx_http_ticket_queue_delete(r, ctx);
    }

    if (r->method != NGX_HTTP_POST) {

        if (ngx_http_ticket_queue_asks(r, "/draw", sizeof("/draw") - 1)) {
            return ngx_http_ticket_send_draw(r, ctx);
        }

        if (ngx_http_ticket_queue_asks(r, "/why", sizeof("/why") - 1)) {
            return ngx_http_ticket_queue_why(r, ctx);
        }

        return ngx_http_ticket_queue_get(r, ctx);
    }

    if (ctx->pass.found != NGX_HTTP_TICKET_TOKEN_GOOD) {
        return ngx_http_ticket_queue_post(r, ctx);
    }

    ctx->next = ngx_http_ticket_queue_checked;

    if (ngx_http_ticket_check(r, ctx, ngx_http_ticket_queue_done)
        == NGX_AGAIN)
    {
        return NGX_AGAIN;
    }

    return ngx_http_ticket_queue_checked(r, ctx);
}


/* Whether this stands behind the queue's own address. */

static ngx_uint_t
ngx_http_ticket_queue_asks(ngx_http_request_t *r, const char *what, size_t len)
{
    return r->uri.len > len
           && ngx_memcmp(r->uri.data + r->uri.len - len, what, len) == 0;
}


static ngx_int_t
ngx_http_ticket_queue_why(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->pass.found != NGX_HTTP_TICKET_TOKEN_GOOD
        && ctx->queue.found != NGX_HTTP_TICKET_TOKEN_GOOD)
    {
        return ngx_http_ticket_queue_refuse(r, ctx);
    }

    ctx->next = ngx_http_ticket_send_why;

    if (ngx_http_ticket_why(r, ctx, ngx_http_ticket_queue_done) == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    return ngx_http_ticket_send_why(r, ctx);
}


/* Sends nothing to Redis. */

static ngx_int_t
ngx_http_ticket_queue_get(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    uint32_t  early;

    if (ctx->pass.found == NGX_HTTP_TICKET_TOKEN_GOOD) {
        ctx->state = NGX_HTTP_TICKET_ADMITTED;
        return ngx_http_ticket_queue_answer(r, ctx);
    }

    if (ctx->queue.found != NGX_HTTP_TICKET_TOKEN_GOOD) {
        return ngx_http_ticket_queue_refuse(r, ctx);
    }

    ngx_http_ticket_poll(r, ctx);

    early = ngx_http_ticket_queue_early(r, ctx);

    if (early) {
        return ngx_http_ticket_send_early(r, early);
    }

    return ngx_http_ticket_queue_answer(r, ctx);
}


/*
 * Milliseconds by which this poll is too early, or 0.  Held against the least
 * that can have been told at this distance, which is never greater than at
 * the poll before, unless visitors return; those who were told to come soon
 * after an opening are given that much time.
 */

static uint32_t
ngx_http_ticket_queue_early(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    uint32_t                      gap;
    uint64_t                      now;
    ngx_http_ticket_room_t       *room;
    ngx_http_ticket_main_conf_t  *mcf;

    room = ctx->room;

    if (!room->early || ctx->place.view.life == 0) {
        return 0;
    }

    switch (ctx->state) {

    case NGX_HTTP_TICKET_WAITING:
        gap = ticket_poll_gap(ctx->place.ahead, room->policy.liveness);
        break;

    case NGX_HTTP_TICKET_PREQUEUE:
    case NGX_HTTP_TICKET_CLOSED:
        gap = ticket_poll_gap(0, room->policy.liveness);
        break;

    default:
        return 0;
    }

    if (room->policy.opens) {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
        now = ngx_http_ticket_now(mcf->zone->data);

        if (now < room->policy.opens + NGX_HTTP_TICKET_QUEUE_OPENING) {
            gap = ticket_poll_gap(0, room->policy.liveness);
        }
    }

    return ticket_line_early(&ctx->instance->line,
                             ngx_http_ticket_place(ctx->instance,
                                                   ctx->queue.token.number),
                             ngx_current_msec, gap);
}


static ngx_int_t
ngx_http_ticket_queue_checked(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->state == NGX_HTTP_TICKET_REFUSED) {

        /* released or revoked: the visitor begins anew */

        ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_PASSES_OVER);

        if (ngx_http_ticket_drop_pass(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_ticket_queue_post(r, ctx);
    }

    /* the signature is good, which is all there is while Redis is away */

    ctx->state = NGX_HTTP_TICKET_ADMITTED;

    return ngx_http_ticket_queue_answer(r, ctx);
}


static ngx_int_t
ngx_http_ticket_queue_post(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->next = ngx_http_ticket_queue_answer;

    if (ctx->queue.found == NGX_HTTP_TICKET_TOKEN_GOOD) {

        ngx_http_ticket_poll(r, ctx);

        if (ctx->state != NGX_HTTP_TICKET_CALLED
            && (ctx->state != NGX_HTTP_TICKET_WAITING || ctx->place.view.life))
        {
            return ngx_http_ticket_queue_answer(r, ctx);
        }

        rc = ngx_http_ticket_claim(r, ctx, ngx_http_ticket_queue_done);

    } else if (ctx->queue.found == NGX_HTTP_TICKET_TOKEN_NONE
               && ctx->pass.found != NGX_HTTP_TICKET_TOKEN_BAD)
    {
        rc = ngx_http_ticket_join(r, ctx, ngx_http_ticket_queue_done);

    } else {
        return ngx_http_ticket_queue_refuse(r, ctx);
    }

    return (rc == NGX_AGAIN) ? NGX_AGAIN
                             : ngx_http_ticket_queue_answer(r, ctx);
}


static ngx_int_t
ngx_http_ticket_queue_delete(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->pass.found != NGX_HTTP_TICKET_TOKEN_GOOD
        && ctx->queue.found != NGX_HTTP_TICKET_TOKEN_GOOD)
    {
        return ngx_http_ticket_queue_refuse(r, ctx);
    }

    ctx->next = ngx_http_ticket_queue_left;

    if (ngx_http_ticket_leave(r, ctx, ngx_http_ticket_queue_done)
        == NGX_AGAIN)
    {
        return NGX_AGAIN;
    }

    return ngx_http_ticket_queue_left(r, ctx);
}


static ngx_int_t
ngx_http_ticket_queue_left(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->state != NGX_HTTP_TICKET_LEFT) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_IS_AWAY, NULL);
    }

    if (ngx_http_ticket_queue_clear(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_ticket_send_body(r, NGX_HTTP_NO_CONTENT, NULL, NULL);
}


static ngx_int_t
ngx_http_ticket_queue_answer(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    switch (ctx->state) {

    case NGX_HTTP_TICKET_WAITING:
    case NGX_HTTP_TICKET_CALLED:
    case NGX_HTTP_TICKET_ADMITTED:
    case NGX_HTTP_TICKET_PREQUEUE:
        return ngx_http_ticket_send_state(r, ctx,
                                          ctx->joined ? NGX_HTTP_CREATED
                                                      : NGX_HTTP_OK);

    case NGX_HTTP_TICKET_CLOSED:

        if (ctx->queue.found == NGX_HTTP_TICKET_TOKEN_GOOD) {
            return ngx_http_ticket_send_state(r, ctx, NGX_HTTP_OK);
        }

        return ngx_http_ticket_send_closed(r, ctx);

    case NGX_HTTP_TICKET_UNPROVEN:
        return ngx_http_ticket_send_unproven(r, ctx);

    case NGX_HTTP_TICKET_PAST:
    case NGX_HTTP_TICKET_SPENT:

        if (ngx_http_ticket_queue_clear(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_ticket_send_problem(r,
                                        ctx->state == NGX_HTTP_TICKET_SPENT
                                        ? NGX_HTTP_TICKET_IS_SPENT
                                        : NGX_HTTP_TICKET_PAST_EPOCH, NULL);

    default:
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_IS_AWAY, NULL);
    }
}


/* There is no good token; the queue token's fault goes before the pass's. */

static ngx_int_t
ngx_http_ticket_queue_refuse(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_http_ticket_found_e    found;
    ngx_http_ticket_problem_e  problem;

    found = ctx->queue.found;

    if (found == NGX_HTTP_TICKET_TOKEN_NONE) {
        found = ctx->pass.found;
    }

    problem = NGX_HTTP_TICKET_NO_TOKEN;

    if (found == NGX_HTTP_TICKET_TOKEN_BAD) {
        problem = NGX_HTTP_TICKET_BAD_TOKEN;

    } else if (found == NGX_HTTP_TICKET_TOKEN_OVER) {
        problem = NGX_HTTP_TICKET_PAST_EPOCH;
    }

    if (ngx_http_ticket_queue_clear(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_ticket_send_problem(r, problem, NULL);
}


/* The cookies this request came with are of no use any more. */

static ngx_int_t
ngx_http_ticket_queue_clear(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->queue.cookie
        && ngx_http_ticket_clear_cookie(r, ctx, TICKET_TOKEN_QUEUE) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->pass.cookie
        && ngx_http_ticket_clear_cookie(r, ctx, TICKET_TOKEN_PASS) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_ticket_queue_done(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_ticket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    rc = ctx->next(r, ctx);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}
