/*
 * The last events of one performance, for listeners that say what they heard
 * last: so many events, and so many bytes.  Whoever comes with an older one is
 * told that it is gone.
 *
 * Nothing here locks.
 */
#ifndef RING_H
#define RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_EVENTS   4096
#define RING_BYTES    (4 << 20)
#define RING_TEXT_MAX 65536 /* of what follows an id */
#define RING_ID_SIZE  42    /* "18446744073709551615-18446744073709551615" */

/* The id of an event of a stream; zero: before all of them. */
typedef struct {
    uint64_t ms, seq;
} ring_id_t;

/* "MS-SEQ", or "" for zero.  Reading returns 0, or -1 if it is no id. */
int ring_id_read(ring_id_t *id, const char *text);
void ring_id_write(const ring_id_t *id, char text[RING_ID_SIZE]);

/* Below zero, zero or above, by number. */
int ring_id_compare(const ring_id_t *a, const ring_id_t *b);

/* The ids next to it. */
ring_id_t ring_id_before(ring_id_t id);
ring_id_t ring_id_behind(ring_id_t id);

/* A seat and its state, or a pool and the places left. */
typedef struct {
    uint32_t no;
    uint32_t value;
} ring_item_t;

typedef struct ring_s ring_t;

/* All events there will be come after floor.  NULL without memory. */
ring_t *ring_new(ring_id_t floor);
void ring_free(ring_t *ring);

/* Forgets all: from now on it is good for who has heard floor, or later. */
void ring_reset(ring_t *ring, ring_id_t floor);

/*
 * Adds an event, of n_seats items and then n_pools, and drops the oldest ones
 * where it is too much; this one as well, if there is no memory for it.
 */
void ring_add(ring_t *ring, ring_id_t id, const ring_item_t *items,
              unsigned n_seats, unsigned n_pools);

typedef enum {
    RING_EVENTS_FOLLOW,
    RING_QUIET,
    RING_GONE,
    RING_NO_MEMORY
} ring_result_t;

/*
 * What comes after id as one server-sent event with the last one's id, which
 * takes the place of id: each seat and pool once, as it was last.  text is on
 * the heap; past RING_TEXT_MAX the events are gone, as all the seats are less
 * to send, and an id that is made up costs no more.  last: the newest id that
 * anybody can have heard.
 */
ring_result_t ring_after(ring_t *ring, ring_id_t *id, ring_id_t last,
                         char **text, size_t *len);

#endif
