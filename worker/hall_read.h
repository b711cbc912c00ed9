/*
 * A performance as it is in the database.
 */
#ifndef HALL_READ_H
#define HALL_READ_H

#include "db.h"
#include "hall.h"

/* What an operator may change of a performance, and which map it has. */
typedef struct {
    bool found;
    uint32_t map_id, version;
    char name[HALL_NAME_MAX + 1];
    char room[HALL_ROOM_MAX + 1];
    uint32_t hold_ttl_ms, hold_max_ms, max_per_user;
    int64_t starts_ms, sale_opens_ms, sale_closes_ms;
    int64_t now_ms; /* the database's clock */
} hall_row_read_t;

db_result_t hall_read_row(db_t *db, uint32_t performance, hall_row_read_t *row);

/*
 * Makes the hall of that map: finished, but for the states.  DB_OK with *hall
 * NULL: no memory, or the map is not whole (the log says so).
 */
db_result_t hall_read_map(db_t *db, uint32_t performance, uint32_t map_id,
                          hall_t **hall);

/* Takes some of the rows that are being read. */
typedef void (*hall_rows_fn)(void *ctx, const change_t *rows);

/*
 * Reads the states of those seats (n is 0: of all), or of all buckets, and
 * hands them over a few hundred at a time.
 */
db_result_t hall_read_seats(db_t *db, uint32_t performance,
                            const uint32_t *seat_no, unsigned n,
                            hall_rows_fn rows, void *ctx);
db_result_t hall_read_buckets(db_t *db, uint32_t performance, hall_rows_fn rows,
                              void *ctx);

/* The ids of the performance's holds that were made in the last hours, handed
 * over in the same way. */
db_result_t hall_read_holds(db_t *db, uint32_t performance, unsigned hours,
                            hall_rows_fn rows, void *ctx);

#endif
