/*
 * Metrics.  What became of holds shows in the status of their route: 201 and
 * 204 are holds made and given back, 409 those that lost.
 */
#include <stdbool.h>

#include "metrics.h"

static const char *const route_name[ROUTES] = {
    [ROUTE_PERFORMANCE] = "performance",
    [ROUTE_MAP] = "map",
    [ROUTE_SEATS] = "seats",
    [ROUTE_STREAM] = "stream",
    [ROUTE_HOLDS] = "holds",
    [ROUTE_HOLD] = "hold",
    [ROUTE_EXTEND] = "extend",
    [ROUTE_ADMIN] = "admin",
    [ROUTE_HEALTHZ] = "healthz",
    [ROUTE_METRICS] = "metrics",
    [ROUTE_NONE] = "none",
};

static const char *const outcome_name[OUTCOMES] = {"done", "refused", "failed",
                                                   "gone"};

static const double bound[METRICS_BUCKETS] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5};

static outcome_t outcome_of(unsigned status)
{
    return status == 0    ? OUTCOME_GONE
           : status < 400 ? OUTCOME_DONE
           : status < 500 ? OUTCOME_REFUSED
                          : OUTCOME_FAILED;
}

void metrics_count(metrics_t *metrics, route_id_t route, unsigned status,
                   double seconds)
{
    unsigned i = 0;

    outcome_t outcome = outcome_of(status);

    if (status < METRICS_STATUS_MAX) {
        metrics->requests[route][status]++;
    }

    while (i < METRICS_BUCKETS && seconds > bound[i]) {
        i++;
    }

    metrics->bucket[route][outcome][i]++;
    metrics->seconds[route][outcome] += seconds;
}

void metrics_write_head(FILE *out, const char *name, const char *type,
                        const char *help)
{
    fprintf(out, "# HELP ticket_worker_%s %s\n# TYPE ticket_worker_%s %s\n",
            name, help, name, type);
}

void metrics_write_value(FILE *out, const char *name, const char *type,
                         const char *help, unsigned long value)
{
    metrics_write_head(out, name, type, help);
    fprintf(out, "ticket_worker_%s %lu\n", name, value);
}

static void write_requests(FILE *out, const metrics_t *metrics)
{
    metrics_write_head(out, "requests_total", "counter", "Requests answered.");

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

static void write_histogram(FILE *out, const metrics_t *metrics, int route,
                            int outcome)
{
    const unsigned long *bucket = metrics->bucket[route][outcome];
    const char *name = route_name[route], *how = outcome_name[outcome];
    unsigned long sum = 0;

    for (int i = 0; i < METRICS_BUCKETS; i++) {
        sum += bucket[i];
        fprintf(out,
                "ticket_worker_request_seconds_bucket"
                "{route=\"%s\",outcome=\"%s\",le=\"%g\"} %lu\n",
                name, how, bound[i], sum);
    }

    sum += bucket[METRICS_BUCKETS];
    fprintf(out,
            "ticket_worker_request_seconds_bucket"
            "{route=\"%s\",outcome=\"%s\",le=\"+Inf\"} %lu\n"
            "ticket_worker_request_seconds_sum"
            "{route=\"%s\",outcome=\"%s\"} %.6f\n"
            "ticket_worker_request_seconds_count"
            "{route=\"%s\",outcome=\"%s\"} %lu\n",
            name, how, sum, name, how, metrics->seconds[route][outcome], name,
            how, sum);
}

static bool was_seen(const metrics_t *metrics, int route, int outcome)
{
    for (int i = 0; i <= METRICS_BUCKETS; i++) {
        if (metrics->bucket[route][outcome][i] > 0) {
            return true;
        }
    }

    return false;
}

/* What never happened has no lines: most pairs never do. */
static void write_latency(FILE *out, const metrics_t *metrics)
{
    metrics_write_head(out, "request_seconds", "histogram",
                       "Time from the head of a request to its answer.");

    for (int route = 0; route < ROUTES; route++) {
        for (int outcome = 0; outcome < OUTCOMES; outcome++) {
            if (was_seen(metrics, route, outcome)) {
                write_histogram(out, metrics, route, outcome);
            }
        }
    }
}

void metrics_write(const metrics_t *metrics, FILE *out)
{
    write_requests(out, metrics);
    write_latency(out, metrics);
}

void metrics_write_seconds(FILE *out, const char *name, const char *help,
                           int64_t ms)
{
    metrics_write_head(out, name, "gauge", help);
    fprintf(out, "ticket_worker_%s %.3f\n", name, (double)ms / 1000);
}
