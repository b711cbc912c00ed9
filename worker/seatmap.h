/*
 * The map of a performance as everybody sees it: the geometry, which never
 * changes, and how the seats are at a moment, in a form that is easy to read
 * and in one that is short.
 */
#ifndef SEATMAP_H
#define SEATMAP_H

#include "body.h"
#include "hall.h"

#define SEATMAP_HASH_LEN 32 /* hexadecimal digits */

/* What is the same at all times; counted, so that it can be shared. */
typedef struct seatmap_s seatmap_t;

/* The places in each pool, over its buckets.  Under the lock over the hall. */
void seatmap_capacities(const hall_t *hall, uint32_t *capacity);

/*
 * Renders the geometry with these capacities; what else it reads of the hall
 * never changes.  NULL without memory.
 */
seatmap_t *seatmap_new(const hall_t *hall, const uint32_t *capacity);

/* One more who has it; returns it.  Accepts NULL, as seatmap_drop does. */
seatmap_t *seatmap_share(seatmap_t *map);
void seatmap_drop(seatmap_t *map);

/* Whether the hall has these capacities now; under its lock. */
bool seatmap_fits(const seatmap_t *map, const hall_t *hall);

uint32_t seatmap_seats(const seatmap_t *map);
const char *seatmap_hash(const seatmap_t *map);

/* {"map":"HASH","tiers":[…],"sections":[…],"pools":[…]}; borrowed. */
body_t *seatmap_geometry(const seatmap_t *map);

/* How the seats and pools are at a moment. */
typedef struct {
    uint64_t tag;
    unsigned char *states; /* two bits a seat */
    uint32_t *version;     /* NULL: not wanted */
    uint32_t *left;        /* places in each pool */
} seatmap_view_t;

/* Makes room for a view, with the seats' versions or without.  0, or -1
 * without memory. */
int seatmap_view_init(seatmap_view_t *view, const seatmap_t *map,
                      bool versions);
void seatmap_view_clear(seatmap_view_t *view);

/* Copies how things are in the hall; under its lock, after hall_lapse. */
void seatmap_take(seatmap_view_t *view, const hall_t *hall);

/*
 * {"performance":1,"map":"…","event":"ID","states":"BASE64","pools":[500,…]}.
 * NULL without memory, as seatmap_json.
 */
body_t *seatmap_compact(const seatmap_t *map, const seatmap_view_t *view,
                        const char *event);

/* {"performance":1,"seats":[{"seat","state","version"},…],"pools":[…]}, of a
 * view with versions. */
body_t *seatmap_json(const seatmap_t *map, const seatmap_view_t *view);

#endif
