/*
 * What the routes do.  look_… run in the HTTP thread and never wait; handle_…
 * run in a thread of the pool and leave an answer in the request.
 */
#ifndef HANDLERS_H
#define HANDLERS_H

#include "request.h"

/* handlers_map.c */
request_fate_t look_performance(request_t *request);
void handle_performance(request_t *request, db_t *db);
request_fate_t look_map(request_t *request);
void handle_map(request_t *request, db_t *db);
request_fate_t look_seats(request_t *request);
void handle_seats(request_t *request, db_t *db);
request_fate_t look_stream(request_t *request);
void handle_stream(request_t *request, db_t *db);

/* handlers_hold.c */
request_fate_t look_make_hold(request_t *request);
void handle_make_hold(request_t *request, db_t *db);
void handle_list_holds(request_t *request, db_t *db);
void handle_read_hold(request_t *request, db_t *db);
void handle_extend_hold(request_t *request, db_t *db);
void handle_release_hold(request_t *request, db_t *db);

/*
 * The answer to the making of a hold, the first one or a replay of it: 201
 * with Location.  Under the lock over the hall.
 */
void answer_made_hold(request_t *request, const hold_t *hold,
                      const hall_t *hall);

/* The problem that a result other than HOLD_DONE is. */
void answer_hold_problem(reply_t *reply, hold_result_t result);

/* handlers.c */
void handle_healthz(request_t *request, db_t *db);

/* The 503 of a worker that cannot serve now. */
void answer_unavailable(reply_t *reply, const char *detail);

#endif
