/*
 * What the database itself gives: the transactions that the worker makes of
 * holds, straight from C, without HTTP, passes and plans.  Every seat of a
 * freshly loaded performance once, in random order, one a hold, with the same
 * rows as the worker writes.  In batches, or with --per-request one hold a
 * transaction.  Run by scripts/bench-seats; ends with one line of JSON.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "bench_db.h"
#include "ticket_bytes.h"
#include "ticket_token.h"

#define USAGE                                                                  \
    "usage: seat_ceiling --socket PATH --seats N  --schema ticket\n"           \
    "  --performance 1  --room bench  --connections 2  --batch 64 (1 to "      \
    "1024)\n"                                                                  \
    "  --seconds 5  --per-request"
#define BATCH_MAX 1024
#define TTL_MS    300000
#define ID_BYTES  16
#define HOLD_TEXT 512 /* more than any hold takes in a statement */

typedef struct {
    uint32_t seat;
    unsigned char id[ID_BYTES];
} hold_t;

typedef struct {
    const char *socket, *schema, *room;
    uint64_t performance, seats, connections, batch, seconds, per_request;
    uint32_t *order;
    double deadline;
    pthread_mutex_t mutex; /* guards next */
    uint64_t next;         /* in order */
} ceiling_t;

/* A thread with its connection. */
typedef struct {
    ceiling_t *all;
    pthread_t thread;
    MYSQL *db;
    uint64_t random;
    hold_t hold[BATCH_MAX];
    char *sql;
    char now[32], expires[32], expires_ms[32];
    uint64_t holds, transactions;
    bench_times_t times;
} client_t;

static int by_seat(const void *a, const void *b)
{
    uint32_t x = ((const hold_t *)a)->seat, y = ((const hold_t *)b)->seat;

    return (x > y) - (x < y);
}

/* The next holds; returns how many. */
static unsigned take(client_t *client)
{
    ceiling_t *all = client->all;
    uint64_t first, n = all->per_request ? 1 : all->batch;

    pthread_mutex_lock(&all->mutex);
    first = all->next;
    n = n > all->seats - first ? all->seats - first : n;
    all->next += n;
    pthread_mutex_unlock(&all->mutex);

    for (uint64_t i = 0; i < n; i++) {
        hold_t *hold = &client->hold[i];

        hold->seat = all->order[first + i];
        ticket_put_uint(hold->id, all->performance, 4);
        ticket_put_uint(hold->id + 4, first + i + 1, 4);
        ticket_put_uint(hold->id + 8, bench_random(&client->random), 8);
    }
    qsort(client->hold, n, sizeof(client->hold[0]), by_seat);

    return (unsigned)n;
}

static void read_clock(client_t *client)
{
    MYSQL_ROW row;
    MYSQL_RES *result = bench_db_row(
        client->db,
        "SELECT n, e, CAST(UNIX_TIMESTAMP(e) * 1000 AS UNSIGNED) FROM "
        "(SELECT UTC_TIMESTAMP(3) n,"
        " UTC_TIMESTAMP(3) + INTERVAL 300000000 MICROSECOND e) t",
        &row);

    snprintf(client->now, sizeof(client->now), "%.23s", row[0]);
    snprintf(client->expires, sizeof(client->expires), "%.23s", row[1]);
    snprintf(client->expires_ms, sizeof(client->expires_ms), "%s", row[2]);
    mysql_free_result(result);
}

static char *put_seats(const client_t *client, char *p, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        *p++ = ',';
        p = bench_put_number(p, client->hold[i].seat);
    }

    return p;
}

/* Seats in rising order, each free and of version 0. */
static char *put_update(const client_t *client, char *p, unsigned n)
{
    char *list;

    p = bench_put(p, "UPDATE seat SET state = 'held', version = version + 1, "
                     "expires_at = '");
    p = bench_put(p, client->expires);
    p = bench_put(p, "', hold_id = SUBSTR(x'");
    for (unsigned i = 0; i < n; i++) {
        p = bench_put_hex(p, client->hold[i].id, ID_BYTES);
    }
    p = bench_put(p, "', INTERVAL(seat_no");
    p = put_seats(client, p, n);
    p = bench_put(p, ") * 16 - 15, 16) WHERE performance_id = ");
    p = bench_put_number(p, client->all->performance);
    p = bench_put(p, " AND seat_no IN ");
    list = p;
    p = put_seats(client, p, n);
    *list = '(';
    p = bench_put(p, ") AND seat_no * 4294967296 + version IN ");
    list = p;
    for (unsigned i = 0; i < n; i++) {
        *p++ = ',';
        p = bench_put_number(p, (uint64_t)client->hold[i].seat << 32);
    }
    *list = '(';

    return bench_put(p, ") AND (state = 'free' OR (state = 'held' "
                        "AND expires_at <= UTC_TIMESTAMP(3)))");
}

static char *put_holds(const client_t *client, char *p, unsigned n)
{
    p = bench_put(p, "INSERT INTO hold (id, performance_id, owner, units, "
                     "ttl_ms, created_at, expires_at, fingerprint, items) "
                     "VALUES ");
    for (unsigned i = 0; i < n; i++) {
        const hold_t *hold = &client->hold[i];

        p = bench_put(p, i == 0 ? "(x'" : ",(x'");
        p = bench_put_hex(p, hold->id, ID_BYTES);
        p = bench_put(p, "',");
        p = bench_put_number(p, client->all->performance);
        p = bench_put(p, ",'");
        p = bench_put(p, client->all->room);
        p = bench_put(p, "/1-");
        p = bench_put_number(p, ticket_get_uint(hold->id + 4, 4));
        p = bench_put(p, "',1,");
        p = bench_put_number(p, TTL_MS);
        p = bench_put(p, ",'");
        p = bench_put(p, client->now);
        p = bench_put(p, "','");
        p = bench_put(p, client->expires);
        p = bench_put(p, "',x'");
        p = bench_put_hex(p, hold->id, ID_BYTES);
        p = bench_put(p, "','{\"seats\":[[");
        p = bench_put_number(p, hold->seat);
        p = bench_put(p, ",1]],\"pools\":[]}')");
    }

    return p;
}

static char *put_outbox(const client_t *client, char *p, unsigned n)
{
    p = bench_put(p, "INSERT INTO outbox (room, performance_id, payload, "
                     "created_at) VALUES ('");
    p = bench_put(p, client->all->room);
    p = bench_put(p, "',");
    p = bench_put_number(p, client->all->performance);
    p = bench_put(p, ",'{\"seats\":[");
    for (unsigned i = 0; i < n; i++) {
        p = bench_put(p, i == 0 ? "[" : ",[");
        p = bench_put_number(p, client->hold[i].seat);
        p = bench_put(p, ",1,1,\"");
        p = bench_put_hex(p, client->hold[i].id, ID_BYTES);
        p = bench_put(p, "\",");
        p = bench_put(p, client->expires_ms);
        *p++ = ']';
    }
    p = bench_put(p, "],\"buckets\":[],\"holds\":[");
    for (unsigned i = 0; i < n; i++) {
        p = bench_put(p, i == 0 ? "\"" : ",\"");
        p = bench_put_hex(p, client->hold[i].id, ID_BYTES);
        *p++ = '"';
    }
    p = bench_put(p, "]}','");
    p = bench_put(p, client->now);

    return bench_put(p, "')");
}

/* One transaction, which must succeed. */
static void make(client_t *client, unsigned n)
{
    double begin = bench_now();
    char *sql = client->sql;
    uint64_t changed;

    read_clock(client);
    bench_db_change(client->db, "START TRANSACTION", 17);
    changed = bench_db_change(client->db, sql,
                              (size_t)(put_update(client, sql, n) - sql));
    if (changed != n) {
        bench_fail("%" PRIu64 " of %u seats were free and of version 0: load "
                   "the performance anew",
                   changed, n);
    }
    bench_db_change(client->db, sql, (size_t)(put_holds(client, sql, n) - sql));
    bench_db_change(client->db, sql,
                    (size_t)(put_outbox(client, sql, n) - sql));
    bench_db_change(client->db, "COMMIT", 6);

    bench_times_add(&client->times, bench_now() - begin);
    client->holds += n;
    client->transactions++;
}

static void *run(void *arg)
{
    client_t *client = arg;
    unsigned n;

    while (bench_now() < client->all->deadline && (n = take(client)) > 0) {
        make(client, n);
    }

    return NULL;
}

static client_t *start(ceiling_t *all)
{
    client_t *client = bench_alloc(all->connections, sizeof(*client));

    for (uint64_t i = 0; i < all->connections; i++) {
        client[i].all = all;
        client[i].db = bench_db_connect(all->socket, all->schema);
        client[i].random = (uint64_t)(bench_now() * 1e9) + i * 7919;
        client[i].sql = bench_alloc(BATCH_MAX + 2, HOLD_TEXT);
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
    static ceiling_t all = {.schema = "ticket",
                            .room = "bench",
                            .performance = 1,
                            .connections = 2,
                            .batch = 64,
                            .seconds = 5,
                            .mutex = PTHREAD_MUTEX_INITIALIZER};
    const bench_option_t options[] = {
        {"--socket", .text = &all.socket},
        {"--schema", .text = &all.schema},
        {"--room", .text = &all.room},
        {"--performance", .number = &all.performance},
        {"--seats", .number = &all.seats},
        {"--connections", .number = &all.connections},
        {"--batch", .number = &all.batch},
        {"--seconds", .number = &all.seconds},
        {"--per-request", .flag = &all.per_request},
        {.name = NULL}};
    bench_times_t times = {0};
    uint64_t holds = 0, transactions = 0;
    double begin, cpu, seconds;

    bench_options(argc, argv, options, USAGE);
    if (all.socket == NULL || all.seats < 1 || all.connections < 1 ||
        all.batch < 1 || all.batch > BATCH_MAX ||
        strlen(all.room) > TICKET_ROOM_MAX) {
        bench_fail("%s", USAGE);
    }
    all.order = bench_order(all.seats, 1);

    cpu = bench_cpu();
    client_t *client = start(&all);

    begin = all.deadline - (double)all.seconds;
    for (uint64_t i = 0; i < all.connections; i++) {
        pthread_join(client[i].thread, NULL);
        holds += client[i].holds;
        transactions += client[i].transactions;
    }
    seconds = bench_now() - begin;
    cpu = bench_cpu() - cpu;
    for (uint64_t i = 0; i < all.connections; i++) {
        bench_times_merge(&times, &client[i].times);
        mysql_close(client[i].db);
    }

    printf("{\"holds\":%" PRIu64 ",\"transactions\":%" PRIu64
           ",\"seconds\":%.3f,\"per_second\":%.0f,",
           holds, transactions, seconds, (double)holds / seconds);
    bench_times_print(&times);
    printf(",\"cpu_us\":%.2f}\n", holds > 0 ? cpu * 1e6 / (double)holds : 0);

    return 0;
}
