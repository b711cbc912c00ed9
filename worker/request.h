/*
 * A request on its way: read by http.c, understood by routes.c, worked on by
 * handlers.c in a thread of the pool, answered by http.c.  One of them has it
 * at a time, so nothing in it is locked.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "holds.h"
#include "metrics.h"
#include "pool.h"
#include "reply.h"
#include "stock.h"

#define REQUEST_BODY_MAX 16384
#define REQUEST_ID_MAX   64
#define REQUEST_ROOM_MAX 160

typedef struct request_s request_t;

struct request_s {
    pool_job_t job; /* first, so that a job is its request */
    void (*handle)(request_t *request, db_t *db);

    void *http;       /* whose it is, for http.c alone */
    void *connection; /* of the library, for http.c alone */
    request_t *next;  /* among the finished, for http.c alone */
    int64_t started_us;

    stock_t *stock; /* is told what changes; NULL: nobody wants to know */

    route_id_t route;
    char *method;
    char *path;
    char request_id[REQUEST_ID_MAX + 1];
    char *body;
    size_t body_len, body_size; /* body_size: as announced */

    char room[REQUEST_ROOM_MAX + 1];
    hold_t hold; /* performance, id, owner and seats, as the route has them */

    reply_t reply;
};

#endif
