/*
 * The body of a request for a hold: what somebody wants, by name, as it was
 * asked.  Whether there are such seats, pools and tiers the hall says.
 */
#ifndef WISH_H
#define WISH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "best.h"
#include "holds.h"
#include "seat.h"

typedef struct {
    unsigned n_seats;
    struct {
        char name[SEAT_NAME_MAX + 1];
        bool wants_version; /* only while it is still this one */
        uint32_t version;
    } seat[HOLD_UNITS_MAX];

    unsigned n_pools;
    struct {
        char name[POOL_NAME_MAX + 1];
        unsigned quantity;
    } pool[HOLD_UNITS_MAX];

    struct {
        unsigned quantity; /* 0: no best-available seats are wanted */
        bool together;
        unsigned n_tiers; /* 0: of any tier */
        char tier[BEST_TIERS_MAX][SEAT_TIER_MAX + 1];
    } best;
} wish_t;

/*
 * Reads any one or more of "seats", "pools" and "best":
 *
 *   {"seats":["A-1",{"seat":"A-2","version":7}],
 *    "pools":[{"pool":"floor","quantity":2}],
 *    "best":{"quantity":3,"tiers":["gold"],"together":true}}
 *
 * Returns NULL when it is 1 to HOLD_UNITS_MAX places, each seat and each pool
 * once; or else, in a few words, what is wrong and what is right.
 */
const char *wish_read(wish_t *wish, const char *body, size_t len);

/* The places asked for, all together. */
unsigned wish_units(const wish_t *wish);

#endif
