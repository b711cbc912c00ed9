/*
 * Holds after they were made: reading them, listing an owner's, and making one
 * last longer.  hold_end.c ends them.
 *
 * Extending is guarded in two places, both in the lock order of all
 * transactions (seats, then the hold): every seat must still be the hold's and
 * its time not over, and the hold active, never extended before, and its time
 * not over either.  Whoever takes a lapsed seat over needs that seat's row, so
 * one of the two comes first and the other finds its guard false.
 */
#include <stdlib.h>
#include <string.h>

#include "hold_rows.h"
#include "retry.h"

typedef struct {
    hold_row_t row;
    bool found;
} finding_t;

static void take_one(void *ctx, const hold_row_t *row)
{
    finding_t *finding = ctx;

    finding->row = *row;
    finding->found = true;
}

/* The hold of that id and owner. */
static db_result_t find(db_t *db, const hold_t *hold, finding_t *finding)
{
    sql_t sql = {0};
    db_result_t result;

    finding->found = false;
    hold_rows_begin(&sql, "read a hold");
    sql_add(&sql, "h.id = ");
    sql_bytes(&sql, hold->id.byte, sizeof(hold->id.byte));
    sql_add(&sql, " AND h.owner = ");
    sql_text(&sql, hold->owner, strlen(hold->owner));
    result = hold_rows_read(db, &sql, take_one, finding);
    sql_free(&sql);

    return result;
}

/* What the owner is told of it. */
static hold_result_t judge(const finding_t *finding)
{
    if (!finding->found || finding->row.state == HOLD_ROW_RELEASED) {
        return HOLD_UNKNOWN;
    }

    return finding->row.state == HOLD_ROW_ACTIVE &&
                   finding->row.hold.expires_ms > finding->row.hold.now_ms
               ? HOLD_DONE
               : HOLD_EXPIRED;
}

static bool may_repeat(hold_result_t result)
{
    return result == HOLD_BUSY || result == HOLD_UNAVAILABLE;
}

hold_result_t hold_read(db_t *db, hold_t *hold, bool *released)
{
    hold_result_t result = HOLD_UNAVAILABLE;
    retry_t retry = {0};
    finding_t finding;

    *released = false;
    while (may_repeat(result) && retry_next(&retry)) {
        if (db_connect(db) != DB_OK) {
            return HOLD_UNAVAILABLE;
        }
        result = hold_result_of(find(db, hold, &finding));
    }

    if (result != HOLD_DONE) {
        return result;
    }

    if (finding.found) {
        *hold = finding.row.hold;
        *released = finding.row.state == HOLD_ROW_RELEASED;
    }

    return judge(&finding);
}

typedef struct {
    hold_t *hold;
    unsigned max, n;
} list_t;

static void take_next(void *ctx, const hold_row_t *row)
{
    list_t *list = ctx;

    if (list->n < list->max) {
        list->hold[list->n++] = row->hold;
    }
}

/* All that an owner has of a performance lies together in the primary key,
 * among that of few others. */
static db_result_t list_once(db_t *db, uint32_t performance, const char *owner,
                             list_t *list)
{
    hold_id_t first, last;
    sql_t sql = {0};
    db_result_t result;

    list->n = 0;
    hold_id_first(&first, performance, owner);
    hold_id_last(&last, performance, owner);
    hold_rows_begin(&sql, "list holds");
    sql_add(&sql, "h.id BETWEEN ");
    sql_bytes(&sql, first.byte, sizeof(first.byte));
    sql_add(&sql, " AND ");
    sql_bytes(&sql, last.byte, sizeof(last.byte));
    sql_add(&sql, " AND h.owner = ");
    sql_text(&sql, owner, strlen(owner));
    sql_add(&sql,
            " AND h.state = 'active' AND h.expires_at > UTC_TIMESTAMP(3) "
            "ORDER BY h.created_at, h.id LIMIT %u",
            list->max);
    result = hold_rows_read(db, &sql, take_next, list);
    sql_free(&sql);

    return result;
}

hold_result_t hold_list(db_t *db, uint32_t performance, const char *owner,
                        hold_t *holds, unsigned max, unsigned *n)
{
    hold_result_t result = HOLD_UNAVAILABLE;
    list_t list = {.hold = holds, .max = max};
    retry_t retry = {0};

    while (may_repeat(result) && retry_next(&retry)) {
        if (db_connect(db) != DB_OK) {
            return HOLD_UNAVAILABLE;
        }
        result = hold_result_of(list_once(db, performance, owner, &list));
    }
    *n = list.n;

    return result;
}

/* The seats that an extension has locked. */
typedef struct {
    change_t *change;
    const hold_t *hold;
    int64_t expires_ms;
    unsigned n;
    bool failed;
} locking_t;

static void on_locked(void *ctx, char *const *column)
{
    locking_t *locking = ctx;
    seat_change_t seat = {
        .seat_no = (uint32_t)strtoul(column[0], NULL, 10),
        .state = SEAT_HELD,
        .version = (uint32_t)strtoul(column[1], NULL, 10) + 1,
        .hold = locking->hold->id,
        .expires_ms = locking->expires_ms,
    };

    locking->n++;
    if (change_add_seat(locking->change, &seat) != 0) {
        locking->failed = true;
    }
}

/* The condition on the seats: all of the hold's that it still has. */
static void add_seats(sql_t *sql, const hold_t *hold)
{
    bool first = true;

    sql_add(sql, "WHERE performance_id = %u AND seat_no IN (",
            hold->performance);
    hold_rows_add_seats(sql, hold, &first);
    sql_add(sql, ") AND state = 'held' AND hold_id = ");
    sql_bytes(sql, hold->id.byte, sizeof(hold->id.byte));
}

/* Locks the hold's seats and makes them last.  *all: it had all of them. */
static db_result_t extend_seats(db_t *db, const hold_t *hold,
                                int64_t expires_ms, change_t *change, bool *all)
{
    locking_t locking = {
        .change = change, .hold = hold, .expires_ms = expires_ms};
    sql_t sql = {0};
    uint64_t affected = 0;
    db_result_t result;

    *all = true;
    if (hold->n_seats == 0) {
        return DB_OK;
    }

    sql_begin(&sql, "lock the seats of a hold");
    sql_add(&sql, "SELECT seat_no, version FROM seat ");
    add_seats(&sql, hold);
    sql_add(&sql, " AND expires_at > UTC_TIMESTAMP(3) "
                  "ORDER BY seat_no FOR UPDATE");
    result = db_select_text(db, &sql, on_locked, &locking);
    *all = locking.n == hold->n_seats;

    if (result == DB_OK && *all) {
        sql_begin(&sql, "extend the seats of a hold");
        sql_add(&sql, "UPDATE seat SET version = version + 1, expires_at = ");
        sql_time(&sql, expires_ms);
        sql_add(&sql, " ");
        add_seats(&sql, hold);
        result = db_change_text(db, &sql, &affected);
        *all = affected == hold->n_seats;
    }
    sql_free(&sql);

    return result == DB_OK && locking.failed ? DB_FAILED : result;
}

/* *done: the hold was still to be extended. */
static db_result_t extend_row(db_t *db, const hold_t *hold, int64_t expires_ms,
                              bool *done)
{
    sql_t sql = {0};
    uint64_t affected = 0;
    db_result_t result;

    sql_begin(&sql, "extend a hold");
    sql_add(&sql, "UPDATE hold SET extended = 1, expires_at = ");
    sql_time(&sql, expires_ms);
    sql_add(&sql, " WHERE id = ");
    sql_bytes(&sql, hold->id.byte, sizeof(hold->id.byte));
    sql_add(&sql, " AND state = 'active' AND extended = 0 "
                  "AND expires_at > UTC_TIMESTAMP(3)");
    result = db_change_text(db, &sql, &affected);
    sql_free(&sql);
    *done = affected == 1;

    return result;
}

/* Whether it can be extended, as far as reading shows; *expires_ms: to when. */
static hold_result_t plan_extension(const finding_t *finding,
                                    int64_t *expires_ms)
{
    const hold_row_t *row = &finding->row;
    hold_result_t result = judge(finding);
    int64_t last_ms;

    if (result != HOLD_DONE) {
        return result;
    }

    if (row->hold.extended) {
        return HOLD_EXTENDED;
    }

    last_ms = row->hold.created_ms + row->hold_max_ms;
    *expires_ms = row->hold.now_ms + row->hold_ttl_ms;
    if (*expires_ms > last_ms) {
        *expires_ms = last_ms;
    }

    return *expires_ms > row->hold.expires_ms ? HOLD_DONE : HOLD_AT_MAXIMUM;
}

hold_result_t hold_extend(db_t *db, hold_t *hold, change_t *change)
{
    int64_t expires_ms = 0;
    finding_t finding;
    bool done = true;
    db_result_t result = find(db, hold, &finding);
    hold_result_t plan =
        result == DB_OK ? plan_extension(&finding, &expires_ms) : HOLD_DONE;

    if (plan != HOLD_DONE) {
        return plan;
    }

    if (result == DB_OK) {
        *hold = finding.row.hold;
        change->performance = hold->performance;
        result = extend_seats(db, hold, expires_ms, change, &done);
    }

    if (result == DB_OK && done) {
        result = extend_row(db, hold, expires_ms, &done);
    }

    /* Somebody was faster: what is it now?  With a seat lost it is over. */
    if (result == DB_OK && !done) {
        result = find(db, hold, &finding);
        plan = plan_extension(&finding, &expires_ms);
        return result != DB_OK     ? hold_result_of(result)
               : plan == HOLD_DONE ? HOLD_EXPIRED
                                   : plan;
    }

    if (result == DB_OK) {
        hold->expires_ms = expires_ms;
        hold->extended = true;
    }

    return hold_result_of(result);
}
