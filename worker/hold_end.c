/*
 * The end of holds: released by their owner, or swept because their time is
 * over.  Both give back what the hold still has, which for a lapsed one may be
 * less than it was made with: its seats can be taken over at any time.  Its
 * standing places and its share of the visitor's limit come back only here.
 *
 * What is given back is decided by guards, in the lock order of all
 * transactions: seats that still carry the hold's id, then buckets, limits,
 * and the hold itself, which must still be active.  Who finds it ended rolls
 * back: somebody else has given all of it back.
 */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hold_rows.h"
#include "log.h"
#include "outbox.h"
#include "retry.h"

#define BAD_QUIET_MS 60000 /* from one line about a bad hold to the next */

/* Which guard has refused a transaction, that would refuse it again. */
typedef enum {
    REFUSED_BY_NONE,
    REFUSED_BY_PLACES, /* fewer are held than the holds have */
    REFUSED_BY_HOLD    /* one was ended or extended meanwhile */
} refusal_t;

/* Holds of one performance that end in one transaction. */
typedef struct {
    hold_row_t *row;
    unsigned n;
    bool lapsed; /* only what has run out, as the sweeper wants it */
    sql_t sql;
    change_t change;
    bool failed; /* no memory for the change */
    refusal_t refusal;
} ending_t;

static uint32_t performance_of(const ending_t *ending)
{
    return ending->row[0].hold.performance;
}

static void add_ids(sql_t *sql, const ending_t *ending)
{
    for (unsigned i = 0; i < ending->n; i++) {
        sql_add(sql, i ? "," : "(");
        sql_bytes(sql, ending->row[i].hold.id.byte, HOLD_ID_BYTES);
    }
    sql_add(sql, ")");
}

/* What a guarded statement has come to: DB_BUSY if its guard refuses. */
static db_result_t guarded(ending_t *ending, db_result_t result, bool good,
                           refusal_t refusal)
{
    if (result == DB_OK && !good) {
        ending->refusal = refusal;
        return DB_BUSY;
    }

    return result;
}

static uint32_t to_uint(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static void on_seat(void *ctx, char *const *column)
{
    ending_t *ending = ctx;
    seat_change_t seat = {.seat_no = to_uint(column[0]),
                          .state = SEAT_FREE,
                          .version = to_uint(column[1]) + 1};

    if (change_add_seat(&ending->change, &seat) != 0) {
        ending->failed = true;
    }
}

/* Locks the seats that are still the holds'. */
static db_result_t lock_seats(db_t *db, ending_t *ending)
{
    sql_t *sql = &ending->sql;
    bool none = true;

    sql_begin(sql, "lock the seats of holds that end");
    sql_add(sql,
            "SELECT seat_no, version FROM seat "
            "WHERE performance_id = %u AND seat_no IN (",
            performance_of(ending));
    for (unsigned i = 0; i < ending->n; i++) {
        hold_rows_add_seats(sql, &ending->row[i].hold, &none);
    }

    if (none) {
        return DB_OK;
    }

    sql_add(sql, ") AND state = 'held' AND hold_id IN ");
    add_ids(sql, ending);
    if (ending->lapsed) {
        sql_add(sql, " AND expires_at <= UTC_TIMESTAMP(3)");
    }
    sql_add(sql, " ORDER BY seat_no FOR UPDATE");

    return db_select_text(db, sql, on_seat, ending);
}

/* Frees what lock_seats has found. */
static db_result_t free_seats(db_t *db, ending_t *ending)
{
    sql_t *sql = &ending->sql;
    const change_t *change = &ending->change;
    uint64_t affected = 0;
    db_result_t result;

    if (change->n_seats == 0) {
        return DB_OK;
    }

    sql_begin(sql, "free the seats of holds that end");
    sql_add(sql,
            "UPDATE seat SET state = 'free', hold_id = NULL, "
            "expires_at = NULL, version = version + 1 "
            "WHERE performance_id = %u AND seat_no IN (",
            performance_of(ending));
    for (unsigned i = 0; i < change->n_seats; i++) {
        sql_add(sql, "%s%u", i ? "," : "", change->seat[i].seat_no);
    }
    sql_add(sql, ") AND state = 'held' AND hold_id IN ");
    add_ids(sql, ending);
    result = db_change_text(db, sql, &affected);

    return guarded(ending, result, affected == change->n_seats,
                   REFUSED_BY_PLACES);
}

static int by_bucket(const void *a, const void *b)
{
    const standing_part_t *x = a, *y = b;

    return x->pool_no != y->pool_no ? (int)x->pool_no - (int)y->pool_no
                                    : (int)x->bucket - (int)y->bucket;
}

/* All parts of the holds, each bucket once, in the order of their locks. */
static unsigned gather_parts(const ending_t *ending, standing_part_t *part)
{
    unsigned n = 0, merged = 0;

    for (unsigned i = 0; i < ending->n; i++) {
        const hold_t *hold = &ending->row[i].hold;

        memcpy(part + n, hold->part, hold->n_parts * sizeof(*part));
        n += hold->n_parts;
    }
    qsort(part, n, sizeof(*part), by_bucket);

    for (unsigned i = 0; i < n; i++) {
        if (merged > 0 && by_bucket(&part[merged - 1], &part[i]) == 0) {
            part[merged - 1].quantity += part[i].quantity;
        } else {
            part[merged++] = part[i];
        }
    }

    return merged;
}

static void on_bucket(void *ctx, char *const *column)
{
    ending_t *ending = ctx;
    bucket_change_t bucket = {.pool_no = (uint16_t)to_uint(column[0]),
                              .bucket = (uint16_t)to_uint(column[1]),
                              .capacity = to_uint(column[2]),
                              .held = to_uint(column[3]),
                              .sold = to_uint(column[4]),
                              .version = to_uint(column[5])};

    if (change_add_bucket(&ending->change, &bucket) != 0) {
        ending->failed = true;
    }
}

/*
 * Lowers the buckets one after the other, and reads what they are now.
 * DB_BUSY: somebody has given these places back already.
 */
static db_result_t return_parts(db_t *db, ending_t *ending,
                                const standing_part_t *part, unsigned n)
{
    sql_t *sql = &ending->sql;
    db_result_t result = DB_OK;
    uint64_t affected = 1;

    for (unsigned i = 0; i < n && result == DB_OK && affected == 1; i++) {
        sql_begin(sql, "give standing places back");
        sql_add(sql,
                "UPDATE pool_bucket SET held = held - %u, "
                "version = version + 1 WHERE performance_id = %u "
                "AND pool_no = %u AND bucket = %u AND held >= %u",
                part[i].quantity, performance_of(ending), part[i].pool_no,
                part[i].bucket, part[i].quantity);
        result = db_change_text(db, sql, &affected);
    }

    if (n == 0 || result != DB_OK || affected != 1) {
        return guarded(ending, result, affected == 1, REFUSED_BY_PLACES);
    }

    sql_begin(sql, "read the buckets that places came back to");
    sql_add(sql,
            "SELECT pool_no, bucket, capacity, held, sold, version "
            "FROM pool_bucket WHERE performance_id = %u AND (",
            performance_of(ending));
    for (unsigned i = 0; i < n; i++) {
        sql_add(sql, "%s(pool_no = %u AND bucket = %u)", i ? " OR " : "",
                part[i].pool_no, part[i].bucket);
    }
    sql_add(sql, ")");

    return db_select_text(db, sql, on_bucket, ending);
}

static db_result_t return_places(db_t *db, ending_t *ending)
{
    standing_part_t *part = malloc(ending->n * sizeof(ending->row->hold.part));
    db_result_t result;

    if (part == NULL) {
        return DB_FAILED;
    }

    result = return_parts(db, ending, part, gather_parts(ending, part));
    free(part);

    return result;
}

static int by_visitor(const void *a, const void *b)
{
    return memcmp(((const hold_row_t *)a)->hold.visitor,
                  ((const hold_row_t *)b)->hold.visitor, VISITOR_BYTES);
}

/*
 * Adds the visitors of limited holds to in, separated by commas, and how much
 * each of them has to units, as the cases of a CASE.  Returns how many there
 * are.  Sorts the rows, so that those of a visitor are neighbours.
 */
static unsigned gather_visitors(ending_t *ending, sql_t *in, sql_t *units)
{
    unsigned n = 0, sum = 0;

    qsort(ending->row, ending->n, sizeof(ending->row[0]), by_visitor);
    for (unsigned i = 0; i < ending->n; i++) {
        const hold_t *hold = &ending->row[i].hold;

        sum += hold->limited ? hold_units(hold) : 0;
        if (sum == 0 ||
            (i + 1 < ending->n &&
             by_visitor(&ending->row[i], &ending->row[i + 1]) == 0)) {
            continue;
        }

        sql_add(in, "%s", n > 0 ? "," : "");
        sql_bytes(in, hold->visitor, VISITOR_BYTES);
        sql_add(units, " WHEN ");
        sql_bytes(units, hold->visitor, VISITOR_BYTES);
        sql_add(units, " THEN %u", sum);
        sum = 0;
        n++;
    }

    return n;
}

/*
 * Lowers what counts for the visitors' limits, in one statement that goes
 * through them in the order of the primary key.  DB_BUSY: as with places.
 */
static db_result_t return_limits(db_t *db, ending_t *ending)
{
    sql_t *sql = &ending->sql;
    sql_t in = {0}, units = {0};
    db_result_t result = DB_OK;
    uint64_t affected = 0;
    unsigned n;

    sql_begin(&in, "list visitors");
    sql_begin(&units, "add up what visitors have");
    n = gather_visitors(ending, &in, &units);

    if (n > 0 && (in.text == NULL || units.text == NULL)) {
        ending->failed = true;
    } else if (n > 0) {
        sql_begin(sql, "lower the visitors' limits");
        sql_add(sql,
                "UPDATE user_limit SET held = held - CASE visitor%s END "
                "WHERE performance_id = %u AND visitor IN (%s) "
                "AND held >= CASE visitor%s END",
                units.text, performance_of(ending), in.text, units.text);
        result = db_change_text(db, sql, &affected);
        result = guarded(ending, result, affected == n, REFUSED_BY_PLACES);
    }
    sql_free(&in);
    sql_free(&units);

    return result;
}

/* Ends the holds themselves.  DB_BUSY: one of them had been ended, or lasts
 * longer than was read. */
static db_result_t mark_ended(db_t *db, ending_t *ending)
{
    sql_t *sql = &ending->sql;
    uint64_t affected = 0;
    db_result_t result;

    sql_begin(sql, "end holds");
    sql_add(sql, "UPDATE hold SET state = '%s' WHERE id IN ",
            ending->lapsed ? "expired" : "released");
    add_ids(sql, ending);
    sql_add(sql, " AND state = 'active'");
    if (ending->lapsed) {
        sql_add(sql, " AND expires_at <= UTC_TIMESTAMP(3)");
    }
    result = db_change_text(db, sql, &affected);

    return guarded(ending, result, affected == ending->n, REFUSED_BY_HOLD);
}

/* All of it, up to before the COMMIT. */
static db_result_t give_back(db_t *db, ending_t *ending)
{
    db_result_t result = lock_seats(db, ending);

    if (result == DB_OK) {
        result = free_seats(db, ending);
    }

    if (result == DB_OK) {
        result = return_places(db, ending);
    }

    if (result == DB_OK) {
        result = return_limits(db, ending);
    }

    if (result == DB_OK) {
        result = mark_ended(db, ending);
    }

    if (result == DB_OK && ending->failed) {
        log_line(LOG_LEVEL_ERROR, "no memory to end a hold");
        result = DB_FAILED;
    }

    return result == DB_OK
               ? outbox_add(db, ending->row[0].room, &ending->change)
               : result;
}

/* The transaction.  HOLD_BUSY: look again, and try again, unless refused. */
static hold_result_t end_holds(db_t *db, halls_t *halls, hold_row_t *row,
                               unsigned n, bool lapsed, refusal_t *refusal)
{
    ending_t ending = {.row = row, .n = n, .lapsed = lapsed};
    db_result_t result = db_begin(db);

    ending.change.performance = row[0].hold.performance;
    if (result == DB_OK) {
        result = give_back(db, &ending);
    }

    if (result == DB_OK) {
        result = db_commit(db);
    }

    if (result == DB_OK) {
        halls_apply(halls, &ending.change);
    } else {
        db_rollback(db);
    }

    *refusal = ending.refusal;
    change_clear(&ending.change);
    sql_free(&ending.sql);

    return hold_result_of(result);
}

typedef struct {
    hold_row_t *row;
    unsigned max, n;
} rows_t;

static void take_row(void *ctx, const hold_row_t *row)
{
    rows_t *rows = ctx;

    if (rows->n < rows->max) {
        rows->row[rows->n++] = *row;
    }
}

static hold_result_t try_release(db_t *db, halls_t *halls, const hold_t *hold)
{
    hold_row_t row;
    rows_t rows = {.row = &row, .max = 1};
    sql_t sql = {0};
    refusal_t refusal;
    db_result_t result;

    hold_rows_begin(&sql, "read a hold to release");
    sql_add(&sql, "h.id = ");
    sql_bytes(&sql, hold->id.byte, HOLD_ID_BYTES);
    sql_add(&sql, " AND h.owner = ");
    sql_text(&sql, hold->owner, strlen(hold->owner));
    result = hold_rows_read(db, &sql, take_row, &rows);
    sql_free(&sql);

    if (result != DB_OK) {
        return hold_result_of(result);
    }

    if (rows.n == 0) {
        return HOLD_UNKNOWN;
    }

    return row.state == HOLD_ROW_ACTIVE
               ? end_holds(db, halls, &row, 1, false, &refusal)
               : HOLD_DONE;
}

hold_result_t hold_release(db_t *db, halls_t *halls, const hold_t *hold)
{
    hold_result_t result = HOLD_BUSY;
    retry_t retry = {0};

    while ((result == HOLD_BUSY || result == HOLD_UNAVAILABLE) &&
           retry_next(&retry)) {
        if (db_connect(db) != DB_OK) {
            return HOLD_UNAVAILABLE;
        }
        result = try_release(db, halls, hold);
    }

    return result;
}

static int by_performance(const void *a, const void *b)
{
    uint32_t x = ((const hold_row_t *)a)->hold.performance;
    uint32_t y = ((const hold_row_t *)b)->hold.performance;

    return (x > y) - (x < y);
}

/*
 * Reads the next that have run out.  The key (state, expires_at), which ends
 * with the id, begins with them: what has ended before is not looked at.
 */
static hold_result_t find_lapsed(db_t *db, const hold_sweep_t *sweep,
                                 rows_t *rows)
{
    sql_t sql = {0};
    db_result_t result;

    rows->n = 0;
    hold_rows_begin(&sql, "look for holds that have run out");
    sql_add(&sql, "h.state = 'active' AND h.expires_at <= UTC_TIMESTAMP(3)");
    if (sweep->after_ms != 0) {
        sql_add(&sql, " AND h.expires_at >= ");
        sql_time(&sql, sweep->after_ms);
        sql_add(&sql, " AND (h.expires_at > ");
        sql_time(&sql, sweep->after_ms);
        sql_add(&sql, " OR h.id > ");
        sql_bytes(&sql, sweep->after.byte, HOLD_ID_BYTES);
        sql_add(&sql, ")");
    }
    sql_add(&sql, " ORDER BY h.expires_at, h.id LIMIT %u", rows->max);
    result = hold_rows_read(db, &sql, take_row, rows);
    sql_free(&sql);

    return hold_result_of(result);
}

/* Who comes next: the one after the last, or the first when the end was
 * reached. */
static void move_on(hold_sweep_t *sweep, const rows_t *rows)
{
    sweep->more = rows->n == rows->max;
    sweep->after_ms = 0;
    if (sweep->more) {
        sweep->after_ms = rows->row[rows->n - 1].hold.expires_ms;
        sweep->after = rows->row[rows->n - 1].hold.id;
    }
}

static void tell_bad(hold_sweep_t *sweep, const hold_t *hold)
{
    char id[HOLD_ID_LEN + 1];

    if (clock_ms() < sweep->quiet_until_ms) {
        return;
    }

    sweep->quiet_until_ms = clock_ms() + BAD_QUIET_MS;
    hold_id_write(&hold->id, id);
    log_line(LOG_LEVEL_ERROR,
             "hold %s of performance %u has run out and cannot be ended: its "
             "buckets or its visitor's limit have fewer held than it has; set "
             "their held right",
             id, hold->performance);
}

/*
 * Ends holds of one performance that have run out: together, or one by one
 * when a guard refuses them together.  HOLD_DONE even if some or all are left,
 * also by a lock: the next round finds them again.
 */
static hold_result_t end_lapsed(db_t *db, halls_t *halls, hold_sweep_t *sweep,
                                hold_row_t *row, unsigned n)
{
    refusal_t refusal;
    hold_result_t result = end_holds(db, halls, row, n, true, &refusal);

    if (result == HOLD_DONE) {
        sweep->ended += n;
    } else if (result == HOLD_BUSY && refusal != REFUSED_BY_NONE && n > 1) {
        result = HOLD_DONE;
        for (unsigned i = 0; i < n && result == HOLD_DONE; i++) {
            result = end_lapsed(db, halls, sweep, &row[i], 1);
        }
    } else if (result == HOLD_BUSY && refusal == REFUSED_BY_PLACES) {
        tell_bad(sweep, &row->hold);
    }

    return result == HOLD_BUSY ? HOLD_DONE : result;
}

/* One transaction for each performance. */
static hold_result_t try_sweep(db_t *db, halls_t *halls, rows_t *rows,
                               hold_sweep_t *sweep)
{
    hold_result_t result = find_lapsed(db, sweep, rows);
    unsigned next;

    if (result != HOLD_DONE) {
        return result;
    }

    move_on(sweep, rows);
    qsort(rows->row, rows->n, sizeof(rows->row[0]), by_performance);
    for (unsigned i = 0; i < rows->n && result == HOLD_DONE; i = next) {
        next = i + 1;
        while (next < rows->n &&
               by_performance(&rows->row[i], &rows->row[next]) == 0) {
            next++;
        }

        result = end_lapsed(db, halls, sweep, &rows->row[i], next - i);
    }

    return result;
}

hold_result_t hold_sweep(db_t *db, halls_t *halls, unsigned max,
                         hold_sweep_t *sweep)
{
    rows_t rows = {.row = calloc(max, sizeof(hold_row_t)), .max = max};
    hold_result_t result = HOLD_UNAVAILABLE;
    retry_t retry = {0};

    sweep->ended = 0;
    sweep->more = false;
    if (rows.row == NULL) {
        return HOLD_ERROR;
    }

    while (result == HOLD_UNAVAILABLE && retry_next(&retry)) {
        result = db_connect(db) == DB_OK ? try_sweep(db, halls, &rows, sweep)
                                         : HOLD_UNAVAILABLE;
    }
    free(rows.row);

    return result;
}
