
/*
 * Watching: what the exchanging process notes of each room instance, besides
 * the line itself, for those who look after the site; what metrics and status
 * tell is read here.
 */


#include "ngx_http_ticket_module.h"


#define NGX_HTTP_TICKET_NOTE_EVERY   4000    /* ms between two samples */
#define NGX_HTTP_TICKET_TELL_EVERY   60000   /* ms between two log lines */
#define NGX_HTTP_TICKET_LAST_MINUTE  (60000 + NGX_HTTP_TICKET_NOTE_EVERY)


static void ngx_http_ticket_watch_minute(ngx_http_ticket_seen_t *seen,
    ngx_http_ticket_watch_t *watch);
static u_char *ngx_http_ticket_watch_median(u_char *p, u_char *last,
    ticket_histogram_t *waits);


uint64_t
ngx_http_ticket_clock(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_http_ticket_watch_trip(ngx_http_ticket_zone_t *zone, uint64_t sent)
{
    uint64_t  trip;

    trip = ngx_http_ticket_clock() - sent;

    zone->sh->redis_last = trip;

    ticket_histogram_add(&zone->sh->redis_trips, &ticket_round_trip_bounds,
                         trip);
}


void
ngx_http_ticket_watch(ngx_http_ticket_instance_t *instance,
    ticket_view_t *view, uint64_t calls, int64_t seats)
{
    ngx_http_ticket_begun_t  *first, *latest;
    ngx_http_ticket_watch_t  *watch;

    watch = &instance->watch;

    watch->calls = calls;
    watch->seats_known = (seats >= 0);
    watch->seats = watch->seats_known ? seats : 0;

    first = &watch->begun[0];
    latest = first + watch->n;

    if (watch->n && view->begun < latest[-1].begun) {

        /* the line has begun anew */

        watch->n = 0;
        latest = first;
    }

    if (watch->n
        && ngx_current_msec - latest[-1].at < NGX_HTTP_TICKET_NOTE_EVERY)
    {
        return;
    }

    if (watch->n == NGX_HTTP_TICKET_MINUTE) {
        ngx_memmove(first, first + 1, (NGX_HTTP_TICKET_MINUTE - 1)
                                      * sizeof(ngx_http_ticket_begun_t));
        latest--;

    } else {
        watch->n++;
    }

    latest->at = ngx_current_msec;
    latest->begun = view->begun;
}


ngx_int_t
ngx_http_ticket_see(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance, ngx_http_ticket_seen_t *seen)
{
    ngx_http_ticket_room_t   *room;
    ngx_http_ticket_zone_t   *zone;
    ngx_http_ticket_watch_t  *watch;

    room = ngx_http_ticket_room_of(mcf, instance);
    if (room == NULL) {
        return NGX_DECLINED;
    }

    zone = mcf->zone->data;
    watch = &instance->watch;

    seen->instance = instance;
    seen->policy = room->policy;

    ngx_shmtx_lock(&zone->shpool->mutex);

    (void) ticket_policy_apply(&seen->policy, (char *) instance->changes.text,
                               instance->changes.len);

    ticket_line_view(&instance->line, &seen->view);

    seen->issued = instance->known.issued;
    seen->calls = watch->calls;
    seen->seats = watch->seats;
    seen->seats_known = watch->seats_known;

    ngx_http_ticket_watch_minute(seen, watch);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    ticket_histogram_read(&watch->waits, &seen->waits);

    seen->phase = ticket_policy_phase(&seen->policy,
                                      ngx_http_ticket_now(zone));

    /* numbers issued since the exchange stand in line, too */

    seen->in_line = seen->view.waiting;

    if (seen->view.epoch == instance->known.epoch
        && seen->issued > seen->view.issued)
    {
        seen->in_line += seen->issued - seen->view.issued;
    }

    return NGX_OK;
}


/* Under the mutex.  A view that is a minute old tells nothing of the last. */

static void
ngx_http_ticket_watch_minute(ngx_http_ticket_seen_t *seen,
    ngx_http_ticket_watch_t *watch)
{
    ngx_uint_t                i;
    ticket_view_t            *view;
    ngx_http_ticket_begun_t  *begun;

    view = &seen->view;

    seen->admitted = 0;
    seen->span = 0;

    if (view->life == 0
        || ticket_view_age(view, ngx_current_msec)
           > NGX_HTTP_TICKET_LAST_MINUTE)
    {
        return;
    }

    for (i = 0; i < watch->n; i++) {
        begun = &watch->begun[i];

        if (ngx_current_msec - begun->at <= NGX_HTTP_TICKET_LAST_MINUTE
            && view->begun >= begun->begun)
        {
            seen->admitted = view->begun - begun->begun;
            seen->span = view->fetched_ms - begun->at;
            return;
        }
    }
}


void
ngx_http_ticket_watch_tell(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance)
{
    u_char                    buf[NGX_INT64_LEN + 8];
    ngx_str_t                 median;
    ticket_histogram_t        waits;
    ngx_http_ticket_seen_t    seen;
    ngx_http_ticket_watch_t  *watch;

    watch = &instance->watch;

    if (watch->told
        && ngx_current_msec - watch->told < NGX_HTTP_TICKET_TELL_EVERY)
    {
        return;
    }

    if (ngx_http_ticket_see(mcf, instance, &seen) != NGX_OK) {
        return;
    }

    waits = seen.waits;
    ticket_histogram_since(&waits, &watch->told_waits);

    median.data = buf;
    median.len = ngx_http_ticket_watch_median(buf, buf + sizeof(buf), &waits)
                 - buf;

    if (watch->told) {
        ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                      "ticket: room \"%*s\": in line %uL, called %uD, "
                      "sessions %uD, admitted %uL in the last minute, "
                      "p50 wait %V", instance->len, instance->name,
                      seen.in_line, seen.view.calls, seen.view.sessions,
                      seen.admitted, &median);
    }

    watch->told = ngx_current_msec;
    watch->told_waits = seen.waits;
}


static u_char *
ngx_http_ticket_watch_median(u_char *p, u_char *last,
    ticket_histogram_t *waits)
{
    int64_t  ms;

    ms = ticket_histogram_quantile(waits, &ticket_wait_bounds, 500);

    return (ms < 0) ? ngx_slprintf(p, last, "-")
                    : ngx_slprintf(p, last, "%.1fs", (double) ms / 1000);
}


void
ngx_http_ticket_watch_pass(ngx_http_ticket_ctx_t *ctx)
{
    ngx_http_ticket_counter_e  why;

    if (ctx->pass.found <= NGX_HTTP_TICKET_TOKEN_GOOD
        || ctx->instance == NULL)
    {
        return;
    }

    why = NGX_HTTP_TICKET_N_PASSES_EXPIRED;

    if (ctx->pass.found == NGX_HTTP_TICKET_TOKEN_BAD) {
        why = NGX_HTTP_TICKET_N_PASSES_BAD;

    } else if (ctx->pass.token.epoch < ctx->instance->known.epoch) {
        why = NGX_HTTP_TICKET_N_PASSES_PAST_EPOCH;
    }

    ngx_http_ticket_count(ctx->instance, why);
}


/*
 * A room that has not opened has no memory yet.  It gets some to count in,
 * unless the visitor chose the instance: that would let anybody fill the
 * zone.
 */

void
ngx_http_ticket_watch_closed(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->instance == NULL
        && (ctx->name.len != ctx->room->name.len
            || ngx_http_ticket_visit(r, ctx) != NGX_OK))
    {
        return;
    }

    ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_JOINS_CLOSED);
}


void
ngx_http_ticket_watch_admitted(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, uint64_t issued_ms)
{
    uint64_t  now;

    now = ngx_http_ticket_now(zone);

    ticket_histogram_add(&instance->watch.waits, &ticket_wait_bounds,
                         now > issued_ms ? now - issued_ms : 0);
}
