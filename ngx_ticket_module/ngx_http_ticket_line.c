
/*
 * What a request asks of the line: claim, leave, check a session, by way of
 * Redis, and poll, which is answered from shared memory alone.
 */


#include "ngx_http_ticket_op.h"


#define NGX_HTTP_TICKET_KEY_LEN  (TICKET_ROOM_MAX + 64)


static void ngx_http_ticket_look(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_ctx_t *ctx, uint64_t place);
static ngx_int_t ngx_http_ticket_ask(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done,
    ngx_http_ticket_script_e script, ngx_http_ticket_reply_pt handler,
    ticket_token_t *token);
static void ngx_http_ticket_claimed(redisReply *reply, void *data);
static void ngx_http_ticket_done_leaving(redisReply *reply, void *data);
static void ngx_http_ticket_checked(redisReply *reply, void *data);
static size_t ngx_http_ticket_sessions_key(ngx_http_ticket_ctx_t *ctx,
    u_char *key);
static void ngx_http_ticket_renew(ngx_http_ticket_op_t *op,
    ngx_http_ticket_ctx_t *ctx);
static void ngx_http_ticket_renewed(redisReply *reply, void *data);
static void ngx_http_ticket_resumed(redisReply *reply, void *data);


void
ngx_http_ticket_poll(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    uint64_t                      place;
    ticket_token_t               *token;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_instance_t   *instance;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    zone = mcf->zone->data;
    token = &ctx->queue.token;

    ctx->state = NGX_HTTP_TICKET_WAITING;

    if (ngx_http_ticket_visit(r, ctx) != NGX_OK) {
        return;
    }

    instance = ctx->instance;

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

    place = ngx_http_ticket_place(instance, token->number);

    if (ticket_line_mark(&instance->line, place) != 0
        && ngx_http_ticket_reserve(zone, instance, place, place,
                                   r->connection->log)
           == NGX_OK)
    {
        (void) ticket_line_mark(&instance->line, place);
    }

    ngx_http_ticket_look(mcf, ctx, place);

    if (ctx->place.view.epoch == token->epoch && ctx->place.called) {
        ctx->state = NGX_HTTP_TICKET_CALLED;
    }
}


void
ngx_http_ticket_refresh_place(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_ctx_t *ctx)
{
    ngx_http_ticket_look(mcf, ctx,
                         ngx_http_ticket_place(ctx->instance,
                                               ctx->queue.token.number));
}


/* What a place looks like, and what a room whose line stands still tells. */

static void
ngx_http_ticket_look(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_ctx_t *ctx, uint64_t place)
{
    ticket_view_t               *view;
    ticket_policy_t             *policy;
    ngx_http_ticket_instance_t  *instance;

    instance = ctx->instance;
    policy = &ctx->room->policy;
    view = &ctx->place.view;

    ticket_line_look(&instance->line, place, instance->known.issued,
                     &ctx->place);

    if (view->epoch != instance->known.epoch) {
        view->life = 0;
    }

    ctx->state = NGX_HTTP_TICKET_WAITING;

    if (view->life && view->mode == TICKET_MODE_REJECT) {
        ctx->state = NGX_HTTP_TICKET_CLOSED;
        return;
    }

    if (policy->opens == 0 && policy->closes == 0) {
        return;
    }

    switch (ticket_policy_phase(policy, ngx_http_ticket_now(mcf->zone->data)))
    {
    case TICKET_PHASE_EARLY:
    case TICKET_PHASE_OVER:
        ctx->state = NGX_HTTP_TICKET_CLOSED;
        break;

    case TICKET_PHASE_PREQUEUE:
        ctx->state = NGX_HTTP_TICKET_PREQUEUE;
        break;

    default:

        /* places are known when all nodes have delivered theirs */

        if (policy->draw
            && (view->life == 0 || view->settling || instance->draw.held == 0))
        {
            ctx->state = NGX_HTTP_TICKET_PREQUEUE;
        }
    }
}


ngx_int_t
ngx_http_ticket_takes_joins(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_ctx_t *ctx)
{
    ticket_view_t    view;
    ticket_policy_t  *policy;

    policy = &ctx->room->policy;

    if (ctx->instance) {
        ticket_line_view(&ctx->instance->line, &view);

        if (view.life && view.mode == TICKET_MODE_REJECT) {
            return NGX_DECLINED;
        }

    } else if (policy->mode == TICKET_MODE_REJECT) {
        return NGX_DECLINED;
    }

    if (policy->opens == 0 && policy->closes == 0) {
        return NGX_OK;
    }

    switch (ticket_policy_phase(policy, ngx_http_ticket_now(mcf->zone->data)))
    {
    case TICKET_PHASE_EARLY:
    case TICKET_PHASE_OVER:
        return NGX_DECLINED;

    default:
        return NGX_OK;
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

    p = ngx_http_ticket_uint_arg(token->epoch, buf, &arg[0]);
    p = ngx_http_ticket_uint_arg(ngx_http_ticket_place(ctx->instance,
                                                       token->number),
                                 p, &arg[1]);
    (void) ngx_http_ticket_uint_arg(token->time_ms, p, &arg[2]);

    return ngx_http_ticket_ask_op(op, script, handler,
                                  script == NGX_HTTP_TICKET_RESUME ? 3 : 2,
                                  arg);
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
    ngx_http_request_t        *r;
    ngx_http_ticket_op_t      *op = data;
    ngx_http_ticket_ctx_t     *ctx;
    ngx_http_ticket_state_e    state;
    ngx_http_ticket_answer_t   answer;

    state = NGX_HTTP_TICKET_UNAVAILABLE;
    r = ngx_http_ticket_op_request(op);

    if (ngx_http_ticket_read_answer(&op->subject, reply, &answer) != NGX_OK
        || r == NULL)
    {
        ngx_http_ticket_complete(op, state);
        return;
    }

    ctx = op->ctx;

    if (ngx_http_ticket_answer_is(&answer, "admitted")) {
        if (ngx_http_ticket_give_pass(r, ctx, answer.epoch,
                                      ctx->queue.token.number,
                                      ngx_http_ticket_answer_uint(&answer, 0),
                                      ngx_http_ticket_answer_uint(&answer, 1))
            == NGX_OK)
        {
            state = NGX_HTTP_TICKET_ADMITTED;
            ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_ADMITTED);

            if (ngx_http_ticket_answer_uint(&answer, 2)) {
                ngx_http_ticket_watch_admitted(op->subject.mcf->zone->data,
                                               ctx->instance,
                                               ctx->queue.token.time_ms);
            }
        }

    } else if (ngx_http_ticket_answer_is(&answer, "waiting")) {
        ngx_http_ticket_refresh_place(op->subject.mcf, ctx);
        state = ctx->state;

    } else if (ngx_http_ticket_answer_is(&answer, "settling")) {
        ctx->place.view.life = 0;
        state = NGX_HTTP_TICKET_WAITING;

    } else if (ngx_http_ticket_answer_is(&answer, "called")) {
        state = NGX_HTTP_TICKET_CALLED;

    } else if (ngx_http_ticket_answer_is(&answer, "spent")) {
        state = NGX_HTTP_TICKET_SPENT;

    } else if (ngx_http_ticket_answer_is(&answer, "past")) {
        state = NGX_HTTP_TICKET_PAST;
    }

    if (ctx->known) {
        ngx_http_ticket_recognized(op, state);
        return;
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

    if (ngx_http_ticket_read_answer(&op->subject, reply, &answer) == NGX_OK
        && !ngx_http_ticket_answer_is(&answer, "settling"))
    {
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
    u_char                 key[NGX_HTTP_TICKET_KEY_LEN];
    u_char                 number[NGX_INT64_LEN];
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
    len[1] = ngx_http_ticket_sessions_key(ctx, key);

    argv[2] = (char *) number;
    len[2] = ngx_sprintf(number, "%uL",
                         ngx_http_ticket_place(ctx->instance,
                                               ctx->pass.token.number))
             - number;

    if (ngx_http_ticket_redis_command(op->subject.mcf->process->redis, 1,
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


static size_t
ngx_http_ticket_sessions_key(ngx_http_ticket_ctx_t *ctx, u_char *key)
{
    return ngx_sprintf(key, "ticket:{%V}:%uD:sess", &ctx->name,
                       ctx->pass.token.epoch)
           - key;
}


/* A session that is not there may have been lost: the script decides. */

static void
ngx_http_ticket_checked(redisReply *reply, void *data)
{
    ngx_int_t                 ends;
    ngx_http_request_t       *r;
    ngx_http_ticket_op_t     *op = data;
    ngx_http_ticket_ctx_t    *ctx;
    ngx_http_ticket_zone_t   *zone;
    ngx_http_ticket_done_pt   done;

    r = ngx_http_ticket_op_request(op);

    if (r == NULL || reply == NULL
        || (reply->type != REDIS_REPLY_STRING
            && reply->type != REDIS_REPLY_NIL))
    {
        ngx_http_ticket_complete(op, NGX_HTTP_TICKET_UNAVAILABLE);
        return;
    }

    done = op->done;
    ctx = op->ctx;
    zone = op->subject.mcf->zone->data;

    if (reply->type == REDIS_REPLY_STRING) {
        ends = ngx_atoi((u_char *) reply->str, reply->len);

        if (ends != NGX_ERROR && (uint64_t) ends > ngx_http_ticket_now(zone)) {
            ctx->ends = ends;
            ngx_http_ticket_renew(op, ctx);
            ngx_http_ticket_complete(op, NGX_HTTP_TICKET_ADMITTED);
            return;
        }
    }

    ngx_http_ticket_drop_op(op);

    if (ngx_http_ticket_ask(r, ctx, done, NGX_HTTP_TICKET_RESUME,
                            ngx_http_ticket_resumed, &ctx->pass.token)
        == NGX_OK)
    {
        ngx_http_ticket_go_on(r, done);
    }
}


/*
 * Begins the session's time anew, up to the end the pass names.  XX: should
 * it end at this very moment, it stays ended.  A tenth of its time may pass
 * before that is worth a command.
 */

static void
ngx_http_ticket_renew(ngx_http_ticket_op_t *op, ngx_http_ticket_ctx_t *ctx)
{
    u_char                   buf[2 * NGX_INT64_LEN];
    u_char                   key[NGX_HTTP_TICKET_KEY_LEN];
    size_t                   len[5];
    uint64_t                 ends;
    ngx_str_t                arg[2];
    const char              *argv[5];
    ticket_policy_t         *policy;
    ngx_http_ticket_zone_t  *zone;

    policy = &ctx->room->policy;

    if (policy->max == 0) {
        return;
    }

    zone = op->subject.mcf->zone->data;

    ends = ngx_http_ticket_now(zone) + policy->session;
    ends = ngx_min(ends, ctx->pass.token.time_ms);

    if (ends < ctx->ends + policy->session / 10
        && ends != ctx->pass.token.time_ms)
    {
        return;
    }

    if (ends <= ctx->ends) {
        return;
    }

    ngx_http_ticket_uint_arg(ngx_http_ticket_place(ctx->instance,
                                                   ctx->pass.token.number),
                             ngx_http_ticket_uint_arg(ends, buf, &arg[0]),
                             &arg[1]);

    argv[0] = "ZADD";
    len[0] = 4;
    argv[1] = (char *) key;
    len[1] = ngx_http_ticket_sessions_key(ctx, key);
    argv[2] = "XX";
    len[2] = 2;
    argv[3] = (char *) arg[0].data;
    len[3] = arg[0].len;
    argv[4] = (char *) arg[1].data;
    len[4] = arg[1].len;

    if (ngx_http_ticket_redis_command(op->subject.mcf->process->redis, 1,
                                      ngx_http_ticket_renewed, NULL, 5, argv,
                                      len)
        == NGX_OK)
    {
        ctx->ends = ends;
    }
}


/* Should it fail, the next request renews. */

static void
ngx_http_ticket_renewed(redisReply *reply, void *data)
{
}


static void
ngx_http_ticket_resumed(redisReply *reply, void *data)
{
    ngx_http_ticket_op_t      *op = data;
    ngx_http_ticket_ctx_t     *ctx;
    ngx_http_ticket_state_e    state;
    ngx_http_ticket_answer_t   answer;

    state = NGX_HTTP_TICKET_UNAVAILABLE;

    if (ngx_http_ticket_read_answer(&op->subject, reply, &answer) == NGX_OK
        && ngx_http_ticket_op_request(op))
    {
        ctx = op->ctx;

        if (ngx_http_ticket_answer_is(&answer, "valid")) {
            ctx->ends = ngx_http_ticket_answer_uint(&answer, 0);
            state = NGX_HTTP_TICKET_ADMITTED;

        } else if (ngx_http_ticket_answer_is(&answer, "refused")) {
            state = NGX_HTTP_TICKET_REFUSED;
        }
    }

    ngx_http_ticket_complete(op, state);
}
