
/*
 * Metrics in Prometheus's text format: what the node knows of every room
 * instance in shared memory, and of its Redis.  docs/metrics.md says what
 * each of them means.  A room instance is the only label of a client's
 * choosing.
 */


#include "ngx_http_ticket_module.h"


typedef struct {
    const char  *name;
    const char  *reason;    /* NULL: no such label */
    const char  *help;
} ngx_http_ticket_counted_t;


typedef enum {
    NGX_HTTP_TICKET_NUMBER = 0,
    NGX_HTTP_TICKET_LIMIT,           /* 0: none */
    NGX_HTTP_TICKET_MS               /* milliseconds, told in seconds */
} ngx_http_ticket_unit_e;

typedef struct {
    const char              *name;
    const char              *type;
    ngx_http_ticket_unit_e   unit;
    const char              *help;
} ngx_http_ticket_measure_t;


/* The measures of a room instance, in the order of the table. */

typedef enum {
    NGX_HTTP_TICKET_M_IN_LINE = 0,
    NGX_HTTP_TICKET_M_PRESENT,
    NGX_HTTP_TICKET_M_CALLED,
    NGX_HTTP_TICKET_M_SESSIONS,
    NGX_HTTP_TICKET_M_SLOTS,
    NGX_HTTP_TICKET_M_RATE,
    NGX_HTTP_TICKET_M_SEATS,
    NGX_HTTP_TICKET_M_OPEN,
    NGX_HTTP_TICKET_M_PAUSED,
    NGX_HTTP_TICKET_M_SOLD_OUT,
    NGX_HTTP_TICKET_M_ISSUED,
    NGX_HTTP_TICKET_M_BOUNDARY,
    NGX_HTTP_TICKET_M_CALLS,
    NGX_HTTP_TICKET_M_MISSED,
    NGX_HTTP_TICKET_M_BEGUN,
    NGX_HTTP_TICKET_M_AGE,
    NGX_HTTP_TICKET_M_LAST
} ngx_http_ticket_measure_e;

#define NGX_HTTP_TICKET_ABSENT       ((uint64_t) -1)


static ngx_uint_t ngx_http_ticket_metrics_see(ngx_http_request_t *r,
    ngx_http_ticket_seen_t **seen);
static void ngx_http_ticket_metrics_head(ngx_http_ticket_text_t *text,
    const char *name, const char *type, const char *help);
static void ngx_http_ticket_metrics_node(ngx_http_request_t *r,
    ngx_http_ticket_text_t *text);
static void ngx_http_ticket_metrics_build(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_text_t *text);
static void ngx_http_ticket_metrics_counters(ngx_http_ticket_seen_t *seen,
    ngx_uint_t rooms, ngx_http_ticket_text_t *text);
static void ngx_http_ticket_metrics_measures(ngx_http_ticket_seen_t *seen,
    ngx_uint_t rooms, ngx_http_ticket_text_t *text);
static uint64_t ngx_http_ticket_metrics_measure(ngx_http_ticket_measure_e n,
    ngx_http_ticket_seen_t *seen);
static void ngx_http_ticket_metrics_waits(ngx_http_ticket_seen_t *seen,
    ngx_uint_t rooms, ngx_http_ticket_text_t *text);
static void ngx_http_ticket_metrics_histogram(ngx_http_ticket_text_t *text,
    const char *name, ngx_str_t *label, ticket_histogram_t *histogram,
    const ticket_bounds_t *bounds, uint64_t parts);


/* in the order of ngx_http_ticket_counter_e; one name's stand together */

static ngx_http_ticket_counted_t  ngx_http_ticket_counted[] = {

    { "ticket_room_polls_total", NULL,
      "Polls answered from shared memory." },

    { "ticket_room_polls_early_total", NULL,
      "Polls refused because they came too early." },

    { "ticket_room_joins_total", NULL,
      "Numbers given to visitors." },

    { "ticket_room_joins_refused_total", "closed",
      "Joins that were refused." },

    { "ticket_room_joins_refused_total", "full", NULL },

    { "ticket_room_joins_refused_total", "unavailable", NULL },

    { "ticket_room_joins_refused_total", "proof", NULL },

    { "ticket_room_joins_refused_total", "zone_full", NULL },

    { "ticket_room_passes_given_total", NULL,
      "Passes given to visitors, also when one claims again." },

    { "ticket_room_left_total", NULL,
      "Places and sessions given up by their visitors." },

    { "ticket_room_gate_passed_total", NULL,
      "Requests the gate let through." },

    { "ticket_room_gate_held_back_total", NULL,
      "Requests the gate held back." },

    { "ticket_room_passes_refused_total", "bad",
      "Requests whose pass was refused." },

    { "ticket_room_passes_refused_total", "expired", NULL },

    { "ticket_room_passes_refused_total", "past_epoch", NULL },

    { "ticket_room_passes_refused_total", "over", NULL },

    { "ticket_room_exchanges_total", NULL,
      "Exchanges with Redis that brought the line." },

    { "ticket_room_exchange_failures_total", NULL,
      "Exchanges with Redis that brought nothing." }
};


/* in the order of ngx_http_ticket_measure_e */

static ngx_http_ticket_measure_t  ngx_http_ticket_measures[] = {

    { "ticket_room_in_line", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Visitors in line, as they are told." },

    { "ticket_room_present", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Visitors in line who polled, as of the last exchange." },

    { "ticket_room_called", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Visitors called who have not claimed yet." },

    { "ticket_room_sessions", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Sessions in being." },

    { "ticket_room_slots", "gauge", NGX_HTTP_TICKET_LIMIT,
      "Sessions and calls there may be at once." },

    { "ticket_room_rate_per_second", "gauge", NGX_HTTP_TICKET_LIMIT,
      "Calls there may be in a second, on average." },

    { "ticket_room_seats_left", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Seats left to be sold, where that is known." },

    { "ticket_room_open", "gauge", NGX_HTTP_TICKET_NUMBER,
      "1 while the room is open and takes visitors." },

    { "ticket_room_paused", "gauge", NGX_HTTP_TICKET_NUMBER,
      "1 while an operator has paused the room." },

    { "ticket_room_sold_out", "gauge", NGX_HTTP_TICKET_NUMBER,
      "1 while no seats are left." },

    { "ticket_room_issued_number", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Highest number issued." },

    { "ticket_room_called_number", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Highest number, or place after a draw, that was called." },

    { "ticket_room_calls_total", "counter", NGX_HTTP_TICKET_NUMBER,
      "Calls and direct admissions, by all nodes." },

    { "ticket_room_calls_missed_total", "counter", NGX_HTTP_TICKET_NUMBER,
      "Calls that nobody claimed in time, by all nodes." },

    { "ticket_room_sessions_begun_total", "counter", NGX_HTTP_TICKET_NUMBER,
      "Sessions begun, by all nodes." },

    { "ticket_room_exchange_age_seconds", "gauge", NGX_HTTP_TICKET_MS,
      "Age of what this node knows of the line." }
};


/* in the order of ngx_http_ticket_metrics_node() */

static ngx_http_ticket_measure_t  ngx_http_ticket_of_node[] = {

    { "ticket_redis_connected", "gauge", NGX_HTTP_TICKET_NUMBER,
      "1 while the process that answers is connected to Redis." },

    { "ticket_redis_connections_total", "counter", NGX_HTTP_TICKET_NUMBER,
      "Connections to Redis that came to stand." },

    { "ticket_redis_errors_total", "counter", NGX_HTTP_TICKET_NUMBER,
      "Failures of Redis, lost connections among them." },

    { "ticket_zone_bytes", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Size of the shared memory." },

    { "ticket_zone_free_bytes", "gauge", NGX_HTTP_TICKET_NUMBER,
      "Free whole pages of the shared memory." },

    { "ticket_zone_refused_total", "counter", NGX_HTTP_TICKET_NUMBER,
      "Times that something found no place in the shared memory." }
};

#define NGX_HTTP_TICKET_OF_NODE                                               \
    (sizeof(ngx_http_ticket_of_node) / sizeof(ngx_http_ticket_measure_t))


ngx_int_t
ngx_http_ticket_metrics_handler(ngx_http_request_t *r)
{
    ngx_uint_t               rooms;
    ngx_http_ticket_text_t   text;
    ngx_http_ticket_seen_t  *seen;
    static ngx_str_t         type = ngx_string("text/plain; version=0.0.4");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rooms = ngx_http_ticket_metrics_see(r, &seen);
    if (seen == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_ticket_text_init(&text, r->pool, 16384);

    ngx_http_ticket_metrics_node(r, &text);
    ngx_http_ticket_metrics_counters(seen, rooms, &text);
    ngx_http_ticket_metrics_measures(seen, rooms, &text);
    ngx_http_ticket_metrics_waits(seen, rooms, &text);

    return ngx_http_ticket_text_send(r, &text, &type);
}


/* Returns how many instances there are; one made meanwhile is not told. */

static ngx_uint_t
ngx_http_ticket_metrics_see(ngx_http_request_t *r,
    ngx_http_ticket_seen_t **seen)
{
    ngx_uint_t                    i, n, max;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_instance_t   *instance;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    zone = mcf->zone->data;

    max = zone->sh->instances;
    n = 0;

    *seen = ngx_palloc(r->pool, (max + 1) * sizeof(ngx_http_ticket_seen_t));
    if (*seen == NULL) {
        return 0;
    }

    ngx_http_ticket_each(zone, i, instance) {
        if (n < max
            && ngx_http_ticket_see(mcf, instance, &(*seen)[n]) == NGX_OK)
        {
            n++;
        }
    }

    return n;
}


static void
ngx_http_ticket_metrics_head(ngx_http_ticket_text_t *text, const char *name,
    const char *type, const char *help)
{
    ngx_http_ticket_text_add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                             name, type);
}


static void
ngx_http_ticket_metrics_node(ngx_http_request_t *r,
    ngx_http_ticket_text_t *text)
{
    uint64_t                      value[NGX_HTTP_TICKET_OF_NODE];
    ngx_str_t                     none = ngx_null_string;
    ngx_uint_t                    i;
    ticket_histogram_t            trips;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_measure_t    *measure;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    zone = mcf->zone->data;

    value[0] = ngx_http_ticket_redis_ready(mcf->process->redis);
    value[1] = zone->sh->redis_connections;
    value[2] = zone->sh->redis_errors;
    value[3] = mcf->zone->shm.size;
    value[4] = (uint64_t) zone->shpool->pfree * ngx_pagesize;
    value[5] = zone->sh->refused;

    ngx_http_ticket_metrics_build(mcf, text);

    for (i = 0; i < NGX_HTTP_TICKET_OF_NODE; i++) {
        measure = &ngx_http_ticket_of_node[i];

        ngx_http_ticket_metrics_head(text, measure->name, measure->type,
                                     measure->help);
        ngx_http_ticket_text_add(text, "%s %uL\n", measure->name, value[i]);
    }

    ngx_http_ticket_metrics_head(text, "ticket_redis_round_trip_seconds",
                                 "histogram",
                                 "Time from an exchange to its answer.");

    ticket_histogram_read(&zone->sh->redis_trips, &trips);

    ngx_http_ticket_metrics_histogram(text, "ticket_redis_round_trip_seconds",
                                      &none, &trips,
                                      &ticket_round_trip_bounds, 1000000);
}


/* The name of the node is the configuration's, and may hold anything. */

static void
ngx_http_ticket_metrics_build(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_text_t *text)
{
    u_char      c;
    ngx_uint_t  i;

    ngx_http_ticket_metrics_head(text, "ticket_build_info", "gauge",
                                 "Versions of module and nginx, and the name "
                                 "of the node among those of a Redis.");

    ngx_http_ticket_text_add(text, "ticket_build_info{version=\""
                             NGX_HTTP_TICKET_VERSION "\",nginx=\""
                             NGINX_VERSION "\",node=\"");

    for (i = 0; i < mcf->node.len; i++) {
        c = mcf->node.data[i];

        if (c == '\n') {
            ngx_http_ticket_text_add(text, "\\n");

        } else if (c == '"' || c == '\\') {
            ngx_http_ticket_text_add(text, "\\%c", c);

        } else {
            ngx_http_ticket_text_add(text, "%c", c);
        }
    }

    ngx_http_ticket_text_add(text, "\"} 1\n");
}


static void
ngx_http_ticket_metrics_counters(ngx_http_ticket_seen_t *seen,
    ngx_uint_t rooms, ngx_http_ticket_text_t *text)
{
    ngx_uint_t                   i, n;
    ngx_http_ticket_counted_t   *counted;
    ngx_http_ticket_instance_t  *instance;

    for (n = 0; n < NGX_HTTP_TICKET_N_LAST; n++) {
        counted = &ngx_http_ticket_counted[n];

        if (counted->help) {
            ngx_http_ticket_metrics_head(text, counted->name, "counter",
                                         counted->help);
        }

        for (i = 0; i < rooms; i++) {
            instance = seen[i].instance;

            ngx_http_ticket_text_add(text, "%s{room=\"%*s\"%s%s%s} %uA\n",
                                     counted->name, instance->len,
                                     instance->name,
                                     counted->reason ? ",reason=\"" : "",
                                     counted->reason ? counted->reason : "",
                                     counted->reason ? "\"" : "",
                                     instance->counter[n]);
        }
    }
}


static void
ngx_http_ticket_metrics_measures(ngx_http_ticket_seen_t *seen,
    ngx_uint_t rooms, ngx_http_ticket_text_t *text)
{
    uint64_t                     value;
    ngx_uint_t                   i, n;
    ngx_http_ticket_measure_t   *measure;
    ngx_http_ticket_instance_t  *instance;

    for (n = 0; n < NGX_HTTP_TICKET_M_LAST; n++) {
        measure = &ngx_http_ticket_measures[n];

        ngx_http_ticket_metrics_head(text, measure->name, measure->type,
                                     measure->help);

        for (i = 0; i < rooms; i++) {
            instance = seen[i].instance;
            value = ngx_http_ticket_metrics_measure(n, &seen[i]);

            if (value == NGX_HTTP_TICKET_ABSENT) {
                continue;
            }

            ngx_http_ticket_text_add(text, "%s{room=\"%*s\"} ", measure->name,
                                     instance->len, instance->name);

            if (measure->unit == NGX_HTTP_TICKET_MS) {
                ngx_http_ticket_text_decimal(text, value, 1000);

            } else if (measure->unit == NGX_HTTP_TICKET_LIMIT && value == 0) {
                ngx_http_ticket_text_add(text, "+Inf");

            } else if (n == NGX_HTTP_TICKET_M_RATE) {
                ngx_http_ticket_text_add(text, "%.6f", (double) value * 1000
                                                  / seen[i].policy.per);

            } else {
                ngx_http_ticket_text_add(text, "%uL", value);
            }

            ngx_http_ticket_text_add(text, "\n");
        }
    }
}


static uint64_t
ngx_http_ticket_metrics_measure(ngx_http_ticket_measure_e n,
    ngx_http_ticket_seen_t *seen)
{
    ticket_view_t  *view;

    view = &seen->view;

    switch (n) {

    case NGX_HTTP_TICKET_M_IN_LINE:
        return seen->in_line;

    case NGX_HTTP_TICKET_M_PRESENT:
        return view->waiting;

    case NGX_HTTP_TICKET_M_CALLED:
        return view->calls;

    case NGX_HTTP_TICKET_M_SESSIONS:
        return view->sessions;

    case NGX_HTTP_TICKET_M_SLOTS:
        return seen->policy.slots;

    case NGX_HTTP_TICKET_M_RATE:
        return seen->policy.rate;

    case NGX_HTTP_TICKET_M_SEATS:
        return seen->seats_known ? seen->seats : NGX_HTTP_TICKET_ABSENT;

    case NGX_HTTP_TICKET_M_OPEN:
        return seen->phase == TICKET_PHASE_OPEN
               && seen->policy.mode != TICKET_MODE_REJECT;

    case NGX_HTTP_TICKET_M_PAUSED:
        return seen->policy.paused;

    case NGX_HTTP_TICKET_M_SOLD_OUT:
        return view->sold_out;

    case NGX_HTTP_TICKET_M_ISSUED:
        return seen->issued;

    case NGX_HTTP_TICKET_M_BOUNDARY:
        return view->called;

    case NGX_HTTP_TICKET_M_CALLS:
        return seen->calls;

    case NGX_HTTP_TICKET_M_MISSED:
        return view->missed;

    case NGX_HTTP_TICKET_M_BEGUN:
        return view->begun;

    default:
        return view->life ? ticket_view_age(view, ngx_current_msec)
                          : NGX_HTTP_TICKET_ABSENT;
    }
}


static void
ngx_http_ticket_metrics_waits(ngx_http_ticket_seen_t *seen, ngx_uint_t rooms,
    ngx_http_ticket_text_t *text)
{
    u_char      buf[sizeof("room=\"\",") + TICKET_ROOM_MAX];
    ngx_str_t   label;
    ngx_uint_t  i;

    ngx_http_ticket_metrics_head(text, "ticket_room_wait_seconds",
                                 "histogram",
                                 "Time from the number to the admission.");

    label.data = buf;

    for (i = 0; i < rooms; i++) {
        label.len = ngx_slprintf(buf, buf + sizeof(buf), "room=\"%*s\",",
                                 seen[i].instance->len,
                                 seen[i].instance->name)
                    - buf;

        ngx_http_ticket_metrics_histogram(text, "ticket_room_wait_seconds",
                                          &label, &seen[i].waits,
                                          &ticket_wait_bounds, 1000);
    }
}


/* The label ends with a comma, or is empty; parts: of a second. */

static void
ngx_http_ticket_metrics_histogram(ngx_http_ticket_text_t *text,
    const char *name, ngx_str_t *label, ticket_histogram_t *histogram,
    const ticket_bounds_t *bounds, uint64_t parts)
{
    size_t      i;
    uint64_t    sum;
    ngx_str_t   alone;

    sum = 0;

    for (i = 0; i < bounds->n; i++) {
        sum += histogram->bin[i];

        ngx_http_ticket_text_add(text, "%s_bucket{%Vle=\"", name, label);
        ngx_http_ticket_text_decimal(text, bounds->bound[i], parts);
        ngx_http_ticket_text_add(text, "\"} %uL\n", sum);
    }

    sum = ticket_histogram_count(histogram);

    ngx_http_ticket_text_add(text, "%s_bucket{%Vle=\"+Inf\"} %uL\n", name,
                             label, sum);

    alone = *label;

    if (alone.len) {
        alone.len--;
    }

    ngx_http_ticket_text_add(text, alone.len ? "%s_sum{%V} " : "%s_sum%V ",
                             name, &alone);
    ngx_http_ticket_text_decimal(text, histogram->sum, parts);

    ngx_http_ticket_text_add(text, alone.len ? "\n%s_count{%V} %uL\n"
                                             : "\n%s_count%V %uL\n",
                             name, &alone, sum);
}
