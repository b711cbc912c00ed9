
/*
 * The status location: what this node knows of its rooms, as JSON, for
 * programs that look after them.  Names of rooms need no escaping; the name
 * of the node does.
 */


#include "ngx_http_ticket_module.h"


#define NGX_HTTP_TICKET_STATUS_ROOMS  500   /* told at most */


static void ngx_http_ticket_status_node(ngx_http_request_t *r,
    ngx_http_ticket_main_conf_t *mcf, ngx_http_ticket_text_t *text);
static void ngx_http_ticket_status_redis(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_text_t *text);
static ngx_uint_t ngx_http_ticket_status_rooms(
    ngx_http_ticket_main_conf_t *mcf, ngx_http_ticket_text_t *text);
static void ngx_http_ticket_status_room(ngx_http_ticket_seen_t *seen,
    ngx_http_ticket_text_t *text);
static void ngx_http_ticket_status_line(ngx_http_ticket_seen_t *seen,
    ngx_http_ticket_text_t *text);
static void ngx_http_ticket_status_policy(ticket_policy_t *policy,
    ngx_http_ticket_text_t *text);
static void ngx_http_ticket_status_waits(ticket_histogram_t *waits,
    ngx_http_ticket_text_t *text);
static void ngx_http_ticket_status_known(ngx_http_ticket_text_t *text,
    const char *name, ngx_uint_t known, uint64_t n);


#define ngx_http_ticket_bool(flag)  ((flag) ? "true" : "false")


/* in the order of ticket_phase_t */

static const char  *ngx_http_ticket_phases[] = {
    "early", "prequeue", "open", "over"
};


ngx_int_t
ngx_http_ticket_status_handler(ngx_http_request_t *r)
{
    ngx_uint_t                    left_out;
    ngx_http_ticket_text_t        text;
    ngx_http_ticket_main_conf_t  *mcf;
    static ngx_str_t              type = ngx_string("application/json");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    ngx_http_ticket_text_init(&text, r->pool, 4096);

    ngx_http_ticket_status_node(r, mcf, &text);
    ngx_http_ticket_status_redis(mcf, &text);

    left_out = ngx_http_ticket_status_rooms(mcf, &text);

    ngx_http_ticket_text_add(&text, "],\"left_out\":%ui}\n", left_out);

    return ngx_http_ticket_text_send(r, &text, &type);
}


static void
ngx_http_ticket_status_node(ngx_http_request_t *r,
    ngx_http_ticket_main_conf_t *mcf, ngx_http_ticket_text_t *text)
{
    u_char                  *p;
    ngx_str_t                node;
    ngx_http_ticket_zone_t  *zone;

    zone = mcf->zone->data;

    p = ngx_pnalloc(r->pool, mcf->node.len
                    + ngx_escape_json(NULL, mcf->node.data, mcf->node.len));
    if (p == NULL) {
        text->failed = 1;
        return;
    }

    node.data = p;
    node.len = (u_char *) ngx_escape_json(p, mcf->node.data, mcf->node.len)
               - p;

    ngx_http_ticket_text_add(text,
                             "{\"node\":\"%V\",\"version\":\""
                             NGX_HTTP_TICKET_VERSION "\",\"now_ms\":%uL,"
                             "\"zone\":{\"bytes\":%uz,\"free_bytes\":%uz,"
                             "\"instances\":%uA,\"refused\":%uA},",
                             &node, ngx_http_ticket_now(zone),
                             mcf->zone->shm.size,
                             (size_t) zone->shpool->pfree * ngx_pagesize,
                             zone->sh->instances, zone->sh->refused);
}


/* Whether it is connected, is told of the process that answers. */

static void
ngx_http_ticket_status_redis(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_text_t *text)
{
    ticket_histogram_t         trips;
    ngx_http_ticket_shared_t  *sh;

    sh = ((ngx_http_ticket_zone_t *) mcf->zone->data)->sh;

    ticket_histogram_read(&sh->redis_trips, &trips);

    ngx_http_ticket_text_add(text,
                             "\"redis\":{\"connected\":%s,\"errors\":%uA,"
                             "\"connections\":%uA",
                             ngx_http_ticket_bool(
                                 ngx_http_ticket_redis_ready(
                                     mcf->process->redis)),
                             sh->redis_errors, sh->redis_connections);

    ngx_http_ticket_status_known(text, "last_error_s", sh->redis_failed,
                                 ngx_time() - (time_t) sh->redis_failed);

    ngx_http_ticket_text_add(text, ",\"round_trip_ms\":");

    if (ticket_histogram_count(&trips)) {
        ngx_http_ticket_text_decimal(text, sh->redis_last, 1000);

    } else {
        ngx_http_ticket_text_add(text, "null");
    }

    ngx_http_ticket_text_add(text, "},\"rooms\":[");
}


/* Returns how many there was no room for. */

static ngx_uint_t
ngx_http_ticket_status_rooms(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_text_t *text)
{
    ngx_uint_t                   i, n;
    ngx_http_ticket_seen_t       seen;
    ngx_http_ticket_zone_t      *zone;
    ngx_http_ticket_instance_t  *instance;

    zone = mcf->zone->data;
    n = 0;

    ngx_http_ticket_each(zone, i, instance) {

        if (n >= NGX_HTTP_TICKET_STATUS_ROOMS) {

            if (ngx_http_ticket_room_of(mcf, instance)) {
                n++;
            }

            continue;
        }

        if (ngx_http_ticket_see(mcf, instance, &seen) != NGX_OK) {
            continue;
        }

        if (n++) {
            ngx_http_ticket_text_add(text, ",");
        }

        ngx_http_ticket_status_room(&seen, text);
    }

    return (n > NGX_HTTP_TICKET_STATUS_ROOMS)
           ? n - NGX_HTTP_TICKET_STATUS_ROOMS : 0;
}


static void
ngx_http_ticket_status_room(ngx_http_ticket_seen_t *seen,
    ngx_http_ticket_text_t *text)
{
    ticket_view_t  *view;

    view = &seen->view;

    ngx_http_ticket_text_add(text,
                             "\n{\"room\":\"%*s\",\"phase\":\"%s\","
                             "\"mode\":\"%s\",\"paused\":%s,"
                             "\"sold_out\":%s,\"settling\":%s",
                             seen->instance->len, seen->instance->name,
                             ngx_http_ticket_phases[seen->phase],
                             ticket_mode_names[seen->policy.mode],
                             ngx_http_ticket_bool(seen->policy.paused),
                             ngx_http_ticket_bool(view->sold_out),
                             ngx_http_ticket_bool(view->settling));

    ngx_http_ticket_status_known(text, "seats_left", seen->seats_known,
                                 seen->seats);
    ngx_http_ticket_status_line(seen, text);

    ngx_http_ticket_text_add(text, ",\"admitted_per_second\":");

    if (seen->span >= 1000) {
        ngx_http_ticket_text_add(text, "%.3f", (double) seen->admitted * 1000
                                               / seen->span);

    } else {
        ngx_http_ticket_text_add(text, "null");
    }

    ngx_http_ticket_status_known(text, "exchange_age_ms", view->life != 0,
                                 ticket_view_age(view, ngx_current_msec));

    ngx_http_ticket_status_policy(&seen->policy, text);
    ngx_http_ticket_status_waits(&seen->waits, text);

    ngx_http_ticket_text_add(text, "}");
}


static void
ngx_http_ticket_status_line(ngx_http_ticket_seen_t *seen,
    ngx_http_ticket_text_t *text)
{
    ticket_view_t  *view;

    view = &seen->view;

    ngx_http_ticket_text_add(text,
                             ",\"epoch\":%uD,\"issued\":%uL,\"called\":%uL,"
                             "\"in_line\":%uL,\"present\":%uD,"
                             "\"calls\":%uD,\"sessions\":%uD,"
                             "\"totals\":{\"calls\":%uL,\"sessions\":%uL,"
                             "\"missed\":%uL}",
                             view->epoch, seen->issued, view->called,
                             seen->in_line, view->waiting, view->calls,
                             view->sessions, seen->calls, view->begun,
                             view->missed);
}


/* In force; where 0 stands for no limit, null is told. */

static void
ngx_http_ticket_status_policy(ticket_policy_t *policy,
    ngx_http_ticket_text_t *text)
{
    ngx_http_ticket_text_add(text,
                             ",\"settings\":{\"mode\":\"%s\",\"paused\":%s,"
                             "\"queue_all\":%s,\"draw\":%s,"
                             "\"session_ms\":%uL,\"claim_ms\":%uL,"
                             "\"liveness_ms\":%uL",
                             ticket_mode_names[policy->mode],
                             ngx_http_ticket_bool(policy->paused),
                             ngx_http_ticket_bool(policy->queue_all),
                             ngx_http_ticket_bool(policy->draw),
                             policy->session, policy->claim,
                             policy->liveness);

    ngx_http_ticket_status_known(text, "slots", policy->slots, policy->slots);
    ngx_http_ticket_status_known(text, "rate", policy->rate, policy->rate);
    ngx_http_ticket_status_known(text, "per_ms", policy->rate, policy->per);
    ngx_http_ticket_status_known(text, "session_max_ms", policy->max,
                                 policy->max);
    ngx_http_ticket_status_known(text, "admit_per_1000_seats",
                                 policy->per_seat, policy->per_seat);
    ngx_http_ticket_status_known(text, "prequeue_at_ms", policy->prequeue,
                                 policy->prequeue);
    ngx_http_ticket_status_known(text, "opens_at_ms", policy->opens,
                                 policy->opens);
    ngx_http_ticket_status_known(text, "closes_at_ms", policy->closes,
                                 policy->closes);

    ngx_http_ticket_text_add(text, "}");
}


static void
ngx_http_ticket_status_waits(ticket_histogram_t *waits,
    ngx_http_ticket_text_t *text)
{
    int64_t      ms;
    ngx_uint_t   i;

    static const struct {
        const char  *name;
        unsigned     of_1000;
    } quantile[] = {
        { "p50_ms", 500 }, { "p90_ms", 900 }, { "p99_ms", 990 }
    };

    ngx_http_ticket_text_add(text,
                             ",\"waits\":{\"count\":%uL,\"sum_ms\":%uL",
                             ticket_histogram_count(waits), waits->sum);

    for (i = 0; i < 3; i++) {
        ms = ticket_histogram_quantile(waits, &ticket_wait_bounds,
                                       quantile[i].of_1000);

        ngx_http_ticket_status_known(text, quantile[i].name, ms >= 0, ms);
    }

    ngx_http_ticket_text_add(text, "}");
}


static void
ngx_http_ticket_status_known(ngx_http_ticket_text_t *text, const char *name,
    ngx_uint_t known, uint64_t n)
{
    if (known) {
        ngx_http_ticket_text_add(text, ",\"%s\":%uL", name, n);

    } else {
        ngx_http_ticket_text_add(text, ",\"%s\":null", name);
    }
}
