/*
 * Lists of bids: queues that are added to at their end, and can be put before
 * one another as a whole.
 */
#ifndef BIDS_H
#define BIDS_H

#include "bid.h"

typedef struct {
    bid_t *first, **last; /* begins with bids_clear */
} bids_t;

void bids_clear(bids_t *bids);

void bids_append(bids_t *bids, bid_t *bid);

/* The first, which is no longer in it; NULL: there is none. */
bid_t *bids_take(bids_t *bids);

/* Puts all of front before bids; front is empty then. */
void bids_prepend(bids_t *bids, bids_t *front);

#endif
