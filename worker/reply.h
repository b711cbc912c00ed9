/*
 * An answer as it will be sent: made by whoever knows it, in any thread, and
 * sent by http.c.
 */
#ifndef REPLY_H
#define REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include <yajl/yajl_gen.h>

#include "body.h"

typedef struct {
    unsigned status; /* 0: there is no answer yet */
    const char *content_type;
    char *body; /* owned; NULL: none */
    size_t len;
    body_t *shared; /* the body instead, with other answers; NULL: none */
    bool stream;    /* the body is what happens from now on (listeners.h) */
    char location[64];
    char etag[40];             /* with its quotes; empty: none */
    const char *cache_control; /* NULL: no-store */
    const char *vary;
    bool replayed; /* the answer to an earlier request with the same key */
    const char *challenge; /* how to say who asks, with 401 */
    char allow[32];        /* methods, with 405 */
    unsigned retry_after_s;
    bool close; /* the connection cannot be used any further */
} reply_t;

/*
 * Makes the answer from finished JSON, which is freed.  Without memory it
 * becomes a 500 without a body.
 */
void reply_json(reply_t *reply, unsigned status, yajl_gen json);

/* The same from text on the heap, which is taken over. */
void reply_text(reply_t *reply, unsigned status, const char *content_type,
                char *text, size_t len);

/* The same from a body that others have, too, of which it takes one share. */
void reply_shared(reply_t *reply, unsigned status, const char *content_type,
                  body_t *body);

/* An answer without a body. */
void reply_empty(reply_t *reply, unsigned status);

/*
 * A problem (RFC 9457): status and code say what it is to programs, detail
 * what was wrong and what to do.
 */
void reply_problem(reply_t *reply, unsigned status, const char *code,
                   const char *detail);

/*
 * The same with more members: begin, add names and values to what it returns
 * (NULL without memory), end.
 */
yajl_gen problem_begin(unsigned status, const char *code, const char *detail);
void problem_end(reply_t *reply, unsigned status, yajl_gen json);

void reply_free(reply_t *reply);

/* Pieces of JSON.  Strings are UTF-8 that this program made or checked. */
void json_name(yajl_gen json, const char *name);
void json_text(yajl_gen json, const char *name, const char *value);
void json_int(yajl_gen json, const char *name, long long value);

#endif
