/*
 * Metrics.  What became of holds shows in the status of their route: 201 and
 * 204 are holds made and given back, 409 those that lost.
 */
#include <stdio.h>

#include "metrics.h"

static const char *const route_name[ROUTES] = {
    [ROUTE_SEATS] = "seats",     [ROUTE_HOLDS] = "holds",
    [ROUTE_HOLD] = "hold",       [ROUTE_HEALTHZ] = "healthz",
    [ROUTE_METRICS] = "metrics", [ROUTE_NONE] = "none",
};

static const double bound[METRICS_BUCKETS] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};

void metrics_count(metrics_t *metrics, route_id_t route, unsigned status,
                   double seconds)
{
    unsigned i = 0;

    if (status < METRICS_STATUS_MAX) {
        metrics->requests[route][status]++;
    }

    while (i < METRICS_BUCKETS && seconds > bound[i]) {
        i++;
    }

    metrics->bucket[route][i]++;
    metrics->seconds[route] += seconds;
}

static void write_head(FILE *out, const char *name, const char *type,
                       const char *help)
{
    fprintf(out, "# HELP ticket_worker_%s %s\n# TYPE ticket_worker_%s %s\n",
            name, help, name, type);
}

static void write_value(FILE *out, const char *name, const char *type,
                        const char *help, unsigned long value)
{
    write_head(out, name, type, help);
    fprintf(out, "ticket_worker_%s %lu\n", name, value);
}

static void write_requests(FILE *out, const metrics_t *metrics)
{
    write_head(out, "requests_total", "counter", "Requests answered.");

    for (int route = 0; route < ROUTES; route++) {
        for (int status = 0; status < METRICS_STATUS_MAX; status++) {
            unsigned long n = metrics->requests[route][status];

            if (n > 0) {
                fprintf(out,
                        "ticket_worker_requests_total"
                        "{route=\"%s\",status=\"%d\"} %lu\n",
                        route_name[route], status, n);
            }
        }
    }
}

static void write_latency(FILE *out, const metrics_t *metrics)
{
    write_head(out, "request_seconds", "histogram",
               "Time from the head of a request to its answer.");

    for (int route = 0; route < ROUTES; route++) {
        const char *name = route_name[route];
        unsigned long sum = 0;

        for (int i = 0; i < METRICS_BUCKETS; i++) {
            sum += metrics->bucket[route][i];
            fprintf(out,
                    "ticket_worker_request_seconds_bucket"
                    "{route=\"%s\",le=\"%g\"} %lu\n",
                    name, bound[i], sum);
        }

        sum += metrics->bucket[route][METRICS_BUCKETS];
        fprintf(out,
                "ticket_worker_request_seconds_bucket"
                "{route=\"%s\",le=\"+Inf\"} %lu\n"
                "ticket_worker_request_seconds_sum{route=\"%s\"} %.6f\n"
                "ticket_worker_request_seconds_count{route=\"%s\"} %lu\n",
                name, sum, name, metrics->seconds[route], name, sum);
    }
}

static void write_stock(FILE *out, const stock_stats_t *stock)
{
    write_value(out, "stock_published_total", "counter",
                "Numbers of seats left that Redis has taken.",
                stock->published);
    write_value(out, "stock_failures_total", "counter",
                "Attempts to publish that Redis or the database failed.",
                stock->failures);

    if (stock->age_ms >= 0) {
        write_head(out, "stock_age_seconds", "gauge",
                   "Time since Redis last took a number of seats left.");
        fprintf(out, "ticket_worker_stock_age_seconds %.3f\n",
                (double)stock->age_ms / 1000);
    }
}

void metrics_reply(const metrics_t *metrics, const metrics_gauges_t *gauges,
                   reply_t *reply)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        reply_empty(reply, 500);
        return;
    }

    write_requests(out, metrics);
    write_latency(out, metrics);
    write_value(out, "queue_length", "gauge",
                "Requests that wait for a database connection.",
                gauges->queued);
    write_value(out, "requests_in_flight", "gauge",
                "Requests begun and not yet answered.", gauges->in_flight);
    write_value(out, "db_connects_total", "counter",
                "Connections made to the database.", gauges->db_connects);
    write_value(out, "db_retries_total", "counter",
                "Deadlocks and lock waits that were tried again.",
                gauges->db_retries);
    write_value(out, "db_errors_total", "counter",
                "Failures of the database, lost connections among them.",
                gauges->db_errors);
    if (gauges->stock != NULL) {
        write_stock(out, gauges->stock);
    }
    fclose(out);

    reply_text(reply, 200, "text/plain; version=0.0.4; charset=utf-8", text,
               len);
}
