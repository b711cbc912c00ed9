/*
 * Making what a performance sells.  Seats are numbered without gaps, so ranges
 * of numbers cut the work into statements that each end in time.
 */
#include <stdlib.h>

#include "admin.h"
#include "admin_inventory.h"
#include "log.h"

#define SEATS_COPIED 20000

/* (capacity) of each pool, in order */
static void take_pool(void *ctx, char *const *column)
{
    inventory_t *inventory = ctx;

    if (inventory->n_pools < MAP_POOLS_MAX) {
        inventory->capacity[inventory->n_pools++] =
            (uint32_t)strtoul(column[0], NULL, 10);
    }
}

db_result_t inventory_look(db_t *db, uint32_t map, inventory_t *inventory)
{
    sql_t sql = {0};
    int64_t number = 0;
    bool found;
    db_result_t result;

    *inventory = (inventory_t){.map = map};
    sql_begin(&sql, "lock the map");
    sql_add(&sql, "SELECT id FROM seat_map WHERE id = %u FOR UPDATE", map);
    result = admin_select_numbers(db, &sql, &number, 1, &inventory->found);

    if (result == DB_OK) {
        sql_begin(&sql, "count the map's seats");
        sql_add(&sql, "SELECT COUNT(*) FROM map_seat WHERE map_id = %u", map);
        result = admin_select_numbers(db, &sql, &number, 1, &found);
        inventory->n_seats = (uint32_t)number;
    }

    if (result == DB_OK) {
        sql_begin(&sql, "read the map's pools");
        sql_add(&sql,
                "SELECT capacity FROM map_pool WHERE map_id = %u "
                "ORDER BY pool_no",
                map);
        result = db_select_text(db, &sql, take_pool, inventory);
    }

    sql_free(&sql);

    return result;
}

static db_result_t make_seats(db_t *db, const inventory_t *inventory,
                              uint32_t performance)
{
    sql_t sql = {0};
    db_result_t result = DB_OK;
    uint64_t affected, made = 0;

    for (uint32_t from = 0; from < inventory->n_seats && result == DB_OK;
         from += SEATS_COPIED) {
        sql_begin(&sql, "make the seats");
        sql_add(&sql,
                "INSERT INTO seat (performance_id, seat_no) "
                "SELECT %u, seat_no FROM map_seat WHERE map_id = %u "
                "AND seat_no >= %u AND seat_no < %u ORDER BY seat_no",
                performance, inventory->map, from, from + SEATS_COPIED);
        result = db_change_text(db, &sql, &affected);
        made += result == DB_OK ? affected : 0;
    }
    sql_free(&sql);

    if (result == DB_OK && made != inventory->n_seats) {
        log_line(LOG_LEVEL_ERROR,
                 "map %u: the seats are not numbered from 0 without gaps",
                 inventory->map);
        return DB_FAILED;
    }

    return result;
}

/* Buckets as equal as can be, adding up to the capacity. */
static db_result_t make_pool(db_t *db, uint32_t performance, unsigned pool_no,
                             uint32_t capacity, unsigned buckets)
{
    unsigned n = capacity < buckets ? capacity : buckets;
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, "make the pools");
    sql_add(&sql, "INSERT INTO pool_bucket (performance_id, pool_no, bucket, "
                  "capacity) VALUES ");
    for (unsigned i = 0; i < n; i++) {
        sql_add(&sql, "%s(%u, %u, %u, %u)", i ? ", " : "", performance, pool_no,
                i, capacity / n + (i < capacity % n));
    }
    result = db_change_text(db, &sql, NULL);
    sql_free(&sql);

    return result;
}

db_result_t inventory_make(db_t *db, const inventory_t *inventory,
                           uint32_t performance, unsigned buckets)
{
    db_result_t result = make_seats(db, inventory, performance);

    for (unsigned i = 0; i < inventory->n_pools && result == DB_OK; i++) {
        result = make_pool(db, performance, i, inventory->capacity[i], buckets);
    }

    return result;
}
