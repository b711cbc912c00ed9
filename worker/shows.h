/*
 * The performances that listeners may want to hear of, the room instances they
 * are in, and how far each of those streams was read.
 *
 * One thread, the reader of the streams, changes it, and may look at it
 * without a lock; functions that say so are for others, too.
 */
#ifndef SHOWS_H
#define SHOWS_H

#include "hall.h"
#include "ring.h"

typedef struct shows_s shows_t;

/* A room instance, for the reader alone. */
typedef struct {
    char name[HALL_ROOM_MAX + 1];
    bool placed;     /* at is where to read on */
    ring_id_t at;    /* the last event read */
    ring_id_t floor; /* where listeners can begin: after a gap above at */
} shows_room_t;

/* What listeners are told of an event: seats, then pools. */
typedef struct {
    unsigned n_seats, n_pools;
    ring_item_t *item; /* NULL: it is not known */
} told_t;

/* NULL without memory. */
shows_t *shows_new(void);
void shows_free(shows_t *shows);

/* Whether the performance is there, in that room. */
bool shows_has(const shows_t *shows, uint32_t performance, const char *room);

/* Takes a performance in, or notes that it is in another room now.  Without
 * memory nothing happens. */
void shows_add(shows_t *shows, uint32_t performance, const char *room);

unsigned shows_n_rooms(const shows_t *shows);
shows_room_t *shows_room(const shows_t *shows, unsigned i);
shows_room_t *shows_find_room(const shows_t *shows, const char *name);

/*
 * Says where in the room's stream to read on, and what listeners must have
 * heard to begin there, too.  What they heard before is forgotten.
 */
void shows_place(shows_t *shows, shows_room_t *room, ring_id_t at,
                 ring_id_t floor);

/* The room was read up to there.  told: NULL for no event of a performance. */
void shows_move_on(shows_t *shows, shows_room_t *room, ring_id_t id,
                   uint32_t performance, const told_t *told);

/* As stream_last and ring_after.  From any thread. */
ring_id_t shows_last(shows_t *shows, uint32_t performance);
ring_result_t shows_after(shows_t *shows, uint32_t performance, ring_id_t *id,
                          char **text, size_t *len);

#endif
