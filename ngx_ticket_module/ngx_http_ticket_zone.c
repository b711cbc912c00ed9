
/*
 * Shared memory: the room instances of a node.  The zone's mutex guards all
 * writing but single bits and counters; looking up and polling take no lock,
 * since an instance or segment once linked stays where it is.
 */


#include "ngx_http_ticket_module.h"

#include <sys/random.h>


#define NGX_HTTP_TICKET_MAGIC     0x7469636b65743032   /* "ticket02" */
#define NGX_HTTP_TICKET_DOUBT     10    /* s after a failure of Redis */


static ngx_int_t ngx_http_ticket_equip_zone(ngx_shm_zone_t *shm_zone);
static ngx_http_ticket_instance_t *ngx_http_ticket_walk(
    ngx_http_ticket_zone_t *zone, ngx_str_t *name, ngx_uint_t hash);
static ngx_http_ticket_instance_t *ngx_http_ticket_make_instance(
    ngx_http_ticket_zone_t *zone, ngx_str_t *name, ngx_uint_t hash);
static ngx_int_t ngx_http_ticket_add_segment(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, size_t index);
static void ngx_http_ticket_forget(ngx_http_ticket_instance_t *instance);
static void ngx_http_ticket_zone_full(ngx_http_ticket_zone_t *zone,
    ngx_str_t *name, ngx_log_t *log);


ngx_int_t
ngx_http_ticket_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    size_t                     len;
    ngx_http_ticket_zone_t    *zone, *ozone;
    ngx_http_ticket_shared_t  *sh;

    zone = shm_zone->data;
    ozone = data;

    if (ozone) {
        zone->sh = ozone->sh;
        zone->shpool = ozone->shpool;
        return ngx_http_ticket_equip_zone(shm_zone);
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        sh = zone->shpool->data;

        if (sh == NULL
            || sh->magic != NGX_HTTP_TICKET_MAGIC
            || sh->size != sizeof(ngx_http_ticket_instance_t))
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "ticket_zone \"%V\" was made by another version; "
                          "stop and start nginx", &shm_zone->shm.name);
            return NGX_ERROR;
        }

        zone->sh = sh;
        return ngx_http_ticket_equip_zone(shm_zone);
    }

    sh = ngx_slab_calloc(zone->shpool, sizeof(ngx_http_ticket_shared_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    sh->magic = NGX_HTTP_TICKET_MAGIC;
    sh->size = sizeof(ngx_http_ticket_instance_t);

    zone->sh = sh;
    zone->shpool->data = sh;

    len = sizeof(" in ticket_zone \"\"") + shm_zone->shm.name.len;

    zone->shpool->log_ctx = ngx_slab_alloc(zone->shpool, len);
    if (zone->shpool->log_ctx == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(zone->shpool->log_ctx, " in ticket_zone \"%V\"%Z",
                &shm_zone->shm.name);

    zone->shpool->log_nomem = 0;

    return ngx_http_ticket_equip_zone(shm_zone);
}


/* What only some configurations need. */

static ngx_int_t
ngx_http_ticket_equip_zone(ngx_shm_zone_t *shm_zone)
{
    ngx_http_ticket_zone_t  *zone;

    zone = shm_zone->data;

    if (zone->challenged && ngx_http_ticket_alloc_proofs(zone) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "ticket_zone \"%V\" has no room for the 512k that "
                      "\"ticket_challenge\" takes of it; enlarge it",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_http_ticket_instance_t *
ngx_http_ticket_walk(ngx_http_ticket_zone_t *zone, ngx_str_t *name,
    ngx_uint_t hash)
{
    ngx_http_ticket_instance_t  *instance;

    instance = __atomic_load_n(
                   &zone->sh->bucket[hash % NGX_HTTP_TICKET_BUCKETS],
                   __ATOMIC_ACQUIRE);

    for ( /* void */ ; instance; instance = instance->next) {
        if (instance->hash == hash
            && instance->len == name->len
            && ngx_memcmp(instance->name, name->data, name->len) == 0)
        {
            return instance;
        }
    }

    return NULL;
}


ngx_http_ticket_instance_t *
ngx_http_ticket_find_instance(ngx_http_ticket_zone_t *zone, ngx_str_t *name)
{
    return ngx_http_ticket_walk(zone, name,
                                ngx_hash_key(name->data, name->len));
}


ngx_http_ticket_instance_t *
ngx_http_ticket_get_instance(ngx_http_ticket_zone_t *zone, ngx_str_t *name,
    ngx_log_t *log)
{
    ngx_uint_t                   hash;
    ngx_http_ticket_instance_t  *instance;

    hash = ngx_hash_key(name->data, name->len);

    instance = ngx_http_ticket_walk(zone, name, hash);
    if (instance) {
        return instance;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    instance = ngx_http_ticket_walk(zone, name, hash);

    if (instance == NULL) {
        instance = ngx_http_ticket_make_instance(zone, name, hash);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (instance == NULL) {
        ngx_http_ticket_zone_full(zone, name, log);
    }

    return instance;
}


/* Under the mutex. */

static ngx_http_ticket_instance_t *
ngx_http_ticket_make_instance(ngx_http_ticket_zone_t *zone, ngx_str_t *name,
    ngx_uint_t hash)
{
    ngx_http_ticket_instance_t  *instance, **bucket;

    instance = ngx_slab_calloc_locked(zone->shpool,
                                      sizeof(ngx_http_ticket_instance_t));
    if (instance == NULL) {
        return NULL;
    }

    if (getrandom(instance->draw.key, TICKET_DRAW_KEY_LEN, 0)
        != TICKET_DRAW_KEY_LEN)
    {
        ngx_slab_free_locked(zone->shpool, instance);
        return NULL;
    }

    bucket = &zone->sh->bucket[hash % NGX_HTTP_TICKET_BUCKETS];

    instance->hash = hash;
    instance->len = name->len;
    ngx_memcpy(instance->name, name->data, name->len);
    instance->next = *bucket;

    __atomic_store_n(bucket, instance, __ATOMIC_RELEASE);

    (void) ngx_atomic_fetch_add(&zone->sh->instances, 1);

    return instance;
}


ngx_int_t
ngx_http_ticket_reserve(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, uint64_t from, uint64_t to,
    ngx_log_t *log)
{
    size_t      i, last;
    ngx_int_t   rc;
    ngx_str_t   name;

    if (to > TICKET_NUMBER_MAX) {
        return NGX_ERROR;
    }

    last = ticket_seg_of(to);

    for (i = ticket_seg_of(from); i <= last; i++) {

        if (__atomic_load_n(&instance->line.seg[i], __ATOMIC_ACQUIRE)) {
            continue;
        }

        ngx_shmtx_lock(&zone->shpool->mutex);

        rc = ngx_http_ticket_add_segment(zone, instance, i);

        ngx_shmtx_unlock(&zone->shpool->mutex);

        if (rc != NGX_OK) {
            name.len = instance->len;
            name.data = instance->name;

            ngx_http_ticket_zone_full(zone, &name, log);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* Under the mutex. */

static ngx_int_t
ngx_http_ticket_add_segment(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, size_t index)
{
    ticket_seg_t  *seg;

    if (instance->line.seg[index]) {
        return NGX_OK;
    }

    seg = ngx_slab_calloc_locked(zone->shpool, sizeof(ticket_seg_t));
    if (seg == NULL) {
        return NGX_ERROR;
    }

    seg->bits = ngx_slab_calloc_locked(zone->shpool, sizeof(ticket_bits_t));
    if (seg->bits == NULL) {
        ngx_slab_free_locked(zone->shpool, seg);
        return NGX_ERROR;
    }

    ticket_line_attach(&instance->line, index, seg);

    return NGX_OK;
}


/* At most once a second for the whole node. */

static void
ngx_http_ticket_zone_full(ngx_http_ticket_zone_t *zone, ngx_str_t *name,
    ngx_log_t *log)
{
    ngx_atomic_uint_t  last, now;

    (void) ngx_atomic_fetch_add(&zone->sh->refused, 1);

    now = ngx_time();
    last = zone->sh->full_logged;

    if (last != now && ngx_atomic_cmp_set(&zone->sh->full_logged, last, now)) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "ticket: the zone is full, nobody new can join room "
                      "\"%V\"; enlarge ticket_zone", name);
    }
}


void
ngx_http_ticket_learn(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, ngx_http_ticket_known_t *news)
{
    ngx_http_ticket_known_t  *known;

    known = &instance->known;

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (news->epoch > known->epoch) {
        *known = *news;
        ngx_http_ticket_forget(instance);

    } else if (news->epoch == known->epoch) {
        known->issued = ngx_max(known->issued, news->issued);
        known->called = ngx_max(known->called, news->called);
        known->seq = ngx_max(known->seq, news->seq);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/*
 * Who polled in the epoch before would stand in the line of the new one, and
 * its draw would make places of the new numbers.  Under the mutex.
 */

static void
ngx_http_ticket_forget(ngx_http_ticket_instance_t *instance)
{
    size_t  i, len, offset;
    u_char  bits[TICKET_SEG_BYTES];

    __atomic_store_n(&instance->draw.held, 0, __ATOMIC_RELEASE);

    for (i = 0; i < TICKET_SEGS_MAX; i++) {

        len = ticket_line_polled(&instance->line, i, 0, bits, &offset);

        if (len) {
            ticket_line_delivered(&instance->line, i, bits + offset, offset,
                                  len);
        }
    }
}


void
ngx_http_ticket_learn_token(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, ticket_token_t *token)
{
    ngx_http_ticket_known_t  *known, news;

    known = &instance->known;

    if (known->epoch != 0
        && (token->epoch != known->epoch || token->number <= known->issued))
    {
        return;
    }

    ngx_memzero(&news, sizeof(ngx_http_ticket_known_t));

    news.epoch = token->epoch;
    news.issued = token->number;

    ngx_http_ticket_learn(zone, instance, &news);
}


uint64_t
ngx_http_ticket_now(ngx_http_ticket_zone_t *zone)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec + zone->sh->clock_offset;
}


ngx_uint_t
ngx_http_ticket_is_doubtful(ngx_http_ticket_zone_t *zone)
{
    ngx_atomic_uint_t          errors;
    ngx_http_ticket_shared_t  *sh;

    sh = zone->sh;
    errors = sh->redis_errors;

    if (errors != sh->redis_seen) {
        sh->redis_seen = errors;
        sh->redis_failed = ngx_time();
    }

    return sh->redis_failed
           && ngx_time() - (time_t) sh->redis_failed <= NGX_HTTP_TICKET_DOUBT;
}


ngx_int_t
ngx_http_ticket_visit(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_http_ticket_main_conf_t  *mcf;

    if (ctx->instance == NULL) {
        mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

        ctx->instance = ngx_http_ticket_get_instance(mcf->zone->data,
                                               &ctx->name, r->connection->log);
        if (ctx->instance == NULL) {
            return NGX_ERROR;
        }
    }

    if (ctx->instance->active != (ngx_atomic_uint_t) ngx_time()) {
        ctx->instance->active = ngx_time();
    }

    return NGX_OK;
}
