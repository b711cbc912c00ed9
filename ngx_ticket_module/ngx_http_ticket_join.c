
/*
 * Joins, group-committed: those that arrive while a join script is under way
 * for their room instance travel together in the next.
 */


#include "ngx_http_ticket_op.h"


#define NGX_HTTP_TICKET_JOINS_MAX    1024


/* Joins of one room instance. */

typedef struct {
    ngx_queue_t                   queue;    /* among the process's batches */
    ngx_http_ticket_subject_t     subject;
    ngx_queue_t                   waiting;  /* operations for the next */
    ngx_queue_t                   sent;     /* operations under way */
    ngx_event_t                   failed;   /* posted: could not be sent */
    ngx_http_ticket_counter_e     why;      /* and this is why */
    unsigned                      in_flight:1;
} ngx_http_ticket_joins_t;


static ngx_http_ticket_joins_t *ngx_http_ticket_get_joins(
    ngx_http_ticket_subject_t *subject);
static void ngx_http_ticket_send_batch(ngx_http_ticket_joins_t *joins);
static ngx_uint_t ngx_http_ticket_take_batch(ngx_http_ticket_joins_t *joins);
static void ngx_http_ticket_joined(redisReply *reply, void *data);
static void ngx_http_ticket_give_numbers(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_answer_t *answer);
static void ngx_http_ticket_give_back(ngx_http_ticket_subject_t *subject,
    uint32_t epoch, uint64_t number);
static void ngx_http_ticket_given_back(redisReply *reply, void *data);
static void ngx_http_ticket_joins_failed(ngx_event_t *ev);
static void ngx_http_ticket_end_batch(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_state_e state, ngx_http_ticket_counter_e why);


ngx_int_t
ngx_http_ticket_join(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
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

    op = ngx_http_ticket_create_op(r, ctx, done);
    if (op == NULL) {
        return NGX_OK;
    }

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

    if (ngx_http_ticket_script(NGX_HTTP_TICKET_JOIN, &joins->subject,
                               ngx_http_ticket_joined, joins, 1, &arg)
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


/* In the order in which the requests came; the first are admitted. */

static void
ngx_http_ticket_give_numbers(ngx_http_ticket_joins_t *joins,
    ngx_http_ticket_answer_t *answer)
{
    uint64_t                     from, number, admitted, ends, last;
    ngx_queue_t                 *q;
    ngx_http_request_t          *r;
    ngx_http_ticket_op_t        *op;
    ngx_http_ticket_ctx_t       *ctx;
    ngx_http_ticket_zone_t      *zone;
    ngx_http_ticket_state_e      state;
    ngx_http_ticket_instance_t  *instance;

    zone = joins->subject.mcf->zone->data;
    instance = joins->subject.instance;
    from = ngx_http_ticket_answer_uint(answer, 0);
    admitted = ngx_http_ticket_answer_uint(answer, 1);
    ends = ngx_http_ticket_answer_uint(answer, 2);
    last = ngx_http_ticket_answer_uint(answer, 3);

    (void) ngx_http_ticket_reserve(zone, instance, from, answer->issued,
                                   ngx_cycle->log);

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
                                              ends, last)
                    == NGX_OK)
                {
                    state = NGX_HTTP_TICKET_ADMITTED;
                    ngx_http_ticket_watch_admitted(zone, instance,
                                                   ngx_http_ticket_now(zone));
                }

            } else if (ngx_http_ticket_give_queue_token(r, ctx, answer->epoch,
                                                        number)
                       == NGX_OK)
            {
                ngx_http_ticket_refresh_place(joins->subject.mcf, ctx);
                state = ctx->state;
            }

            ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_JOINS);

            if (state == NGX_HTTP_TICKET_ADMITTED) {
                ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_ADMITTED);
            }

        } else {
            ngx_http_ticket_give_back(&joins->subject, answer->epoch, number);
        }

        ngx_http_ticket_complete(op, state);
    }
}


/* A visitor who went away before the answer would hold a slot for nothing. */

static void
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
