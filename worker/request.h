/*
 * A request on its way: read by http.c, understood by routes.c, answered by a
 * handler at once or in a thread of the pool or of the sequencer, sent by
 * http.c.  One of them has it at a time, so nothing in it is locked.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "holds.h"
#include "pool.h"
#include "reply.h"
#include "seatmaps.h"
#include "worker.h"

#define REQUEST_BODY_MAX 16384
#define REQUEST_ID_MAX   64
#define REQUEST_ROOM_MAX 160
#define REQUEST_KEY_MAX  128 /* characters of an Idempotency-Key */
#define REQUEST_LISTS    3   /* headers that may come in several lines */
#define REQUEST_NAME_MAX 64  /* characters of a name in the path */

/* Headers that matter; NULL: absent.  The library's, until it is answered. */
typedef struct {
    const char *room;
    const char *pass;
    const char *bind;
    const char *identity;
    const char *content_type;
    const char *accept;
    const char *if_match;
    const char *if_none_match;
    const char *idempotency_key;
    const char *last_event_id;
    const char *authorization;

    char *joined[REQUEST_LISTS]; /* owned: lists that had several lines */
} request_headers_t;

typedef struct request_s request_t;
typedef struct listener_s listener_t; /* listeners.h */
typedef struct route_s route_t;       /* routes.h */

/* What became of a request that was looked at in the HTTP thread. */
typedef enum {
    REQUEST_ANSWERED, /* the reply is in it */
    REQUEST_TO_POOL,  /* handle is to be called in a thread of the pool */
    REQUEST_TAKEN     /* somebody has it, who calls request_finish */
} request_fate_t;

struct request_s {
    pool_job_t job; /* first, so that a job is its request */

    void *http;       /* whose it is, for http.c alone */
    void *connection; /* of the library, for http.c alone */
    request_t *next;  /* in the list of whoever has it */
    int64_t started_us;

    const worker_t *worker;
    seatmaps_t *maps;
    const route_t *route; /* NULL: no such address */
    char *method;
    char *path;
    char request_id[REQUEST_ID_MAX + 1];
    request_headers_t headers;
    char *body;
    size_t body_len, body_size; /* body_size: as announced */

    /* As the path has them. */
    uint32_t number; /* of the performance, venue or map */
    hold_id_t hold_id;
    char name[REQUEST_NAME_MAX + 1];

    /* Who asks: empty for operators. */
    char room[REQUEST_ROOM_MAX + 1];
    char owner[HOLD_OWNER_MAX + 1];
    int64_t pass_ends_ms; /* since 1970, by this machine's clock */
    unsigned char visitor[VISITOR_BYTES]; /* hash of identity, or of owner */

    /* Of a POST. */
    char key[REQUEST_KEY_MAX + 1];
    unsigned char fingerprint[FINGERPRINT_BYTES]; /* of address and body */
    bool asked;        /* the database has no hold of this key */
    const void *wants; /* what the body says, from a handler to its effect */

    reply_t reply;
    listener_t *listener; /* that it became; NULL: none */
};

/* Gives an answered request back to be sent.  From any thread. */
void request_finish(request_t *request);

#endif
