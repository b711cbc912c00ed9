/*
 * The connection to Redis, over which the stock is told.  Synchronous, with a
 * limit on every wait; belongs to one thread.
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

/* Closes the connection, if there is one. */
void redis_close(redis_t *redis);

#endif
