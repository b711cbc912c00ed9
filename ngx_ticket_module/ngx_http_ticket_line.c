
/*
 * What a request asks of the line: join, claim, leave, check a session, all
 * through Redis, and poll, which is answered from shared memory alone.
 *
 * An operation is allocated apart from its request, since either may end
 * first: the request's cleanup detaches it, and the reply then finds nobody.
 * Joins are group-committed: those that arrive while a join script is under
 * way for their room instance travel together in the next.
 */


#include "ngx_http_ticket_script.h"


#define NGX_HTTP_TICKET_OP_TIMEOUT   6000
#define NGX_HTTP_TICKET_JOINS_MAX    1024


struct ngx_http_ticket_op_s {
    ngx_queue_t                   queue;    /* in its batch */
    ngx_http_request_t           *request;  /* NULL: gone */
    ngx_http_ticket_done_pt       done;
    ngx_http_ticket_subject_t     subject;
    ngx_event_t                   timer;
};


/* Joins of one room instance. */

typedef struct {
    ngx_queue_t                   queue;    /* among the process's batches */
    ngx_http_ticket_subject_t     subject;
    ngx_queue_t                   waiting;  /* operations for the next */
    ngx_queue_t                   sent;     /* operations under way */
    ngx_event_t                   failed;   /* posted: could not be sent */
    unsigned                      in_flight:1;
} ngx_http_ticket_joins_t;


static ngx_http_ticket_op_t *ngx_http_ticket_create_op(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done);
static void ngx_http_ticket_detach_op(void *data);
static void ngx_http_ticket_op_timeout(ngx_event_t *ev);
static void ngx_http_ticket_go_on(ngx_http_request_t *r,
    ngx_http_ticket_done_pt done);
static void ngx_http_ticket_complete(ngx_http_ticket_op_t *op,
    ngx_http_ticket_state_e state);
static ngx_int_t ngx_http_ticket_ask(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done,
    ngx_http_ticket_script_e script, ngx_http_ticket_reply_pt handler,
    ticket_token_t *token);
static ngx_http_ticket_joins_t *ngx_http_ticket_get_joins(
    ngx_http_ticket_subject_t *subject);
static void ngx_http_ticket_send_batch(ngx_http_ticket_joins_t *joins);
static ngx_uint_t ngx_http_ticket_take_batch(ngx_http_ticket_joins_t *joins);
static void ngx_http_ticket_joined(redisReply *reply, void *data);
static void ngx_http_ticket_give_numbers(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_answer_t *answer);
static void ngx_http_ticket_joins_failed(ngx_event_t *ev);
static void ngx_http_ticket_fail_batch(ngx_http_ticket_joins_t *joins);
static void ngx_http_ticket_claimed(redisReply *reply, void *data);
static void ngx_http_ticket_done_leaving(redisReply *reply, void *data);
static void ngx_http_ticket_checked(redisReply *reply, void *data);
static void ngx_http_ticket_resumed(redisReply *reply, void *data);
static void ngx_http_ticket_refresh_place(ngx_http_ticket_ctx_t *ctx,
    uint64_t number);


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


static void
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


static ngx_http_ticket_op_t *
ngx_http_ticket_create_op(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
    ngx_http_cleanup_t           *cln;
    ngx_http_ticket_op_t         *op;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    if (ctx->instance == NULL) {
        ctx->instance = ngx_http_ticket_get_instance(mcf->zone->data,
                                               &ctx->name, r->connection->log);
        if (ctx->instance == NULL) {
            return NULL;
        }
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
    r = op->request;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    ngx_http_ticket_detach_op(ctx);
    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    ngx_http_ticket_go_on(r, op->done);
}


static void
ngx_http_ticket_go_on(ngx_http_request_t *r, ngx_http_ticket_done_pt done)
{
    ngx_connection_t  *c;

    c = r->connection;

    done(r);
    ngx_http_run_posted_requests(c);
}


/* Frees the operation and lets its request, if it is still there, go on. */

static void
ngx_http_ticket_complete(ngx_http_ticket_op_t *op,
    ngx_http_ticket_state_e state)
{
    ngx_http_request_t       *r;
    ngx_http_ticket_ctx_t    *ctx;
    ngx_http_ticket_done_pt   done;

    r = op->request;
    done = op->done;

    if (r == NULL) {
        ngx_free(op);
        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    ngx_http_ticket_detach_op(ctx);
    ngx_free(op);

    ctx->state = state;

    ngx_http_ticket_go_on(r, done);
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

    p = ngx_sprintf(buf, "%uD", token->epoch);
    arg[0].data = buf;
    arg[0].len = p - buf;

    arg[1].data = p;
    p = ngx_sprintf(p, "%uL", token->number);
    arg[1].len = p - arg[1].data;

    arg[2].data = p;
    p = ngx_sprintf(p, "%uL", token->time_ms);
    arg[2].len = p - arg[2].data;

    if (ngx_http_ticket_script(script, &op->subject, handler, op,
                               script == NGX_HTTP_TICKET_RESUME ? 3 : 2, arg)
        != NGX_OK)
    {
        ngx_http_ticket_detach_op(ctx);
        ngx_free(op);
        return NGX_OK;
    }

    ngx_add_timer(&op->timer, NGX_HTTP_TICKET_OP_TIMEOUT);

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_ticket_join(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
    ngx_http_ticket_op_t     *op;
    ngx_http_ticket_joins_t  *joins;

    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    op = ngx_http_ticket_create_op(r, ctx, done);
    if (op == NULL) {
        return NGX_OK;
    }

    joins = ngx_http_ticket_get_joins(&op->subject);
    if (joins == NULL) {
        ngx_http_ticket_detach_op(ctx);
        ngx_free(op);
        return NGX_OK;
    }

    ngx_queue_insert_tail(&joins->waiting, &op->queue);
    ngx_add_timer(&op->timer, NGX_HTTP_TICKET_OP_TIMEOUT);

    if (!joins->in_flight) {
        ngx_http_ticket_send_batch(joins);
    }

    return NGX_AGAIN;
}


static ngx_http_ticket_joins_t *
ngx_http_ticket_get_joins(ngx_http_ticket_subject_t *subject)
{
    ngx_queue_t                *q, *all;
    ngx_http_ticket_joins_t    *joins;

    all = &subject->mcf->process->joins;

    for (q = ngx_queue_head(all);
         q != ngx_queue_sentinel(all);
         q = ngx_queue_next(q))
    {
        joins = ngx_queue_data(q, ngx_http_ticket_joins_t, queue);

        if (joins->subject.instance == subject->instance) {
            return joins;
        }
    }

    joins = ngx_calloc(sizeof(ngx_http_ticket_joins_t), ngx_cycle->log);
    if (joins == NULL) {
        return NULL;
    }

    joins->subject = *subject;
    joins->failed.handler = ngx_http_ticket_joins_failed;
    joins->failed.data = joins;
    joins->failed.log = ngx_cycle->log;

    ngx_queue_init(&joins->waiting);
    ngx_queue_init(&joins->sent);
    ngx_queue_insert_tail(all, &joins->queue);

    return joins;
}


void
ngx_http_ticket_send_joins(ngx_http_ticket_main_conf_t *mcf)
{
    ngx_queue_t              *q, *next, *all;
    ngx_http_ticket_joins_t  *joins;

    all = &mcf->process->joins;

    for (q = ngx_queue_head(all); q != ngx_queue_sentinel(all); q = next) {
        next = ngx_queue_next(q);
        joins = ngx_queue_data(q, ngx_http_ticket_joins_t, queue);

        if (!joins->in_flight) {
            ngx_http_ticket_send_batch(joins);
        }
    }
}


/* Frees the batch when nobody is left in it. */

static void
ngx_http_ticket_send_batch(ngx_http_ticket_joins_t *joins)
{
    u_char                   buf[NGX_INT_T_LEN];
    ngx_str_t                arg;
    ngx_uint_t               n;
    ngx_http_ticket_zone_t  *zone;

    zone = joins->subject.mcf->zone->data;

    n = ngx_http_ticket_take_batch(joins);

    if (n == 0) {
        ngx_queue_remove(&joins->queue);
        ngx_free(joins);
        return;
    }

    arg.data = buf;
    arg.len = ngx_sprintf(buf, "%ui", n) - buf;

    joins->in_flight = 1;

    if (ngx_http_ticket_reserve(zone, joins->subject.instance,
                                joins->subject.instance->known.issued + 1,
                                joins->subject.instance->known.issued + n,
                                ngx_cycle->log)
        != NGX_OK
        || ngx_http_ticket_script(NGX_HTTP_TICKET_JOIN, &joins->subject,
                                  ngx_http_ticket_joined, joins, 1, &arg)
           != NGX_OK)
    {
        ngx_post_event(&joins->failed, &ngx_posted_events);
    }
}


static void
ngx_http_ticket_joins_failed(ngx_event_t *ev)
{
    ngx_http_ticket_fail_batch(ev->data);
}


/* Moves those that are still there from waiting to sent, and counts them. */

static ngx_uint_t
ngx_http_ticket_take_batch(ngx_http_ticket_joins_t *joins)
{
    ngx_uint_t             n;
    ngx_queue_t           *q;
    ngx_http_ticket_op_t  *op;

    for (n = 0;
         n < NGX_HTTP_TICKET_JOINS_MAX && !ngx_queue_empty(&joins->waiting);
         /* void */ )
    {
        q = ngx_queue_head(&joins->waiting);
        op = ngx_queue_data(q, ngx_http_ticket_op_t, queue);

        ngx_queue_remove(q);

        if (op->request == NULL) {
            ngx_free(op);
            continue;
        }

        ngx_queue_insert_tail(&joins->sent, q);
        n++;
    }

    return n;
}


static void
ngx_http_ticket_joined(redisReply *reply, void *data)
{
    ngx_queue_t                *q;
    ngx_http_ticket_joins_t    *joins = data;
    ngx_http_ticket_answer_t    answer;

    if (ngx_http_ticket_read_answer(&joins->subject, reply, &answer)
        != NGX_OK)
    {
        ngx_http_ticket_fail_batch(joins);
        return;
    }

    if (ngx_http_ticket_answer_is(&answer, "settling")) {

        /* the next tick tries again; they keep their order */

        while (!ngx_queue_empty(&joins->sent)) {
            q = ngx_queue_last(&joins->sent);
            ngx_queue_remove(q);
            ngx_queue_insert_head(&joins->waiting, q);
        }

        joins->in_flight = 0;
        return;
    }

    if (!ngx_http_ticket_answer_is(&answer, "ok")) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ticket: all numbers of room \"%*s\" are issued, "
                      "reset it", joins->subject.instance->len,
                      joins->subject.instance->name);

        ngx_http_ticket_fail_batch(joins);
        return;
    }

    ngx_http_ticket_give_numbers(joins, &answer);

    joins->in_flight = 0;
    ngx_http_ticket_send_batch(joins);
}


/* In the order in which the requests came; the first are admitted. */

static void
ngx_http_ticket_give_numbers(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_answer_t *answer)
{
    uint64_t                     from, number, admitted, ends;
    ngx_queue_t                 *q;
    ngx_http_request_t          *r;
    ngx_http_ticket_op_t        *op;
    ngx_http_ticket_ctx_t       *ctx;
    ngx_http_ticket_state_e      state;
    ngx_http_ticket_instance_t  *instance;

    instance = joins->subject.instance;
    from = ngx_http_ticket_answer_uint(answer, 0);
    admitted = ngx_http_ticket_answer_uint(answer, 1);
    ends = ngx_http_ticket_answer_uint(answer, 2);

    (void) ngx_http_ticket_reserve(joins->subject.mcf->zone->data, instance,
                                   from, answer->issued, ngx_cycle->log);

    if (instance->active != (ngx_atomic_uint_t) ngx_time()) {
        instance->active = ngx_time();
    }

    for (number = from; !ngx_queue_empty(&joins->sent); number++) {
        q = ngx_queue_head(&joins->sent);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_http_ticket_op_t, queue);
        state = NGX_HTTP_TICKET_UNAVAILABLE;
        r = op->request;

        if (r) {
            ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);
            ctx->joined = 1;

            if (number < from + admitted) {
                if (ngx_http_ticket_give_pass(r, ctx, answer->epoch, number,
                                              ends)
                    == NGX_OK)
                {
                    state = NGX_HTTP_TICKET_ADMITTED;
                }

            } else if (ngx_http_ticket_give_queue_token(r, ctx, answer->epoch,
                                                        number)
                       == NGX_OK)
            {
                ngx_http_ticket_refresh_place(ctx, number);
                state = NGX_HTTP_TICKET_WAITING;
            }

            ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_JOINS);

            if (state == NGX_HTTP_TICKET_ADMITTED) {
                ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_ADMITTED);
            }
        }

        ngx_http_ticket_complete(op, state);
    }
}


static void
ngx_http_ticket_fail_batch(ngx_http_ticket_joins_t *joins)
{
    ngx_queue_t           *q;
    ngx_http_ticket_op_t  *op;

    while (!ngx_queue_empty(&joins->sent)) {
        q = ngx_queue_head(&joins->sent);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_http_ticket_op_t, queue);

        ngx_http_ticket_count(joins->subject.instance,
                              NGX_HTTP_TICKET_N_JOINS_FAILED);

        ngx_http_ticket_complete(op, NGX_HTTP_TICKET_UNAVAILABLE);
    }

    /* those that came meanwhile go with the next tick */

    joins->in_flight = 0;
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
        ngx_http_ticket_detach_op(ctx);
        ngx_free(op);
        return NGX_OK;
    }

    ngx_add_timer(&op->timer, NGX_HTTP_TICKET_OP_TIMEOUT);

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

    ngx_http_ticket_detach_op(ctx);
    ngx_free(op);

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
