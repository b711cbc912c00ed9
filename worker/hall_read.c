/*
 * Reading of halls.  A map in use never changes, so it is read in several
 * statements without a transaction.  Rows of states come with versions; what
 * is newer wins wherever they are taken in.
 */
#include <stdlib.h>
#include <string.h>

#include "hall_read.h"
#include "log.h"

#define CHUNK 256 /* rows that are handed over at once */

/* Milliseconds since 1970 of a DATETIME(3) of UTC, as SQL. */
#define MS_OF(column)                                                          \
    "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " column                    \
    ") DIV 1000 AS SIGNED)"

/* The tiers of a map; the number of the map goes in twice. */
#define TIERS                                                                  \
    "(SELECT tier FROM map_seat WHERE map_id = %u "                            \
    "UNION SELECT tier FROM map_pool WHERE map_id = %u) t"

static uint32_t to_uint(const char *text)
{
    return text == NULL ? 0 : (uint32_t)strtoul(text, NULL, 10);
}

static int64_t to_ms(const char *text)
{
    return text == NULL ? 0 : strtoll(text, NULL, 10);
}

static void copy_text(char *to, size_t size, const char *from)
{
    size_t len = strnlen(from == NULL ? "" : from, size - 1);

    memcpy(to, from == NULL ? "" : from, len);
    to[len] = '\0';
}

static db_result_t select_rows(db_t *db, sql_t *sql, db_row_fn row, void *ctx)
{
    db_result_t result = db_select_text(db, sql, row, ctx);

    sql_free(sql);

    return result;
}

static void on_row(void *ctx, char *const *column)
{
    hall_row_read_t *row = ctx;

    row->found = true;
    row->map_id = to_uint(column[0]);
    copy_text(row->name, sizeof(row->name), column[1]);
    copy_text(row->room, sizeof(row->room), column[2]);
    row->hold_ttl_ms = to_uint(column[3]);
    row->hold_max_ms = to_uint(column[4]);
    row->max_per_user = to_uint(column[5]);
    row->starts_ms = to_ms(column[6]);
    row->sale_opens_ms = to_ms(column[7]);
    row->sale_closes_ms = to_ms(column[8]);
    row->version = to_uint(column[9]);
    row->now_ms = to_ms(column[10]);
}

db_result_t hall_read_row(db_t *db, uint32_t performance, hall_row_read_t *row)
{
    sql_t sql = {0};

    *row = (hall_row_read_t){0};
    sql_begin(&sql, "read the performance");
    sql_add(
        &sql,
        "SELECT map_id, name, room, hold_ttl_ms, hold_max_ms, "
        "max_per_user, " MS_OF("starts_at") ", " MS_OF(
            "sale_opens_at") ", " MS_OF("sale_closes_at") ", version, " MS_OF("UTC_TIMESTAMP(3)") " FROM performance WHERE id = %u",
        performance);

    return select_rows(db, &sql, on_row, row);
}

/* How much there is in a map, and how far it has been read. */
typedef struct {
    hall_t *hall;
    unsigned n_tiers, n_sections, n_pools;
    uint32_t n_seats;
    bool wrong; /* the rows do not fit together */
} reading_t;

static void on_counts(void *ctx, char *const *column)
{
    reading_t *reading = ctx;

    reading->n_tiers = to_uint(column[0]);
    reading->n_sections = to_uint(column[1]);
    reading->n_seats = to_uint(column[2]);
    reading->n_pools = to_uint(column[3]);
}

static void on_tier(void *ctx, char *const *column)
{
    reading_t *reading = ctx;
    hall_t *hall = reading->hall;

    if (reading->n_tiers < hall->n_tiers) {
        copy_text(hall->tier[reading->n_tiers++], sizeof(hall->tier[0]),
                  column[0]);
    } else {
        reading->wrong = true;
    }
}

static void on_section(void *ctx, char *const *column)
{
    reading_t *reading = ctx;
    hall_section_t *section;

    if (reading->n_sections == reading->hall->n_sections ||
        to_uint(column[0]) != reading->n_sections) {
        reading->wrong = true;
        return;
    }

    section = &reading->hall->section[reading->n_sections++];
    copy_text(section->name, sizeof(section->name), column[1]);
    section->focal_x = (int32_t)strtol(column[2], NULL, 10);
    section->focal_y = (int32_t)strtol(column[3], NULL, 10);
}

static void on_map_seat(void *ctx, char *const *column)
{
    reading_t *reading = ctx;
    hall_t *hall = reading->hall;
    hall_seat_t *seat;

    if (reading->n_seats == hall->n_seats ||
        to_uint(column[0]) != reading->n_seats ||
        to_uint(column[2]) >= hall->n_sections) {
        reading->wrong = true;
        return;
    }

    seat = &hall->seat[reading->n_seats++];
    copy_text(seat->name, sizeof(seat->name), column[1]);
    seat->section = (uint16_t)to_uint(column[2]);
    seat->row_no = (uint16_t)to_uint(column[3]);
    seat->pos = (uint16_t)to_uint(column[4]);
    seat->tier = (uint16_t)hall_find_tier(hall, column[5]);
    seat->x = (int32_t)strtol(column[6], NULL, 10);
    seat->y = (int32_t)strtol(column[7], NULL, 10);
}

static void on_map_pool(void *ctx, char *const *column)
{
    reading_t *reading = ctx;
    hall_t *hall = reading->hall;
    hall_pool_t *pool;

    if (reading->n_pools == hall->n_pools ||
        to_uint(column[0]) != reading->n_pools) {
        reading->wrong = true;
        return;
    }

    pool = &hall->pool[reading->n_pools++];
    copy_text(pool->name, sizeof(pool->name), column[1]);
    pool->tier = (uint16_t)hall_find_tier(hall, column[2]);
    if (hall_set_buckets(hall, reading->n_pools - 1, to_uint(column[3])) != 0) {
        reading->wrong = true;
    }
}

static db_result_t read_counts(db_t *db, uint32_t map_id, reading_t *reading)
{
    sql_t sql = {0};

    sql_begin(&sql, "count the map");
    sql_add(&sql,
            "SELECT (SELECT COUNT(*) FROM " TIERS "), "
            "(SELECT COUNT(*) FROM map_section WHERE map_id = %u), "
            "(SELECT COUNT(*) FROM map_seat WHERE map_id = %u), "
            "(SELECT COUNT(*) FROM map_pool WHERE map_id = %u)",
            map_id, map_id, map_id, map_id, map_id);

    return select_rows(db, &sql, on_counts, reading);
}

static db_result_t read_names(db_t *db, uint32_t map_id, reading_t *reading)
{
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, "read the tiers");
    sql_add(&sql, "SELECT tier FROM " TIERS " ORDER BY tier", map_id, map_id);
    result = select_rows(db, &sql, on_tier, reading);
    if (result != DB_OK) {
        return result;
    }

    sql_begin(&sql, "read the sections");
    sql_add(&sql,
            "SELECT section_no, name, focal_x, focal_y FROM map_section "
            "WHERE map_id = %u ORDER BY section_no",
            map_id);

    return select_rows(db, &sql, on_section, reading);
}

static db_result_t read_places(db_t *db, uint32_t map_id, reading_t *reading)
{
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, "read the seats of the map");
    sql_add(&sql,
            "SELECT seat_no, name, section_no, row_no, pos, tier, x, y "
            "FROM map_seat WHERE map_id = %u ORDER BY seat_no",
            map_id);
    result = select_rows(db, &sql, on_map_seat, reading);
    if (result != DB_OK) {
        return result;
    }

    /* The buckets are the performance's. */
    sql_begin(&sql, "read the pools of the map");
    sql_add(&sql,
            "SELECT m.pool_no, m.name, m.tier, COUNT(b.bucket) "
            "FROM map_pool m LEFT JOIN pool_bucket b "
            "ON b.performance_id = %u AND b.pool_no = m.pool_no "
            "WHERE m.map_id = %u GROUP BY m.pool_no, m.name, m.tier "
            "ORDER BY m.pool_no",
            reading->hall->performance, map_id);

    return select_rows(db, &sql, on_map_pool, reading);
}

/* Whether all that was counted was read, and fits together. */
static bool is_whole(const reading_t *reading)
{
    const hall_t *hall = reading->hall;

    return !reading->wrong && reading->n_tiers == hall->n_tiers &&
           reading->n_sections == hall->n_sections &&
           reading->n_seats == hall->n_seats &&
           reading->n_pools == hall->n_pools;
}

db_result_t hall_read_map(db_t *db, uint32_t performance, uint32_t map_id,
                          hall_t **hall)
{
    reading_t reading = {0};
    db_result_t result = read_counts(db, map_id, &reading);

    *hall = NULL;
    if (result != DB_OK) {
        return result;
    }

    reading.hall = hall_new(reading.n_tiers, reading.n_sections,
                            reading.n_seats, reading.n_pools);
    if (reading.hall == NULL) {
        log_line(LOG_LEVEL_ERROR, "no memory for a hall");
        return DB_OK;
    }

    reading.hall->performance = performance;
    reading.hall->map_id = map_id;
    reading.n_tiers = reading.n_sections = reading.n_pools = 0;
    reading.n_seats = 0;
    result = read_names(db, map_id, &reading);
    if (result == DB_OK) {
        result = read_places(db, map_id, &reading);
    }

    if (result == DB_OK && is_whole(&reading) &&
        hall_finish(reading.hall) == 0) {
        *hall = reading.hall;
        return DB_OK;
    }

    if (result == DB_OK) {
        log_line(LOG_LEVEL_ERROR,
                 "map %u is not whole: seats and pools are numbered from 0 in "
                 "the order of section, row and position",
                 map_id);
    }
    hall_free(reading.hall);

    return result;
}

/* Rows of states on their way. */
typedef struct {
    change_t rows;
    hall_rows_fn take;
    void *ctx;
    bool failed; /* no memory */
} passing_t;

static void pass_on(passing_t *passing)
{
    change_t *rows = &passing->rows;

    if (rows->n_seats + rows->n_buckets + rows->n_holds > 0) {
        passing->take(passing->ctx, rows);
    }

    rows->n_seats = rows->n_buckets = rows->n_holds = 0;
}

static void on_seat(void *ctx, char *const *column)
{
    passing_t *passing = ctx;
    seat_change_t seat = {.seat_no = to_uint(column[0]),
                          .state = seat_state_read(column[1]),
                          .version = to_uint(column[2]),
                          .expires_ms = to_ms(column[4])};

    if (column[3] != NULL) {
        hold_id_read(&seat.hold, column[3], strlen(column[3]));
    }

    if (change_add_seat(&passing->rows, &seat) != 0) {
        passing->failed = true;
    } else if (passing->rows.n_seats == CHUNK) {
        pass_on(passing);
    }
}

static void on_bucket(void *ctx, char *const *column)
{
    passing_t *passing = ctx;
    bucket_change_t bucket = {.pool_no = (uint16_t)to_uint(column[0]),
                              .bucket = (uint16_t)to_uint(column[1]),
                              .capacity = to_uint(column[2]),
                              .held = to_uint(column[3]),
                              .sold = to_uint(column[4]),
                              .version = to_uint(column[5])};

    if (change_add_bucket(&passing->rows, &bucket) != 0) {
        passing->failed = true;
    }
}

static void on_hold(void *ctx, char *const *column)
{
    passing_t *passing = ctx;
    hold_id_t id;

    if (!hold_id_read(&id, column[0], strlen(column[0]))) {
        return;
    }

    if (change_add_hold(&passing->rows, &id) != 0) {
        passing->failed = true;
    } else if (passing->rows.n_holds == CHUNK) {
        pass_on(passing);
    }
}

static db_result_t read_states(db_t *db, sql_t *sql, uint32_t performance,
                               db_row_fn row, hall_rows_fn take, void *ctx)
{
    passing_t passing = {.take = take, .ctx = ctx};
    db_result_t result;

    passing.rows.performance = performance;
    result = select_rows(db, sql, row, &passing);
    pass_on(&passing);
    change_clear(&passing.rows);

    return result == DB_OK && passing.failed ? DB_FAILED : result;
}

db_result_t hall_read_seats(db_t *db, uint32_t performance,
                            const uint32_t *seat_no, unsigned n,
                            hall_rows_fn rows, void *ctx)
{
    sql_t sql = {0};

    sql_begin(&sql, "read the seats");
    sql_add(&sql,
            "SELECT seat_no, state, version, HEX(hold_id), " MS_OF(
                "expires_at") " FROM seat WHERE performance_id = %u",
            performance);
    for (unsigned i = 0; i < n; i++) {
        sql_add(&sql, i == 0 ? " AND seat_no IN (%u" : ", %u", seat_no[i]);
    }
    sql_add(&sql, n > 0 ? ") ORDER BY seat_no" : " ORDER BY seat_no");

    return read_states(db, &sql, performance, on_seat, rows, ctx);
}

db_result_t hall_read_buckets(db_t *db, uint32_t performance, hall_rows_fn rows,
                              void *ctx)
{
    sql_t sql = {0};

    sql_begin(&sql, "read the buckets");
    sql_add(&sql,
            "SELECT pool_no, bucket, capacity, held, sold, version "
            "FROM pool_bucket WHERE performance_id = %u",
            performance);

    return read_states(db, &sql, performance, on_bucket, rows, ctx);
}

db_result_t hall_read_holds(db_t *db, uint32_t performance, unsigned hours,
                            hall_rows_fn rows, void *ctx)
{
    sql_t sql = {0};

    /* The ids of a performance begin with its number. */
    sql_begin(&sql, "read the known holds");
    sql_add(&sql,
            "SELECT HEX(id) FROM hold WHERE id >= x'%08x%024d' "
            "AND id <= x'%08xffffffffffffffffffffffff' AND "
            "created_at > UTC_TIMESTAMP(3) - INTERVAL %u HOUR",
            performance, 0, performance, hours);

    return read_states(db, &sql, performance, on_hold, rows, ctx);
}
