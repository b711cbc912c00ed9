/*
 * One transaction for many holds.  All that was planned is taken, or nothing:
 * then the rows are read as they are, and there is another plan.
 */
#ifndef BATCH_H
#define BATCH_H

#include "bid.h"
#include "sql.h"

#define BATCH_MAX 64

/* Belongs to one thread of the sequencer, for as long as that runs. */
typedef struct {
    uint8_t number; /* 1, 2 …: as plan_mark has it */
    db_t *db;
    unsigned n;
    bid_t *bid[BATCH_MAX];
    sql_t sql;
    bool limited; /* somebody was over his limit */
    bool lost;    /* the connection broke, and nothing was committed since */
    /* Of the last transaction that was committed. */
    unsigned n_changes; /* one for each performance among the bids */
    change_t change[BATCH_MAX];
    const hall_t *hall[BATCH_MAX]; /* of each change */
    int64_t now_ms; /* the database's clock, as the transaction began */
} batch_t;

typedef enum {
    BATCH_DONE,  /* committed: all holds are made, changes say what is now */
    BATCH_AGAIN, /* nothing happened; the rows were read into memory as they
                    are now, and bids whose result is not BID_OPEN are not to
                    be tried again */
    BATCH_BUSY,  /* a row is locked by somebody who does not let go: nothing
                    happened */
    BATCH_AWAY,  /* the database is away; whether it was committed is open */
    BATCH_FAILED /* it refuses what we ask: nothing happened */
} batch_result_t;

/* Makes the holds of the bids, which are planned and marked. */
batch_result_t batch_run(batch_t *batch, halls_t *halls);

void batch_free(batch_t *batch);

#endif
