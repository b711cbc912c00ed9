/*
 * What a performance sells: a row for each seat of its map, and the buckets of
 * its pools.
 */
#ifndef ADMIN_INVENTORY_H
#define ADMIN_INVENTORY_H

#include "db.h"
#include "map_csv.h"

#define INVENTORY_BUCKETS     8 /* of each pool, if nothing else is said */
#define INVENTORY_BUCKETS_MAX 64

/* What is in a map. */
typedef struct {
    bool found; /* the map is there */
    uint32_t map;
    uint32_t n_seats;
    unsigned n_pools;
    uint32_t capacity[MAP_POOLS_MAX]; /* of each pool */
} inventory_t;

/* Looks, and locks the map's row until the transaction ends. */
db_result_t inventory_look(db_t *db, uint32_t map, inventory_t *inventory);

/*
 * Makes all seats of the performance, free, and the buckets of its pools, of
 * which none is without a place.
 */
db_result_t inventory_make(db_t *db, const inventory_t *inventory,
                           uint32_t performance, unsigned buckets);

#endif
