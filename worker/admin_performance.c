/*
 * Performances: made with all that they sell, in one transaction; told; and
 * changed, but for what they sell and whose passes may buy it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "admin_inventory.h"
#include "members.h"
#include "pass.h"
#include "rfc3339.h"
#include "ticket_time.h"

#define TIME_LEN_MAX   40
#define FRACTION_AT    19 /* characters of 2026-12-01T19:00:00 */
#define TTL_MS_DEFAULT 300000
#define TTL_MS_MIN     1000
#define TTL_MS_MAX     86400000
#define PER_USER_MAX   65535
#define PERFORMANCES   "/v1/admin/performances/"

typedef enum {
    P_NAME,
    P_STARTS,
    P_OPENS,
    P_CLOSES,
    P_TTL,
    P_MAX,
    P_PER_USER,
    P_MAP, /* from here on, given when it is made, and never changed */
    P_ROOM,
    P_BUCKETS,
    P_MEMBERS
} performance_member_t;

static const member_t members[P_MEMBERS] = {
    [P_NAME] = {"name", MEMBER_TEXT, .min = 1, .max = ADMIN_NAME_MAX},
    [P_STARTS] = {"starts_at", MEMBER_TEXT, .min = 1, .max = TIME_LEN_MAX,
                  .nullable = true},
    [P_OPENS] = {"sale_opens_at", MEMBER_TEXT, .min = 1, .max = TIME_LEN_MAX,
                 .nullable = true},
    [P_CLOSES] = {"sale_closes_at", MEMBER_TEXT, .min = 1, .max = TIME_LEN_MAX,
                  .nullable = true},
    [P_TTL] = {"hold_ttl_ms", MEMBER_NUMBER, .min = TTL_MS_MIN,
               .max = TTL_MS_MAX},
    [P_MAX] = {"hold_max_ms", MEMBER_NUMBER, .min = TTL_MS_MIN,
               .max = TTL_MS_MAX},
    [P_PER_USER] = {"max_per_user", MEMBER_NUMBER, .min = 1,
                    .max = PER_USER_MAX, .nullable = true},
    [P_MAP] = {"map", MEMBER_NUMBER, .min = 1, .max = UINT32_MAX},
    [P_ROOM] = {"room", MEMBER_TEXT, .min = 1, .max = REQUEST_ROOM_MAX},
    [P_BUCKETS] = {"buckets", MEMBER_NUMBER, .min = 1,
                   .max = INVENTORY_BUCKETS_MAX},
};

/* A row of performance. */
typedef struct {
    uint32_t id, map, version;
    char name[MEMBER_TEXT_MAX + 1];
    char room[REQUEST_ROOM_MAX + 1];
    int64_t starts_ms, opens_ms, closes_ms; /* 0: none */
    uint32_t ttl_ms, max_ms;
    uint32_t per_user; /* 0: no limit */
    bool found;
} performance_t;

/* What a request asks for, for its effect. */
typedef struct {
    const member_t *member;
    precondition_t precondition; /* of a change */
} asked_t;

/* (map, version, name, room, starts, opens, closes, ttl, max, per user) */
static void take_row(void *ctx, char *const *column)
{
    performance_t *performance = ctx;

    performance->found = true;
    performance->map = (uint32_t)strtoul(column[0], NULL, 10);
    performance->version = (uint32_t)strtoul(column[1], NULL, 10);
    snprintf(performance->name, sizeof(performance->name), "%s", column[2]);
    snprintf(performance->room, sizeof(performance->room), "%s", column[3]);
    performance->starts_ms = strtoll(column[4], NULL, 10);
    performance->opens_ms = strtoll(column[5], NULL, 10);
    performance->closes_ms = strtoll(column[6], NULL, 10);
    performance->ttl_ms = (uint32_t)strtoul(column[7], NULL, 10);
    performance->max_ms = (uint32_t)strtoul(column[8], NULL, 10);
    performance->per_user = (uint32_t)strtoul(column[9], NULL, 10);
}

/* Milliseconds since 1970; UNIX_TIMESTAMP ends in 2038. */
static void add_ms_of(sql_t *sql, const char *column)
{
    sql_add(sql,
            "COALESCE(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', %s) DIV 1000, "
            "0), ",
            column);
}

/* Reads the row, and locks it if lock is " FOR UPDATE". */
static db_result_t read_row(db_t *db, uint32_t id, const char *lock,
                            performance_t *performance)
{
    sql_t sql = {0};
    db_result_t result;

    *performance = (performance_t){.id = id};
    sql_begin(&sql, "read the performance");
    sql_add(&sql, "SELECT map_id, version, name, room, ");
    add_ms_of(&sql, "starts_at");
    add_ms_of(&sql, "sale_opens_at");
    add_ms_of(&sql, "sale_closes_at");
    sql_add(&sql,
            "hold_ttl_ms, hold_max_ms, COALESCE(max_per_user, 0) "
            "FROM performance WHERE id = %u%s",
            id, lock);
    result = db_select_text(db, &sql, take_row, performance);
    sql_free(&sql);

    return result;
}

static void json_time_or_null(yajl_gen json, const char *name, int64_t ms)
{
    char text[RFC3339_MAX + 1];

    json_name(json, name);
    if (ms == 0) {
        yajl_gen_null(json);
    } else {
        rfc3339_write(ms, text);
        json_name(json, text);
    }
}

static void answer_performance(request_t *request, unsigned status,
                               const performance_t *performance)
{
    yajl_gen json = yajl_gen_alloc(NULL);

    if (json == NULL) {
        reply_empty(&request->reply, 500);
        return;
    }

    yajl_gen_map_open(json);
    json_int(json, "performance", performance->id);
    json_int(json, "version", performance->version);
    json_int(json, "map", performance->map);
    json_text(json, "name", performance->name);
    json_text(json, "room", performance->room);
    json_time_or_null(json, "starts_at", performance->starts_ms);
    json_time_or_null(json, "sale_opens_at", performance->opens_ms);
    json_time_or_null(json, "sale_closes_at", performance->closes_ms);
    json_int(json, "hold_ttl_ms", performance->ttl_ms);
    json_int(json, "hold_max_ms", performance->max_ms);
    json_name(json, "max_per_user");
    if (performance->per_user == 0) {
        yajl_gen_null(json);
    } else {
        yajl_gen_integer(json, performance->per_user);
    }
    yajl_gen_map_close(json);

    reply_json(&request->reply, status, json);
    admin_set_etag(&request->reply, performance->version);
}

static void refuse_unknown(request_t *request)
{
    reply_problem(&request->reply, 404, "no_such_performance",
                  "there is no such performance; a map lists those that use "
                  "it");
}

void handle_read_performance(request_t *request, db_t *db)
{
    performance_t performance = {0};
    db_result_t result = db_connect(db);

    if (result == DB_OK) {
        result = read_row(db, request->number, "", &performance);
    }

    if (result != DB_OK) {
        admin_answer_failure(request, result);
    } else if (!performance.found) {
        refuse_unknown(request);
    } else {
        answer_performance(request, 200, &performance);
    }
}

/*
 * Takes the fraction of a second out of a time, so that the times we tell can
 * be sent back, and returns its milliseconds; what is finer is dropped.  A
 * point without digits stays, and makes it no time.
 */
static int64_t cut_fraction(char *text)
{
    char *digit = text + FRACTION_AT + 1;
    int64_t ms = 0;
    size_t n;

    if (strlen(text) <= FRACTION_AT || text[FRACTION_AT] != '.') {
        return 0;
    }

    n = strspn(digit, "0123456789");
    for (size_t i = 0; i < 3; i++) {
        ms = ms * 10 + (i < n ? digit[i] - '0' : 0);
    }

    if (n > 0) {
        memmove(digit - 1, digit + n, strlen(digit + n) + 1);
    }

    return ms;
}

/* The member's time; NULL gives 0.  0, or -1 and 400. */
static int take_time(request_t *request, const member_t *member, int64_t *ms)
{
    char text[MEMBER_TEXT_MAX + 1], err[160], detail[256];
    int64_t fraction_ms;

    *ms = 0;
    if (member->is_null) {
        return 0;
    }

    strcpy(text, member->text);
    fraction_ms = cut_fraction(text);
    if (ticket_time_parse(text, strlen(text), NULL, ms, err, sizeof(err)) ==
            0 &&
        *ms + fraction_ms > 0) {
        *ms += fraction_ms;
        return 0;
    }

    snprintf(detail, sizeof(detail),
             "\"%s\" is a time like \"2026-12-01T19:00:00+09:00\" or "
             "\"2026-12-01T10:00:00Z\"%s",
             member->name, member->nullable ? ", or null" : "");
    admin_refuse_body(request, detail);

    return -1;
}

/* Lays the members that are given over the performance.  0, or -1 and 400. */
static int take_members(request_t *request, const member_t *member,
                        performance_t *performance)
{
    if (member[P_NAME].given) {
        strcpy(performance->name, member[P_NAME].text);
    }

    if ((member[P_STARTS].given &&
         take_time(request, &member[P_STARTS], &performance->starts_ms)) ||
        (member[P_OPENS].given &&
         take_time(request, &member[P_OPENS], &performance->opens_ms)) ||
        (member[P_CLOSES].given &&
         take_time(request, &member[P_CLOSES], &performance->closes_ms))) {
        return -1;
    }

    if (member[P_TTL].given) {
        performance->ttl_ms = (uint32_t)member[P_TTL].number;
    }

    if (member[P_MAX].given) {
        performance->max_ms = (uint32_t)member[P_MAX].number;
    }

    if (member[P_PER_USER].given) {
        performance->per_user = (uint32_t)member[P_PER_USER].number;
    }

    if (performance->max_ms < performance->ttl_ms) {
        admin_refuse_body(request, "\"hold_max_ms\", the longest life of a "
                                   "hold, is not below \"hold_ttl_ms\"");
        return -1;
    }

    if (performance->opens_ms != 0 && performance->closes_ms != 0 &&
        performance->opens_ms >= performance->closes_ms) {
        admin_refuse_body(request, "\"sale_opens_at\" is before "
                                   "\"sale_closes_at\"");
        return -1;
    }

    return 0;
}

static void add_time(sql_t *sql, const char *before, int64_t ms)
{
    sql_add(sql, "%s", before);
    if (ms == 0) {
        sql_add(sql, "NULL");
    } else {
        sql_time(sql, ms);
    }
}

/* What a performance that is made and one that is changed have in common. */
static void add_settings(sql_t *sql, const performance_t *performance)
{
    sql_add(sql, "name = ");
    sql_text(sql, performance->name, strlen(performance->name));
    add_time(sql, ", starts_at = ", performance->starts_ms);
    add_time(sql, ", sale_opens_at = ", performance->opens_ms);
    add_time(sql, ", sale_closes_at = ", performance->closes_ms);
    sql_add(sql, ", hold_ttl_ms = %u, hold_max_ms = %u, max_per_user = ",
            performance->ttl_ms, performance->max_ms);
    if (performance->per_user == 0) {
        sql_add(sql, "NULL");
    } else {
        sql_add(sql, "%u", performance->per_user);
    }
}

static db_result_t insert_row(db_t *db, performance_t *performance)
{
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, "make the performance");
    sql_add(&sql, "INSERT INTO performance SET map_id = %u, room = ",
            performance->map);
    sql_text(&sql, performance->room, strlen(performance->room));
    sql_add(&sql, ", ");
    add_settings(&sql, performance);
    result = db_change_text(db, &sql, NULL);
    sql_free(&sql);

    return result == DB_OK ? admin_last_id(db, &performance->id) : result;
}

/* Why a performance cannot be made of the map; false: an answer is given. */
static bool check_inventory(request_t *request, const inventory_t *inventory)
{
    if (!inventory->found) {
        reply_problem(&request->reply, 404, "no_such_map",
                      "there is no such map; GET /v1/admin/venues lists them");
    } else if (inventory->n_seats == 0 && inventory->n_pools == 0) {
        reply_problem(&request->reply, 409, "map_empty",
                      "the map has no seats and no pools; import a hall into "
                      "it first");
    } else {
        return true;
    }

    return false;
}

static effect_t make_performance(request_t *request, db_t *db, change_t *change)
{
    const asked_t *asked = request->wants;
    const member_t *member = asked->member;
    performance_t performance = {.version = 1, .ttl_ms = TTL_MS_DEFAULT};
    inventory_t inventory;
    db_result_t result;

    (void)change;

    performance.map = (uint32_t)member[P_MAP].number;
    strcpy(performance.room, member[P_ROOM].text);
    if (member[P_TTL].given) {
        performance.ttl_ms = (uint32_t)member[P_TTL].number;
    }
    performance.max_ms = performance.ttl_ms < TTL_MS_MAX / 2
                             ? performance.ttl_ms * 2
                             : TTL_MS_MAX;
    if (take_members(request, member, &performance) != 0) {
        return EFFECT_DONE;
    }

    result = inventory_look(db, performance.map, &inventory);
    if (result != DB_OK || !check_inventory(request, &inventory)) {
        return admin_effect(result);
    }

    result = insert_row(db, &performance);
    if (result == DB_OK) {
        result = inventory_make(db, &inventory, performance.id,
                                member[P_BUCKETS].given
                                    ? (unsigned)member[P_BUCKETS].number
                                    : INVENTORY_BUCKETS);
    }

    if (result == DB_OK) {
        answer_performance(request, 201, &performance);
        snprintf(request->reply.location, sizeof(request->reply.location),
                 PERFORMANCES "%u", performance.id);
        request->number = performance.id;
    }

    return admin_effect(result);
}

/*
 * This worker knows at once; others with their next refresh, and so does this
 * one should the database not answer now.
 */
static void load_hall(request_t *request, db_t *db)
{
    const reply_t *reply = &request->reply;

    if (reply->status / 100 == 2 && !reply->replayed) {
        halls_load(request->worker->halls, db, request->number, NULL);
        stock_changed(request->worker->stock, request->room);
    }
}

/* The body, which is JSON; false: 400 or 415 is answered. */
static bool read_members(request_t *request, member_t *member)
{
    char err[MEMBERS_ERR_LEN];

    if (!admin_check_type(request, "application/json")) {
        return false;
    }

    memcpy(member, members, sizeof(members));
    if (members_read(member, P_MEMBERS, request->body, request->body_len,
                     err) != 0) {
        admin_refuse_body(request, err);
        return false;
    }

    return true;
}

void handle_make_performance(request_t *request, db_t *db)
{
    member_t member[P_MEMBERS];
    asked_t asked = {.member = member};

    if (!read_members(request, member)) {
        return;
    }

    if (!member[P_MAP].given || !member[P_ROOM].given ||
        !member[P_NAME].given) {
        admin_refuse_body(request, "\"map\", \"room\" and \"name\" are needed");
        return;
    }

    if (!pass_is_room(member[P_ROOM].text)) {
        admin_refuse_body(request,
                          "\"room\" is a room instance, \"concert\" or "
                          "\"concert:20261201\": names of 1 to 64 of "
                          "A-Z a-z 0-9 . _ -");
        return;
    }

    admin_run(request, db, "", make_performance, &asked);
    strcpy(request->room, member[P_ROOM].text);
    load_hall(request, db);
}

/*
 * What visitors may have follows the new limit; who has more keeps it, and
 * gets no more.  Without a limit the counts stand still.
 */
static db_result_t change_limits(db_t *db, const performance_t *performance)
{
    sql_t sql = {0};
    db_result_t result;

    if (performance->per_user == 0) {
        return DB_OK;
    }

    sql_begin(&sql, "change the visitors' limits");
    sql_add(&sql,
            "UPDATE user_limit SET max_units = GREATEST(%u, held + bought) "
            "WHERE performance_id = %u ORDER BY visitor",
            performance->per_user, performance->id);
    result = db_change_text(db, &sql, NULL);
    sql_free(&sql);

    return result;
}

/* One changed row is the verdict: the version was the one that was read. */
static db_result_t update_row(db_t *db, performance_t *performance,
                              uint64_t *affected)
{
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, "change the performance");
    sql_add(&sql, "UPDATE performance SET version = version + 1, ");
    add_settings(&sql, performance);
    sql_add(&sql, " WHERE id = %u AND version = %u", performance->id,
            performance->version);
    result = db_change_text(db, &sql, affected);
    sql_free(&sql);
    performance->version++;

    return result;
}

static effect_t change_performance(request_t *request, db_t *db,
                                   change_t *change)
{
    const asked_t *asked = request->wants;
    performance_t performance;
    uint64_t affected = 0;
    uint32_t per_user;
    db_result_t result =
        read_row(db, request->number, " FOR UPDATE", &performance);

    (void)change;

    if (result != DB_OK) {
        return admin_effect(result);
    }

    if (!performance.found) {
        refuse_unknown(request);
        return EFFECT_DONE;
    }

    if (!precondition_holds(&asked->precondition, performance.version)) {
        admin_refuse_version(request, "performance", performance.version);
        return EFFECT_DONE;
    }

    per_user = performance.per_user;
    if (take_members(request, asked->member, &performance) != 0) {
        return EFFECT_DONE;
    }

    result = update_row(db, &performance, &affected);
    if (result == DB_OK && performance.per_user != per_user) {
        result = change_limits(db, &performance);
    }

    if (result == DB_OK && affected != 1) {
        return EFFECT_RETRY;
    }

    if (result == DB_OK) {
        answer_performance(request, 200, &performance);
        strcpy(request->room, performance.room);
    }

    return admin_effect(result);
}

/* What stays as it was made; false: 422 or 400 is answered. */
static bool check_changes(request_t *request, const member_t *member)
{
    unsigned given = 0;

    for (unsigned i = 0; i < P_MEMBERS; i++) {
        given += member[i].given;
        if (i >= P_MAP && member[i].given) {
            reply_problem(&request->reply, 422, "unchangeable",
                          "\"map\", \"room\" and \"buckets\" stay as they "
                          "were when the performance was made; make another "
                          "performance");
            return false;
        }
    }

    if (given == 0) {
        admin_refuse_body(request, "no member is given: send those that are "
                                   "to be changed");
    }

    return given != 0;
}

void handle_change_performance(request_t *request, db_t *db)
{
    member_t member[P_MEMBERS];
    asked_t asked = {.member = member};

    if (!read_members(request, member) || !check_changes(request, member) ||
        !admin_read_if_match(request, &asked.precondition)) {
        return;
    }

    admin_run(request, db, "", change_performance, &asked);
    load_hall(request, db);
}
