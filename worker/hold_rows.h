/*
 * Rows of the table hold, as the files read them that end or extend holds.
 */
#ifndef HOLD_ROWS_H
#define HOLD_ROWS_H

#include "holds.h"
#include "sql.h"

typedef struct {
    hold_t hold;
    enum {
        HOLD_ROW_ACTIVE, /* until hold.expires_ms */
        HOLD_ROW_RELEASED,
        HOLD_ROW_EXPIRED
    } state;

    /* Of its performance. */
    char room[HALL_ROOM_MAX + 1];
    uint32_t hold_ttl_ms, hold_max_ms;
} hold_row_t;

/*
 * Begins a SELECT of such rows, up to and with "WHERE"; the caller adds the
 * rest, with columns of hold as h and of performance as p.
 */
void hold_rows_begin(sql_t *sql, const char *what);

/* Runs it, and hands each row to take, which keeps a copy if it wants one. */
db_result_t hold_rows_read(db_t *db, const sql_t *sql,
                           void (*take)(void *ctx, const hold_row_t *row),
                           void *ctx);

/* Adds the numbers of the hold's seats, each after a comma unless *first. */
void hold_rows_add_seats(sql_t *sql, const hold_t *hold, bool *first);

/* What a failed statement means to who asked. */
hold_result_t hold_result_of(db_result_t result);

#endif
