
/*
 * Joins, group-committed: those that arrive while a join script is under way
 * for their room instance travel together in the next.  A visitor who has an
 * identity keeps the number that was given to it, and goes on with a claim.
 */


#include "ngx_http_ticket_op.h"

#include <ticket_identity.h>


#define NGX_HTTP_TICKET_JOINS_MAX    1024

/* "NUMBER!KEY", see lua/join.lua */
#define NGX_HTTP_TICKET_WHO_LEN                                               \
    (NGX_INT64_LEN + 1 + TICKET_IDENTITY_KEY_LEN)


/* A join's own values in the answer; lua/join.lua lists them. */

#define NGX_HTTP_TICKET_V_FROM       0
#define NGX_HTTP_TICKET_V_ADMITTED   1
#define NGX_HTTP_TICKET_V_ENDS       2
#define NGX_HTTP_TICKET_V_LAST       3
#define NGX_HTTP_TICKET_V_NUMBERS    4


/* Joins of one room instance. */

typedef struct {
    ngx_queue_t                   queue;    /* among the process's batches */
    ngx_http_ticket_subject_t     subject;
    ngx_queue_t                   waiting;  /* operations for the next */
    ngx_queue_t                   sent;     /* operations under way */
    ngx_event_t                   failed;   /* posted: could not be sent */
    ngx_http_ticket_counter_e     why;      /* and this is why */
    unsigned                      in_flight:1;
    unsigned                      named:1;  /* some of "sent" are */
} ngx_http_ticket_joins_t;


static ngx_http_ticket_joins_t *ngx_http_ticket_get_joins(
    ngx_http_ticket_subject_t *subject);
static void ngx_http_ticket_send_batch(ngx_http_ticket_joins_t *joins);
static ngx_uint_t ngx_http_ticket_take_batch(ngx_http_ticket_joins_t *joins);
static ngx_int_t ngx_http_ticket_send_names(ngx_http_ticket_joins_t *joins,
    ngx_uint_t n, ngx_str_t *count);
static void ngx_http_ticket_joined(redisReply *reply, void *data);
static void ngx_http_ticket_give_numbers(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_answer_t *answer);
static ngx_http_ticket_state_e ngx_http_ticket_give_number(
    ngx_http_ticket_op_t *op, ngx_http_ticket_answer_t *answer,
    uint64_t number);
static void ngx_http_ticket_recognize(ngx_http_ticket_op_t *op,
    uint32_t epoch, uint64_t number);
static void ngx_http_ticket_given_back(redisReply *reply, void *data);
static void ngx_http_ticket_joins_failed(ngx_event_t *ev);
static void ngx_http_ticket_end_batch(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_state_e state, ngx_http_ticket_counter_e why);


ngx_int_t
ngx_http_ticket_join(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
    ngx_int_t                     rc;
    ngx_http_ticket_op_t         *op;
    ngx_http_ticket_joins_t      *joins;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    ctx->state = NGX_HTTP_TICKET_CLOSED;

    if (ngx_http_ticket_takes_joins(mcf, ctx) != NGX_OK) {
        ngx_http_ticket_watch_closed(r, ctx);
        return NGX_OK;
    }

    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    if (ctx->spent == 0) {
        rc = ngx_http_ticket_prove(r, ctx);

        if (rc != NGX_OK) {

            if (rc == NGX_DECLINED) {
                ctx->state = NGX_HTTP_TICKET_UNPROVEN;
            }

            return NGX_OK;
        }
    }

    if (ngx_http_ticket_identify(r, ctx) != NGX_OK) {
        return NGX_OK;
    }

    op = ngx_http_ticket_create_op(r, ctx, done);
    if (op == NULL) {
        return NGX_OK;
    }

    op->named = (ctx->identity.len != 0);

    joins = ngx_http_ticket_get_joins(&op->subject);
    if (joins == NULL) {
        ngx_http_ticket_drop_op(op);
        return NGX_OK;
    }

    ngx_queue_insert_tail(&joins->waiting, &op->queue);
    ngx_http_ticket_start_op(op);

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
    uint64_t                 issued;
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

    /* better to refuse now than to give numbers that have no memory */

    issued = joins->subject.instance->known.issued;

    if (ngx_http_ticket_reserve(zone, joins->subject.instance, issued,
                                ngx_min(issued + n, TICKET_NUMBER_MAX),
                                ngx_cycle->log)
        != NGX_OK)
    {
        joins->why = NGX_HTTP_TICKET_N_JOINS_ZONE_FULL;
        ngx_post_event(&joins->failed, &ngx_posted_events);
        return;
    }

    if ((joins->named
         ? ngx_http_ticket_send_names(joins, n, &arg)
         : ngx_http_ticket_script(NGX_HTTP_TICKET_JOIN, &joins->subject,
                                  ngx_http_ticket_joined, joins, 1, &arg))
        != NGX_OK)
    {
        joins->why = NGX_HTTP_TICKET_N_JOINS_UNAVAILABLE;
        ngx_post_event(&joins->failed, &ngx_posted_events);
    }
}


static void
ngx_http_ticket_joins_failed(ngx_event_t *ev)
{
    ngx_http_ticket_joins_t  *joins;

    joins = ev->data;

    ngx_http_ticket_end_batch(joins, NGX_HTTP_TICKET_UNAVAILABLE, joins->why);
}


/* Moves those that are still there from waiting to sent, and counts them. */

static ngx_uint_t
ngx_http_ticket_take_batch(ngx_http_ticket_joins_t *joins)
{
    ngx_uint_t             n;
    ngx_queue_t           *q;
    ngx_http_ticket_op_t  *op;

    joins->named = 0;

    for (n = 0;
         n < NGX_HTTP_TICKET_JOINS_MAX && !ngx_queue_empty(&joins->waiting);
         /* void */ )
    {
        q = ngx_queue_head(&joins->waiting);
        op = ngx_queue_data(q, ngx_http_ticket_op_t, queue);

        ngx_queue_remove(q);

        if (ngx_http_ticket_op_request(op) == NULL) {
            ngx_free(op);
            continue;
        }

        ngx_queue_insert_tail(&joins->sent, q);
        joins->named |= op->named;
        n++;
    }

    return n;
}


/* Tells of each visitor in "sent" who it is, if it is known. */

static ngx_int_t
ngx_http_ticket_send_names(ngx_http_ticket_joins_t *joins, ngx_uint_t n,
    ngx_str_t *count)
{
    u_char                 *p;
    ngx_int_t               rc;
    ngx_str_t              *arg;
    ngx_uint_t              i;
    ngx_queue_t            *q;
    ngx_http_ticket_op_t   *op;
    ngx_http_ticket_ctx_t  *ctx;

    arg = ngx_alloc((n + 1) * sizeof(ngx_str_t) + n * NGX_HTTP_TICKET_WHO_LEN,
                    ngx_cycle->log);
    if (arg == NULL) {
        return NGX_ERROR;
    }

    p = (u_char *) (arg + n + 1);
    arg[0] = *count;
    i = 0;

    for (q = ngx_queue_head(&joins->sent);
         q != ngx_queue_sentinel(&joins->sent);
         q = ngx_queue_next(q))
    {
        op = ngx_queue_data(q, ngx_http_ticket_op_t, queue);
        i++;

        arg[i].data = p;

        if (op->named) {
            ctx = op->ctx;

            if (ctx->spent) {
                p = ngx_sprintf(p, "%uL!", ctx->spent);
            }

            ticket_identity_key(ctx->identity.data, ctx->identity.len,
                                (char *) p);
            p += TICKET_IDENTITY_KEY_LEN;
        }

        arg[i].len = p - arg[i].data;
    }

    rc = ngx_http_ticket_script(NGX_HTTP_TICKET_JOIN, &joins->subject,
                                ngx_http_ticket_joined, joins, n + 1, arg);

    ngx_free(arg);

    return rc;
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
        ngx_http_ticket_end_batch(joins, NGX_HTTP_TICKET_UNAVAILABLE,
                                  NGX_HTTP_TICKET_N_JOINS_UNAVAILABLE);
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

    if (ngx_http_ticket_answer_is(&answer, "closed")) {
        ngx_http_ticket_end_batch(joins, NGX_HTTP_TICKET_CLOSED,
                                  NGX_HTTP_TICKET_N_JOINS_CLOSED);
        return;
    }

    if (!ngx_http_ticket_answer_is(&answer, "ok")) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ticket: all numbers of room \"%*s\" are issued, "
                      "reset it", joins->subject.instance->len,
                      joins->subject.instance->name);

        ngx_http_ticket_end_batch(joins, NGX_HTTP_TICKET_UNAVAILABLE,
                                  NGX_HTTP_TICKET_N_JOINS_FULL);
        return;
    }

    ngx_http_ticket_give_numbers(joins, &answer);

    joins->in_flight = 0;
    ngx_http_ticket_send_batch(joins);
}


/* In the order in which the requests came. */

static void
ngx_http_ticket_give_numbers(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_answer_t *answer)
{
    uint64_t                     from, number;
    ngx_uint_t                   i;
    ngx_queue_t                 *q;
    ngx_http_request_t          *r;
    ngx_http_ticket_op_t        *op;
    ngx_http_ticket_zone_t      *zone;
    ngx_http_ticket_state_e      state;
    ngx_http_ticket_instance_t  *instance;

    zone = joins->subject.mcf->zone->data;
    instance = joins->subject.instance;
    from = ngx_http_ticket_answer_uint(answer, NGX_HTTP_TICKET_V_FROM);

    (void) ngx_http_ticket_reserve(zone, instance, from, answer->issued,
                                   ngx_cycle->log);

    if (instance->active != (ngx_atomic_uint_t) ngx_time()) {
        instance->active = ngx_time();
    }

    for (i = 0; !ngx_queue_empty(&joins->sent); i++) {
        q = ngx_queue_head(&joins->sent);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_http_ticket_op_t, queue);

        number = joins->named
                 ? ngx_http_ticket_answer_uint(answer,
                                               NGX_HTTP_TICKET_V_NUMBERS + i)
                 : from + i;

        r = ngx_http_ticket_op_request(op);

        if (r && number && number < from) {
            ngx_http_ticket_recognize(op, answer->epoch, number);
            continue;
        }

        state = NGX_HTTP_TICKET_UNAVAILABLE;

        if (r && number) {
            state = ngx_http_ticket_give_number(op, answer, number);

        } else if (number && !op->named) {
            ngx_http_ticket_give_back(&joins->subject, answer->epoch, number);
        }

        ngx_http_ticket_complete(op, state);
    }
}


/* A new number; the lowest of these are admitted. */

static ngx_http_ticket_state_e
ngx_http_ticket_give_number(ngx_http_ticket_op_t *op,
    ngx_http_ticket_answer_t *answer, uint64_t number)
{
    uint64_t                 limit;
    ngx_http_request_t      *r;
    ngx_http_ticket_ctx_t   *ctx;
    ngx_http_ticket_zone_t  *zone;

    r = op->request;
    zone = op->subject.mcf->zone->data;
    ctx = op->ctx;
    ctx->joined = 1;

    limit = ngx_http_ticket_answer_uint(answer, NGX_HTTP_TICKET_V_FROM)
            + ngx_http_ticket_answer_uint(answer, NGX_HTTP_TICKET_V_ADMITTED);

    ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_JOINS);

    if (number >= limit) {
        if (ngx_http_ticket_give_queue_token(r, ctx, answer->epoch, number)
            != NGX_OK)
        {
            return NGX_HTTP_TICKET_UNAVAILABLE;
        }

        ngx_http_ticket_refresh_place(op->subject.mcf, ctx);

        return ctx->state;
    }

    if (ngx_http_ticket_give_pass(r, ctx, answer->epoch, number,
                                  ngx_http_ticket_answer_uint(answer,
                                                  NGX_HTTP_TICKET_V_ENDS),
                                  ngx_http_ticket_answer_uint(answer,
                                                  NGX_HTTP_TICKET_V_LAST))
        != NGX_OK)
    {
        return NGX_HTTP_TICKET_UNAVAILABLE;
    }

    ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_ADMITTED);
    ngx_http_ticket_watch_admitted(zone, ctx->instance,
                                   ngx_http_ticket_now(zone));

    return NGX_HTTP_TICKET_ADMITTED;
}


/*
 * The identity has a number already.  What has become of it only Redis knows
 * for sure, and a claim tells in any case.
 */

static void
ngx_http_ticket_recognize(ngx_http_ticket_op_t *op, uint32_t epoch,
    uint64_t number)
{
    ngx_http_request_t       *r;
    ngx_http_ticket_ctx_t    *ctx;
    ngx_http_ticket_done_pt   done;

    r = op->request;
    done = op->done;
    ctx = op->ctx;

    ngx_http_ticket_drop_op(op);

    ctx->known = 1;
    ctx->queue.found = NGX_HTTP_TICKET_TOKEN_GOOD;
    ctx->queue.token.epoch = epoch;
    ctx->queue.token.number = number;

    if (ngx_http_ticket_claim(r, ctx, done) == NGX_OK) {
        ngx_http_ticket_go_on(r, done);
    }
}


void
ngx_http_ticket_recognized(ngx_http_ticket_op_t *op,
    ngx_http_ticket_state_e state)
{
    ngx_http_request_t       *r;
    ngx_http_ticket_ctx_t    *ctx;
    ngx_http_ticket_done_pt   done;

    r = op->request;
    done = op->done;
    ctx = op->ctx;
    ctx->known = 0;

    if (state == NGX_HTTP_TICKET_SPENT && ctx->spent == 0) {
        ctx->spent = ctx->queue.token.number;
        ctx->queue.found = NGX_HTTP_TICKET_TOKEN_NONE;

        ngx_http_ticket_drop_op(op);

        if (ngx_http_ticket_join(r, ctx, done) == NGX_OK) {
            ngx_http_ticket_go_on(r, done);
        }

        return;
    }

    if (state != NGX_HTTP_TICKET_ADMITTED
        && state != NGX_HTTP_TICKET_SPENT
        && state != NGX_HTTP_TICKET_PAST
        && ngx_http_ticket_give_queue_token(r, ctx, ctx->queue.token.epoch,
                                            ctx->queue.token.number)
           != NGX_OK)
    {
        state = NGX_HTTP_TICKET_UNAVAILABLE;
    }

    ngx_http_ticket_complete(op, state);
}


/*
 * A visitor who went away before the answer would hold a slot for nothing.
 * One with an identity finds the place again by it, though, and is often on
 * the way back already: a page reloaded does just this.
 */

void
ngx_http_ticket_give_back(ngx_http_ticket_subject_t *subject, uint32_t epoch,
    uint64_t number)
{
    u_char      buf[2 * NGX_INT64_LEN];
    ngx_str_t   arg[2];

    ngx_http_ticket_uint_arg(ngx_http_ticket_place(subject->instance, number),
                             ngx_http_ticket_uint_arg(epoch, buf, &arg[0]),
                             &arg[1]);

    (void) ngx_http_ticket_script(NGX_HTTP_TICKET_LEAVE, subject,
                                  ngx_http_ticket_given_back, NULL, 2, arg);
}


/* Should it not succeed, liveness or the end of the session does the same. */

static void
ngx_http_ticket_given_back(redisReply *reply, void *data)
{
}


/* Nobody in it is given a number. */

static void
ngx_http_ticket_end_batch(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_state_e state, ngx_http_ticket_counter_e why)
{
    ngx_queue_t           *q;
    ngx_http_ticket_op_t  *op;

    while (!ngx_queue_empty(&joins->sent)) {
        q = ngx_queue_head(&joins->sent);
        ngx_queue_remove(q);

        op = ngx_queue_data(q, ngx_http_ticket_op_t, queue);

        ngx_http_ticket_count(joins->subject.instance, why);

        ngx_http_ticket_complete(op, state);
    }

    /* those that came meanwhile go with the next tick */

    joins->in_flight = 0;
}
