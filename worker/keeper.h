/*
 * The keeper: a thread in every worker, of which the one that has the lock in
 * the database keeps house for all of them: it moves the outbox on to the
 * streams in Redis and sweeps holds that have run out.  The same thread reads
 * the halls in memory again when their time has come, whoever keeps.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include "worker.h"

typedef struct {
    bool keeping;              /* this worker has the lock */
    unsigned long moved;       /* rows that Redis has taken */
    unsigned long swept;       /* holds that had run out */
    unsigned long failures;    /* of Redis or the database */
    unsigned long outbox_rows; /* left after the last look */
    int64_t lag_ms;            /* age of the oldest of them; 0: there is none */
} keeper_stats_t;

/* Starts the thread.  Configuration and halls must outlive it.  NULL: failed.
 */
keeper_t *keeper_start(const config_t *config, halls_t *halls);

/* Something was committed to the outbox.  From any thread; accepts NULL. */
void keeper_wake(keeper_t *keeper);

void keeper_stats(keeper_t *keeper, keeper_stats_t *stats);

/*
 * Moves on what there is, if that goes quickly, and frees all.  False: the
 * thread hangs, and the process is to end without tidying up.  Accepts NULL.
 */
bool keeper_stop(keeper_t *keeper);

#endif
