/*
 * Handlers: what is asked of the worker as a whole, and the answer of all
 * handlers when it cannot serve.
 */
#include "handlers.h"

#define RETRY_AFTER_S 1

void answer_unavailable(reply_t *reply, const char *detail)
{
    reply_problem(reply, 503, "unavailable", detail);
    reply->retry_after_s = RETRY_AFTER_S;
}

void handle_healthz(request_t *request, db_t *db)
{
    yajl_gen json;

    if (db_ping(db) != DB_OK) {
        answer_unavailable(&request->reply, "the database is away; try again");
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
