/*
 * The transaction of a batch.  One guarded UPDATE takes all seats, naming the
 * state and version of each; the count of changed rows is the verdict.  Then
 * the buckets, the visitors' limits, the holds, and what others are told.
 *
 * Rows are locked in one order everywhere: seats by number, buckets, limits,
 * holds by id.  So two batches, of this worker or another, never wait for each
 * other in a circle.
 *
 * An answer to COMMIT that does not come leaves it open whether the holds are
 * made: they are looked up by their ids before anybody is told.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "batch.h"
#include "batch_rows.h"
#include "clock.h"
#include "log.h"
#include "outbox.h"

#define SETTLE_MS 3000
#define PAUSE_MS  50
#define LOADED_MS 200 /* a hall is not read again as a whole before */

static batch_result_t judge(db_result_t result)
{
    return result == DB_FAILED || result == DB_REFUSED ? BATCH_FAILED
           : result == DB_LOST                         ? BATCH_AWAY
           : result == DB_BUSY                         ? BATCH_BUSY
                                                       : BATCH_AGAIN;
}

static void on_clock(void *ctx, char *const *column)
{
    *(int64_t *)ctx = strtoll(column[0] ? column[0] : "0", NULL, 10);
}

static db_result_t read_clock(batch_t *batch, halls_t *halls)
{
    db_result_t result;

    sql_begin(&batch->sql, "read the clock");
    sql_add(&batch->sql, "SELECT CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', "
                         "UTC_TIMESTAMP(3)) DIV 1000 AS SIGNED)");
    result = db_select_text(batch->db, &batch->sql, on_clock, &batch->now_ms);
    if (result == DB_OK) {
        halls_set_clock(halls, batch->now_ms);
    }

    return result;
}

/* The life of holds as it was when the first of that performance was planned.
 */
static uint32_t ttl_of(const batch_t *batch, unsigned i)
{
    unsigned k = 0;

    while (batch->bid[k]->hall != batch->bid[i]->hall) {
        k++;
    }

    return batch->bid[k]->ttl_ms;
}

static void date_holds(batch_t *batch)
{
    for (unsigned i = 0; i < batch->n; i++) {
        hold_t *hold = &batch->bid[i]->hold;

        /* One for a performance: its seats are taken by one statement. */
        hold->ttl_ms = ttl_of(batch, i);
        hold->created_ms = batch->now_ms;
        hold->expires_ms = batch->now_ms + hold->ttl_ms;
    }
}

/*
 * The guarded UPDATE for seats of one performance.  Each row finds its hold by
 * its rank among the numbers, and its version in a list of number and version
 * as one: that is a third cheaper than a join to a table of the same values.
 */
static void write_update(sql_t *sql, const seat_row_t *row, unsigned n)
{
    sql_begin(sql, "take the seats");
    sql_add(sql, "UPDATE seat SET state = 'held', version = version + 1, "
                 "expires_at = ");
    sql_time(sql, row->hold->expires_ms);
    sql_add(sql, ", hold_id = SUBSTR(x'");
    for (unsigned i = 0; i < n; i++) {
        sql_hex(sql, row[i].hold->id.byte, HOLD_ID_BYTES);
    }
    sql_add(sql, "', INTERVAL(seat_no");
    for (unsigned i = 0; i < n; i++) {
        sql_add(sql, ", %u", row[i].seat_no);
    }
    sql_add(sql, ") * %d - %d, %d) WHERE performance_id = %u AND seat_no IN ",
            HOLD_ID_BYTES, HOLD_ID_BYTES - 1, HOLD_ID_BYTES, row->performance);
    for (unsigned i = 0; i < n; i++) {
        sql_add(sql, i == 0 ? "(%u" : ", %u", row[i].seat_no);
    }
    sql_add(sql, ") AND seat_no * 4294967296 + version IN ");
    for (unsigned i = 0; i < n; i++) {
        sql_add(sql, i == 0 ? "(%" PRIu64 : ", %" PRIu64,
                (uint64_t)row[i].seat_no << 32 | row[i].version);
    }
    sql_add(sql, ") AND (state = 'free' OR (state = 'held' AND "
                 "expires_at <= UTC_TIMESTAMP(3)))");
}

/* *all: every seat of every bid is ours. */
static db_result_t take_seats(batch_t *batch, bool *all)
{
    seat_row_t row[BATCH_SEATS_MAX];
    unsigned n = batch_seats(batch, row), from = 0, to;
    db_result_t result = DB_OK;

    for (; from < n && result == DB_OK && *all; from = to) {
        uint64_t affected = 0;

        to = from + 1;
        while (to < n && row[to].performance == row[from].performance) {
            to++;
        }

        write_update(&batch->sql, row + from, to - from);
        result = db_change_text(batch->db, &batch->sql, &affected);
        *all = affected == to - from;
    }

    return result;
}

/*
 * The same for standing places: the version guards the count.  It is the one
 * that was planned on; by now another thread may have read a newer one.
 */
static db_result_t take_places(batch_t *batch, const bucket_row_t *row,
                               unsigned n, bool *all)
{
    sql_t *sql = &batch->sql;
    uint64_t affected = 0;
    db_result_t result;

    if (n == 0) {
        return DB_OK;
    }

    sql_begin(sql, "take the standing places");
    sql_add(sql, "UPDATE (");
    for (unsigned i = 0; i < n; i++) {
        sql_add(sql,
                i == 0 ? "SELECT %u AS p, %u AS o, %u AS b, %u AS v, %u AS q"
                       : " UNION ALL SELECT %u, %u, %u, %u, %u",
                row[i].performance, row[i].part.pool_no, row[i].part.bucket,
                row[i].bucket->planned, row[i].part.quantity);
    }
    sql_add(sql, ") t STRAIGHT_JOIN pool_bucket b ON b.performance_id = t.p "
                 "AND b.pool_no = t.o AND b.bucket = t.b "
                 "SET b.held = b.held + t.q, b.version = t.v + 1 "
                 "WHERE b.version = t.v");
    result = db_change_text(batch->db, sql, &affected);
    *all = affected == n;

    return result;
}

/* Counts them; DB_REFUSED by the CHECK when somebody gets too much. */
static db_result_t count_visitors(batch_t *batch, const limit_row_t *row,
                                  unsigned n)
{
    sql_t *sql = &batch->sql;

    if (n == 0) {
        return DB_OK;
    }

    sql_begin(sql, "count what visitors have");
    sql_add(sql, "INSERT INTO user_limit "
                 "(performance_id, visitor, held, max_units) VALUES ");
    for (unsigned i = 0; i < n; i++) {
        sql_add(sql, "%s(%u, ", i == 0 ? "" : ", ", row[i].performance);
        sql_bytes(sql, row[i].visitor, VISITOR_BYTES);
        sql_add(sql, ", %u, %u)", row[i].units, row[i].max);
    }
    /* The row may have the limit of before. */
    sql_add(sql, " ON DUPLICATE KEY UPDATE max_units = VALUES(max_units), "
                 "held = held + VALUES(held)");

    return db_change_text(batch->db, sql, NULL);
}

static int by_id(const void *a, const void *b)
{
    return memcmp(&(*(bid_t *const *)a)->hold.id,
                  &(*(bid_t *const *)b)->hold.id, HOLD_ID_BYTES);
}

static void add_hold(sql_t *sql, const hold_t *hold)
{
    char items[HOLD_ITEMS_MAX + 1];

    hold_items_write(hold, items);
    sql_bytes(sql, hold->id.byte, HOLD_ID_BYTES);
    sql_add(sql, ", %u, ", hold->performance);
    sql_text(sql, hold->owner, strlen(hold->owner));
    sql_add(sql, ", ");
    if (hold->limited) {
        sql_bytes(sql, hold->visitor, VISITOR_BYTES);
    } else {
        sql_add(sql, "NULL");
    }
    sql_add(sql, ", %u, %u, ", hold_units(hold), hold->ttl_ms);
    sql_time(sql, hold->created_ms);
    sql_add(sql, ", ");
    sql_time(sql, hold->expires_ms);
    sql_add(sql, ", ");
    sql_bytes(sql, hold->fingerprint, FINGERPRINT_BYTES);
    sql_add(sql, ", ");
    sql_text(sql, items, strlen(items));
}

/* Writes the holds down; DB_DUPLICATE when one of them is there already. */
static db_result_t insert_holds(batch_t *batch)
{
    sql_t *sql = &batch->sql;

    qsort(batch->bid, batch->n, sizeof(batch->bid[0]), by_id);
    sql_begin(sql, "make the holds");
    sql_add(sql, "INSERT INTO hold (id, performance_id, owner, visitor, units, "
                 "ttl_ms, created_at, expires_at, fingerprint, items) VALUES ");
    for (unsigned i = 0; i < batch->n; i++) {
        sql_add(sql, i == 0 ? "(" : "), (");
        add_hold(sql, &batch->bid[i]->hold);
    }
    sql_add(sql, ")");

    return db_change_text(batch->db, sql, NULL);
}

/* The change of that performance; a new one for the first time. */
static change_t *change_of(batch_t *batch, uint32_t performance)
{
    unsigned i = 0, k = 0;

    while (i < batch->n_changes &&
           batch->change[i].performance != performance) {
        i++;
    }

    if (i == batch->n_changes) {
        while (batch->bid[k]->hold.performance != performance) {
            k++;
        }
        batch->change[i].performance = performance;
        batch->hall[i] = batch->bid[k]->hall;
        batch->n_changes++;
    }

    return &batch->change[i];
}

static void clear_changes(batch_t *batch)
{
    for (unsigned i = 0; i < batch->n_changes; i++) {
        change_t *change = &batch->change[i];

        change->n_seats = change->n_buckets = change->n_holds = 0;
    }

    batch->n_changes = 0;
}

/* What the rows are after the commit; -1 without memory. */
static int list_changes(batch_t *batch, const bucket_row_t *row, unsigned n)
{
    int rc = 0;

    clear_changes(batch);
    for (unsigned i = 0; i < batch->n; i++) {
        const hold_t *hold = &batch->bid[i]->hold;
        change_t *change = change_of(batch, hold->performance);

        rc |= change_add_hold(change, &hold->id);
        for (unsigned k = 0; k < hold->n_seats; k++) {
            rc |= change_add_seat(
                change, &(seat_change_t){hold->seat[k].seat_no, SEAT_HELD,
                                         hold->seat[k].version, hold->id,
                                         hold->expires_ms});
        }
    }

    for (unsigned i = 0; i < n; i++) {
        const hall_bucket_t *bucket = row[i].bucket;

        rc |= change_add_bucket(
            change_of(batch, row[i].performance),
            &(bucket_change_t){row[i].part.pool_no, row[i].part.bucket,
                               bucket->capacity,
                               bucket->held + row[i].part.quantity,
                               bucket->sold, bucket->version + 1});
    }

    return rc;
}

static db_result_t tell_others(batch_t *batch)
{
    db_result_t result = DB_OK;

    for (unsigned i = 0; i < batch->n_changes && result == DB_OK; i++) {
        result = outbox_add(batch->db, batch->hall[i]->room, &batch->change[i]);
    }

    return result;
}

/* The versions that were expected become those that are now. */
static void raise_versions(batch_t *batch)
{
    for (unsigned i = 0; i < batch->n; i++) {
        hold_t *hold = &batch->bid[i]->hold;

        for (unsigned k = 0; k < hold->n_seats; k++) {
            hold->seat[k].version++;
        }
    }
}

/* The rows that were taken, from the first lock to the last insert. */
static batch_result_t take(batch_t *batch)
{
    bucket_row_t bucket[BATCH_PARTS_MAX];
    limit_row_t limit[BATCH_MAX];
    unsigned n = batch_buckets(batch, bucket);
    bool all = true;
    db_result_t result = take_seats(batch, &all);

    if (result == DB_OK && all) {
        result = take_places(batch, bucket, n, &all);
    }

    if (result == DB_OK && !all) {
        return BATCH_AGAIN;
    }

    if (result == DB_OK) {
        result = count_visitors(batch, limit, batch_limits(batch, limit));
        batch->limited = result == DB_REFUSED;
        if (batch->limited) {
            return BATCH_AGAIN;
        }
    }

    if (result == DB_OK) {
        raise_versions(batch);
        result = insert_holds(batch);
    }

    if (result == DB_OK) {
        result = list_changes(batch, bucket, n) == 0 ? tell_others(batch)
                                                     : DB_FAILED;
    }

    return result == DB_OK ? BATCH_DONE : judge(result);
}

static void on_made(void *ctx, char *const *column)
{
    batch_t *batch = ctx;
    hold_id_t id;

    if (!hold_id_read(&id, column[0], strlen(column[0]))) {
        return;
    }

    for (unsigned i = 0; i < batch->n; i++) {
        if (hold_id_equal(&batch->bid[i]->hold.id, &id)) {
            batch->bid[i]->result = BID_REPEATED;
        }
    }
}

/* Marks those of the bids as repeated whose holds exist. */
static db_result_t find_made(batch_t *batch)
{
    sql_t *sql = &batch->sql;

    sql_begin(sql, "look the holds up");
    sql_add(sql, "SELECT HEX(id) FROM hold WHERE id IN ");
    for (unsigned i = 0; i < batch->n; i++) {
        sql_add(sql, i == 0 ? "(" : ", ");
        sql_bytes(sql, batch->bid[i]->hold.id.byte, HOLD_ID_BYTES);
    }
    sql_add(sql, ")");

    return db_select_text(batch->db, sql, on_made, batch);
}

/* Somebody's row of user_limit, and what is left of it. */
static void on_limit(void *ctx, char *const *column)
{
    batch_t *batch = ctx;
    uint32_t performance = (uint32_t)strtoul(column[0], NULL, 10);
    long left = strtol(column[2], NULL, 10), given = 0;
    hold_id_t visitor;

    if (!hold_id_read(&visitor, column[1], strlen(column[1]))) {
        return;
    }

    for (unsigned i = 0; i < batch->n; i++) {
        bid_t *bid = batch->bid[i];
        long units = (long)hold_units(&bid->hold);

        if (!bid->hold.limited || bid->hold.performance != performance ||
            memcmp(bid->hold.visitor, visitor.byte, VISITOR_BYTES) != 0) {
            continue;
        }

        /* Too much only together with others of this batch: it depends on
         * whether these get what they want. */
        if (units > left) {
            bid->result = bid->result == BID_OPEN ? BID_LIMITED : bid->result;
        } else if (units > left - given) {
            bid->alone = true;
        } else {
            given += units;
        }
    }
}

/*
 * Marks the bids that would exceed their visitor's limit.  A visitor without a
 * row has only those of this batch, which the limit itself bounds.
 */
static db_result_t find_limited(batch_t *batch)
{
    limit_row_t row[BATCH_MAX];
    unsigned n = batch_limits(batch, row);
    sql_t *sql = &batch->sql;

    sql_begin(sql, "read what visitors have");
    for (unsigned i = 0; i < n; i++) {
        sql_add(sql, "%sSELECT %u, '", i == 0 ? "" : " UNION ALL ",
                row[i].performance);
        sql_hex(sql, row[i].visitor, VISITOR_BYTES);
        sql_add(sql,
                "', %u - CAST(COALESCE((SELECT held + bought FROM user_limit "
                "WHERE performance_id = %u AND visitor = ",
                row[i].max, row[i].performance);
        sql_bytes(sql, row[i].visitor, VISITOR_BYTES);
        sql_add(sql, "), 0) AS SIGNED)");
    }

    return n == 0 ? DB_OK : db_select_text(batch->db, sql, on_limit, batch);
}

static batch_result_t judge_read(halls_result_t result)
{
    return result == HALLS_AWAY    ? BATCH_AWAY
           : result == HALLS_ERROR ? BATCH_FAILED
                                   : BATCH_AGAIN;
}

static batch_result_t read_seats(batch_t *batch, halls_t *halls)
{
    seat_row_t row[BATCH_SEATS_MAX];
    uint32_t seat_no[BATCH_SEATS_MAX];
    unsigned n = batch_seats(batch, row), from = 0, to;
    halls_result_t result = HALLS_OK;

    for (; from < n && result == HALLS_OK; from = to) {
        for (to = from; to < n && row[to].performance == row[from].performance;
             to++) {
            seat_no[to - from] = row[to].seat_no;
        }
        result = halls_read_seats(halls, batch->db, row[from].performance,
                                  seat_no, to - from);
    }

    return judge_read(result);
}

/* All buckets of a performance: another one may be the one to take from. */
static batch_result_t read_buckets(batch_t *batch, halls_t *halls)
{
    bucket_row_t row[BATCH_PARTS_MAX];
    unsigned n = batch_buckets(batch, row);
    halls_result_t result = HALLS_OK;

    for (unsigned i = 0; i < n && result == HALLS_OK; i++) {
        if (i == 0 || row[i].performance != row[i - 1].performance) {
            result = halls_read_buckets(halls, batch->db, row[i].performance);
        }
    }

    return judge_read(result);
}

/*
 * After a transaction that was rolled back: who has his hold already, who is
 * over his limit, and how the rows are now, into memory.
 */
/*
 * Who wants the best and lost twice gets all of the hall read: the next best
 * may be gone as well.
 */
static batch_result_t read_halls(batch_t *batch, halls_t *halls)
{
    halls_result_t result = HALLS_OK;

    for (unsigned i = 0; i < batch->n && result == HALLS_OK; i++) {
        const bid_t *bid = batch->bid[i];

        if (bid->wish.best.quantity > 0 && bid->tries >= 2 &&
            halls_now(halls) - bid->hall->loaded_ms > LOADED_MS) {
            result = halls_load(halls, batch->db, bid->hold.performance, NULL);
        }
    }

    return judge_read(result);
}

static batch_result_t look_again(batch_t *batch, halls_t *halls)
{
    db_result_t result = find_made(batch);
    batch_result_t read;

    clear_changes(batch);
    if (result == DB_OK && batch->limited) {
        result = find_limited(batch);
    }

    if (result != DB_OK) {
        return judge(result);
    }

    read = read_seats(batch, halls);

    if (read == BATCH_AGAIN) {
        read = read_buckets(batch, halls);
    }

    return read == BATCH_AGAIN ? read_halls(batch, halls) : read;
}

/*
 * COMMIT was not answered.  Only the database knows: ask it for the holds,
 * which were made all or none.
 */
static batch_result_t settle_commit(batch_t *batch)
{
    int64_t deadline = clock_ms() + SETTLE_MS;

    do {
        unsigned made = 0;

        if (db_connect(batch->db) == DB_OK && find_made(batch) == DB_OK) {
            for (unsigned i = 0; i < batch->n; i++) {
                made += batch->bid[i]->result == BID_REPEATED;
                batch->bid[i]->result = BID_OPEN;
            }
            log_line(LOG_LEVEL_WARN,
                     "the answer to COMMIT of %u holds was lost; it was %s",
                     batch->n, made == batch->n ? "done" : "not done");
            return made == batch->n ? BATCH_DONE : BATCH_AGAIN;
        }
        clock_sleep(PAUSE_MS);
    } while (clock_ms() < deadline);

    return BATCH_AWAY;
}

static batch_result_t try_batch(batch_t *batch, halls_t *halls)
{
    batch_result_t taken;
    db_result_t result = read_clock(batch, halls);

    if (result == DB_OK) {
        result = db_begin(batch->db);
    }

    if (result != DB_OK) {
        return judge(result);
    }

    date_holds(batch);
    taken = take(batch);
    if (taken != BATCH_DONE) {
        db_rollback(batch->db);
        return taken;
    }

    result = db_commit(batch->db);
    if (result == DB_LOST) {
        return settle_commit(batch);
    }

    if (result != DB_OK) {
        db_rollback(batch->db);
    }

    return result == DB_OK ? BATCH_DONE : judge(result);
}

batch_result_t batch_run(batch_t *batch, halls_t *halls)
{
    batch_result_t result;

    batch->limited = false;
    if (db_connect(batch->db) != DB_OK) {
        return BATCH_AWAY;
    }

    /*
     * A connection that broke in between is made once more; not again and
     * again, for a database that answers and takes no writes.
     */
    result = try_batch(batch, halls);
    if (result == BATCH_DONE) {
        batch->lost = false;
    } else if (result == BATCH_AWAY && !batch->lost &&
               db_connect(batch->db) == DB_OK) {
        batch->lost = true;
        result = BATCH_AGAIN;
    }

    return result == BATCH_AGAIN ? look_again(batch, halls) : result;
}

void batch_free(batch_t *batch)
{
    for (unsigned i = 0; i < BATCH_MAX; i++) {
        change_clear(&batch->change[i]);
    }

    sql_free(&batch->sql);
}
