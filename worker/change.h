/*
 * What a transaction changed of a performance: it goes into the outbox with
 * the transaction, into the memory of the worker that made it right after the
 * commit, and through the stream into that of the others.  Each row comes
 * with its version, so applying twice, or out of order, does no harm.
 */
#ifndef CHANGE_H
#define CHANGE_H

#include <stddef.h>
#include <stdint.h>

#include "seat.h"

/* A row of seat as it is now. */
typedef struct {
    uint32_t seat_no;
    seat_state_t state;
    uint32_t version;
    hold_id_t hold;     /* zero unless held */
    int64_t expires_ms; /* since 1970 by the database's clock; 0 unless held */
} seat_change_t;

/* A row of pool_bucket as it is now. */
typedef struct {
    uint16_t pool_no;
    uint16_t bucket;
    uint32_t capacity;
    uint32_t held;
    uint32_t sold;
    uint32_t version;
} bucket_change_t;

typedef struct {
    uint32_t performance;
    unsigned n_seats, seats_max;
    seat_change_t *seat;
    unsigned n_buckets, buckets_max;
    bucket_change_t *bucket;
    unsigned n_holds, holds_max;
    hold_id_t *hold; /* made by it: known by id from now on */
} change_t;

/* Each returns 0, or -1 without memory.  A change begins as {0}. */
int change_add_seat(change_t *change, const seat_change_t *seat);
int change_add_bucket(change_t *change, const bucket_change_t *bucket);
int change_add_hold(change_t *change, const hold_id_t *id);

/* Forgets what is in it, and frees it. */
void change_clear(change_t *change);

/*
 * As JSON, in the one form there is:
 *
 *   {"seats":[[no,state,version,"hold",expires_ms],…],
 *    "buckets":[[pool,bucket,capacity,held,sold,version],…],
 *    "holds":["id",…]}
 *
 * state is the number of seat_state_t; "hold" is 32 digits and expires_ms
 * above 0 for a held seat, and "" and 0 for any other.  The text is on the
 * heap, NULL without memory.  Reading adds to an empty change, of which it
 * leaves performance as it is: that is not in the text.  It returns 0, or -1
 * when the text is not of that form, has more than 100,000 of a kind, or
 * there is no memory; the change is then {0}.
 */
char *change_to_json(const change_t *change, size_t *len);
int change_from_json(change_t *change, const char *text, size_t len);

#endif
