
/*
 * Metrics in Prometheus's text format: what the node knows of every room
 * instance in shared memory.
 */


#include "ngx_http_ticket_module.h"


#define NGX_HTTP_TICKET_METRIC_LEN   (160 + TICKET_ROOM_MAX)


typedef struct {
    const char  *name;
    const char  *help;
} ngx_http_ticket_metric_t;


static u_char *ngx_http_ticket_write_node(ngx_http_ticket_zone_t *zone,
    u_char *p, u_char *last);
static u_char *ngx_http_ticket_write_counters(ngx_http_ticket_zone_t *zone,
    u_char *p, u_char *last);
static u_char *ngx_http_ticket_write_gauges(ngx_http_ticket_zone_t *zone,
    u_char *p, u_char *last);
static double ngx_http_ticket_gauge(ngx_uint_t n,
    ngx_http_ticket_instance_t *instance);


/* in the order of ngx_http_ticket_counter_e */

static ngx_http_ticket_metric_t  ngx_http_ticket_counters[] = {
    { "ticket_polls_total", "Polls answered from shared memory." },
    { "ticket_joins_total", "Numbers given to visitors." },
    { "ticket_joins_failed_total", "Joins that could not be served." },
    { "ticket_admissions_total", "Passes given to visitors." },
    { "ticket_left_total", "Places and sessions given up." },
    { "ticket_gate_passed_total", "Requests the gate let through." },
    { "ticket_gate_held_back_total", "Requests the gate held back." },
    { "ticket_gate_refused_total", "Passes whose session was over." },
    { "ticket_exchanges_total", "Exchanges with Redis." },
    { "ticket_exchanges_failed_total", "Exchanges that brought nothing." }
};


static ngx_http_ticket_metric_t  ngx_http_ticket_gauges[] = {
    { "ticket_waiting", "Visitors present in line." },
    { "ticket_sessions", "Sessions in being." },
    { "ticket_calls", "Visitors called who have not claimed yet." },
    { "ticket_issued", "Highest number issued." },
    { "ticket_called", "Highest number called." },
    { "ticket_exchange_age_seconds", "Age of what this node knows." }
};

#define NGX_HTTP_TICKET_GAUGES                                                \
    (sizeof(ngx_http_ticket_gauges) / sizeof(ngx_http_ticket_metric_t))


ngx_int_t
ngx_http_ticket_metrics_handler(ngx_http_request_t *r)
{
    size_t                        len;
    ngx_buf_t                    *b;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_main_conf_t  *mcf;
    static ngx_str_t              type =
                                ngx_string("text/plain; version=0.0.4");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    zone = mcf->zone->data;

    /* instances may be added while this is written: room for some more */

    len = NGX_HTTP_TICKET_METRIC_LEN
          * (NGX_HTTP_TICKET_N_LAST + NGX_HTTP_TICKET_GAUGES)
          * (zone->sh->instances + 4);

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_http_ticket_write_node(zone, b->last, b->end);
    b->last = ngx_http_ticket_write_counters(zone, b->last, b->end);
    b->last = ngx_http_ticket_write_gauges(zone, b->last, b->end);

    return ngx_http_ticket_send_body(r, NGX_HTTP_OK, &type, b);
}


static u_char *
ngx_http_ticket_write_node(ngx_http_ticket_zone_t *zone, u_char *p,
    u_char *last)
{
    return ngx_slprintf(p, last,
                        "# HELP ticket_redis_errors_total Failures of Redis "
                        "seen by this node.\n"
                        "# TYPE ticket_redis_errors_total counter\n"
                        "ticket_redis_errors_total %uA\n"
                        "# HELP ticket_zone_free_bytes Free whole pages of "
                        "the zone.\n"
                        "# TYPE ticket_zone_free_bytes gauge\n"
                        "ticket_zone_free_bytes %uz\n",
                        zone->sh->redis_errors,
                        (size_t) zone->shpool->pfree * ngx_pagesize);
}


static u_char *
ngx_http_ticket_write_counters(ngx_http_ticket_zone_t *zone, u_char *p,
    u_char *last)
{
    ngx_uint_t                   i, n;
    ngx_http_ticket_metric_t    *metric;
    ngx_http_ticket_instance_t  *instance;

    for (n = 0; n < NGX_HTTP_TICKET_N_LAST; n++) {
        metric = &ngx_http_ticket_counters[n];

        p = ngx_slprintf(p, last, "# HELP %s %s\n# TYPE %s counter\n",
                         metric->name, metric->help, metric->name);

        ngx_http_ticket_each(zone, i, instance) {
            p = ngx_slprintf(p, last, "%s{room=\"%*s\"} %uA\n", metric->name,
                             instance->len, instance->name,
                             instance->counter[n]);
        }
    }

    return p;
}


static u_char *
ngx_http_ticket_write_gauges(ngx_http_ticket_zone_t *zone, u_char *p,
    u_char *last)
{
    ngx_uint_t                   i, n;
    ngx_http_ticket_metric_t    *metric;
    ngx_http_ticket_instance_t  *instance;

    for (n = 0; n < NGX_HTTP_TICKET_GAUGES; n++) {
        metric = &ngx_http_ticket_gauges[n];

        p = ngx_slprintf(p, last, "# HELP %s %s\n# TYPE %s gauge\n",
                         metric->name, metric->help, metric->name);

        ngx_http_ticket_each(zone, i, instance) {
            p = ngx_slprintf(p, last, "%s{room=\"%*s\"} %.3f\n", metric->name,
                             instance->len, instance->name,
                             ngx_http_ticket_gauge(n, instance));
        }
    }

    return p;
}


/* In the order of ngx_http_ticket_gauges. */

static double
ngx_http_ticket_gauge(ngx_uint_t n, ngx_http_ticket_instance_t *instance)
{
    ticket_view_t  view;

    ticket_line_view(&instance->line, &view);

    switch (n) {
    case 0:
        return view.waiting;
    case 1:
        return view.sessions;
    case 2:
        return view.calls;
    case 3:
        return (double) instance->known.issued;
    case 4:
        return (double) view.called;
    default:
        return view.life ? (double) (ngx_current_msec - view.fetched_ms) / 1000
                         : 0;
    }
}
