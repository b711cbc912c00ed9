/*
 * The HTTP side: one thread that reads requests, hands them to the pool, and
 * sends the answers.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "ticket_keys.h"
#include "worker.h"

typedef struct http_s http_t;

/*
 * Listens.  The parts of the worker must outlive it; the keys become its own.
 * NULL with one line in err.
 */
http_t *http_start(const worker_t *worker, ticket_keys_t *keys, char *err,
                   size_t err_len);

/*
 * Waits for something to do, on the network or on descriptor fd, and does
 * what there is on the network.  Returns true when fd can be read.
 */
bool http_turn(http_t *http, int fd);

/* Verifies passes by these keys from now on, and frees the old ones. */
void http_set_keys(http_t *http, ticket_keys_t *keys);

/*
 * Takes what has connected so far, and no more; from now on every answer
 * closes its connection.
 */
void http_quiesce(http_t *http);

/* True when, after http_quiesce, every request has been answered. */
bool http_idle(const http_t *http);

/* Only when idle. */
void http_free(http_t *http);

#endif
