/*
 * Stock: tells Redis how many seats each room instance has left, so that the
 * line calls nobody to a sale that is sold out.
 */
#ifndef STOCK_H
#define STOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "config.h"

typedef struct stock_s stock_t;

typedef struct {
    unsigned long published; /* answered SETs */
    unsigned long failures;  /* of Redis or the database */
    int64_t age_ms;          /* since the last answered SET; -1: none yet */
} stock_stats_t;

/*
 * Starts the thread that publishes, after pool_start, which makes the
 * database's library ready for threads.  The configuration must outlive it.
 * NULL: no memory or no thread.
 */
stock_t *stock_start(const config_t *config);

/*
 * The seats of the room instance may have changed: call it after the COMMIT.
 * From any thread; never waits for Redis or the database.  Accepts NULL.
 */
void stock_changed(stock_t *stock, const char *room);

void stock_stats(const stock_t *stock, stock_stats_t *stats);

/*
 * Publishes what is left, if that goes quickly, ends the thread and frees
 * all.  Returns false when the thread hangs and had to be left as it is: the
 * process is to end without tidying up.  Accepts NULL.
 */
bool stock_stop(stock_t *stock);

#endif
