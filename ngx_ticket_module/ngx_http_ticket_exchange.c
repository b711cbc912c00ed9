
/*
 * The exchange: once an interval, one process of the node delivers who polled
 * and fetches the line as it is, for every room instance that has visitors,
 * all in one pipeline.  The process is elected by a lease in shared memory;
 * when it dies, another finds the lease run out.  Nothing is lost with it:
 * polls are forgotten only after Redis has acknowledged them.
 */


#include "ngx_http_ticket_script.h"


#define NGX_HTTP_TICKET_LEASE        2000   /* ms */
#define NGX_HTTP_TICKET_IDLE         60     /* s without a visit */
#define NGX_HTTP_TICKET_SAMPLE       4000   /* ms between two samples */


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
    unsigned                      resend:1;
} ngx_http_ticket_exchange_t;


static void ngx_http_ticket_tick(ngx_event_t *ev);
static ngx_int_t ngx_http_ticket_lease(ngx_http_ticket_shared_t *sh);
static void ngx_http_ticket_exchange_all(ngx_http_ticket_main_conf_t *mcf);
static ngx_int_t ngx_http_ticket_is_due(
    ngx_http_ticket_instance_t *instance);
static void ngx_http_ticket_exchange(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance);
static ngx_int_t ngx_http_ticket_collect(ngx_http_ticket_exchange_t *exchange);
static ngx_int_t ngx_http_ticket_deliver(ngx_http_ticket_exchange_t *exchange);
static void ngx_http_ticket_exchanged(redisReply *reply, void *data);
static void ngx_http_ticket_apply(ngx_http_ticket_exchange_t *exchange,
    ngx_http_ticket_answer_t *answer);
static void ngx_http_ticket_sample(ngx_http_ticket_instance_t *instance,
    uint64_t total, ticket_view_t *view);


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

    ngx_add_timer(ev, mcf->interval / 2);
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

    if (ngx_exiting) {
        (void) ngx_atomic_cmp_set(&zone->sh->lease_owner, ngx_pid, 0);

    } else if (process->exchanges == 0
               && ngx_current_msec - process->exchanged
                  >= mcf->interval - mcf->interval / 4
               && ngx_http_ticket_lease(zone->sh) == NGX_OK)
    {
        process->exchanged = ngx_current_msec;
        ngx_http_ticket_exchange_all(mcf);
    }

    ngx_add_timer(ev, mcf->interval / 2);
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


static void
ngx_http_ticket_exchange_all(ngx_http_ticket_main_conf_t *mcf)
{
    ngx_uint_t                   i;
    ngx_http_ticket_zone_t      *zone;
    ngx_http_ticket_instance_t  *instance;

    zone = mcf->zone->data;

    for (i = 0; i < NGX_HTTP_TICKET_BUCKETS; i++) {
        for (instance = zone->sh->bucket[i];
             instance;
             instance = instance->next)
        {
            if (ngx_http_ticket_is_due(instance)) {
                ngx_http_ticket_exchange(mcf, instance);
            }
        }
    }
}


/*
 * While somebody stands in line or is called, even if nobody polls here, so
 * that those who left are forgotten.
 */

static ngx_int_t
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
    ngx_http_ticket_instance_t *instance)
{
    u_char                      *colon;
    ngx_str_t                    name;
    ngx_pool_t                  *pool;
    ticket_view_t                view;
    ngx_http_ticket_room_t      *room;
    ngx_http_ticket_exchange_t  *exchange;

    name.data = instance->name;
    colon = ngx_strlchr(name.data, name.data + instance->len, ':');
    name.len = colon ? (size_t) (colon - name.data) : instance->len;

    room = ngx_http_ticket_find_room(mcf, &name);
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

    if (ngx_http_ticket_collect(exchange) != NGX_OK
        || ngx_http_ticket_deliver(exchange) != NGX_OK)
    {
        ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_EXCHANGES_FAILED);
        ngx_destroy_pool(pool);
        return;
    }

    mcf->process->exchanges++;
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

    n = 1 + 3 * exchange->parcels.nelts;
    parcel = exchange->parcels.elts;

    arg = ngx_palloc(exchange->pool, n * sizeof(ngx_str_t));
    p = ngx_pnalloc(exchange->pool, n * NGX_INT64_LEN);
    if (arg == NULL || p == NULL) {
        return NGX_ERROR;
    }

    arg[0].data = p;
    p = ngx_sprintf(p, "%uL", exchange->version);
    arg[0].len = p - arg[0].data;

    for (i = 0; i < exchange->parcels.nelts; i++) {
        arg[3 * i + 1].data = p;
        p = ngx_sprintf(p, "%uz", parcel[i].index);
        arg[3 * i + 1].len = p - arg[3 * i + 1].data;

        arg[3 * i + 2].data = p;
        p = ngx_sprintf(p, "%uz", parcel[i].offset);
        arg[3 * i + 2].len = p - arg[3 * i + 2].data;

        arg[3 * i + 3].data = parcel[i].bits;
        arg[3 * i + 3].len = parcel[i].len;
    }

    return ngx_http_ticket_script(NGX_HTTP_TICKET_EXCHANGE,
                                  &exchange->subject,
                                  ngx_http_ticket_exchanged, exchange, n, arg);
}


static void
ngx_http_ticket_exchanged(redisReply *reply, void *data)
{
    ngx_uint_t                    i;
    ngx_http_ticket_parcel_t     *parcel;
    ngx_http_ticket_answer_t      answer;
    ngx_http_ticket_exchange_t   *exchange = data;
    ngx_http_ticket_instance_t   *instance;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = exchange->subject.mcf;
    instance = exchange->subject.instance;

    mcf->process->exchanges--;

    if (ngx_http_ticket_read_answer(&exchange->subject, reply, &answer)
        != NGX_OK)
    {
        goto failed;
    }

    if (ngx_http_ticket_answer_is(&answer, "resend")) {

        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "ticket: Redis has lost a part of room \"%*s\", "
                      "restoring it", instance->len, instance->name);

        instance->resend_life = ngx_http_ticket_answer_uint(&answer, 0);
        goto failed;
    }

    ngx_http_ticket_apply(exchange, &answer);

    parcel = exchange->parcels.elts;

    for (i = 0; i < exchange->parcels.nelts; i++) {
        ticket_line_delivered(&instance->line, parcel[i].index,
                              parcel[i].bits, parcel[i].offset,
                              parcel[i].len);
    }

    instance->resend_life = 0;

    ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_EXCHANGES);
    ngx_destroy_pool(exchange->pool);

    return;

failed:

    ngx_http_ticket_count(instance, NGX_HTTP_TICKET_N_EXCHANGES_FAILED);
    ngx_destroy_pool(exchange->pool);
}


/* Shows what Redis answered to all processes of the node. */

static void
ngx_http_ticket_apply(ngx_http_ticket_exchange_t *exchange,
    ngx_http_ticket_answer_t *answer)
{
    uint64_t                     seg;
    ngx_uint_t                   i;
    redisReply                  *bits;
    ticket_line_t               *line;
    ticket_view_t               *view;
    ngx_http_ticket_zone_t      *zone;
    ngx_http_ticket_instance_t  *instance;

    instance = exchange->subject.instance;
    zone = exchange->subject.mcf->zone->data;
    line = &instance->line;

    for (i = 6; i + 1 < answer->n; i += 2) {
        seg = ngx_http_ticket_answer_uint(answer, i);

        /* in a full zone those who have memory go on */

        (void) ngx_http_ticket_reserve(zone, instance, seg * TICKET_SEG_BITS,
                                       seg * TICKET_SEG_BITS, ngx_cycle->log);
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    view = ticket_line_begin(line);

    if (view->epoch != answer->epoch
        || view->life != ngx_http_ticket_answer_uint(answer, 0))
    {
        ticket_line_clear(line);
    }

    for (i = 6; i + 1 < answer->n; i += 2) {
        seg = ngx_http_ticket_answer_uint(answer, i);
        bits = answer->value[i + 1];

        if (bits->type == REDIS_REPLY_STRING) {
            (void) ticket_line_put(line, seg, bits->str, bits->len);
        }
    }

    view->epoch = answer->epoch;
    view->issued = answer->issued;
    view->called = answer->called;
    view->life = ngx_http_ticket_answer_uint(answer, 0);
    view->version = ngx_http_ticket_answer_uint(answer, 1);
    view->sessions = ngx_http_ticket_answer_uint(answer, 2);
    view->calls = ngx_http_ticket_answer_uint(answer, 3);
    view->fetched_ms = ngx_current_msec;

    ngx_http_ticket_sample(instance, ngx_http_ticket_answer_uint(answer, 4),
                           view);

    ticket_line_publish(line);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* The estimate is taken from the calls since the oldest sample. */

static void
ngx_http_ticket_sample(ngx_http_ticket_instance_t *instance, uint64_t total,
    ticket_view_t *view)
{
    ngx_http_ticket_sample_t  *oldest, *latest;

    oldest = &instance->sample[0];
    latest = oldest + instance->samples;

    if (instance->samples && total < latest[-1].total) {
        instance->samples = 0;
        latest = oldest;
    }

    if (instance->samples == 0
        || ngx_current_msec - latest[-1].at >= NGX_HTTP_TICKET_SAMPLE)
    {
        if (instance->samples == NGX_HTTP_TICKET_SAMPLES) {
            ngx_memmove(oldest, oldest + 1,
                        (NGX_HTTP_TICKET_SAMPLES - 1)
                        * sizeof(ngx_http_ticket_sample_t));
            latest--;

        } else {
            instance->samples++;
        }

        latest->at = ngx_current_msec;
        latest->total = total;
    }

    view->served = (uint32_t) (total - oldest->total);
    view->served_ms = ngx_current_msec - oldest->at;
}
