/*
 * Standing places: from which buckets of a pool to take.  Each batch under way
 * has its buckets to itself, so that two never wait for the same row; a
 * quantity may come from several.
 */
#ifndef STANDING_H
#define STANDING_H

#include "hall.h"

typedef struct {
    uint16_t pool_no;
    uint16_t bucket;
    uint16_t quantity;
} standing_part_t;

typedef enum {
    STANDING_FOUND,
    STANDING_WAIT, /* not now, but batches have buckets with places */
    STANDING_NONE  /* there are not so many places, whatever happens */
} standing_result_t;

/*
 * Chooses quantity places of the pool from buckets that are in no batch, or in
 * this one (batch, not 0), which already takes bucket->taken of them.  From as
 * few buckets as can be: the first that has all, of this batch's own, then
 * from the bucket batch % n_buckets on, so that batches spread; if none has,
 * from those that have most.  STANDING_FOUND: *n parts, at most parts_max, one
 * for each bucket; nothing is marked.  With parts_max of at least quantity it
 * is found whenever there are as many places.
 */
standing_result_t standing_choose(const hall_t *hall, unsigned pool_no,
                                  unsigned quantity, uint8_t batch,
                                  standing_part_t *part, unsigned parts_max,
                                  unsigned *n);

#endif
