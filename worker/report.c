/*
 * Metrics of all parts, in Prometheus's text format.  What became of holds
 * shows in the status of their route: 201 and 204 are holds made and given
 * back, 409 those that lost.
 */
#include <stdio.h>

#include "keeper.h"
#include "report.h"
#include "sequencer.h"
#include "stream.h"

static void write_database(FILE *out, const db_stats_t *pool,
                           const db_stats_t *sequencer)
{
    metrics_write_value(out, "db_connects_total", "counter",
                        "Connections made to the database.",
                        pool->connects + sequencer->connects);
    metrics_write_value(out, "db_retries_total", "counter",
                        "Deadlocks and lock waits that were tried again.",
                        pool->retries + sequencer->retries);
    metrics_write_value(
        out, "db_errors_total", "counter",
        "Failures of the database, lost connections among them.",
        pool->errors + sequencer->errors);
}

/* A histogram of holds in a batch: 1, 2, up to 4, 8, 16, 32, 64. */
static void write_sizes(FILE *out, const sequencer_stats_t *stats)
{
    unsigned long sum = 0;

    metrics_write_head(out, "batch_holds", "histogram",
                       "Holds in each transaction that was committed.");
    for (unsigned i = 0; i < SEQUENCER_SIZES; i++) {
        sum += stats->size[i];
        fprintf(out, "ticket_worker_batch_holds_bucket{le=\"%u\"} %lu\n",
                1U << i, sum);
    }
    fprintf(out,
            "ticket_worker_batch_holds_bucket{le=\"+Inf\"} %lu\n"
            "ticket_worker_batch_holds_sum %lu\n"
            "ticket_worker_batch_holds_count %lu\n",
            sum, stats->holds, stats->batches);
}

static void write_sequencer(FILE *out, const sequencer_stats_t *stats)
{
    write_sizes(out, stats);
    metrics_write_value(out, "batch_again_total", "counter",
                        "Batches that had to be planned again, because a row "
                        "was not as expected.",
                        stats->again);
    metrics_write_value(out, "conflicts_in_memory_total", "counter",
                        "Holds refused without asking the database.",
                        stats->refused);
    metrics_write_value(out, "conflicts_in_database_total", "counter",
                        "Holds refused after the database was asked.",
                        stats->lost);
    metrics_write_value(out, "shed_total", "counter",
                        "Holds not tried, because too many waited.",
                        stats->shed);
    metrics_write_value(out, "holds_queued", "gauge",
                        "Holds that wait for a batch.", stats->queued);
}

static void write_keeper(FILE *out, const keeper_stats_t *stats)
{
    metrics_write_value(out, "keeper", "gauge",
                        "1 if this worker keeps the outbox.", stats->keeping);
    metrics_write_value(out, "outbox_moved_total", "counter",
                        "Events that Redis has taken.", stats->moved);
    metrics_write_value(out, "outbox_failures_total", "counter",
                        "Rounds that Redis or the database failed.",
                        stats->failures);
    metrics_write_value(out, "holds_swept_total", "counter",
                        "Holds that had run out and were given back.",
                        stats->swept);

    if (stats->keeping) {
        metrics_write_value(out, "outbox_rows", "gauge",
                            "Events that Redis does not have yet.",
                            stats->outbox_rows);
        metrics_write_seconds(out, "outbox_lag_seconds",
                              "Age of the oldest event that Redis does not "
                              "have yet.",
                              stats->lag_ms);
    }
}

static void write_stream(FILE *out, const stream_stats_t *stats)
{
    metrics_write_value(out, "stream_live", "gauge",
                        "1 if events of other workers arrive.", stats->live);
    metrics_write_value(out, "stream_events_total", "counter",
                        "Events read from Redis.", stats->events);
    metrics_write_value(out, "stream_failures_total", "counter",
                        "Attempts to read that Redis failed.", stats->failures);
}

static void write_stock(FILE *out, const stock_stats_t *stats)
{
    metrics_write_value(out, "stock_published_total", "counter",
                        "Numbers of seats left that Redis has taken.",
                        stats->published);
    metrics_write_value(
        out, "stock_failures_total", "counter",
        "Attempts to publish that Redis or the database failed.",
        stats->failures);

    if (stats->age_ms >= 0) {
        metrics_write_seconds(
            out, "stock_age_seconds",
            "Time since Redis last took a number of seats left.",
            stats->age_ms);
    }
}

static void write_http(FILE *out, const report_http_t *http, pool_t *pool)
{
    metrics_write(http->metrics, out);
    metrics_write_value(out, "queue_length", "gauge",
                        "Requests that wait for a database connection.",
                        pool_queued(pool));
    metrics_write_value(out, "connections_busy", "gauge",
                        "Connections of the pool that are in use.",
                        pool_busy(pool));
    metrics_write_value(out, "requests_in_flight", "gauge",
                        "Requests begun and not yet answered, listeners "
                        "aside.",
                        http->in_flight);
    metrics_write_value(out, "listeners", "gauge",
                        "Clients that listen to what happens to seats.",
                        http->listeners);
    metrics_write_value(out, "stream_messages_total", "counter",
                        "Messages to listeners, heartbeats aside.",
                        http->stream_messages);
}

static void write_all(FILE *out, const worker_t *worker,
                      const report_http_t *http)
{
    sequencer_stats_t sequencer;
    keeper_stats_t keeper;

    write_http(out, http, worker->pool);
    sequencer_stats(worker->sequencer, &sequencer);
    write_database(out, pool_stats(worker->pool), sequencer.db);
    write_sequencer(out, &sequencer);
    keeper_stats(worker->keeper, &keeper);
    write_keeper(out, &keeper);

    if (worker->stream != NULL) {
        stream_stats_t stream;

        stream_stats(worker->stream, &stream);
        write_stream(out, &stream);
    }

    if (worker->stock != NULL) {
        stock_stats_t stock;

        stock_stats(worker->stock, &stock);
        write_stock(out, &stock);
    }
}

void report_reply(const worker_t *worker, const report_http_t *http,
                  reply_t *reply)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (out == NULL) {
        reply_empty(reply, 500);
        return;
    }

    write_all(out, worker, http);
    fclose(out);
    reply_text(reply, 200, "text/plain; version=0.0.4; charset=utf-8", text,
               len);
}
