/*
 * The connection to Redis, over which the stock is told, and seat events are
 * written and read.  Synchronous, with a limit on every wait; belongs to one
 * thread.
 */
#ifndef REDIS_H
#define REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

/* Longest that connecting, or one command, waits for an answer. */
#define REDIS_TIMEOUT_MS 1000

typedef struct redis_s redis_t;

/* Allocates; the configuration must outlive it.  NULL without memory. */
redis_t *redis_new(const config_redis_t *config);
void redis_free(redis_t *redis);

bool redis_connected(const redis_t *redis);

/* Readable when the server has closed it; -1 without a connection. */
int redis_fd(const redis_t *redis);

/*
 * Connects, proves who it is and chooses the database.  Returns 0, or -1 with
 * the reason in err and no connection.
 */
int redis_connect(redis_t *redis, char *err, size_t err_len);

/*
 * Sets the stock of the room instance.  Returns 0 when Redis has done it, or
 * -1 with the reason in err; the connection is closed then.
 */
int redis_set_stock(redis_t *redis, const char *room, uint64_t seats, char *err,
                    size_t err_len);

/* One event for the stream ticket:{ROOM}:seats. */
typedef struct {
    const char *room;
    const char *performance; /* a number */
    const char *payload;
    bool taken; /* Redis has it */
} redis_event_t;

/*
 * Adds events to their streams, all in one go, and sets taken in each.
 * Returns how many Redis refused, with the reason for the first in err, or -1
 * with the reason and no connection: those that are not taken may have
 * arrived all the same.
 */
int redis_add_events(redis_t *redis, redis_event_t *event, unsigned n,
                     char *err, size_t err_len);

/* Takes an event that was read; performance and payload are NULL where it has
 * none. */
typedef void (*redis_event_fn)(void *ctx, const char *room, const char *id,
                               const char *performance, const char *payload,
                               size_t payload_len);

/* A stream, and the event after which to read. */
typedef struct {
    const char *room;
    const char *id;
} redis_position_t;

/*
 * Reads what there is after the positions, at most count of each stream; with
 * nothing there, waits for it at most block_ms, which is to be well below
 * REDIS_TIMEOUT_MS.  Returns the most that one stream had, or -1 as above.
 */
int redis_read_events(redis_t *redis, const redis_position_t *position,
                      unsigned n, unsigned count, unsigned block_ms,
                      redis_event_fn each, void *ctx, char *err,
                      size_t err_len);

/*
 * Reads at most count events of the room's stream: from id ("-": the first)
 * upwards, or backwards from id ("+": the last).  Returns how many, or -1 as
 * above.
 */
int redis_range(redis_t *redis, const char *room, bool backwards,
                const char *id, unsigned count, redis_event_fn each, void *ctx,
                char *err, size_t err_len);

/* Closes the connection, if there is one. */
void redis_close(redis_t *redis);

#endif
