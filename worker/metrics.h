/*
 * Counters, in Prometheus's text format.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stdint.h>
#include <stdio.h>

#define METRICS_STATUS_MAX 600

typedef enum {
    ROUTE_PERFORMANCE,
    ROUTE_MAP,
    ROUTE_SEATS,
    ROUTE_STREAM,
    ROUTE_HOLDS,
    ROUTE_HOLD,
    ROUTE_EXTEND,
    ROUTE_ADMIN,
    ROUTE_HEALTHZ,
    ROUTE_METRICS,
    ROUTE_NONE,
    ROUTES
} route_id_t;

/* How a request ended, by its status. */
typedef enum {
    OUTCOME_DONE,    /* below 400 */
    OUTCOME_REFUSED, /* 400 to 499 */
    OUTCOME_FAILED,  /* 500 and above */
    OUTCOME_GONE,    /* the client went away first */
    OUTCOMES
} outcome_t;

#define METRICS_BUCKETS 12

/* Owned and touched by the HTTP thread alone. */
typedef struct {
    unsigned long requests[ROUTES][METRICS_STATUS_MAX];
    unsigned long bucket[ROUTES][OUTCOMES][METRICS_BUCKETS + 1];
    double seconds[ROUTES][OUTCOMES];
} metrics_t;

/* Counts an answered request; status 0: the client went away. */
void metrics_count(metrics_t *metrics, route_id_t route, unsigned status,
                   double seconds);

/* Writes what was counted. */
void metrics_write(const metrics_t *metrics, FILE *out);

/* Writes one more; type is "counter" or "gauge". */
void metrics_write_value(FILE *out, const char *name, const char *type,
                         const char *help, unsigned long value);
void metrics_write_seconds(FILE *out, const char *name, const char *help,
                           int64_t ms);

/* The lines before a metric that has labels. */
void metrics_write_head(FILE *out, const char *name, const char *type,
                        const char *help);

#endif
