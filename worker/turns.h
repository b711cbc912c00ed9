/*
 * The bids that wait for their turn, and the threads that wait for bids.
 */
#ifndef TURNS_H
#define TURNS_H

#include <pthread.h>

#include "bids.h"

typedef struct {
    pthread_mutex_t mutex; /* guards the rest, and what else its owner says */
    pthread_cond_t wake;
    bids_t queue;
    unsigned queued;
    unsigned busy; /* threads whose turn is not over */
    bool stopping;
    unsigned half; /* bids that are worth another thread */
    unsigned max;  /* bids that may wait */
} turns_t;

/* For batches of that many bids, and a queue of at most max. */
void turns_init(turns_t *turns, unsigned batch, unsigned max);
void turns_free(turns_t *turns);

/*
 * Puts a new bid at the end.  False: too many wait, or the first waits too
 * long.  No thread is told before turns_kick.
 */
bool turns_add(turns_t *turns, bid_t *bid);
void turns_kick(turns_t *turns);

/* Waits until there is something to do; then the thread's turn begins.  False:
 * it is time to end. */
bool turns_wait(turns_t *turns);

/* The next bid; NULL: there is none. */
bid_t *turns_next(turns_t *turns);

/* Puts those back at the front who have had their turn in vain. */
void turns_put_back(turns_t *turns, bids_t *bids);

/* The turn is over; whoever waited for that has his again. */
void turns_end(turns_t *turns, bids_t *waiting);

/* From now on turns_wait is false when no bid is left. */
void turns_stop(turns_t *turns);

#endif
