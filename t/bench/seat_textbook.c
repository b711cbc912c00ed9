/*
 * How a hold of standing room is often made: read the row with its version,
 * compute, write it back if the version is still the same, and begin again if
 * not.  So many connections on one row of pool_bucket, every write durable on
 * its own: what batches are to be compared with.  Run by scripts/bench-seats;
 * ends with one line of JSON.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_db.h"

#define USAGE                                                                  \
    "usage: seat_textbook --socket PATH  --schema ticket\n"                    \
    "  --performance 1  --pool 0  --bucket 0  --connections 64  --seconds 5"

typedef struct {
    const char *socket, *schema;
    uint64_t performance, pool, bucket, connections, seconds;
    double deadline;
} textbook_t;

typedef struct {
    const textbook_t *all;
    pthread_t thread;
    MYSQL *db;
    uint64_t holds, attempts;
    bench_times_t times;
} client_t;

/* Reads, computes, compares and swaps; returns whether the row was as read. */
static uint64_t attempt(client_t *client)
{
    const textbook_t *all = client->all;
    uint64_t capacity, held, sold, version;
    char sql[512];
    MYSQL_RES *result;
    MYSQL_ROW row;
    int len;

    snprintf(sql, sizeof(sql),
             "SELECT capacity, held, sold, version FROM pool_bucket "
             "WHERE performance_id = %" PRIu64 " AND pool_no = %" PRIu64
             " AND bucket = %" PRIu64,
             all->performance, all->pool, all->bucket);
    result = bench_db_row(client->db, sql, &row);
    capacity = strtoull(row[0], NULL, 10);
    held = strtoull(row[1], NULL, 10);
    sold = strtoull(row[2], NULL, 10);
    version = strtoull(row[3], NULL, 10);
    mysql_free_result(result);
    if (held + sold + 1 > capacity) {
        bench_fail("the bucket is full: load a larger one");
    }

    len =
        snprintf(sql, sizeof(sql),
                 "UPDATE pool_bucket SET held = %" PRIu64 ", version = %" PRIu64
                 " WHERE performance_id = %" PRIu64 " AND pool_no = %" PRIu64
                 " AND bucket = %" PRIu64 " AND version = %" PRIu64,
                 held + 1, version + 1, all->performance, all->pool,
                 all->bucket, version);

    return bench_db_change(client->db, sql, (size_t)len);
}

static void *run(void *arg)
{
    client_t *client = arg;
    double begin = bench_now();

    while (begin < client->all->deadline) {
        client->attempts++;
        if (attempt(client) == 1) {
            client->holds++;
            bench_times_add(&client->times, bench_now() - begin);
            begin = bench_now();
        } else if (bench_now() >= client->all->deadline) {
            break;
        }
    }

    return NULL;
}

static client_t *start(textbook_t *all)
{
    client_t *client = bench_alloc(all->connections, sizeof(*client));

    for (uint64_t i = 0; i < all->connections; i++) {
        client[i].all = all;
        client[i].db = bench_db_connect(all->socket, all->schema);
    }
    all->deadline = bench_now() + (double)all->seconds;
    for (uint64_t i = 0; i < all->connections; i++) {
        if (pthread_create(&client[i].thread, NULL, run, &client[i]) != 0) {
            bench_fail("no thread could be started");
        }
    }

    return client;
}

int main(int argc, char **argv)
{
    static textbook_t all = {
        .schema = "ticket", .performance = 1, .connections = 64, .seconds = 5};
    const bench_option_t options[] = {
        {"--socket", .text = &all.socket},
        {"--schema", .text = &all.schema},
        {"--performance", .number = &all.performance},
        {"--pool", .number = &all.pool},
        {"--bucket", .number = &all.bucket},
        {"--connections", .number = &all.connections},
        {"--seconds", .number = &all.seconds},
        {.name = NULL}};
    bench_times_t times = {0};
    uint64_t holds = 0, attempts = 0;
    double begin, cpu, seconds;

    bench_options(argc, argv, options, USAGE);
    if (all.socket == NULL || all.connections < 1) {
        bench_fail("%s", USAGE);
    }

    cpu = bench_cpu();
    client_t *client = start(&all);

    begin = all.deadline - (double)all.seconds;
    for (uint64_t i = 0; i < all.connections; i++) {
        pthread_join(client[i].thread, NULL);
        holds += client[i].holds;
        attempts += client[i].attempts;
    }
    seconds = bench_now() - begin;
    cpu = bench_cpu() - cpu;
    for (uint64_t i = 0; i < all.connections; i++) {
        bench_times_merge(&times, &client[i].times);
        mysql_close(client[i].db);
    }

    printf("{\"holds\":%" PRIu64 ",\"attempts\":%" PRIu64
           ",\"seconds\":%.3f,\"per_second\":%.0f,",
           holds, attempts, seconds, (double)holds / seconds);
    bench_times_print(&times);
    printf(",\"cpu_us\":%.2f}\n", holds > 0 ? cpu * 1e6 / (double)holds : 0);

    return 0;
}
