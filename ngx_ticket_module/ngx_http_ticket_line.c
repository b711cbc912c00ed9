
/*
 * What a request asks of the line: claim, leave, check a session, by way of
 * Redis, and poll, which is answered from shared memory alone.
 */


#include "ngx_http_ticket_op.h"


static ngx_int_t ngx_http_ticket_ask(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done,
    ngx_http_ticket_script_e script, ngx_http_ticket_reply_pt handler,
    ticket_token_t *token);
static void ngx_http_ticket_claimed(redisReply *reply, void *data);
static void ngx_http_ticket_done_leaving(redisReply *reply, void *data);
static void ngx_http_ticket_checked(redisReply *reply, void *data);
static void ngx_http_ticket_resumed(redisReply *reply, void *data);


void
ngx_http_ticket_poll(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ticket_token_t               *token;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_instance_t   *instance;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    zone = mcf->zone->data;
    token = &ctx->queue.token;

    instance = ctx->instance;

    if (instance == NULL) {
        instance = ngx_http_ticket_get_instance(zone, &ctx->name,
                                                r->connection->log);
        ctx->instance = instance;
    }

    ctx->state = NGX_HTTP_TICKET_WAITING;

    if (instance == NULL) {
        return;
    }

    ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_POLLS);

    ngx_http_ticket_learn_token(zone, instance, token);

    if (token->epoch < instance->known.epoch) {
        ctx->state = NGX_HTTP_TICKET_PAST;
        return;
    }

    if (token->epoch > instance->known.epoch) {

        /* begun anew at another node; the next exchange tells */

        ctx->place.view.life = 0;
        return;
    }

    if (instance->active != (ngx_atomic_uint_t) ngx_time()) {
        instance->active = ngx_time();
    }

    if (ticket_line_mark(&instance->line, token->number) != 0
        && ngx_http_ticket_reserve(zone, instance, token->number,
                                   token->number, r->connection->log)
           == NGX_OK)
    {
        (void) ticket_line_mark(&instance->line, token->number);
    }

    ngx_http_ticket_refresh_place(ctx, token->number);

    if (ctx->place.view.epoch == token->epoch && ctx->place.called) {
        ctx->state = NGX_HTTP_TICKET_CALLED;
    }
}


void
ngx_http_ticket_refresh_place(ngx_http_ticket_ctx_t *ctx, uint64_t number)
{
    ngx_http_ticket_instance_t  *instance;

    instance = ctx->instance;

    ticket_line_look(&instance->line, number, instance->known.issued,
                     &ctx->place);

    if (ctx->place.view.epoch != instance->known.epoch) {
        ctx->place.view.life = 0;
    }
}


static ngx_int_t
ngx_http_ticket_ask(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done, ngx_http_ticket_script_e script,
    ngx_http_ticket_reply_pt handler, ticket_token_t *token)
{
    u_char                 buf[3 * NGX_INT64_LEN], *p;
    ngx_str_t              arg[3];
    ngx_http_ticket_op_t  *op;

    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    op = ngx_http_ticket_create_op(r, ctx, done);
    if (op == NULL) {
        return NGX_OK;
    }

    ngx_http_ticket_learn_token(op->subject.mcf->zone->data, ctx->instance,
                                token);

    p = ngx_http_ticket_token_args(token->epoch, token->number, buf, arg);

    arg[2].data = p;
    p = ngx_sprintf(p, "%uL", token->time_ms);
    arg[2].len = p - arg[2].data;

    if (ngx_http_ticket_script(script, &op->subject, handler, op,
                               script == NGX_HTTP_TICKET_RESUME ? 3 : 2, arg)
        != NGX_OK)
    {
        ngx_http_ticket_drop_op(op);
        return NGX_OK;
    }

    ngx_http_ticket_start_op(op);

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_ticket_claim(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
    return ngx_http_ticket_ask(r, ctx, done, NGX_HTTP_TICKET_CLAIM,
                               ngx_http_ticket_claimed, &ctx->queue.token);
}


static void
ngx_http_ticket_claimed(redisReply *reply, void *data)
{
    uint64_t                   ends;
    ngx_http_request_t        *r;
    ngx_http_ticket_op_t      *op = data;
    ngx_http_ticket_ctx_t     *ctx;
    ngx_http_ticket_state_e    state;
    ngx_http_ticket_answer_t   answer;

    state = NGX_HTTP_TICKET_UNAVAILABLE;
    r = op->request;

    if (ngx_http_ticket_read_answer(&op->subject, reply, &answer) != NGX_OK
        || r == NULL)
    {
        ngx_http_ticket_complete(op, state);
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    if (ngx_http_ticket_answer_is(&answer, "admitted")) {
        ends = ngx_http_ticket_answer_uint(&answer, 0);

        if (ngx_http_ticket_give_pass(r, ctx, answer.epoch,
                                      ctx->queue.token.number, ends)
            == NGX_OK)
        {
            state = NGX_HTTP_TICKET_ADMITTED;
            ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_ADMITTED);
        }

    } else if (ngx_http_ticket_answer_is(&answer, "waiting")) {
        ngx_http_ticket_refresh_place(ctx, ctx->queue.token.number);
        state = NGX_HTTP_TICKET_WAITING;

    } else if (ngx_http_ticket_answer_is(&answer, "called")) {
        state = NGX_HTTP_TICKET_CALLED;

    } else if (ngx_http_ticket_answer_is(&answer, "spent")) {
        state = NGX_HTTP_TICKET_SPENT;

    } else if (ngx_http_ticket_answer_is(&answer, "past")) {
        state = NGX_HTTP_TICKET_PAST;
    }

    ngx_http_ticket_complete(op, state);
}


ngx_int_t
ngx_http_ticket_leave(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
    ngx_http_ticket_token_t  *token;

    token = (ctx->pass.found == NGX_HTTP_TICKET_TOKEN_GOOD) ? &ctx->pass
                                                            : &ctx->queue;

    return ngx_http_ticket_ask(r, ctx, done, NGX_HTTP_TICKET_LEAVE,
                               ngx_http_ticket_done_leaving, &token->token);
}


static void
ngx_http_ticket_done_leaving(redisReply *reply, void *data)
{
    ngx_http_ticket_op_t      *op = data;
    ngx_http_ticket_state_e    state;
    ngx_http_ticket_answer_t   answer;

    state = NGX_HTTP_TICKET_UNAVAILABLE;

    if (ngx_http_ticket_read_answer(&op->subject, reply, &answer) == NGX_OK) {
        state = NGX_HTTP_TICKET_LEFT;
        ngx_http_ticket_count(op->subject.instance, NGX_HTTP_TICKET_N_LEFT);
    }

    ngx_http_ticket_complete(op, state);
}


/* One plain command, in the same pipeline as everybody's. */

ngx_int_t
ngx_http_ticket_check(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
    u_char                 key[TICKET_ROOM_MAX + 64], number[NGX_INT64_LEN];
    size_t                 len[3];
    const char            *argv[3];
    ngx_http_ticket_op_t  *op;

    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    op = ngx_http_ticket_create_op(r, ctx, done);
    if (op == NULL) {
        return NGX_OK;
    }

    argv[0] = "ZSCORE";
    len[0] = 6;

    argv[1] = (char *) key;
    len[1] = ngx_sprintf(key, "ticket:{%V}:%uD:sess", &ctx->name,
                         ctx->pass.token.epoch)
             - key;

    argv[2] = (char *) number;
    len[2] = ngx_sprintf(number, "%uL", ctx->pass.token.number) - number;

    if (ngx_http_ticket_redis_command(op->subject.mcf->process->redis,
                                      ngx_http_ticket_checked, op, 3, argv,
                                      len)
        != NGX_OK)
    {
        ngx_http_ticket_drop_op(op);
        return NGX_OK;
    }

    ngx_http_ticket_start_op(op);

    return NGX_AGAIN;
}


/* A session that is not there may have been lost: the script decides. */

static void
ngx_http_ticket_checked(redisReply *reply, void *data)
{
    ngx_http_request_t       *r;
    ngx_http_ticket_op_t     *op = data;
    ngx_http_ticket_ctx_t    *ctx;
    ngx_http_ticket_done_pt   done;

    if (op->request == NULL || reply == NULL) {
        ngx_http_ticket_complete(op, NGX_HTTP_TICKET_UNAVAILABLE);
        return;
    }

    if (reply->type == REDIS_REPLY_STRING) {
        ngx_http_ticket_complete(op, NGX_HTTP_TICKET_ADMITTED);
        return;
    }

    if (reply->type != REDIS_REPLY_NIL) {
        ngx_http_ticket_complete(op, NGX_HTTP_TICKET_UNAVAILABLE);
        return;
    }

    r = op->request;
    done = op->done;
    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    ngx_http_ticket_drop_op(op);

    if (ngx_http_ticket_ask(r, ctx, done, NGX_HTTP_TICKET_RESUME,
                            ngx_http_ticket_resumed, &ctx->pass.token)
        == NGX_OK)
    {
        ngx_http_ticket_go_on(r, done);
    }
}


static void
ngx_http_ticket_resumed(redisReply *reply, void *data)
{
    ngx_http_ticket_op_t      *op = data;
    ngx_http_ticket_state_e    state;
    ngx_http_ticket_answer_t   answer;

    state = NGX_HTTP_TICKET_UNAVAILABLE;

    if (ngx_http_ticket_read_answer(&op->subject, reply, &answer) == NGX_OK) {
        state = ngx_http_ticket_answer_is(&answer, "valid")
                ? NGX_HTTP_TICKET_ADMITTED : NGX_HTTP_TICKET_REFUSED;
    }

    ngx_http_ticket_complete(op, state);
}
