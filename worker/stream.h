/*
 * The streams of seat events in Redis, as one thread of each worker reads
 * them: every event goes into the halls in memory and is kept for a while, for
 * listeners that come back and say what they heard last.
 */
#ifndef STREAM_H
#define STREAM_H

#include "worker.h"

#define STREAM_ID_MAX 41 /* "18446744073709551615-18446744073709551615" */

typedef struct {
    bool live;               /* connected, and nothing is known to be missing */
    unsigned long events;    /* read */
    unsigned long malformed; /* of them, and skipped */
    unsigned long failures;  /* of Redis */
} stream_stats_t;

/* Starts the thread.  Configuration and halls must outlive it.  NULL: failed.
 */
stream_t *stream_start(const config_t *config, halls_t *halls);

/*
 * Where to write (eventfd) when there are new events; -1: nowhere.  Set before
 * anybody listens.
 */
void stream_notify(stream_t *stream, int fd);

/*
 * The id up to which all events of the performance are in its hall: "" for
 * none.  It may be that of another performance's event.  To be asked for
 * before the seats are read, so that no event is between them; with or without
 * halls_lock.
 */
void stream_last(stream_t *stream, uint32_t performance,
                 char id[STREAM_ID_MAX + 1]);

typedef enum {
    STREAM_EVENTS, /* text has all that came after id, as one server-sent event
                    */
    STREAM_QUIET,  /* there is nothing, or no memory for it now */
    STREAM_GONE    /* the id is too old, or not from here: ask for the seats */
} stream_result_t;

/*
 * What came after id for the performance, as text ready to be sent (on the
 * heap, *len bytes), and the id of the last event of it in place of id.  With
 * or without halls_lock.
 */
stream_result_t stream_after(stream_t *stream, uint32_t performance,
                             char id[STREAM_ID_MAX + 1], char **text,
                             size_t *len);

void stream_stats(stream_t *stream, stream_stats_t *stats);

/* As keeper_stop. */
bool stream_stop(stream_t *stream);

#endif
