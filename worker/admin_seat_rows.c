/*
 * Rows of seat by name.  The names are those of the performance's map.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin_seat_rows.h"

static int compare_names(const void *name, const void *row)
{
    return strcmp(name, ((const seat_row_t *)row)->name);
}

/* (name, number, state, version, hold, expiry, run out) */
static void take_row(void *ctx, char *const *column)
{
    seat_rows_t *rows = ctx;
    seat_row_t *row = bsearch(column[0], rows->row, rows->n, sizeof(seat_row_t),
                              compare_names);

    if (row == NULL) {
        return;
    }

    row->found = true;
    row->now =
        (seat_change_t){.seat_no = (uint32_t)strtoul(column[1], NULL, 10),
                        .state = seat_state_read(column[2]),
                        .version = (uint32_t)strtoul(column[3], NULL, 10)};
    row->shown = row->now.state;

    if (row->now.state == SEAT_HELD) {
        hold_id_read(&row->now.hold, column[4], strlen(column[4]));
        row->now.expires_ms = strtoll(column[5], NULL, 10);
        row->shown = *column[6] == '1' ? SEAT_FREE : SEAT_HELD;
    }
}

db_result_t seat_rows_read(db_t *db, uint32_t performance, seat_rows_t *rows)
{
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, "read the seats");
    sql_add(&sql, "SELECT m.name, s.seat_no, s.state, s.version, "
                  "HEX(s.hold_id), "
                  "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', s.expires_at) "
                  "DIV 1000, s.expires_at <= UTC_TIMESTAMP(3) "
                  "FROM performance p JOIN map_seat m ON m.map_id = p.map_id "
                  "JOIN seat s ON s.performance_id = p.id "
                  "AND s.seat_no = m.seat_no WHERE ");
    sql_add(&sql, "p.id = %u AND m.name IN (", performance);
    for (unsigned i = 0; i < rows->n; i++) {
        sql_add(&sql, "%s", i ? ", " : "");
        sql_text(&sql, rows->row[i].name, strlen(rows->row[i].name));
    }
    sql_add(&sql, ")");
    result = db_select_text(db, &sql, take_row, rows);
    sql_free(&sql);

    return result;
}

const seat_row_t *seat_rows_missing(const seat_rows_t *rows)
{
    for (unsigned i = 0; i < rows->n; i++) {
        if (!rows->row[i].found) {
            return &rows->row[i];
        }
    }

    return NULL;
}

typedef struct {
    char *text;
    size_t len;
} room_t;

static void take_room(void *ctx, char *const *column)
{
    room_t *room = ctx;

    snprintf(room->text, room->len, "%s", column[0]);
}

db_result_t seat_rows_room(db_t *db, uint32_t performance, char *room,
                           size_t room_len)
{
    room_t into = {room, room_len};
    sql_t sql = {0};
    db_result_t result;

    *room = '\0';
    sql_begin(&sql, "find the performance");
    sql_add(&sql, "SELECT room FROM performance WHERE id = %u", performance);
    result = db_select_text(db, &sql, take_room, &into);
    sql_free(&sql);

    return result;
}
