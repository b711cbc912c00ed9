/*
 * The answer of /metrics: what every part of the worker has counted.
 */
#ifndef REPORT_H
#define REPORT_H

#include "metrics.h"
#include "reply.h"
#include "worker.h"

/* What the HTTP thread knows of itself. */
typedef struct {
    const metrics_t *metrics;
    unsigned in_flight; /* listeners aside */
    unsigned listeners;
    unsigned long stream_messages;
} report_http_t;

void report_reply(const worker_t *worker, const report_http_t *http,
                  reply_t *reply);

#endif
