/*
 * Rows of seat by the seats' names, for operators.
 */
#ifndef ADMIN_SEAT_ROWS_H
#define ADMIN_SEAT_ROWS_H

#include "change.h"
#include "db.h"
#include "seat.h"

typedef struct {
    char name[SEAT_NAME_MAX + 1];
    uint32_t version; /* as it is expected to be */

    /* As it was read. */
    bool found;
    seat_change_t now;
    seat_state_t shown; /* free when its hold has run out */
} seat_row_t;

typedef struct {
    unsigned n;
    seat_row_t *row; /* the caller's, sorted by name */
} seat_rows_t;

/* Reads the rows of a performance, of those named. */
db_result_t seat_rows_read(db_t *db, uint32_t performance, seat_rows_t *rows);

/* The first that is not there, or NULL. */
const seat_row_t *seat_rows_missing(const seat_rows_t *rows);

/* The room of the performance; empty: there is no such performance. */
db_result_t seat_rows_room(db_t *db, uint32_t performance, char *room,
                           size_t room_len);

#endif
