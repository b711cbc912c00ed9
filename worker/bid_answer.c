/*
 * Answers to bids.  What is read of the hall never changes (names, numbers),
 * so no lock is taken.
 */
#include <stdio.h>
#include <string.h>

#include "bid_answer.h"
#include "handlers.h"

void answer_in_progress(reply_t *reply)
{
    reply_problem(reply, 409, "in_progress",
                  "an earlier request with this Idempotency-Key is still under "
                  "way; try again");
    reply->retry_after_s = 1;
}

void answer_key_reused(reply_t *reply)
{
    reply_problem(reply, 422, "idempotency_key_reused",
                  "this Idempotency-Key was sent with another request; make a "
                  "new one for each thing to be done");
}

/* The seats that stand in the way, with what they are now. */
static void answer_taken(reply_t *reply, const bid_t *bid)
{
    yajl_gen json = problem_begin(
        409, "seat_unavailable",
        "nothing was held, because not all of the seats are to be had; choose "
        "others in place of those in conflicts");

    if (json != NULL) {
        json_name(json, "conflicts");
        yajl_gen_array_open(json);
        for (unsigned i = 0; i < bid->plan.n_conflicts; i++) {
            const plan_conflict_t *conflict = &bid->plan.conflict[i];

            yajl_gen_map_open(json);
            json_text(json, "seat", bid->hall->seat[conflict->seat_no].name);
            json_text(json, "state", seat_state_name(conflict->state));
            json_int(json, "version", conflict->version);
            yajl_gen_map_close(json);
        }
        yajl_gen_array_close(json);
    }

    problem_end(reply, 409, json);
}

static void answer_full(reply_t *reply, const bid_t *bid)
{
    yajl_gen json = problem_begin(
        409, "pool_unavailable",
        "nothing was held, because the pool has not so many places left");

    if (json != NULL) {
        json_text(json, "pool", bid->plan.what);
        json_int(json, "left", bid->plan.left);
    }

    problem_end(reply, 409, json);
}

static void answer_no_such(reply_t *reply, const char *what, const char *name)
{
    char code[32], detail[128];

    snprintf(code, sizeof(code), "no_such_%s", what);
    snprintf(detail, sizeof(detail), "the performance has no %s \"%s\"", what,
             name);
    reply_problem(reply, 404, code, detail);
}

static void answer_refused(reply_t *reply, const bid_t *bid)
{
    switch (bid->plan.result) {
    case PLAN_TAKEN:
        answer_taken(reply, bid);
        break;
    case PLAN_FULL:
        answer_full(reply, bid);
        break;
    case PLAN_NO_BLOCK:
        reply_problem(reply, 409, "no_block",
                      bid->wish.best.together
                          ? "there are not so many seats together; ask for "
                            "fewer, for other tiers, or with \"together\": "
                            "false"
                          : "there are not so many seats left");
        break;
    case PLAN_NO_SEAT:
        answer_no_such(reply, "seat", bid->plan.what);
        break;
    case PLAN_NO_POOL:
        answer_no_such(reply, "pool", bid->plan.what);
        break;
    case PLAN_NO_TIER:
        answer_no_such(reply, "tier", bid->plan.what);
        break;
    case PLAN_NOT_ON_SALE:
        reply_problem(reply, 409, "not_on_sale",
                      "this performance is not on sale now; GET it for when "
                      "it is");
        break;
    default:
        reply_problem(reply, 404, "no_such_performance",
                      "this room sells no such performance");
    }
}

bool bid_answer_repeated(request_t *request, db_t *db, hold_t *hold,
                         hall_t *hall)
{
    unsigned char fingerprint[FINGERPRINT_BYTES];
    bool released = false;
    hold_result_t result;

    memcpy(fingerprint, request->fingerprint, sizeof(fingerprint));
    result = hold_read(db, hold, &released);

    switch (result) {
    case HOLD_UNKNOWN:
        if (!released) {
            return false;
        }
        break;
    case HOLD_DONE:
    case HOLD_EXPIRED:
        break;
    default:
        answer_hold_problem(&request->reply, result);
        return true;
    }

    if (memcmp(hold->fingerprint, fingerprint, sizeof(fingerprint)) != 0) {
        answer_key_reused(&request->reply);
        return true;
    }

    answer_made_hold(request, hold, hall);
    request->reply.replayed = true;

    return true;
}

void bid_answer(bid_t *bid, db_t *db)
{
    request_t *request = bid->request;
    reply_t *reply = &request->reply;

    switch (bid->result) {
    case BID_WON:
        answer_made_hold(request, &bid->hold, bid->hall);
        break;
    case BID_REFUSED:
        answer_refused(reply, bid);
        break;
    case BID_REPEATED:
        if (!bid_answer_repeated(request, db, &bid->hold, bid->hall)) {
            answer_unavailable(reply, "the hold is being made; try again with "
                                      "the same Idempotency-Key");
        }
        break;
    case BID_LIMITED:
        reply_problem(reply, 422, "limit_exceeded",
                      "this is more than one person may have of this "
                      "performance; GET it for max_per_user");
        break;
    case BID_BUSY:
        answer_unavailable(reply, "the places are being fought over; nothing "
                                  "was held, try again");
        break;
    case BID_SHED:
        answer_unavailable(reply, "too many requests wait; try again");
        break;
    case BID_AWAY:
        answer_unavailable(reply, "the database is away, and whether the "
                                  "places are held is open; try again with "
                                  "the same Idempotency-Key");
        break;
    default:
        reply_problem(reply, 500, "internal",
                      "the worker failed; its log says why");
    }
}
