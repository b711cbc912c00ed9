/*
 * What to give to somebody who asks for places: decided in memory, under the
 * lock, one after the other, so that of two who want the same the first gets
 * it and the other knows at once.
 */
#ifndef PLAN_H
#define PLAN_H

#include "hall.h"
#include "holds.h"
#include "wish.h"

/* In the way of somebody who named his seats. */
typedef struct {
    uint32_t seat_no;
    seat_state_t state;
    uint32_t version;
    bool newer; /* the client has heard of a later one */
} plan_conflict_t;

typedef enum {
    PLAN_GOOD,          /* hold says which seats and parts */
    PLAN_WAIT,          /* it depends on how a batch under way ends */
    PLAN_REPEATED,      /* a seat is held by the very hold that is asked for */
    PLAN_TAKEN,         /* conflict[0 to n_conflicts) are not to be had */
    PLAN_FULL,          /* the pool has only left places */
    PLAN_NO_BLOCK,      /* no seats together, or not enough of them */
    PLAN_NO_SEAT,       /* what is the name of no seat */
    PLAN_NO_POOL,       /* …of no pool */
    PLAN_NO_TIER,       /* …of no tier */
    PLAN_NOT_ON_SALE,   /* before the sale opens, or after it has closed */
    PLAN_NO_PERFORMANCE /* not in this room */
} plan_result_t;

typedef struct {
    plan_result_t result;
    uint8_t batch; /* with PLAN_WAIT: the one to wait for; 0: any */
    unsigned n_conflicts;
    plan_conflict_t conflict[HOLD_UNITS_MAX];
    uint32_t left;
    const char *what; /* a name in the wish */
} plan_t;

/*
 * Chooses what the wish may have, for a batch of that number: on PLAN_GOOD the
 * hold's seats, with the versions they have now, ascending, and its parts.
 * Marks nothing.  Batch 0 is only to see what is refused anyway, and leaves
 * best available aside.  Under the halls' lock.
 */
void plan_make(plan_t *plan, hall_t *hall, const wish_t *wish, uint8_t batch,
               int64_t now_ms, hold_t *hold);

static inline bool plan_is_refusal(plan_result_t result)
{
    return result > PLAN_REPEATED;
}

/* Marks what was planned as the batch's, and takes the marks back. */
void plan_mark(hall_t *hall, const hold_t *hold, uint8_t batch, int64_t now_ms);
void plan_unmark(hall_t *hall, const hold_t *hold, int64_t now_ms);

#endif
