/*
 * The operators' API, /v1/admin/…: venues, maps, performances, and seats that
 * are taken out of the sale.  The handlers run in a thread of the pool.
 */
#ifndef ADMIN_H
#define ADMIN_H

#include "idempotency.h"
#include "precondition.h"
#include "request.h"

#define ADMIN_CSV_MAX   (8 * 1024 * 1024)
#define ADMIN_SEATS_MAX 65536
#define ADMIN_NAME_MAX  200 /* characters */

/* admin_venue.c */
void handle_list_venues(request_t *request, db_t *db);
void handle_make_venue(request_t *request, db_t *db);

/* admin_map.c */
void handle_make_map(request_t *request, db_t *db);
void handle_read_map(request_t *request, db_t *db);

/* admin_import.c */
void handle_import_map(request_t *request, db_t *db);

/* admin_performance.c */
void handle_make_performance(request_t *request, db_t *db);
void handle_read_performance(request_t *request, db_t *db);
void handle_change_performance(request_t *request, db_t *db);

/* admin_seat.c */
void handle_read_seat(request_t *request, db_t *db);
void handle_block_seat(request_t *request, db_t *db);
void handle_free_seat(request_t *request, db_t *db);
void handle_block_seats(request_t *request, db_t *db);
void handle_free_seats(request_t *request, db_t *db);

/* What these files share, in admin.c. */

/* Whether the body is of that type; else 415 is answered. */
bool admin_check_type(request_t *request, const char *type);

/* Reads If-Match; false: 428 or 400 is answered. */
bool admin_read_if_match(request_t *request, precondition_t *precondition);

/* 400 with what is wrong in it. */
void admin_refuse_body(request_t *request, const char *detail);

/* The 412 of something whose version is another now, with that. */
void admin_refuse_version(request_t *request, const char *what,
                          uint32_t version);

/* Sets ETag to "v7". */
void admin_set_etag(reply_t *reply, uint32_t version);

/* What a failed statement means, to idempotency_run and to who asks. */
effect_t admin_effect(db_result_t result);
void admin_answer_failure(request_t *request, db_result_t result);

/* idempotency_run, with what the effect finds in request->wants meanwhile. */
void admin_run(request_t *request, db_t *db, const char *room, effect_fn effect,
               const void *wants);

/*
 * Runs a statement that returns one row of numbers, of at most n columns, with
 * NULL as 0.  *found: there is such a row.
 */
db_result_t admin_select_numbers(db_t *db, const sql_t *sql, int64_t *number,
                                 unsigned n, bool *found);

/* The id that the last INSERT of this connection made. */
db_result_t admin_last_id(db_t *db, uint32_t *id);

/*
 * Answers with the map as it is; no_such_map when there is none.  admin_map.c.
 */
db_result_t admin_answer_map(request_t *request, db_t *db, uint32_t id,
                             unsigned status);

#endif
