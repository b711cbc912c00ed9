/*
 * Those who listen to what happens to the seats of a performance: server-sent
 * events, over connections that the HTTP library keeps suspended while there
 * is nothing to say.  For the HTTP thread alone.
 */
#ifndef LISTENERS_H
#define LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

#include <microhttpd.h>

#include "stream.h"

typedef struct listeners_s listeners_t;
typedef struct listener_s listener_t;

/* At most max at once.  NULL without memory or descriptors. */
listeners_t *listeners_new(stream_t *stream, unsigned max);

/* Only when nobody listens any more.  Accepts NULL. */
void listeners_free(listeners_t *all);

/* Whether one more is too many, or it is too late for more. */
bool listeners_full(const listeners_t *all);

/*
 * One more, who heard the event after last (NULL or empty: none) and whose
 * pass ends at that time (milliseconds since 1970).  Makes the response that
 * the connection is to be given.  Returns NULL without memory.
 */
listener_t *listeners_add(listeners_t *all, struct MHD_Connection *connection,
                          uint32_t performance, const char *last,
                          int64_t pass_ends_ms, struct MHD_Response **response);

/* The connection is at its end.  Accepts NULL for the listener. */
void listeners_remove(listeners_t *all, listener_t *listener);

/* Readable when a listener has gone away: then call listeners_gone. */
int listeners_fd(const listeners_t *all);
void listeners_gone(listeners_t *all);

/* The stream has something new. */
void listeners_news(listeners_t *all);

/*
 * Goes on telling what there is to tell, a slice at a time, so that others
 * are served in between: before each turn of the library.
 */
void listeners_run(listeners_t *all, int64_t now_us);

/* Milliseconds until listeners_run is to be called again; -1: never. */
int listeners_wait_ms(const listeners_t *all, int64_t now_us);

/* Ends them all, and takes no more. */
void listeners_end(listeners_t *all, int64_t now_us);

unsigned listeners_count(const listeners_t *all);
unsigned long listeners_messages(const listeners_t *all);

#endif
