/*
 * Holds: seats reserved for a limited time, all of those asked for or none.
 */
#ifndef HOLDS_H
#define HOLDS_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"

#define HOLD_ID_LEN    32
#define HOLD_SEATS_MAX 10
#define HOLD_OWNER_MAX 192
#define SEAT_NAME_MAX  32
#define SEAT_STATE_MAX 8

typedef struct {
    char name[SEAT_NAME_MAX + 1];
    bool wants_version;      /* the client named the version it saw */
    uint32_t wanted_version; /* and that is it */
    bool was_expired;        /* an expired hold was on it when it was taken */
    uint32_t version;
    char state[SEAT_STATE_MAX + 1];
    bool conflict; /* not to be had; state and version say why */
    bool missing;  /* there is no such seat */
} held_seat_t;

typedef struct {
    char id[HOLD_ID_LEN + 1];
    uint32_t performance;
    char owner[HOLD_OWNER_MAX + 1];
    char expires_at[32]; /* as the database writes it, UTC */
    int64_t expires_in_ms;
    unsigned n;
    held_seat_t seat[HOLD_SEATS_MAX];
} hold_t;

typedef enum {
    HOLD_DONE,
    HOLD_CONFLICT,       /* the seats marked conflict are not to be had */
    HOLD_NO_PERFORMANCE, /* not in this room */
    HOLD_NO_SEAT,        /* the seat marked missing does not exist */
    HOLD_UNKNOWN,        /* no such hold of this owner */
    HOLD_EXPIRED,
    HOLD_RETRY,       /* within holds.c: nothing happened, try again */
    HOLD_BUSY,        /* tried too often */
    HOLD_UNAVAILABLE, /* the database is away */
    HOLD_ERROR
} hold_result_t;

/*
 * Holds hold->seat[0 to n) of hold->performance, if it belongs to room, for
 * hold->owner.  Sorts the seats; HOLD_DONE fills in id, expiry and versions.
 */
hold_result_t hold_make(db_t *db, hold_t *hold, const char *room);

/* Reads the hold of id and owner: everything else is filled in. */
hold_result_t hold_read(db_t *db, hold_t *hold);

/* Gives back what the hold of id and owner still has. */
hold_result_t hold_release(db_t *db, const hold_t *hold);

#endif
