/*
 * The keeper.  Whoever has the lock in the database moves rows of the outbox
 * to the streams and deletes what Redis has acknowledged: so every row arrives
 * at least once.  The lock only saves work: two keepers at a time, as when one
 * wakes that was stopped for long, tell some things twice and sweep the same
 * holds, and neither does harm.
 *
 * The lock is the connection's.  The server forgets both when the connection
 * breaks, or says nothing for IDLE_S seconds as that of a stopped process
 * does.  So it is asked for at every turn whether the lock is still there.
 */
#include <stdlib.h>
#include <string.h>

#include <mysql.h>

#include "clock.h"
#include "holds.h"
#include "keeper.h"
#include "log.h"
#include "redis.h"
#include "backoff.h"
#include "task.h"

#define ASK_MS      1000 /* for the lock, while another has it */
#define IDLE_S      10   /* after which a silent keeper is none any more */
#define ROUND_MS    250  /* between looks at an empty outbox */
#define REST_MS     20   /* from one look to the next while rows come */
#define SWEEP_MS    250
#define MEASURE_MS  1000
#define REFUSED_MS  1000 /* until Redis is asked again for what it refused */
#define LAST_MS     1000 /* to move what is left at the end */
#define BATCH       256  /* rows, at most, in one round */
#define BATCH_BYTES (1 << 20) /* of payload, unless one row has more */
#define SWEEP_BATCH 64

#define UNHEARD_S 60 /* rows that no worker with Redis has moved by then */

/*
 * The lock's name has at most 64 characters in MySQL.  A worker without Redis
 * keeps under another: it must not stand in the way of those who could tell
 * Redis.
 */
#define LOCK(name)                                                             \
    "CONCAT('" name ".', IF(CHAR_LENGTH(DATABASE()) > 48, "                    \
    "MD5(DATABASE()), DATABASE()))"
#define HAVE(name) "SELECT IS_USED_LOCK(" LOCK(name) ") = CONNECTION_ID()"
#define GET(name)  "SELECT GET_LOCK(" LOCK(name) ", 0)"

/* Rows of the outbox, read and to be told. */
typedef struct {
    unsigned n;
    size_t bytes;
    bool more;   /* there are rows after these */
    bool failed; /* no memory for one of them */
    struct {
        uint64_t id;
        char *text; /* room, performance and payload: event's */
    } row[BATCH];
    redis_event_t event[BATCH];
} batch_t;

struct keeper_s {
    const config_t *config;
    halls_t *halls;
    db_t *db;
    db_stats_t db_stats;
    redis_t *redis; /* NULL: nobody is told */
    task_t task;

    bool keeping;
    backoff_t db_backoff, redis_backoff;
    int64_t ask_at_ms, sweep_at_ms, measure_at_ms;
    int64_t move_at_ms;    /* the next look at the outbox */
    int64_t rest_until_ms; /* none before, even when woken */
    uint64_t after; /* rows up to this id wait: Redis refused some of them */
    int64_t refused_until_ms; /* so long */
    batch_t batch;
    hold_sweep_t round;

    /* For keeper_stats. */
    atomic_bool has_lock;
    atomic_ulong moved, swept, failures, outbox_rows;
    atomic_llong lag_ms;
};

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void set_keeping(keeper_t *keeper, bool keeping)
{
    if (keeping != keeper->keeping) {
        log_line(LOG_LEVEL_INFO, keeping
                                     ? "this worker keeps the outbox now"
                                     : "this worker keeps the outbox no more");
    }

    keeper->keeping = keeper->has_lock = keeping;
    if (!keeping) {
        keeper->outbox_rows = 0;
        keeper->lag_ms = 0;
    }
}

/* The database logs its failures itself. */
static void database_failed(keeper_t *keeper)
{
    keeper->failures++;
    backoff_failed(&keeper->db_backoff);
}

static void redis_failed(keeper_t *keeper, const char *err)
{
    keeper->failures++;
    if (backoff_failed_anew(&keeper->redis_backoff)) {
        log_line(LOG_LEVEL_ERROR,
                 "redis: %s; the outbox is not moved on until that is over",
                 err);
    }
}

static void redis_succeeded(keeper_t *keeper)
{
    if (backoff_succeeded_again(&keeper->redis_backoff)) {
        log_line(LOG_LEVEL_INFO, "redis: the outbox is moved on again");
    }
}

static void on_number(void *ctx, char *const *column)
{
    *(uint64_t *)ctx = column[0] ? strtoull(column[0], NULL, 10) : 0;
}

/* The one number that a statement returns; 0 for NULL. */
static db_result_t ask_number(keeper_t *keeper, const char *what,
                              const char *statement, uint64_t *number)
{
    db_result_t result;
    sql_t sql = {0};

    *number = 0;
    sql_begin(&sql, what);
    sql_add(&sql, "%s", statement);
    result = db_select_text(keeper->db, &sql, on_number, number);
    sql_free(&sql);

    return result;
}

/* Sees to it that the server ends this connection when it falls silent. */
static db_result_t set_idle_time(keeper_t *keeper)
{
    db_result_t result;
    sql_t sql = {0};

    sql_begin(&sql, "limit the keeper's silence");
    sql_add(&sql, "SET SESSION wait_timeout = %d", IDLE_S);
    result = db_change_text(keeper->db, &sql, NULL);
    sql_free(&sql);

    return result;
}

/* Whether this worker is the keeper: if not, tries to become it once in a
 * while. */
static bool keep(keeper_t *keeper)
{
    bool redis = keeper->redis != NULL;
    uint64_t mine = 0;
    db_result_t result = db_connect(keeper->db);

    if (result == DB_OK && keeper->keeping) {
        result = ask_number(
            keeper, "look for the keeper's lock",
            redis ? HAVE("ticket_keeper") : HAVE("ticket_sweeper"), &mine);
    }

    if (result == DB_OK && !mine && clock_ms() >= keeper->ask_at_ms) {
        keeper->ask_at_ms = clock_ms() + ASK_MS;
        result = set_idle_time(keeper);
        if (result == DB_OK) {
            result = ask_number(
                keeper, "ask for the keeper's lock",
                redis ? GET("ticket_keeper") : GET("ticket_sweeper"), &mine);
        }
    }

    if (result != DB_OK) {
        database_failed(keeper);
    } else if (mine != 1) {
        backoff_succeeded(&keeper->db_backoff);
    }
    set_keeping(keeper, result == DB_OK && mine == 1);

    return keeper->keeping;
}

/* Takes a row: id, room, performance, payload. */
static void on_row(void *ctx, char *const *column)
{
    batch_t *batch = ctx;
    size_t room = strlen(column[1]) + 1, performance = strlen(column[2]) + 1;
    size_t payload = strlen(column[3]) + 1;
    char *text;

    if (batch->more || batch->failed ||
        (batch->n > 0 && batch->bytes + payload > BATCH_BYTES)) {
        batch->more = true;
        return;
    }

    text = malloc(room + performance + payload);
    if (text == NULL) {
        batch->failed = true;
        return;
    }

    memcpy(text, column[1], room);
    memcpy(text + room, column[2], performance);
    memcpy(text + room + performance, column[3], payload);

    batch->row[batch->n].id = strtoull(column[0], NULL, 10);
    batch->row[batch->n].text = text;
    batch->event[batch->n] =
        (redis_event_t){.room = text,
                        .performance = text + room,
                        .payload = text + room + performance};
    batch->bytes += payload;
    batch->n++;
    batch->more = batch->n == BATCH;
}

static db_result_t read_batch(keeper_t *keeper)
{
    db_result_t result;
    sql_t sql = {0};

    keeper->batch.n = 0;
    keeper->batch.bytes = 0;
    keeper->batch.more = keeper->batch.failed = false;

    sql_begin(&sql, "read the outbox");
    sql_add(&sql,
            "SELECT id, room, performance_id, payload FROM outbox "
            "WHERE id > %llu",
            (unsigned long long)keeper->after);
    if (keeper->redis == NULL) {
        sql_add(&sql, " AND created_at < UTC_TIMESTAMP(3) - INTERVAL %d SECOND",
                UNHEARD_S);
    }
    sql_add(&sql, " ORDER BY id LIMIT %d", BATCH);
    result = db_select_text(keeper->db, &sql, on_row, &keeper->batch);
    sql_free(&sql);

    return keeper->batch.failed ? DB_FAILED : result;
}

static void free_batch(batch_t *batch)
{
    for (unsigned i = 0; i < batch->n; i++) {
        free(batch->row[i].text);
    }
    batch->n = 0;
}

/*
 * Tells Redis of the batch and marks what it has taken.  Rows that it refused
 * wait, so that they do not stand in the way of others.
 */
static void tell(keeper_t *keeper)
{
    batch_t *batch = &keeper->batch;
    char err[256];
    int refused;

    if (keeper->redis == NULL) {
        for (unsigned i = 0; i < batch->n; i++) {
            batch->event[i].taken = true;
        }
        return;
    }

    refused = redis_add_events(keeper->redis, batch->event, batch->n, err,
                               sizeof(err));
    if (refused != 0) {
        redis_failed(keeper, err);
    } else if (keeper->after == 0) {
        redis_succeeded(keeper);
    }

    if (refused > 0) {
        keeper->after = batch->row[batch->n - 1].id;
        keeper->refused_until_ms = clock_ms() + REFUSED_MS;
        keeper->redis_backoff.until_ms = 0; /* others need not wait for that */
    }
}

/* Deletes what Redis has taken. */
static db_result_t delete_taken(keeper_t *keeper)
{
    const batch_t *batch = &keeper->batch;
    const char *between = "DELETE FROM outbox WHERE id IN (";
    db_result_t result = DB_OK;
    uint64_t deleted = 0;
    sql_t sql = {0};

    sql_begin(&sql, "delete from the outbox");
    for (unsigned i = 0; i < batch->n; i++) {
        if (batch->event[i].taken) {
            sql_add(&sql, "%s%llu", between,
                    (unsigned long long)batch->row[i].id);
            between = ", ";
        }
    }

    if (*between == ',') {
        sql_add(&sql, ")");
        result = db_change_text(keeper->db, &sql, &deleted);
        keeper->moved += deleted;
    }
    sql_free(&sql);

    return result;
}

/* One round: reads rows, tells Redis, deletes them, and says when the next
 * round is due. */
static void move(keeper_t *keeper)
{
    batch_t *batch = &keeper->batch;
    int64_t now = clock_ms();
    db_result_t result;
    char err[256];

    keeper->move_at_ms = now + ROUND_MS;
    keeper->rest_until_ms = now + REST_MS;
    if (now < keeper->redis_backoff.until_ms) {
        return;
    }

    if (keeper->redis != NULL && !redis_connected(keeper->redis) &&
        redis_connect(keeper->redis, err, sizeof(err)) != 0) {
        redis_failed(keeper, err);
        return;
    }

    if (now >= keeper->refused_until_ms) {
        keeper->after = 0;
    }

    result = read_batch(keeper);
    if (result == DB_OK && batch->n > 0) {
        tell(keeper);
        result = delete_taken(keeper);
        keeper->move_at_ms = batch->more ? now : now + REST_MS;
        keeper->rest_until_ms = keeper->move_at_ms;
    }

    if (result != DB_OK) {
        database_failed(keeper);
    }
    free_batch(batch);
}

static void sweep(keeper_t *keeper)
{
    hold_sweep_t *round = &keeper->round;
    hold_result_t result =
        hold_sweep(keeper->db, keeper->halls, SWEEP_BATCH, round);

    keeper->swept += round->ended;
    keeper->sweep_at_ms = clock_ms() + SWEEP_MS;
    if (result == HOLD_DONE && round->more) {
        keeper->sweep_at_ms = 0;
    } else if (result == HOLD_UNAVAILABLE || result == HOLD_ERROR) {
        database_failed(keeper);
    }
}

static void on_measure(void *ctx, char *const *column)
{
    keeper_t *keeper = ctx;

    keeper->outbox_rows = strtoul(column[0], NULL, 10);
    keeper->lag_ms = column[1] ? strtoll(column[1], NULL, 10) : 0;
}

/* Counts what is in the outbox, and how old the oldest of it is. */
static void measure(keeper_t *keeper)
{
    sql_t sql = {0};

    keeper->measure_at_ms = clock_ms() + MEASURE_MS;
    sql_begin(&sql, "count the outbox");
    sql_add(&sql, "SELECT COALESCE(t.newest - t.oldest + 1, 0), "
                  "GREATEST(0, TIMESTAMPDIFF(MICROSECOND, o.created_at, "
                  "UTC_TIMESTAMP(3)) DIV 1000) FROM "
                  "(SELECT MIN(id) AS oldest, MAX(id) AS newest FROM outbox) t "
                  "LEFT JOIN outbox o ON o.id = t.oldest");
    if (db_select_text(keeper->db, &sql, on_measure, keeper) != DB_OK) {
        database_failed(keeper);
    }
    sql_free(&sql);
}

/* Does what is due; returns when there will be something again. */
static int64_t take_turn(keeper_t *keeper)
{
    if (clock_ms() < keeper->db_backoff.until_ms) {
        return keeper->db_backoff.until_ms;
    }

    /* Whoever keeps: the halls are this worker's own. */
    halls_refresh(keeper->halls, keeper->db);

    if (!keep(keeper)) {
        return keeper->ask_at_ms > keeper->db_backoff.until_ms
                   ? keeper->ask_at_ms
                   : keeper->db_backoff.until_ms;
    }

    /* A sweep that does not come to an end leaves turns to the outbox. */
    if (clock_ms() >= keeper->move_at_ms) {
        move(keeper);
    }

    if (clock_ms() >= keeper->sweep_at_ms) {
        sweep(keeper);
    }

    if (clock_ms() >= keeper->measure_at_ms) {
        measure(keeper);
    }

    if (clock_ms() >= keeper->db_backoff.until_ms) {
        backoff_succeeded(&keeper->db_backoff);
    }

    return sooner(keeper->move_at_ms, keeper->sweep_at_ms);
}

/* At the end, when nobody commits any more: moves on what there is. */
static void move_last(keeper_t *keeper)
{
    int64_t deadline = clock_ms() + LAST_MS;

    keeper->redis_backoff.until_ms = 0;
    do {
        keeper->move_at_ms = INT64_MAX;
        move(keeper);
    } while (keeper->move_at_ms <= clock_ms() && clock_ms() < deadline);
}

/* Waits until then, or until there is news, or Redis hangs up. */
static void wait_until(keeper_t *keeper, int64_t when)
{
    int fd = keeper->redis ? redis_fd(keeper->redis) : -1;
    task_event_t event = task_wait(&keeper->task, when, fd);

    if (event.woken) {
        keeper->move_at_ms = sooner(keeper->move_at_ms, keeper->rest_until_ms);
    }

    /* Redis says nothing unasked, unless it is to go. */
    if (event.readable) {
        redis_close(keeper->redis);
        redis_failed(keeper, "the connection was closed");
    }
}

static void run(void *ctx)
{
    keeper_t *keeper = ctx;

    mysql_thread_init();

    while (!task_stopping(&keeper->task)) {
        wait_until(keeper, take_turn(keeper));
    }

    if (keeper->keeping && keep(keeper)) {
        move_last(keeper);
    }

    /* Another worker gets the lock as soon as this connection ends. */
    db_free(keeper->db);
    keeper->db = NULL;
    mysql_thread_end();
}

static void free_keeper(keeper_t *keeper)
{
    db_free(keeper->db);
    redis_free(keeper->redis);
    free(keeper);
}

keeper_t *keeper_start(const config_t *config, halls_t *halls)
{
    keeper_t *keeper = calloc(1, sizeof(*keeper));

    if (keeper == NULL) {
        return NULL;
    }

    keeper->config = config;
    keeper->halls = halls;
    keeper->db = db_new(config, &keeper->db_stats);
    keeper->redis = config->redis.given ? redis_new(&config->redis) : NULL;

    if (keeper->db == NULL || (config->redis.given && keeper->redis == NULL) ||
        task_start(&keeper->task, run, keeper) != 0) {
        free_keeper(keeper);
        return NULL;
    }

    return keeper;
}

void keeper_wake(keeper_t *keeper)
{
    /* While another worker keeps, there is nothing to wake for. */
    if (keeper != NULL && keeper->has_lock) {
        task_wake(&keeper->task);
    }
}

void keeper_stats(keeper_t *keeper, keeper_stats_t *stats)
{
    stats->keeping = keeper->has_lock;
    stats->moved = keeper->moved;
    stats->swept = keeper->swept;
    stats->failures = keeper->failures;
    stats->outbox_rows = keeper->outbox_rows;
    stats->lag_ms = keeper->lag_ms;
}

bool keeper_stop(keeper_t *keeper)
{
    if (keeper == NULL) {
        return true;
    }

    if (!task_stop(&keeper->task)) {
        return false;
    }

    free_keeper(keeper);

    return true;
}
