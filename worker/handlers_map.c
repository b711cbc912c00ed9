/*
 * What everybody may look at: the performance, the geometry of its hall, its
 * seats, and the stream of what happens to them.  All of it comes from memory
 * in the HTTP thread; a performance that is not in memory yet is read in a
 * thread of the pool first.
 */
#include <stdio.h>
#include <string.h>

#include "handlers.h"
#include "negotiate.h"
#include "rfc3339.h"
#include "seatmaps.h"

#define COMPACT_TYPE "application/vnd.ticket.seats+json"
#define JSON_TYPE    "application/json"

/* Answers the request, or says why not. */
typedef seatmaps_result_t (*answer_fn)(request_t *request,
                                       const seatmaps_query_t *query);

static void answer_result(reply_t *reply, seatmaps_result_t result)
{
    switch (result) {
    case SEATMAPS_OK:
        break;
    case SEATMAPS_NONE:
        reply_problem(reply, 404, "no_such_performance",
                      "this room sells no such performance");
        break;
    case SEATMAPS_AWAY:
    case SEATMAPS_LATER:
        answer_unavailable(reply, "the database is away; try again");
        break;
    default:
        reply_problem(reply, 500, "internal",
                      "the worker failed; its log says why");
    }
}

static request_fate_t look(request_t *request, answer_fn answer)
{
    seatmaps_query_t query = {.worker = request->worker,
                              .performance = request->number,
                              .room = request->room};
    seatmaps_result_t result = answer(request, &query);

    if (result == SEATMAPS_LATER) {
        return REQUEST_TO_POOL;
    }
    answer_result(&request->reply, result);

    return REQUEST_ANSWERED;
}

static void handle(request_t *request, db_t *db, answer_fn answer)
{
    seatmaps_query_t query = {.worker = request->worker,
                              .performance = request->number,
                              .room = request->room,
                              .patient = true};
    seatmaps_result_t result = seatmaps_load(request->maps, request->worker, db,
                                             request->number, request->room);

    if (result == SEATMAPS_OK) {
        result = answer(request, &query);
    }
    answer_result(&request->reply, result);
}

static void json_time(yajl_gen json, const char *name, int64_t ms)
{
    char text[RFC3339_MAX + 1];

    if (ms == 0) {
        json_name(json, name);
        yajl_gen_null(json);
        return;
    }

    rfc3339_write(ms, text);
    json_text(json, name, text);
}

static void json_limit(yajl_gen json, const char *name, uint32_t limit)
{
    if (limit > 0) {
        json_int(json, name, limit);
    } else {
        json_name(json, name);
        yajl_gen_null(json);
    }
}

static void write_performance(yajl_gen json, const hall_t *head,
                              const seatmap_t *map)
{
    char path[96];

    snprintf(path, sizeof(path), "/v1/performances/%u/map/%s",
             head->performance, seatmap_hash(map));

    yajl_gen_map_open(json);
    json_int(json, "performance", head->performance);
    json_text(json, "name", head->name);
    json_text(json, "room", head->room);
    json_time(json, "starts_at", head->starts_ms);
    json_time(json, "sale_opens_at", head->sale_opens_ms);
    json_time(json, "sale_closes_at", head->sale_closes_ms);
    json_int(json, "hold_ttl_ms", head->hold_ttl_ms);
    json_int(json, "hold_max_ms", head->hold_max_ms);
    json_limit(json, "max_per_user", head->max_per_user);
    json_text(json, "map", path);
    yajl_gen_map_close(json);
}

static seatmaps_result_t answer_performance(request_t *request,
                                            const seatmaps_query_t *query)
{
    seatmap_t *map;
    hall_t head;
    seatmaps_result_t result = seatmaps_find(request->maps, query, &map, &head);
    yajl_gen json;

    if (result != SEATMAPS_OK) {
        return result;
    }

    json = yajl_gen_alloc(NULL);
    if (json != NULL) {
        write_performance(json, &head, map);
    }
    reply_json(&request->reply, 200, json);
    seatmap_drop(map);

    return SEATMAPS_OK;
}

static seatmaps_result_t answer_map(request_t *request,
                                    const seatmaps_query_t *query)
{
    reply_t *reply = &request->reply;
    seatmap_t *map;
    seatmaps_result_t result = seatmaps_find(request->maps, query, &map, NULL);

    if (result != SEATMAPS_OK) {
        return result;
    }

    if (strcmp(request->name, seatmap_hash(map)) != 0) {
        reply_problem(reply, 404, "no_such_map",
                      "the performance has another map by now; ask for the "
                      "performance, which names it");
    } else {
        snprintf(reply->etag, sizeof(reply->etag), "\"%s\"", seatmap_hash(map));
        reply->cache_control = "public, max-age=31536000, immutable";
        if (negotiate_knows(request->headers.if_none_match, reply->etag)) {
            reply_empty(reply, 304);
        } else {
            reply_shared(reply, 200, JSON_TYPE,
                         body_share(seatmap_geometry(map)));
        }
    }
    seatmap_drop(map);

    return SEATMAPS_OK;
}

/* The form that the client likes best; SEATMAPS_FORMS: none. */
static seats_form_t choose_form(const char *accept)
{
    bool named, ignored;
    unsigned compact = negotiate_quality(accept, COMPACT_TYPE, &named);
    unsigned json = negotiate_quality(accept, JSON_TYPE, &ignored);

    if (compact == 0 && json == 0) {
        return SEATMAPS_FORMS;
    }

    /* Who names the compact form knows how to read it. */
    return compact > json || (named && compact == json) ? SEATMAPS_COMPACT
                                                        : SEATMAPS_JSON;
}

static seatmaps_result_t answer_seats(request_t *request,
                                      const seatmaps_query_t *query)
{
    reply_t *reply = &request->reply;
    seats_form_t form = choose_form(request->headers.accept);
    seatmaps_result_t result;
    body_t *body;

    if (form == SEATMAPS_FORMS) {
        reply_problem(reply, 406, "not_acceptable",
                      "the seats are to be had as " JSON_TYPE
                      " and as " COMPACT_TYPE);
        return SEATMAPS_OK;
    }

    result = seatmaps_seats(request->maps, query, form,
                            request->headers.if_none_match, reply->etag, &body);
    if (result != SEATMAPS_OK) {
        *reply->etag = '\0';
        return result;
    }

    reply->cache_control = "no-cache";
    reply->vary = "Accept";
    if (body == NULL) {
        reply_empty(reply, 304);
    } else {
        reply_shared(reply, 200,
                     form == SEATMAPS_JSON ? JSON_TYPE : COMPACT_TYPE, body);
    }

    return SEATMAPS_OK;
}

/* The rest is the HTTP thread's: http.c makes a listener of it. */
static seatmaps_result_t answer_stream(request_t *request,
                                       const seatmaps_query_t *query)
{
    reply_t *reply = &request->reply;
    seatmap_t *map;
    seatmaps_result_t result = seatmaps_find(request->maps, query, &map, NULL);

    if (result != SEATMAPS_OK) {
        return result;
    }
    seatmap_drop(map);

    if (request->worker->stream == NULL) {
        reply_problem(reply, 404, "no_stream",
                      "this worker has no Redis, and so no stream; ask for the "
                      "seats again and again");
    } else {
        /* After a HEAD the library would still send the stream's end. */
        reply_empty(reply, 200);
        reply->content_type = "text/event-stream";
        reply->stream = strcmp(request->method, "HEAD") != 0;
    }

    return SEATMAPS_OK;
}

request_fate_t look_performance(request_t *request)
{
    return look(request, answer_performance);
}

void handle_performance(request_t *request, db_t *db)
{
    handle(request, db, answer_performance);
}

request_fate_t look_map(request_t *request)
{
    return look(request, answer_map);
}

void handle_map(request_t *request, db_t *db)
{
    handle(request, db, answer_map);
}

request_fate_t look_seats(request_t *request)
{
    return look(request, answer_seats);
}

void handle_seats(request_t *request, db_t *db)
{
    handle(request, db, answer_seats);
}

request_fate_t look_stream(request_t *request)
{
    return look(request, answer_stream);
}

void handle_stream(request_t *request, db_t *db)
{
    handle(request, db, answer_stream);
}
