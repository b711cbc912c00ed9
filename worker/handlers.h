/*
 * What the routes do with the database, in a thread of the pool.  Each leaves
 * an answer in the request.
 */
#ifndef HANDLERS_H
#define HANDLERS_H

#include "request.h"

void handle_seats(request_t *request, db_t *db);
void handle_make_hold(request_t *request, db_t *db);
void handle_read_hold(request_t *request, db_t *db);
void handle_release_hold(request_t *request, db_t *db);
void handle_healthz(request_t *request, db_t *db);

/* The 503 of a worker that cannot serve now. */
void answer_unavailable(reply_t *reply, const char *detail);

#endif
