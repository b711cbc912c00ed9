/*
 * Reading holds.  Never with a lock: items and owner of a hold do not change,
 * and what does is guarded by the statement that changes it.
 */
#include <stdlib.h>
#include <string.h>

#include "hold_rows.h"
#include "log.h"

/* Milliseconds since 1970 of a DATETIME(3). */
#define SINCE_1970(time)                                                       \
    "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " time ") DIV 1000"

typedef struct {
    void (*take)(void *ctx, const hold_row_t *row);
    void *ctx;
} reading_t;

hold_result_t hold_result_of(db_result_t result)
{
    switch (result) {
    case DB_OK:
        return HOLD_DONE;
    case DB_BUSY:
        return HOLD_BUSY;
    case DB_LOST:
        return HOLD_UNAVAILABLE;
    default:
        return HOLD_ERROR;
    }
}

/* Hold first, whatever the optimizer thinks of a small table performance: the
 * caller's condition is on it, and so is the index. */
void hold_rows_begin(sql_t *sql, const char *what)
{
    sql_begin(sql, what);
    sql_add(sql, "SELECT HEX(h.id), h.performance_id, h.owner, HEX(h.visitor), "
                 "h.state, h.extended, h.ttl_ms, ");
    sql_add(sql, SINCE_1970("h.created_at") ", " SINCE_1970("h.expires_at"));
    sql_add(sql, ", " SINCE_1970(
                     "UTC_TIMESTAMP(3)") ", HEX(h.fingerprint), "
                                         "h.items, p.room, p.hold_ttl_ms, "
                                         "p.hold_max_ms ");
    sql_add(sql, "FROM hold h STRAIGHT_JOIN performance p "
                 "ON p.id = h.performance_id WHERE ");
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t len = strnlen(from, size - 1);

    memcpy(to, from, len);
    to[len] = '\0';
}

static uint32_t to_uint(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

/* 16 bytes from hexadecimal; zeros where there are none. */
static bool read_bytes(unsigned char *to, const char *text)
{
    hold_id_t bytes = {0};
    bool given = text != NULL && hold_id_read(&bytes, text, strlen(text));

    _Static_assert(VISITOR_BYTES == HOLD_ID_BYTES, "one length");
    _Static_assert(FINGERPRINT_BYTES == HOLD_ID_BYTES, "one length");
    memcpy(to, bytes.byte, HOLD_ID_BYTES);

    return given;
}

static void on_row(void *ctx, char *const *column)
{
    const reading_t *reading = ctx;
    hold_row_t row = {0};
    hold_t *hold = &row.hold;

    read_bytes(hold->id.byte, column[0]);
    hold->performance = to_uint(column[1]);
    copy_text(hold->owner, sizeof(hold->owner), column[2]);
    hold->limited = read_bytes(hold->visitor, column[3]);
    row.state = strcmp(column[4], "active") == 0     ? HOLD_ROW_ACTIVE
                : strcmp(column[4], "released") == 0 ? HOLD_ROW_RELEASED
                                                     : HOLD_ROW_EXPIRED;
    hold->extended = to_uint(column[5]) != 0;
    hold->ttl_ms = to_uint(column[6]);
    hold->created_ms = strtoll(column[7], NULL, 10);
    hold->expires_ms = strtoll(column[8], NULL, 10);
    hold->now_ms = strtoll(column[9], NULL, 10);
    read_bytes(hold->fingerprint, column[10]);

    /* A hold without places can still be ended, and so nothing waits for it. */
    if (hold_items_read(hold, column[11]) != 0) {
        log_line(LOG_LEVEL_ERROR,
                 "hold %s: its items cannot be read: \"%s\"; what it held is "
                 "not known",
                 column[0], column[11]);
    }

    copy_text(row.room, sizeof(row.room), column[12]);
    row.hold_ttl_ms = to_uint(column[13]);
    row.hold_max_ms = to_uint(column[14]);
    reading->take(reading->ctx, &row);
}

db_result_t hold_rows_read(db_t *db, const sql_t *sql,
                           void (*take)(void *ctx, const hold_row_t *row),
                           void *ctx)
{
    reading_t reading = {.take = take, .ctx = ctx};

    return db_select_text(db, sql, on_row, &reading);
}

void hold_rows_add_seats(sql_t *sql, const hold_t *hold, bool *first)
{
    for (unsigned i = 0; i < hold->n_seats; i++) {
        sql_add(sql, "%s%u", *first ? "" : ",", hold->seat[i].seat_no);
        *first = false;
    }
}
