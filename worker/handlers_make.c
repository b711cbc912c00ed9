/*
 * The making of a hold: from the request to a bid for the sequencer.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bid_answer.h"
#include "handlers.h"
#include "sequencer.h"

/* "application/json", with parameters or without. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t len = sizeof(json) - 1;

    return type != NULL && strncasecmp(type, json, len) == 0 &&
           (type[len] == '\0' || strchr("; \t", type[len]) != NULL);
}

static void name_hold(const request_t *request, hold_t *hold)
{
    hold->performance = request->number;
    hold_id_make(&hold->id, request->number, request->owner, request->key);
    memcpy(hold->owner, request->owner, sizeof(hold->owner));
    memcpy(hold->visitor, request->visitor, sizeof(hold->visitor));
    memcpy(hold->fingerprint, request->fingerprint, sizeof(hold->fingerprint));
}

request_fate_t look_make_hold(request_t *request)
{
    request_fate_t fate = REQUEST_ANSWERED;
    const char *wrong;
    bid_t *bid;

    if (!is_json(request->headers.content_type)) {
        reply_problem(&request->reply, 415, "unsupported_media_type",
                      "send the body as application/json");
        return REQUEST_ANSWERED;
    }

    bid = calloc(1, sizeof(*bid));
    if (bid == NULL) {
        reply_empty(&request->reply, 500);
        return REQUEST_ANSWERED;
    }

    bid->request = request;
    name_hold(request, &bid->hold);
    wrong = wish_read(&bid->wish, request->body ? request->body : "",
                      request->body_len);
    if (wrong != NULL) {
        reply_problem(&request->reply, 400, "malformed", wrong);
    } else {
        fate = sequencer_submit(request->worker->sequencer, bid);
    }

    if (fate != REQUEST_TAKEN) {
        free(bid);
    }

    return fate;
}

/*
 * What the sequencer could not say from memory: reads the hall, or the hold
 * that the same key made before.  Without an answer the request is looked at
 * again.
 */
void handle_make_hold(request_t *request, db_t *db)
{
    halls_t *halls = request->worker->halls;
    hold_t hold = {0};
    hall_t *hall;

    halls_lock(halls);
    hall = halls_find(halls, request->number);
    halls_unlock(halls);

    if (hall != NULL) {
        name_hold(request, &hold);
        request->asked = !bid_answer_repeated(request, db, &hold, hall);
        return;
    }

    switch (halls_load(halls, db, request->number, request->room)) {
    case HALLS_OK:
        break;
    case HALLS_NONE:
        reply_problem(&request->reply, 404, "no_such_performance",
                      "this room sells no such performance");
        break;
    case HALLS_AWAY:
        answer_unavailable(&request->reply, "the database is away; try again");
        break;
    default:
        reply_problem(&request->reply, 500, "internal",
                      "the worker failed; its log says why");
    }
}
