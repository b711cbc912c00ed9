/*
 * What the owner of a hold asks after it was made: read, list, extend,
 * release.  Names of seats, tiers and pools come from the hall in memory; what
 * is held the database says.
 */
#include <stdlib.h>
#include <string.h>

#include "change.h"
#include "handlers.h"
#include "hold_json.h"
#include "idempotency.h"
#include "keeper.h"

#define LIST_MAX 100

void answer_hold_problem(reply_t *reply, hold_result_t result)
{
    switch (result) {
    case HOLD_UNKNOWN:
        reply_problem(reply, 404, "no_such_hold",
                      "you have no such hold; it may have been released");
        break;
    case HOLD_EXPIRED:
        reply_problem(reply, 410, "hold_expired",
                      "the hold has run out; hold the places again");
        break;
    case HOLD_EXTENDED:
        reply_problem(reply, 409, "already_extended",
                      "a hold is extended once; GET it for the time left");
        break;
    case HOLD_AT_MAXIMUM:
        reply_problem(reply, 409, "hold_at_maximum",
                      "the hold lasts as long as this performance allows "
                      "already; GET it for the time left");
        break;
    case HOLD_BUSY:
        answer_unavailable(reply, "the places are being fought over; nothing "
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

/* Answers with text of that length, or with a 500 if there is none. */
static void answer_text(reply_t *reply, unsigned status, const char *text,
                        size_t len)
{
    char *copy = len == 0 ? NULL : malloc(len);

    if (copy != NULL) {
        memcpy(copy, text, len);
    }

    reply_text(reply, status, "application/json", copy, len);
}

void answer_made_hold(request_t *request, const hold_t *hold,
                      const hall_t *hall)
{
    static const char address[] = "/v1/holds/";
    reply_t *reply = &request->reply;
    char json[HOLD_JSON_MAX];

    memcpy(reply->location, address, sizeof(address));
    hold_id_write(&hold->id, reply->location + sizeof(address) - 1);
    answer_text(reply, 201, json, hold_json_made(json, hold, hall));
}

static void answer_halls(reply_t *reply, halls_result_t result)
{
    switch (result) {
    case HALLS_NONE:
        reply_problem(reply, 404, "no_such_performance",
                      "this room sells no such performance");
        break;
    case HALLS_AWAY:
        answer_hold_problem(reply, HOLD_UNAVAILABLE);
        break;
    default:
        answer_hold_problem(reply, HOLD_ERROR);
    }
}

/*
 * The hall of the performance, with the lock; or NULL without it, and an
 * answer in the reply.
 */
static const hall_t *lock_hall(request_t *request, db_t *db,
                               uint32_t performance)
{
    halls_t *halls = request->worker->halls;
    const hall_t *hall;
    halls_result_t result;

    halls_lock(halls);
    hall = halls_find(halls, performance);
    if (hall != NULL) {
        return hall;
    }
    halls_unlock(halls);

    result = halls_load(halls, db, performance, request->room);
    if (result == HALLS_OK) {
        halls_lock(halls);
        hall = halls_find(halls, performance);
        if (hall != NULL) {
            return hall;
        }
        halls_unlock(halls);
        result = HALLS_ERROR;
    }
    answer_halls(&request->reply, result);

    return NULL;
}

/* Fills in which hold of whom a request is about. */
static void name_hold(hold_t *hold, const request_t *request)
{
    *hold = (hold_t){.id = request->hold_id};
    strcpy(hold->owner, request->owner);
}

void handle_read_hold(request_t *request, db_t *db)
{
    char json[HOLD_JSON_MAX];
    const hall_t *hall;
    hold_t hold;
    hold_result_t result;
    bool released;
    size_t len;

    name_hold(&hold, request);
    result = hold_read(db, &hold, &released);
    if (result != HOLD_DONE) {
        answer_hold_problem(&request->reply, result);
        return;
    }

    hall = lock_hall(request, db, hold.performance);
    if (hall != NULL) {
        len = hold_json_now(json, &hold, hall, hold.now_ms);
        halls_unlock(request->worker->halls);
        answer_text(&request->reply, 200, json, len);
    }
}

/* {"holds":[…]}; returns the text on the heap, or NULL. */
static char *write_list(const hold_t *hold, unsigned n, const hall_t *hall,
                        size_t *len)
{
    static const char begin[] = "{\"holds\":[", end[] = "]}";
    char *json =
        malloc(sizeof(begin) + sizeof(end) + (size_t)n * (HOLD_JSON_MAX + 1));

    if (json == NULL) {
        return NULL;
    }

    memcpy(json, begin, sizeof(begin));
    *len = sizeof(begin) - 1;
    for (unsigned i = 0; i < n; i++) {
        if (i > 0) {
            json[(*len)++] = ',';
        }
        *len += hold_json_now(json + *len, &hold[i], hall, hold[i].now_ms);
    }
    memcpy(json + *len, end, sizeof(end));
    *len += sizeof(end) - 1;

    return json;
}

static void answer_list(request_t *request, db_t *db, const hold_t *hold,
                        unsigned n)
{
    const hall_t *hall = lock_hall(request, db, request->number);
    size_t len = 0;
    char *json = NULL;

    if (hall == NULL) {
        return;
    }

    if (strcmp(hall->room, request->room) == 0) {
        json = write_list(hold, n, hall, &len);
        halls_unlock(request->worker->halls);
        reply_text(&request->reply, 200, "application/json", json, len);
    } else {
        halls_unlock(request->worker->halls);
        answer_halls(&request->reply, HALLS_NONE);
    }
}

void handle_list_holds(request_t *request, db_t *db)
{
    hold_t *hold = calloc(LIST_MAX, sizeof(*hold));
    hold_result_t result = HOLD_ERROR;
    unsigned n = 0;

    if (hold != NULL) {
        result =
            hold_list(db, request->number, request->owner, hold, LIST_MAX, &n);
    }

    if (result == HOLD_DONE) {
        answer_list(request, db, hold, n);
    } else {
        answer_hold_problem(&request->reply, result);
    }
    free(hold);
}

/* Within the transaction: so the hall has been loaded before. */
static effect_t extend(request_t *request, db_t *db, change_t *change)
{
    halls_t *halls = request->worker->halls;
    char json[HOLD_JSON_MAX];
    const hall_t *hall;
    hold_t hold;
    hold_result_t result;
    size_t len = 0;

    name_hold(&hold, request);
    result = hold_extend(db, &hold, change);
    switch (result) {
    case HOLD_DONE:
        break;
    case HOLD_BUSY:
        return EFFECT_RETRY;
    case HOLD_UNAVAILABLE:
        return EFFECT_AWAY;
    case HOLD_ERROR:
        return EFFECT_FAILED;
    default:
        answer_hold_problem(&request->reply, result);
        return EFFECT_DONE;
    }

    halls_lock(halls);
    hall = halls_find(halls, hold.performance);
    if (hall != NULL) {
        len = hold_json_now(json, &hold, hall, hold.now_ms);
    }
    halls_unlock(halls);
    answer_text(&request->reply, 200, json, len);

    return EFFECT_DONE;
}

void handle_extend_hold(request_t *request, db_t *db)
{
    hold_t hold;
    bool released;

    name_hold(&hold, request);
    if (hold_read(db, &hold, &released) == HOLD_DONE) {
        if (lock_hall(request, db, hold.performance) == NULL) {
            return;
        }
        halls_unlock(request->worker->halls);
    }

    idempotency_run(request, db, request->room, extend);
}

void handle_release_hold(request_t *request, db_t *db)
{
    const worker_t *worker = request->worker;
    hold_t hold;
    hold_result_t result;

    name_hold(&hold, request);
    result = hold_release(db, worker->halls, &hold);

    /* Also when nobody knows what has become of it. */
    if (result != HOLD_UNKNOWN) {
        stock_changed(worker->stock, request->room);
        keeper_wake(worker->keeper);
    }

    if (result == HOLD_DONE) {
        reply_empty(&request->reply, 204);
    } else {
        answer_hold_problem(&request->reply, result);
    }
}
