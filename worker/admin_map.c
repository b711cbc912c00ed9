/*
 * Maps: made empty, and told with what is in them.  What puts seats into one
 * is in admin_import.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "members.h"

enum {
    MAP_VENUE,
    MAP_NAME,
    MAP_MEMBERS
};

/* The map while it is written. */
typedef struct {
    yajl_gen json;
    bool found;
    uint32_t version;
    long long seats;
} told_t;

/* (venue, name, version) */
static void tell_head(void *ctx, char *const *column)
{
    told_t *told = ctx;

    told->found = true;
    told->version = (uint32_t)strtoul(column[2], NULL, 10);
    json_int(told->json, "venue", strtoll(column[0], NULL, 10));
    json_text(told->json, "name", column[1]);
    json_int(told->json, "version", told->version);
}

/* (name, focal x, focal y, seats) */
static void tell_section(void *ctx, char *const *column)
{
    told_t *told = ctx;
    long long seats = strtoll(column[3], NULL, 10);

    told->seats += seats;
    yajl_gen_map_open(told->json);
    json_text(told->json, "name", column[0]);
    json_name(told->json, "focal");
    yajl_gen_array_open(told->json);
    yajl_gen_integer(told->json, strtoll(column[1], NULL, 10));
    yajl_gen_integer(told->json, strtoll(column[2], NULL, 10));
    yajl_gen_array_close(told->json);
    json_int(told->json, "seats", seats);
    yajl_gen_map_close(told->json);
}

/* (name, tier, capacity) */
static void tell_pool(void *ctx, char *const *column)
{
    told_t *told = ctx;

    yajl_gen_map_open(told->json);
    json_text(told->json, "pool", column[0]);
    json_text(told->json, "tier", column[1]);
    json_int(told->json, "capacity", strtoll(column[2], NULL, 10));
    yajl_gen_map_close(told->json);
}

/* (performance) */
static void tell_performance(void *ctx, char *const *column)
{
    told_t *told = ctx;

    yajl_gen_integer(told->json, strtoll(column[0], NULL, 10));
}

/* One list of the map: select ends with the column that is the map. */
static db_result_t tell_list(told_t *told, db_t *db, uint32_t id,
                             const char *name, const char *select,
                             const char *rest, db_row_fn row)
{
    sql_t sql = {0};
    db_result_t result;

    json_name(told->json, name);
    yajl_gen_array_open(told->json);
    sql_begin(&sql, "read the map");
    sql_add(&sql, "%s = %u %s", select, id, rest);
    result = db_select_text(db, &sql, row, told);
    sql_free(&sql);
    yajl_gen_array_close(told->json);

    return result;
}

static db_result_t tell_head_of(told_t *told, db_t *db, uint32_t id)
{
    sql_t sql = {0};
    db_result_t result;

    json_int(told->json, "map", id);
    sql_begin(&sql, "find the map");
    sql_add(&sql, "SELECT venue_id, name, version FROM seat_map WHERE id = %u",
            id);
    result = db_select_text(db, &sql, tell_head, told);
    sql_free(&sql);

    return result;
}

static db_result_t tell_content(told_t *told, db_t *db, uint32_t id)
{
    db_result_t result = tell_list(
        told, db, id, "sections",
        "SELECT s.name, s.focal_x, s.focal_y, "
        "(SELECT COUNT(*) FROM map_seat m WHERE m.map_id = s.map_id "
        "AND m.section_no = s.section_no) FROM map_section s WHERE s.map_id",
        "ORDER BY s.section_no", tell_section);

    if (result == DB_OK) {
        json_int(told->json, "seats", told->seats);
        result = tell_list(told, db, id, "pools",
                           "SELECT name, tier, capacity FROM map_pool "
                           "WHERE map_id",
                           "ORDER BY pool_no", tell_pool);
    }

    if (result == DB_OK) {
        result = tell_list(told, db, id, "performances",
                           "SELECT id FROM performance WHERE map_id",
                           "ORDER BY id", tell_performance);
    }

    return result;
}

db_result_t admin_answer_map(request_t *request, db_t *db, uint32_t id,
                             unsigned status)
{
    told_t told = {.json = yajl_gen_alloc(NULL)};
    db_result_t result;

    if (told.json == NULL) {
        return DB_FAILED;
    }

    yajl_gen_map_open(told.json);
    result = tell_head_of(&told, db, id);
    if (result == DB_OK && told.found) {
        result = tell_content(&told, db, id);
    }

    if (result != DB_OK || !told.found) {
        yajl_gen_free(told.json);
        if (result == DB_OK) {
            reply_problem(&request->reply, 404, "no_such_map",
                          "there is no such map; GET /v1/admin/venues lists "
                          "them");
        }
        return result;
    }

    yajl_gen_map_close(told.json);
    reply_json(&request->reply, status, told.json);
    admin_set_etag(&request->reply, told.version);

    return DB_OK;
}

void handle_read_map(request_t *request, db_t *db)
{
    db_result_t result = db_connect(db);

    if (result == DB_OK) {
        result = admin_answer_map(request, db, request->number, 200);
    }

    if (result != DB_OK) {
        admin_answer_failure(request, result);
    }
}

/* Inserts nothing where there is no such venue. */
static db_result_t insert_map(db_t *db, const member_t *members,
                              uint64_t *affected)
{
    const char *name = members[MAP_NAME].text;
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, "make the map");
    sql_add(&sql, "INSERT INTO seat_map (venue_id, name) SELECT id, ");
    sql_text(&sql, name, strlen(name));
    sql_add(&sql, " FROM venue WHERE id = %lld",
            (long long)members[MAP_VENUE].number);
    result = db_change_text(db, &sql, affected);
    sql_free(&sql);

    return result;
}

static effect_t make_map(request_t *request, db_t *db, change_t *change)
{
    uint64_t affected = 0;
    uint32_t id = 0;
    db_result_t result = insert_map(db, request->wants, &affected);

    (void)change;

    if (result == DB_OK && affected == 0) {
        reply_problem(&request->reply, 404, "no_such_venue",
                      "there is no such venue; GET /v1/admin/venues lists "
                      "them");
        return EFFECT_DONE;
    }

    if (result == DB_OK) {
        result = admin_last_id(db, &id);
    }

    if (result == DB_OK) {
        result = admin_answer_map(request, db, id, 201);
        snprintf(request->reply.location, sizeof(request->reply.location),
                 "/v1/admin/maps/%u", id);
    }

    return admin_effect(result);
}

void handle_make_map(request_t *request, db_t *db)
{
    member_t members[MAP_MEMBERS] = {[MAP_VENUE] = {.name = "venue",
                                                    .type = MEMBER_NUMBER,
                                                    .min = 1,
                                                    .max = UINT32_MAX,
                                                    .needed = true},
                                     [MAP_NAME] = {.name = "name",
                                                   .type = MEMBER_TEXT,
                                                   .min = 1,
                                                   .max = ADMIN_NAME_MAX,
                                                   .needed = true}};
    char err[MEMBERS_ERR_LEN];

    if (!admin_check_type(request, "application/json")) {
        return;
    }

    if (members_read(members, MAP_MEMBERS, request->body, request->body_len,
                     err) != 0) {
        admin_refuse_body(request, err);
        return;
    }

    admin_run(request, db, "", make_map, members);
}
