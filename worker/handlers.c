/*
 * Handlers: from what the transactions report to what the client is told.
 */
#include <stdio.h>
#include <string.h>

#include "handlers.h"
#include "seats.h"

#define RETRY_AFTER_S 1

void answer_unavailable(reply_t *reply, const char *detail)
{
    reply_problem(reply, 503, "unavailable", detail);
    reply->retry_after_s = RETRY_AFTER_S;
}

/* The seats that stand in the way, with what they are now. */
static void answer_conflict(request_t *request)
{
    const hold_t *hold = &request->hold;
    yajl_gen json = problem_begin(
        409, "seat_unavailable",
        "nothing was held, because not all of the seats are to be had; choose "
        "others in place of those in conflicts");

    if (json != NULL) {
        json_name(json, "conflicts");
        yajl_gen_array_open(json);
        for (unsigned i = 0; i < hold->n; i++) {
            if (hold->seat[i].conflict) {
                yajl_gen_map_open(json);
                json_text(json, "seat", hold->seat[i].name);
                json_text(json, "state", hold->seat[i].state);
                json_int(json, "version", hold->seat[i].version);
                yajl_gen_map_close(json);
            }
        }
        yajl_gen_array_close(json);
    }

    problem_end(&request->reply, 409, json);
}

static void answer_no_seat(request_t *request)
{
    const hold_t *hold = &request->hold;
    char detail[128];
    unsigned i = 0;

    while (i + 1 < hold->n && !hold->seat[i].missing) {
        i++;
    }

    snprintf(detail, sizeof(detail), "the performance has no seat \"%s\"",
             hold->seat[i].name);
    reply_problem(&request->reply, 404, "no_such_seat", detail);
}

/* Everything but HOLD_DONE. */
static void answer_failure(request_t *request, hold_result_t result)
{
    reply_t *reply = &request->reply;

    switch (result) {
    case HOLD_CONFLICT:
        answer_conflict(request);
        break;
    case HOLD_NO_SEAT:
        answer_no_seat(request);
        break;
    case HOLD_NO_PERFORMANCE:
        reply_problem(reply, 404, "no_such_performance",
                      "this room sells no such performance");
        break;
    case HOLD_UNKNOWN:
        reply_problem(reply, 404, "no_such_hold",
                      "you have no such hold; it may have been released");
        break;
    case HOLD_EXPIRED:
        reply_problem(reply, 410, "hold_expired",
                      "the hold has run out; hold the seats again");
        break;
    case HOLD_BUSY:
        answer_unavailable(reply, "the seats are being fought over; nothing "
                                  "was changed, try again");
        break;
    case HOLD_UNAVAILABLE:
        answer_unavailable(reply, "the database is away; try again");
        break;
    default:
        reply_problem(reply, 500, "internal",
                      "the worker failed; its log says why");
    }
}

/* "2026-12-01 19:00:00.000" to "2026-12-01T19:00:00.000Z". */
static void json_time(yajl_gen json, const char *name, const char *time)
{
    char text[40];
    char *space;

    snprintf(text, sizeof(text), "%sZ", time);
    space = strchr(text, ' ');
    if (space != NULL) {
        *space = 'T';
    }

    json_text(json, name, text);
}

static void answer_hold(request_t *request, unsigned status)
{
    const hold_t *hold = &request->hold;
    yajl_gen json = yajl_gen_alloc(NULL);

    if (json == NULL) {
        reply_empty(&request->reply, 500);
        return;
    }

    yajl_gen_map_open(json);
    json_text(json, "hold", hold->id);
    json_int(json, "performance", hold->performance);
    json_time(json, "expires_at", hold->expires_at);
    json_int(json, "expires_in_ms",
             hold->expires_in_ms > 0 ? hold->expires_in_ms : 0);
    json_name(json, "seats");
    yajl_gen_array_open(json);
    for (unsigned i = 0; i < hold->n; i++) {
        yajl_gen_map_open(json);
        json_text(json, "seat", hold->seat[i].name);
        json_int(json, "version", hold->seat[i].version);
        yajl_gen_map_close(json);
    }
    yajl_gen_array_close(json);
    yajl_gen_map_close(json);

    reply_json(&request->reply, status, json);
}

void handle_seats(request_t *request, db_t *db)
{
    yajl_gen json;
    hold_result_t result = seats_list(db, &request->hold, request->room, &json);

    if (result == HOLD_DONE) {
        reply_json(&request->reply, 200, json);
    } else {
        answer_failure(request, result);
    }
}

/* Has the room counted, also when nobody knows whether it was a COMMIT. */
static void report_change(request_t *request, hold_result_t result)
{
    switch (result) {
    case HOLD_DONE:
    case HOLD_BUSY:
    case HOLD_UNAVAILABLE:
    case HOLD_ERROR:
        stock_changed(request->stock, request->room);
        break;
    default:
        break;
    }
}

void handle_make_hold(request_t *request, db_t *db)
{
    hold_result_t result = hold_make(db, &request->hold, request->room);

    report_change(request, result);

    if (result == HOLD_DONE) {
        answer_hold(request, 201);
        snprintf(request->reply.location, sizeof(request->reply.location),
                 "/v1/holds/%s", request->hold.id);
    } else {
        answer_failure(request, result);
    }
}

void handle_read_hold(request_t *request, db_t *db)
{
    hold_result_t result = hold_read(db, &request->hold);

    if (result == HOLD_DONE) {
        answer_hold(request, 200);
    } else {
        answer_failure(request, result);
    }
}

void handle_release_hold(request_t *request, db_t *db)
{
    hold_result_t result = hold_release(db, &request->hold);

    report_change(request, result);

    if (result == HOLD_DONE) {
        reply_empty(&request->reply, 204);
    } else {
        answer_failure(request, result);
    }
}

void handle_healthz(request_t *request, db_t *db)
{
    yajl_gen json;

    if (db_ping(db) != DB_OK) {
        answer_failure(request, HOLD_UNAVAILABLE);
        return;
    }

    json = yajl_gen_alloc(NULL);
    if (json != NULL) {
        yajl_gen_map_open(json);
        json_text(json, "status", "ok");
        yajl_gen_map_close(json);
    }

    reply_json(&request->reply, 200, json);
}
