/*
 * The rows that a batch is about, in the order in which they are locked.
 */
#ifndef BATCH_ROWS_H
#define BATCH_ROWS_H

#include "batch.h"

#define BATCH_SEATS_MAX (BATCH_MAX * HOLD_UNITS_MAX)
#define BATCH_PARTS_MAX (BATCH_MAX * HOLD_PARTS_MAX)

/* A seat of one of the bids. */
typedef struct {
    uint32_t performance;
    uint32_t seat_no;
    uint32_t version;
    const hold_t *hold;
} seat_row_t;

/* Places that one visitor gets with this batch. */
typedef struct {
    uint32_t performance;
    unsigned char visitor[VISITOR_BYTES];
    uint32_t units, max;
} limit_row_t;

/* The places of all bids in one bucket: a bucket is one row for a batch. */
typedef struct {
    uint32_t performance;
    standing_part_t part;
    const hall_bucket_t *bucket; /* marked as ours, hence nobody changes it */
} bucket_row_t;

/* All seats of all bids; row has BATCH_SEATS_MAX.  Returns how many. */
unsigned batch_seats(const batch_t *batch, seat_row_t *row);

/* What they take of each bucket, once each; row has BATCH_PARTS_MAX. */
unsigned batch_buckets(const batch_t *batch, bucket_row_t *row);

/*
 * Who gets how much, where there is a limit, each visitor once; row has
 * BATCH_MAX.  Without those whose result is known.
 */
unsigned batch_limits(const batch_t *batch, limit_row_t *row);

#endif
