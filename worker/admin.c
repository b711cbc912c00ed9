/*
 * What all handlers of the operators' API have in common: media types, If-Match
 * and ETag, and what becomes of a statement that failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "admin.h"
#include "handlers.h"

bool admin_check_type(request_t *request, const char *type)
{
    const char *given = request->headers.content_type;
    size_t len = strlen(type);
    char detail[96];

    if (given != NULL && strncasecmp(given, type, len) == 0 &&
        strchr("; \t", given[len]) != NULL) {
        return true;
    }

    snprintf(detail, sizeof(detail),
             "send the body with the header Content-Type: %s", type);
    reply_problem(&request->reply, 415, "unsupported_media_type", detail);

    return false;
}

bool admin_read_if_match(request_t *request, precondition_t *precondition)
{
    const char *value = request->headers.if_match;

    if (value == NULL) {
        reply_problem(&request->reply, 428, "precondition_required",
                      "send If-Match with the ETag that a GET of this told, "
                      "so that nobody's change is overwritten unseen");
        return false;
    }

    if (precondition_read(precondition, value) != 0) {
        reply_problem(&request->reply, 400, "malformed",
                      "If-Match is *, or up to 16 ETags with commas between "
                      "them: \"v7\"");
        return false;
    }

    return true;
}

void admin_refuse_body(request_t *request, const char *detail)
{
    reply_problem(&request->reply, 400, "malformed", detail);
}

void admin_refuse_version(request_t *request, const char *what,
                          uint32_t version)
{
    char detail[160];
    yajl_gen json;

    snprintf(detail, sizeof(detail),
             "the %s has changed: its version is %u; GET it, look at the "
             "change, and send its ETag with a new Idempotency-Key",
             what, version);
    json = problem_begin(412, "precondition_failed", detail);
    if (json != NULL) {
        json_int(json, "version", version);
    }
    problem_end(&request->reply, 412, json);
    admin_set_etag(&request->reply, version);
}

void admin_set_etag(reply_t *reply, uint32_t version)
{
    snprintf(reply->etag, sizeof(reply->etag), "\"v%u\"", version);
}

effect_t admin_effect(db_result_t result)
{
    switch (result) {
    case DB_OK:
        return EFFECT_DONE;
    case DB_BUSY:
        return EFFECT_RETRY;
    case DB_LOST:
        return EFFECT_AWAY;
    default:
        return EFFECT_FAILED;
    }
}

void admin_answer_failure(request_t *request, db_result_t result)
{
    if (result == DB_LOST || result == DB_BUSY) {
        answer_unavailable(&request->reply, "the database is away; try again");
    } else {
        reply_problem(&request->reply, 500, "internal",
                      "the worker failed; its log says why");
    }
}

void admin_run(request_t *request, db_t *db, const char *room, effect_fn effect,
               const void *wants)
{
    request->wants = wants;
    idempotency_run(request, db, room, effect);
    request->wants = NULL;
}

typedef struct {
    int64_t *number;
    unsigned n;
    bool found;
} numbers_t;

static void take_numbers(void *ctx, char *const *column)
{
    numbers_t *numbers = ctx;

    numbers->found = true;
    for (unsigned i = 0; i < numbers->n; i++) {
        numbers->number[i] = column[i] ? strtoll(column[i], NULL, 10) : 0;
    }
}

db_result_t admin_select_numbers(db_t *db, const sql_t *sql, int64_t *number,
                                 unsigned n, bool *found)
{
    numbers_t numbers = {.number = number, .n = n};
    db_result_t result = db_select_text(db, sql, take_numbers, &numbers);

    *found = numbers.found;

    return result;
}

db_result_t admin_last_id(db_t *db, uint32_t *id)
{
    sql_t sql = {0};
    int64_t number = 0;
    db_result_t result;
    bool found;

    sql_begin(&sql, "tell the new id");
    sql_add(&sql, "SELECT LAST_INSERT_ID()");
    result = admin_select_numbers(db, &sql, &number, 1, &found);
    sql_free(&sql);
    *id = (uint32_t)number;

    return result;
}
