/*
 * Importing a hall: what is in the map is replaced by what the CSV says, in one
 * transaction of many statements, each short enough for the connection's
 * timeouts and the server's packets.
 *
 * The row of the map is locked throughout.  Whoever makes a performance locks
 * it as well, so that no performance begins to use the map meanwhile.
 */
#include <string.h>

#include "admin.h"
#include "map_csv.h"

#define ROWS_INSERTED 1000
#define ROWS_DELETED  20000

typedef struct {
    const map_csv_t *map;
    precondition_t precondition;
} import_t;

/* Empties a table of what it has of the map, a part at a time. */
static db_result_t empty_table(db_t *db, const char *table, uint32_t id)
{
    sql_t sql = {0};
    db_result_t result = DB_OK;
    uint64_t affected = ROWS_DELETED;

    sql_begin(&sql, "empty the map");
    sql_add(&sql, "DELETE FROM %s WHERE map_id = %u LIMIT %d", table, id,
            ROWS_DELETED);
    while (result == DB_OK && affected == ROWS_DELETED) {
        result = db_change_text(db, &sql, &affected);
    }
    sql_free(&sql);

    return result;
}

/* One row each: "(…)", with the number i of the map. */
typedef void (*add_row_fn)(sql_t *sql, const map_csv_t *map, uint32_t i);

static void add_section(sql_t *sql, const map_csv_t *map, uint32_t i)
{
    const map_csv_section_t *section = &map->section[i];

    sql_text(sql, section->name, strlen(section->name));
    sql_add(sql, ", %d, %d)", section->focal_x, section->focal_y);
}

static void add_seat(sql_t *sql, const map_csv_t *map, uint32_t i)
{
    const map_csv_seat_t *seat = &map->seat[i];
    const char *tier = map->tier[seat->tier];

    sql_text(sql, seat->name, strlen(seat->name));
    sql_add(sql, ", %u, %u, %u, ", seat->section, seat->row_no, seat->pos);
    sql_text(sql, tier, strlen(tier));
    sql_add(sql, ", %d, %d)", seat->x, seat->y);
}

static void add_pool(sql_t *sql, const map_csv_t *map, uint32_t i)
{
    const map_csv_pool_t *pool = &map->pool[i];
    const char *tier = map->tier[pool->tier];

    sql_text(sql, pool->name, strlen(pool->name));
    sql_add(sql, ", ");
    sql_text(sql, tier, strlen(tier));
    sql_add(sql, ", %u)", pool->capacity);
}

/* Inserts n rows, of which add knows all but the map and the number. */
static db_result_t insert_rows(db_t *db, const import_t *import, uint32_t id,
                               const char *into, uint32_t n, add_row_fn add)
{
    sql_t sql = {0};
    db_result_t result = DB_OK;

    for (uint32_t i = 0; i < n && result == DB_OK; i++) {
        bool begins = i % ROWS_INSERTED == 0;

        if (begins) {
            sql_begin(&sql, "fill the map");
            sql_add(&sql, "INSERT INTO %s VALUES ", into);
        }

        sql_add(&sql, "%s(%u, %u, ", begins ? "" : ", ", id, i);
        add(&sql, import->map, i);

        if (i + 1 == n || (i + 1) % ROWS_INSERTED == 0) {
            result = db_change_text(db, &sql, NULL);
        }
    }

    sql_free(&sql);

    return result;
}

static db_result_t replace_content(db_t *db, const import_t *import,
                                   uint32_t id)
{
    const map_csv_t *map = import->map;
    db_result_t result = empty_table(db, "map_seat", id);

    if (result == DB_OK) {
        result = empty_table(db, "map_section", id);
    }

    if (result == DB_OK) {
        result = empty_table(db, "map_pool", id);
    }

    if (result == DB_OK) {
        result = insert_rows(db, import, id,
                             "map_section (map_id, section_no, name, focal_x, "
                             "focal_y)",
                             map->n_sections, add_section);
    }

    if (result == DB_OK) {
        result = insert_rows(db, import, id,
                             "map_seat (map_id, seat_no, name, section_no, "
                             "row_no, pos, tier, x, y)",
                             map->n_seats, add_seat);
    }

    if (result == DB_OK) {
        result = insert_rows(db, import, id,
                             "map_pool (map_id, pool_no, name, tier, capacity)",
                             map->n_pools, add_pool);
    }

    return result;
}

static db_result_t raise_version(db_t *db, uint32_t id)
{
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, "raise the map's version");
    sql_add(&sql, "UPDATE seat_map SET version = version + 1 WHERE id = %u",
            id);
    result = db_change_text(db, &sql, NULL);
    sql_free(&sql);

    return result;
}

/*
 * Locks the map, and answers when it may not be changed: then, or when a
 * statement failed, *go_on is false.
 */
static db_result_t lock_map(request_t *request, db_t *db,
                            const precondition_t *precondition, bool *go_on)
{
    sql_t sql = {0};
    int64_t version = 0, performance = 0;
    bool found, used = false;
    db_result_t result;

    sql_begin(&sql, "lock the map");
    sql_add(&sql, "SELECT version FROM seat_map WHERE id = %u FOR UPDATE",
            request->number);
    result = admin_select_numbers(db, &sql, &version, 1, &found);

    if (result == DB_OK && found) {
        sql_begin(&sql, "look who uses the map");
        sql_add(&sql, "SELECT id FROM performance WHERE map_id = %u LIMIT 1",
                request->number);
        result = admin_select_numbers(db, &sql, &performance, 1, &used);
    }
    sql_free(&sql);

    *go_on = false;
    if (result != DB_OK) {
        return result;
    }

    if (!found) {
        reply_problem(&request->reply, 404, "no_such_map",
                      "there is no such map; GET /v1/admin/venues lists them");
    } else if (used) {
        reply_problem(&request->reply, 409, "map_in_use",
                      "a performance uses the map, so it stays as it is; make "
                      "another map and import into that");
    } else if (!precondition_holds(precondition, (uint32_t)version)) {
        admin_refuse_version(request, "map", (uint32_t)version);
    } else {
        *go_on = true;
    }

    return DB_OK;
}

static effect_t import_map(request_t *request, db_t *db, change_t *change)
{
    const import_t *import = request->wants;
    bool go_on;
    db_result_t result = lock_map(request, db, &import->precondition, &go_on);

    (void)change;

    if (result != DB_OK || !go_on) {
        return admin_effect(result);
    }

    result = replace_content(db, import, request->number);
    if (result == DB_OK) {
        result = raise_version(db, request->number);
    }

    if (result == DB_OK) {
        result = admin_answer_map(request, db, request->number, 200);
    }

    return admin_effect(result);
}

/* What is wrong with the file, line by line. */
static void refuse_csv(request_t *request, const map_csv_t *map)
{
    yajl_gen json = problem_begin(
        400, "malformed_csv",
        "nothing was imported; put right what errors lists, which is not all "
        "if it has 20, and send the file again with a new Idempotency-Key");

    if (json != NULL) {
        json_name(json, "errors");
        yajl_gen_array_open(json);
        for (unsigned i = 0; i < map->n_errors; i++) {
            const map_csv_error_t *error = &map->error[i];

            yajl_gen_map_open(json);
            if (error->line != 0) {
                json_int(json, "line", error->line);
            }
            if (*error->column != '\0') {
                json_text(json, "column", error->column);
            }
            json_text(json, "detail", error->text);
            yajl_gen_map_close(json);
        }
        yajl_gen_array_close(json);
    }

    problem_end(&request->reply, 400, json);
}

void handle_import_map(request_t *request, db_t *db)
{
    import_t import = {0};
    map_csv_t *map;

    if (!admin_check_type(request, "text/csv") ||
        !admin_read_if_match(request, &import.precondition)) {
        return;
    }

    map = map_csv_read(request->body, request->body_len);
    if (map == NULL) {
        reply_problem(&request->reply, 500, "internal",
                      "the worker has no memory to read the file");
        return;
    }

    if (map->n_errors > 0) {
        refuse_csv(request, map);
    } else {
        import.map = map;
        admin_run(request, db, "", import_map, &import);
    }

    map_csv_free(map);
}
