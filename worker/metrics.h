/*
 * Counters, in Prometheus's text format.
 */
#ifndef METRICS_H
#define METRICS_H

#include "reply.h"
#include "stock.h"

#define METRICS_STATUS_MAX 600

typedef enum {
    ROUTE_SEATS,
    ROUTE_HOLDS,
    ROUTE_HOLD,
    ROUTE_HEALTHZ,
    ROUTE_METRICS,
    ROUTE_NONE,
    ROUTES
} route_id_t;

#define METRICS_BUCKETS 12

/* Owned and touched by the HTTP thread alone. */
typedef struct {
    unsigned long requests[ROUTES][METRICS_STATUS_MAX];
    unsigned long bucket[ROUTES][METRICS_BUCKETS + 1];
    double seconds[ROUTES];
} metrics_t;

/* What others count, as it is now. */
typedef struct {
    unsigned queued;
    unsigned in_flight;
    unsigned long db_errors;
    unsigned long db_retries;
    unsigned long db_connects;
    const stock_stats_t *stock; /* NULL: not published */
} metrics_gauges_t;

/* Counts an answered request. */
void metrics_count(metrics_t *metrics, route_id_t route, unsigned status,
                   double seconds);

/* Makes the answer of /metrics. */
void metrics_reply(const metrics_t *metrics, const metrics_gauges_t *gauges,
                   reply_t *reply);

#endif
