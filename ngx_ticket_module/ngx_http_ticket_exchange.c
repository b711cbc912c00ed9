
/*
 * The exchange: once an interval, one process of the node delivers who polled
 * and fetches the line as it is, for every room instance that has visitors,
 * all in one pipeline.  The process is elected by a lease in shared memory;
 * when it dies, another finds the lease run out.  Nothing is lost with it:
 * polls are forgotten only after Redis has acknowledged them.
 */


#include "ngx_http_ticket_script.h"


#define NGX_HTTP_TICKET_TICK         50     /* ms, at most */
#define NGX_HTTP_TICKET_PACE         80     /* ms between two calls, at least */
#define NGX_HTTP_TICKET_LEASE        2000   /* ms */
#define NGX_HTTP_TICKET_IDLE         60     /* s without a visit */


/* Polls of one segment on their way. */

typedef struct {
    size_t                        index;
    size_t                        offset;
    size_t                        len;
    u_char                       *bits;
} ngx_http_ticket_parcel_t;


/* One exchange of one room instance, in a pool of its own. */

typedef struct {
    ngx_pool_t                   *pool;
    ngx_http_ticket_subject_t     subject;
    ngx_array_t                   parcels;
    uint64_t                      version;
    uint64_t                      sent;     /* ngx_http_ticket_clock() */
    unsigned                      resend:1;
} ngx_http_ticket_exchange_t;


static void ngx_http_ticket_tick(ngx_event_t *ev);
static ngx_int_t ngx_http_ticket_lease(ngx_http_ticket_shared_t *sh);
static void ngx_http_ticket_exchange_due(ngx_http_ticket_main_conf_t *mcf);
static ngx_uint_t ngx_http_ticket_is_due(
    ngx_http_ticket_instance_t *instance);
static void ngx_http_ticket_exchange(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance, ngx_uint_t deliver);
static ngx_int_t ngx_http_ticket_collect(ngx_http_ticket_exchange_t *exchange);
static ngx_int_t ngx_http_ticket_deliver(ngx_http_ticket_exchange_t *exchange);
static void ngx_http_ticket_exchanged(redisReply *reply, void *data);
static void ngx_http_ticket_resend(ngx_http_ticket_exchange_t *exchange,
    ngx_http_ticket_answer_t *answer);


void
ngx_http_ticket_exchange_init(ngx_cycle_t *cycle,
    ngx_http_ticket_main_conf_t *mcf)
{
    ngx_event_t  *ev;

    ev = &mcf->process->tick;

    ev->handler = ngx_http_ticket_tick;
    ev->data = mcf;
    ev->log = cycle->log;
    ev->cancelable = 1;

    ngx_add_timer(ev, ngx_min(mcf->interval / 2, NGX_HTTP_TICKET_TICK));
}


/* The next process need not wait for the lease to run out. */

void
ngx_http_ticket_exchange_exit(ngx_http_ticket_main_conf_t *mcf)
{
    ngx_http_ticket_zone_t  *zone;

    zone = mcf->zone->data;

    (void) ngx_atomic_cmp_set(&zone->sh->lease_owner, ngx_pid, 0);

    if (mcf->process->tick.timer_set) {
        ngx_del_timer(&mcf->process->tick);
    }
}


static void
ngx_http_ticket_tick(ngx_event_t *ev)
{
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_process_t    *process;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ev->data;
    process = mcf->process;
    zone = mcf->zone->data;

    ngx_http_ticket_redis_tick(process->redis);
    ngx_http_ticket_send_joins(mcf);

    ngx_http_ticket_draw_tick(mcf);
    (void) ngx_http_ticket_is_doubtful(zone);

    if (ngx_exiting) {
        (void) ngx_atomic_cmp_set(&zone->sh->lease_owner, ngx_pid, 0);

    } else if (ngx_http_ticket_lease(zone->sh) == NGX_OK) {
        ngx_http_ticket_exchange_due(mcf);
    }

    ngx_add_timer(ev, ngx_min(mcf->interval / 2, NGX_HTTP_TICKET_TICK));
}


/* NGX_OK: this process exchanges for the node. */

static ngx_int_t
ngx_http_ticket_lease(ngx_http_ticket_shared_t *sh)
{
    ngx_atomic_uint_t  owner;

    owner = sh->lease_owner;

    if (owner != (ngx_atomic_uint_t) ngx_pid) {

        if (owner != 0
            && (ngx_msec_int_t) (ngx_current_msec - sh->lease_until) < 0)
        {
            return NGX_DECLINED;
        }

        if (!ngx_atomic_cmp_set(&sh->lease_owner, owner, ngx_pid)) {
            return NGX_DECLINED;
        }
    }

    sh->lease_until = ngx_current_msec + NGX_HTTP_TICKET_LEASE;

    return NGX_OK;
}


/*
 * Who polled is delivered once an interval.  Where a rate paces the calls, or
 * more were called a moment ago, exchanges in between deliver nothing and
 * only call.
 */

static void
ngx_http_ticket_exchange_due(ngx_http_ticket_main_conf_t *mcf)
{
    ngx_uint_t                   i, deliver, pace;
    ngx_http_ticket_zone_t      *zone;
    ngx_http_ticket_process_t   *process;
    ngx_http_ticket_instance_t  *instance;

    zone = mcf->zone->data;
    process = mcf->process;

    deliver = ngx_current_msec - process->exchanged
              >= mcf->interval - mcf->interval / 4;

    pace = ngx_current_msec - process->paced >= NGX_HTTP_TICKET_PACE;

    if (deliver) {
        process->exchanged = ngx_current_msec;
    }

    if (deliver || pace) {
        process->paced = ngx_current_msec;

        ngx_http_ticket_each(zone, i, instance) {

            if (instance->exchanging == ngx_pid) {

                /* the last is still under way */

                continue;
            }

            if (deliver ? ngx_http_ticket_is_due(instance) : instance->paced) {
                ngx_http_ticket_exchange(mcf, instance, deliver);
            }
        }
    }
}


/*
 * While somebody stands in line or is called, even if nobody polls here, so
 * that those who left are forgotten.
 */

static ngx_uint_t
ngx_http_ticket_is_due(ngx_http_ticket_instance_t *instance)
{
    ticket_view_t  view;

    if (ngx_time() - (time_t) instance->active <= NGX_HTTP_TICKET_IDLE) {
        return 1;
    }

    ticket_line_view(&instance->line, &view);

    return view.waiting > 0 || view.calls > 0;
}


static void
ngx_http_ticket_exchange(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance, ngx_uint_t deliver)
{
    ngx_pool_t                  *pool;
    ticket_view_t                view;
    ngx_http_ticket_room_t      *room;
    ngx_http_ticket_exchange_t  *exchange;

    room = ngx_http_ticket_room_of(mcf, instance);
    if (room == NULL) {
        return;
    }

    pool = ngx_create_pool(NGX_DEFAULT_POOL_SIZE, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    exchange = ngx_pcalloc(pool, sizeof(ngx_http_ticket_exchange_t));
    if (exchange == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    ticket_line_view(&instance->line, &view);

    exchange->pool = pool;
    exchange->subject.mcf = mcf;
    exchange->subject.room = room;
    exchange->subject.instance = instance;
    exchange->resend = (instance->resend_life != 0);

    if (exchange->resend) {
        exchange->subject.life = instance->resend_life;

    } else if (view.epoch == instance->known.epoch) {
        exchange->subject.life = view.life;
        exchange->version = view.version;
    }

    exchange->sent = ngx_http_ticket_clock();

    if (((deliver || exchange->resend)
         && ngx_http_ticket_collect(exchange) != NGX_OK)
        || ngx_http_ticket_deliver(exchange) != NGX_OK)
    {
        ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_EXCHANGES_FAILED);
        ngx_destroy_pool(pool);
        return;
    }

    instance->exchanging = ngx_pid;
}


static ngx_int_t
ngx_http_ticket_collect(ngx_http_ticket_exchange_t *exchange)
{
    size_t                     i, len, offset;
    u_char                     bits[TICKET_SEG_BYTES];
    ticket_line_t             *line;
    ngx_http_ticket_parcel_t  *parcel;

    line = &exchange->subject.instance->line;

    if (ngx_array_init(&exchange->parcels, exchange->pool, 4,
                       sizeof(ngx_http_ticket_parcel_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < TICKET_SEGS_MAX; i++) {

        len = ticket_line_polled(line, i, exchange->resend, bits, &offset);
        if (len == 0) {
            continue;
        }

        parcel = ngx_array_push(&exchange->parcels);
        if (parcel == NULL) {
            return NGX_ERROR;
        }

        parcel->index = i;
        parcel->offset = offset;
        parcel->len = len;
        parcel->bits = ngx_pnalloc(exchange->pool, len);
        if (parcel->bits == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(parcel->bits, bits + offset, len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ticket_deliver(ngx_http_ticket_exchange_t *exchange)
{
    u_char                    *p;
    ngx_str_t                 *arg;
    ngx_uint_t                 i, n;
    ngx_http_ticket_parcel_t  *parcel;

    n = 2 + 3 * exchange->parcels.nelts;
    parcel = exchange->parcels.elts;

    arg = ngx_palloc(exchange->pool, n * sizeof(ngx_str_t));
    p = ngx_pnalloc(exchange->pool, n * NGX_INT64_LEN);
    if (arg == NULL || p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_http_ticket_uint_arg(exchange->version, p, &arg[0]);
    p = ngx_http_ticket_uint_arg(
            ngx_http_ticket_drawing(exchange->subject.mcf,
                                    exchange->subject.instance),
            p, &arg[1]);

    for (i = 0; i < exchange->parcels.nelts; i++) {
        p = ngx_http_ticket_uint_arg(parcel[i].index, p, &arg[3 * i + 2]);
        p = ngx_http_ticket_uint_arg(parcel[i].offset, p, &arg[3 * i + 3]);

        arg[3 * i + 4].data = parcel[i].bits;
        arg[3 * i + 4].len = parcel[i].len;
    }

    return ngx_http_ticket_script(NGX_HTTP_TICKET_EXCHANGE,
                                  &exchange->subject,
                                  ngx_http_ticket_exchanged, exchange, n, arg);
}


static void
ngx_http_ticket_exchanged(redisReply *reply, void *data)
{
    ngx_uint_t                    i;
    ticket_answer_line_t          told;
    ngx_http_ticket_parcel_t     *parcel;
    ngx_http_ticket_answer_t      answer;
    ngx_http_ticket_exchange_t   *exchange = data;
    ngx_http_ticket_instance_t   *instance;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = exchange->subject.mcf;
    instance = exchange->subject.instance;

    instance->exchanging = 0;

    if (ngx_http_ticket_read_answer(&exchange->subject, reply, &answer)
        != NGX_OK)
    {
        goto failed;
    }

    ngx_http_ticket_watch_trip(mcf->zone->data, exchange->sent);

    if (ngx_http_ticket_answer_is(&answer, "resend")) {
        ngx_http_ticket_resend(exchange, &answer);
        goto failed;
    }

    if (!ngx_http_ticket_answer_is(&answer, "ok")) {
        goto failed;
    }

    if (ticket_answer_line(&answer, &told) != 0) {
        ngx_http_ticket_malformed(&exchange->subject);
        goto failed;
    }

    ngx_http_ticket_apply_draw(&exchange->subject, &answer,
                               TICKET_ANSWER_OK_DRAW);
    ngx_http_ticket_apply_line(&exchange->subject, &answer, &told);

    parcel = exchange->parcels.elts;

    for (i = 0; i < exchange->parcels.nelts; i++) {
        ticket_line_delivered(&instance->line, parcel[i].index,
                              parcel[i].bits, parcel[i].offset,
                              parcel[i].len);
    }

    instance->resend_life = 0;

    ticket_line_sweep(&instance->line, ngx_current_msec);

    ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_EXCHANGES);
    ngx_http_ticket_watch_tell(mcf, instance);
    ngx_destroy_pool(exchange->pool);

    return;

failed:

    ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_EXCHANGES_FAILED);
    ngx_destroy_pool(exchange->pool);
}


/* Redis wants to hear once more of everybody known to be in line. */

static void
ngx_http_ticket_resend(ngx_http_ticket_exchange_t *exchange,
    ngx_http_ticket_answer_t *answer)
{
    ngx_atomic_uint_t            held;
    ngx_http_ticket_instance_t  *instance;

    instance = exchange->subject.instance;
    held = instance->draw.held;

    ngx_http_ticket_apply_draw(&exchange->subject, answer,
                               TICKET_ANSWER_RESEND_DRAW);

    instance->resend_life = ngx_http_ticket_answer_uint(answer, 0);

    if (held == 0 && instance->draw.held != 0) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "ticket: the draw of room \"%*s\" has been held, "
                      "%uL took part", instance->len, instance->name,
                      instance->draw.entries);
        return;
    }

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "ticket: Redis has lost a part of room \"%*s\", "
                  "restoring it", instance->len, instance->name);
}
