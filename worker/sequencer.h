/*
 * The sequencer: every request for a hold goes through it, one after the
 * other.  What is surely gone is refused at once and in memory; the rest waits
 * while a batch is being committed, and goes into the next together.
 */
#ifndef SEQUENCER_H
#define SEQUENCER_H

#include "bid.h"

#define SEQUENCER_SIZES 7 /* batches of 1, 2, up to 4, 8, 16, 32, 64 holds */

typedef struct {
    unsigned queued; /* bids that wait for a batch */
    unsigned long size[SEQUENCER_SIZES];
    unsigned long batches; /* committed */
    unsigned long holds;   /* made by them */
    unsigned long refused; /* without asking the database */
    unsigned long lost;    /* refused after it was asked */
    unsigned long again;   /* batches that had to be planned again */
    unsigned long shed;    /* answered 503 because too many wait */
    const db_stats_t *db;
} sequencer_stats_t;

/*
 * Starts its threads, each with a connection to the database.  stock and
 * keeper may be NULL.  NULL: no memory or no threads.
 */
sequencer_t *sequencer_start(const config_t *config, halls_t *halls,
                             stock_t *stock, keeper_t *keeper);

/*
 * Takes a bid whose request, wish and hold (id, performance, owner, visitor,
 * fingerprint) are filled in.  REQUEST_TAKEN: the bid is the sequencer's, and
 * its request will be finished; else the bid is still the caller's.
 * REQUEST_TO_POOL: the hall is not in memory, or the hold may have been made
 * before: see there, and submit again.  For the HTTP thread.
 */
request_fate_t sequencer_submit(sequencer_t *sequencer, bid_t *bid);

/*
 * All that there was to read has been submitted: lets a thread begin.  For the
 * HTTP thread, after each round: so a crowd that arrives at once is one batch.
 */
void sequencer_kick(sequencer_t *sequencer);

void sequencer_stats(sequencer_t *sequencer, sequencer_stats_t *stats);

/* Ends when all bids are answered, and frees all.  Accepts NULL. */
void sequencer_stop(sequencer_t *sequencer);

#endif
