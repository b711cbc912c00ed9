
/*
 * Challenges: before a number is given out, the visitor's browser proves that
 * it has done some work for it (core/ticket_proof.h).  The more join, over
 * all nodes, the more work is asked for.  Each proof is good for one join: the
 * zone has a table of those that were used.
 */


#include "ngx_http_ticket_module.h"

#include <ticket_proof.h>


/* The table: the oldest of a bucket makes room.  Ids are never 0. */

#define NGX_HTTP_TICKET_PROOF_WAYS     4
#define NGX_HTTP_TICKET_PROOF_BUCKETS  16384
#define NGX_HTTP_TICKET_PROOFS                                                \
    (NGX_HTTP_TICKET_PROOF_BUCKETS * NGX_HTTP_TICKET_PROOF_WAYS)

#define NGX_HTTP_TICKET_EFFORT_SAMPLE  1000    /* ms, at least */
#define NGX_HTTP_TICKET_EFFORT_SMOOTH  3000    /* ms */
#define NGX_HTTP_TICKET_EFFORT_WINDOW  15000   /* ms */


static ngx_int_t ngx_http_ticket_is_challenged(ngx_http_request_t *r,
    ngx_http_ticket_challenge_t *challenge);
static void ngx_http_ticket_join_rate(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, uint64_t *rate, uint64_t *lowest);
static void ngx_http_ticket_sample_joins(ngx_http_ticket_effort_t *effort,
    ticket_view_t *view);
static ngx_uint_t ngx_http_ticket_difficulty(
    ngx_http_ticket_challenge_t *challenge, uint64_t rate);
static ngx_table_elt_t *ngx_http_ticket_find_proof(ngx_http_request_t *r);
static ngx_int_t ngx_http_ticket_use_proof(ngx_http_ticket_zone_t *zone,
    uint64_t id);


ngx_int_t
ngx_http_ticket_alloc_proofs(ngx_http_ticket_zone_t *zone)
{
    if (zone->sh->proofs == NULL) {
        zone->sh->proofs = ngx_slab_calloc(zone->shpool,
                                   NGX_HTTP_TICKET_PROOFS * sizeof(uint64_t));
    }

    return zone->sh->proofs ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_ticket_prove(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    u_char                       *p;
    uint64_t                      now, rate, lowest;
    ngx_int_t                     rc;
    ngx_str_t                    *who;
    ngx_table_elt_t              *proof;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_loc_conf_t   *tlcf;
    ngx_http_ticket_main_conf_t  *mcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    rc = ngx_http_ticket_is_challenged(r, tlcf->challenge);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_ticket_visit(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    zone = mcf->zone->data;
    now = ngx_http_ticket_now(zone);
    who = ctx->bind.len ? &ctx->bind : &r->connection->addr_text;

    ngx_http_ticket_join_rate(zone, ctx->instance, &rate, &lowest);

    proof = ngx_http_ticket_find_proof(r);

    if (proof
        && ticket_proof_check(mcf->keys, (char *) ctx->name.data,
                              ctx->name.len, who->data, who->len, now,
                              ngx_http_ticket_difficulty(tlcf->challenge,
                                                         lowest),
                              (char *) proof->value.data, proof->value.len)
           == TICKET_PROOF_OK
        && ngx_http_ticket_use_proof(zone,
                                     ticket_proof_id(
                                             (char *) proof->value.data,
                                             proof->value.len))
           == NGX_OK)
    {
        return NGX_OK;
    }

    ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_JOINS_PROOF);

    p = ngx_pnalloc(r->pool, TICKET_CHALLENGE_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ctx->difficulty = ngx_http_ticket_difficulty(tlcf->challenge, rate);
    ctx->challenge.data = p;
    ctx->challenge.len = ticket_proof_challenge(mcf->keys,
                                                (char *) ctx->name.data,
                                                ctx->name.len, who->data,
                                                who->len, now, (char *) p);

    return ctx->challenge.len ? NGX_DECLINED : NGX_ERROR;
}


/* NGX_DECLINED: it is.  A value nobody has thought of leads around nothing. */

static ngx_int_t
ngx_http_ticket_is_challenged(ngx_http_request_t *r,
    ngx_http_ticket_challenge_t *challenge)
{
    ngx_str_t  mode;

    if (challenge == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, challenge->mode, &mode) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mode.len == 0
        || (mode.len == 3 && ngx_strncmp(mode.data, "off", 3) == 0))
    {
        return NGX_OK;
    }

    return NGX_DECLINED;
}


/*
 * Joins per second over all nodes, in thousandths: now, and the lowest of the
 * last 15 to 30 seconds, since who is asked for little may take a while.
 */

static void
ngx_http_ticket_join_rate(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, uint64_t *rate, uint64_t *lowest)
{
    ngx_uint_t                 window;
    ticket_view_t              view;
    ngx_http_ticket_effort_t  *effort;

    ticket_line_view(&instance->line, &view);

    effort = &instance->effort;
    window = ngx_current_msec / NGX_HTTP_TICKET_EFFORT_WINDOW;

    ngx_shmtx_lock(&zone->shpool->mutex);

    ngx_http_ticket_sample_joins(effort, &view);

    if (effort->window < window) {
        effort->before = (effort->window + 1 == window) ? effort->lowest
                                                        : effort->rate;
        effort->lowest = effort->rate;
        effort->window = window;
    }

    effort->lowest = ngx_min(effort->lowest, effort->rate);

    *rate = effort->rate;
    *lowest = ngx_min(effort->lowest, effort->before);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/*
 * From what the exchanges bring.  A loss skips numbers that nobody was given;
 * it changes the line's life.
 */

static void
ngx_http_ticket_sample_joins(ngx_http_ticket_effort_t *effort,
    ticket_view_t *view)
{
    uint64_t        joins;
    ngx_msec_int_t  elapsed;

    /* another process may be a little ahead of our time */

    elapsed = (ngx_msec_int_t) (ngx_current_msec - effort->at);

    if (view->life == effort->life && view->issued >= effort->issued) {

        if (elapsed < NGX_HTTP_TICKET_EFFORT_SAMPLE) {
            return;
        }

        joins = (view->issued - effort->issued) * 1000000 / elapsed;

        effort->rate = (effort->rate * NGX_HTTP_TICKET_EFFORT_SMOOTH
                        + joins * elapsed)
                       / (NGX_HTTP_TICKET_EFFORT_SMOOTH + elapsed);
    }

    effort->at = ngx_current_msec;
    effort->life = view->life;
    effort->issued = view->issued;
}


/* One bit more for each doubling of the rate that is thought normal. */

static ngx_uint_t
ngx_http_ticket_difficulty(ngx_http_ticket_challenge_t *challenge,
    uint64_t rate)
{
    uint64_t    limit;
    ngx_uint_t  bits;

    bits = challenge->difficulty;
    limit = 2 * challenge->rate;

    while (bits < challenge->max && rate >= limit) {
        limit *= 2;
        bits++;
    }

    return bits;
}


static ngx_table_elt_t *
ngx_http_ticket_find_proof(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (header[i].key.len == sizeof("X-Ticket-Proof") - 1
                && ngx_memcmp(header[i].lowcase_key, "x-ticket-proof",
                              sizeof("x-ticket-proof") - 1)
                   == 0)
            {
                return &header[i];
            }
        }
    }

    return NULL;
}


/* NGX_DECLINED: it was used before, as far as the table remembers. */

static ngx_int_t
ngx_http_ticket_use_proof(ngx_http_ticket_zone_t *zone, uint64_t id)
{
    uint64_t    *bucket;
    ngx_int_t    rc;
    ngx_uint_t   i;

    bucket = zone->sh->proofs + id % NGX_HTTP_TICKET_PROOF_BUCKETS
                                * NGX_HTTP_TICKET_PROOF_WAYS;
    rc = NGX_OK;

    ngx_shmtx_lock(&zone->shpool->mutex);

    for (i = 0; i < NGX_HTTP_TICKET_PROOF_WAYS; i++) {
        if (bucket[i] == id) {
            rc = NGX_DECLINED;
        }
    }

    if (rc == NGX_OK) {
        ngx_memmove(bucket + 1, bucket,
                    (NGX_HTTP_TICKET_PROOF_WAYS - 1) * sizeof(uint64_t));
        bucket[0] = id;
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);

    return rc;
}
