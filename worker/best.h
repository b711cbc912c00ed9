/*
 * Best available: which seats to give to somebody who wants some together and
 * does not care which.  Neighbours in one row, so that no single seat is left
 * alone where that can be avoided, nearest to the section's focal point: by
 * the sum of the squared distances, and of equals those of lowest number.  A
 * seat is left alone when nothing else is left of the free seats on that side,
 * whatever their tier: also one at the end of a row.
 *
 * Whoever takes seats apart gets neighbours, if there are such, by the same
 * rule; else the fewest pieces: always the longest that there is, the first
 * nearest to its focal point, the others nearest to the first.
 */
#ifndef BEST_H
#define BEST_H

#include "hall.h"

#define BEST_TIERS_MAX    8
#define BEST_QUANTITY_MAX 10

typedef struct {
    unsigned quantity; /* 1 to BEST_QUANTITY_MAX */
    unsigned n_tiers;  /* 0: all */
    uint16_t tier[BEST_TIERS_MAX];
    bool
        together; /* neighbours or nothing; else as near each other as can be */
} best_wish_t;

typedef enum {
    BEST_FOUND,
    BEST_WAIT, /* not now, but seats of these tiers are in a batch */
    BEST_NONE /* there is no such block, also if all batches under way failed */
} best_result_t;

/*
 * Chooses among the seats shown as free and in no batch, after hall_lapse.
 * BEST_FOUND: their numbers, ascending, are in seat_no[0 to quantity).  Looks
 * at the rows that have enough, and of those no further than needed.
 */
best_result_t best_choose(hall_t *hall, const best_wish_t *wish, int64_t now_ms,
                          uint32_t *seat_no);

#endif
