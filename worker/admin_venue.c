/*
 * Venues: a name, under which there are maps.
 */
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "members.h"

/* The list as it is written, row by row. */
typedef struct {
    yajl_gen json;
    unsigned long venue; /* the one that is open; 0: none */
} listing_t;

static void close_venue(listing_t *listing)
{
    if (listing->venue != 0) {
        yajl_gen_array_close(listing->json);
        yajl_gen_map_close(listing->json);
    }
}

/* (venue, its name, map or NULL, its name) */
static void add_row(void *ctx, char *const *column)
{
    listing_t *listing = ctx;
    unsigned long venue = strtoul(column[0], NULL, 10);
    yajl_gen json = listing->json;

    if (venue != listing->venue) {
        close_venue(listing);
        listing->venue = venue;
        yajl_gen_map_open(json);
        json_int(json, "venue", (long long)venue);
        json_text(json, "name", column[1]);
        json_name(json, "maps");
        yajl_gen_array_open(json);
    }

    if (column[2] != NULL) {
        yajl_gen_map_open(json);
        json_int(json, "map", strtoll(column[2], NULL, 10));
        json_text(json, "name", column[3]);
        yajl_gen_map_close(json);
    }
}

void handle_list_venues(request_t *request, db_t *db)
{
    listing_t listing = {.json = yajl_gen_alloc(NULL)};
    db_result_t result = db_connect(db);
    sql_t sql = {0};

    if (listing.json == NULL) {
        reply_empty(&request->reply, 500);
        return;
    }

    yajl_gen_map_open(listing.json);
    json_name(listing.json, "venues");
    yajl_gen_array_open(listing.json);

    if (result == DB_OK) {
        sql_begin(&sql, "list the venues");
        sql_add(&sql, "SELECT v.id, v.name, m.id, m.name FROM venue v "
                      "LEFT JOIN seat_map m ON m.venue_id = v.id "
                      "ORDER BY v.id, m.id");
        result = db_select_text(db, &sql, add_row, &listing);
        sql_free(&sql);
    }

    if (result != DB_OK) {
        yajl_gen_free(listing.json);
        admin_answer_failure(request, result);
        return;
    }

    close_venue(&listing);
    yajl_gen_array_close(listing.json);
    yajl_gen_map_close(listing.json);
    reply_json(&request->reply, 200, listing.json);
}

static effect_t make_venue(request_t *request, db_t *db, change_t *change)
{
    const char *name = request->wants;
    sql_t sql = {0};
    db_result_t result;
    yajl_gen json;
    uint32_t id;

    (void)change;

    sql_begin(&sql, "make the venue");
    sql_add(&sql, "INSERT INTO venue (name) VALUES (");
    sql_text(&sql, name, strlen(name));
    sql_add(&sql, ")");
    result = db_change_text(db, &sql, NULL);
    sql_free(&sql);

    if (result == DB_OK) {
        result = admin_last_id(db, &id);
    }

    if (result != DB_OK) {
        return admin_effect(result);
    }

    json = yajl_gen_alloc(NULL);
    if (json == NULL) {
        return EFFECT_FAILED;
    }

    yajl_gen_map_open(json);
    json_int(json, "venue", id);
    json_text(json, "name", name);
    json_name(json, "maps");
    yajl_gen_array_open(json);
    yajl_gen_array_close(json);
    yajl_gen_map_close(json);
    reply_json(&request->reply, 201, json);

    return EFFECT_DONE;
}

void handle_make_venue(request_t *request, db_t *db)
{
    member_t name = {.name = "name",
                     .type = MEMBER_TEXT,
                     .min = 1,
                     .max = ADMIN_NAME_MAX,
                     .needed = true};
    char err[MEMBERS_ERR_LEN];

    if (!admin_check_type(request, "application/json")) {
        return;
    }

    if (members_read(&name, 1, request->body, request->body_len, err) != 0) {
        admin_refuse_body(request, err);
        return;
    }

    admin_run(request, db, "", make_venue, name.text);
}
