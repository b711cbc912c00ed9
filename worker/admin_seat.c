/*
 * Seats that an operator takes out of the sale (blocked) and puts back (free).
 * One guarded UPDATE for all of a request: the count of changed rows says
 * whether it was done, and if not, nothing of it stays and the rows say why.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin.h"
#include "admin_seat_rows.h"
#include "members.h"
#include "rfc3339.h"

/* What a request asks for, for its effect. */
typedef struct {
    bool block;                  /* else free */
    bool single;                 /* answered with the seat alone */
    precondition_t precondition; /* of a single one */
    seat_rows_t *rows;           /* with the versions of many */
} asked_t;

static void json_seat(yajl_gen json, const seat_row_t *row)
{
    char expires[RFC3339_MAX + 1];

    json_text(json, "seat", row->name);
    json_text(json, "state", seat_state_name(row->shown));
    json_int(json, "version", row->now.version);
    if (row->shown == SEAT_HELD) {
        rfc3339_write(row->now.expires_ms, expires);
        json_text(json, "expires_at", expires);
    }
}

static void answer_seat(request_t *request, const seat_row_t *row)
{
    yajl_gen json = yajl_gen_alloc(NULL);

    if (json == NULL) {
        reply_empty(&request->reply, 500);
        return;
    }

    yajl_gen_map_open(json);
    json_int(json, "performance", request->number);
    json_seat(json, row);
    yajl_gen_map_close(json);
    reply_json(&request->reply, 200, json);
    admin_set_etag(&request->reply, row->now.version);
}

static void answer_seats(request_t *request, const seat_rows_t *rows)
{
    yajl_gen json = yajl_gen_alloc(NULL);

    if (json == NULL) {
        reply_empty(&request->reply, 500);
        return;
    }

    yajl_gen_map_open(json);
    json_int(json, "performance", request->number);
    json_name(json, "seats");
    yajl_gen_array_open(json);
    for (unsigned i = 0; i < rows->n; i++) {
        yajl_gen_map_open(json);
        json_seat(json, &rows->row[i]);
        yajl_gen_map_close(json);
    }
    yajl_gen_array_close(json);
    yajl_gen_map_close(json);
    reply_json(&request->reply, 200, json);
}

static void refuse_seat(request_t *request, const char *name)
{
    char detail[128];

    snprintf(detail, sizeof(detail), "the performance has no seat \"%s\"",
             name);
    reply_problem(&request->reply, 404, "no_such_seat", detail);
}

static void refuse_performance(request_t *request)
{
    reply_problem(&request->reply, 404, "no_such_performance",
                  "there is no such performance");
}

static bool version_holds(const asked_t *asked, const seat_row_t *row)
{
    return asked->single
               ? precondition_holds(&asked->precondition, row->now.version)
               : row->version == row->now.version;
}

static bool state_allows(const asked_t *asked, const seat_row_t *row)
{
    return row->shown == (asked->block ? SEAT_FREE : SEAT_BLOCKED);
}

/*
 * Says why nothing was done: 412 if a version is another, else 409, with the
 * seats as they are.  False: nothing stands in the way any more.
 */
static bool answer_conflicts(request_t *request, const asked_t *asked)
{
    const seat_rows_t *rows = asked->rows;
    unsigned stale = 0, wrong = 0, status;
    yajl_gen json;

    for (unsigned i = 0; i < rows->n; i++) {
        stale += !version_holds(asked, &rows->row[i]);
        wrong += !state_allows(asked, &rows->row[i]);
    }

    if (stale == 0 && wrong == 0) {
        return false;
    }

    status = stale != 0 ? 412 : 409;
    json = problem_begin(
        status,
        stale != 0     ? "precondition_failed"
        : asked->block ? "seat_unavailable"
                       : "seat_not_blocked",
        stale != 0
            ? "nothing was changed: seats in conflicts have other versions "
              "now; look at them, and send these with a new Idempotency-Key"
        : asked->block ? "nothing was changed: seats in conflicts are held, "
                         "sold or blocked already"
                       : "nothing was changed: seats in conflicts are not "
                         "blocked");
    if (json != NULL) {
        json_name(json, "conflicts");
        yajl_gen_array_open(json);
        for (unsigned i = 0; i < rows->n; i++) {
            const seat_row_t *row = &rows->row[i];

            if (!version_holds(asked, row) || !state_allows(asked, row)) {
                yajl_gen_map_open(json);
                json_seat(json, row);
                yajl_gen_map_close(json);
            }
        }
        yajl_gen_array_close(json);
    }

    problem_end(&request->reply, status, json);
    if (asked->single) {
        admin_set_etag(&request->reply, rows->row[0].now.version);
    }

    return true;
}

/* The seats' numbers and acceptable versions, as the guard wants them. */
static void add_guard(sql_t *sql, const asked_t *asked)
{
    const seat_rows_t *rows = asked->rows;
    const precondition_t *precondition = &asked->precondition;
    unsigned n = asked->single ? precondition->n : rows->n;

    sql_add(sql, "seat_no IN (");
    for (unsigned i = 0; i < rows->n; i++) {
        sql_add(sql, "%s%u", i ? ", " : "", rows->row[i].now.seat_no);
    }
    sql_add(sql, ")");

    if (asked->single && precondition->any) {
        return;
    }

    /* Without a tag of ours nothing matches: no row has a number of NULL. */
    sql_add(sql, " AND (seat_no, version) IN (");
    for (unsigned i = 0; i < n; i++) {
        sql_add(sql, "%s(%u, %u)", i ? ", " : "",
                rows->row[asked->single ? 0 : i].now.seat_no,
                asked->single ? precondition->version[i]
                              : rows->row[i].version);
    }
    sql_add(sql, "%s)", n ? "" : "(NULL, NULL)");
}

/* Locks the rows in the order of their numbers. */
static db_result_t update_rows(db_t *db, uint32_t performance,
                               const asked_t *asked, uint64_t *affected)
{
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, asked->block ? "block the seats" : "free the seats");
    sql_add(&sql,
            "UPDATE seat SET state = '%s', version = version + 1, "
            "hold_id = NULL, expires_at = NULL WHERE performance_id = %u AND ",
            asked->block ? "blocked" : "free", performance);
    add_guard(&sql, asked);
    sql_add(&sql, " AND %s ORDER BY seat_no",
            asked->block ? "(state = 'free' OR (state = 'held' AND "
                           "expires_at <= UTC_TIMESTAMP(3)))"
                         : "state = 'blocked'");
    result = db_change_text(db, &sql, affected);
    sql_free(&sql);

    return result;
}

static db_result_t run(db_t *db, const char *statement)
{
    sql_t sql = {0};
    db_result_t result;

    sql_begin(&sql, statement);
    sql_add(&sql, "%s", statement);
    result = db_change_text(db, &sql, NULL);
    sql_free(&sql);

    return result;
}

static effect_t answer_done(request_t *request, const asked_t *asked,
                            change_t *change)
{
    const seat_rows_t *rows = asked->rows;

    for (unsigned i = 0; i < rows->n; i++) {
        if (change_add_seat(change, &rows->row[i].now) != 0) {
            return EFFECT_FAILED;
        }
    }

    if (asked->single) {
        answer_seat(request, &rows->row[0]);
    } else {
        answer_seats(request, rows);
    }

    return EFFECT_DONE;
}

static effect_t set_seats(request_t *request, db_t *db, change_t *change)
{
    const asked_t *asked = request->wants;
    const seat_row_t *missing;
    uint64_t affected = 0;
    bool done;
    db_result_t result = seat_rows_read(db, request->number, asked->rows);

    if (result != DB_OK) {
        return admin_effect(result);
    }

    missing = seat_rows_missing(asked->rows);
    if (missing != NULL) {
        refuse_seat(request, missing->name);
        return EFFECT_DONE;
    }

    result = run(db, "SAVEPOINT seats");
    if (result == DB_OK) {
        result = update_rows(db, request->number, asked, &affected);
    }

    done = affected == asked->rows->n;
    if (result == DB_OK && !done) {
        result = run(db, "ROLLBACK TO SAVEPOINT seats");
    }

    if (result == DB_OK) {
        result = seat_rows_read(db, request->number, asked->rows);
    }

    if (result != DB_OK) {
        return admin_effect(result);
    }

    change->performance = request->number;
    if (done) {
        return answer_done(request, asked, change);
    }

    return answer_conflicts(request, asked) ? EFFECT_DONE : EFFECT_RETRY;
}

/* The room of the performance goes into the request; false: answered. */
static bool find_room(request_t *request, db_t *db)
{
    db_result_t result = db_connect(db);

    if (result == DB_OK) {
        result = seat_rows_room(db, request->number, request->room,
                                sizeof(request->room));
    }

    if (result != DB_OK) {
        admin_answer_failure(request, result);
    } else if (*request->room == '\0') {
        refuse_performance(request);
    }

    return request->reply.status == 0;
}

/* The name in the path; false: no seat has so long a name, and 404. */
static bool take_name(request_t *request, seat_row_t *row)
{
    if (strlen(request->name) > SEAT_NAME_MAX) {
        refuse_seat(request, request->name);
        return false;
    }

    strcpy(row->name, request->name);

    return true;
}

void handle_read_seat(request_t *request, db_t *db)
{
    seat_row_t row = {.version = 0};
    seat_rows_t rows = {.n = 1, .row = &row};
    db_result_t result;

    if (!find_room(request, db) || !take_name(request, &row)) {
        return;
    }

    result = seat_rows_read(db, request->number, &rows);
    if (result != DB_OK) {
        admin_answer_failure(request, result);
    } else if (!row.found) {
        refuse_seat(request, request->name);
    } else {
        answer_seat(request, &row);
    }
}

static void set_single(request_t *request, db_t *db, bool block)
{
    seat_row_t row = {.version = 0};
    seat_rows_t rows = {.n = 1, .row = &row};
    asked_t asked = {.block = block, .single = true, .rows = &rows};

    if (request->body_len != 0) {
        admin_refuse_body(request, "this is asked without a body");
        return;
    }

    if (!admin_read_if_match(request, &asked.precondition) ||
        !find_room(request, db) || !take_name(request, &row)) {
        return;
    }

    admin_run(request, db, request->room, set_seats, &asked);
}

/* Takes the list over into rows; false: 428 or 500 is answered. */
static bool take_list(request_t *request, const listed_seat_t *seats,
                      unsigned n, seat_rows_t *rows)
{
    rows->n = n;
    rows->row = calloc(n, sizeof(seat_row_t));
    if (rows->row == NULL) {
        reply_empty(&request->reply, 500);
        return false;
    }

    for (unsigned i = 0; i < n; i++) {
        if (!seats[i].has_version) {
            reply_problem(&request->reply, 428, "precondition_required",
                          "give each seat's \"version\", as it was when you "
                          "looked");
            return false;
        }
        strcpy(rows->row[i].name, seats[i].name);
        rows->row[i].version = seats[i].version;
    }

    return true;
}

static void set_many(request_t *request, db_t *db, bool block)
{
    char err[MEMBERS_ERR_LEN];
    listed_seat_t *seats;
    seat_rows_t rows = {0};
    asked_t asked = {.block = block, .rows = &rows};
    unsigned n;

    if (!admin_check_type(request, "application/json")) {
        return;
    }

    if (seat_list_read(&seats, &n, request->body, request->body_len, err) !=
        0) {
        admin_refuse_body(request, err);
        return;
    }

    if (take_list(request, seats, n, &rows) && find_room(request, db)) {
        admin_run(request, db, request->room, set_seats, &asked);
    }

    free(seats);
    free(rows.row);
}

void handle_block_seat(request_t *request, db_t *db)
{
    set_single(request, db, true);
}

void handle_free_seat(request_t *request, db_t *db)
{
    set_single(request, db, false);
}

void handle_block_seats(request_t *request, db_t *db)
{
    set_many(request, db, true);
}

void handle_free_seats(request_t *request, db_t *db)
{
    set_many(request, db, false);
}
