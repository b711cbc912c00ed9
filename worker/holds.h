/*
 * A hold as it is in the database, and what its owner does with it afterwards:
 * read, list, extend, release.  Making one is the sequencer's job.
 */
#ifndef HOLDS_H
#define HOLDS_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "halls.h"
#include "seat.h"
#include "standing.h"

#define HOLD_UNITS_MAX    10 /* places in one hold */
#define HOLD_PARTS_MAX    16 /* buckets that its standing places come from */
#define HOLD_OWNER_MAX    192
#define HOLD_ITEMS_MAX    1024
#define VISITOR_BYTES     16
#define FINGERPRINT_BYTES 16

typedef struct {
    hold_id_t id;
    uint32_t performance;
    char owner[HOLD_OWNER_MAX + 1];
    bool limited; /* its units count in user_limit, for visitor */
    unsigned char visitor[VISITOR_BYTES];
    unsigned char fingerprint[FINGERPRINT_BYTES]; /* of the request */
    uint32_t ttl_ms;                              /* as it was made */
    int64_t created_ms, expires_ms; /* since 1970, the database's clock */
    int64_t now_ms;                 /* the same clock, when the hold was read */
    bool extended;
    unsigned n_seats;
    struct {
        uint32_t seat_no;
        uint32_t version; /* as it was when the hold was made */
    } seat[HOLD_UNITS_MAX];
    unsigned n_parts;
    standing_part_t part[HOLD_PARTS_MAX];
} hold_t;

typedef enum {
    HOLD_DONE,
    HOLD_UNKNOWN,     /* no such hold of this owner */
    HOLD_EXPIRED,     /* it has run out */
    HOLD_EXTENDED,    /* it was extended before */
    HOLD_AT_MAXIMUM,  /* it has the longest life there is already */
    HOLD_BUSY,        /* locked for too long: nothing was changed */
    HOLD_UNAVAILABLE, /* the database is away */
    HOLD_ERROR
} hold_result_t;

/*
 * The id of the hold that this owner's request with this Idempotency-Key
 * makes: four bytes performance, four of the visitor's number, eight of a
 * hash of owner and key.
 */
void hold_id_make(hold_id_t *id, uint32_t performance, const char *owner,
                  const char *key);

/* The ids before and after all that the owner can have there. */
void hold_id_first(hold_id_t *id, uint32_t performance, const char *owner);
void hold_id_last(hold_id_t *id, uint32_t performance, const char *owner);

/* The performance that an id belongs to. */
uint32_t hold_id_performance(const hold_id_t *id);

/* The column items: text has HOLD_ITEMS_MAX + 1 bytes.  Reading returns 0, or
 * -1 when it is not of that form. */
void hold_items_write(const hold_t *hold, char *text);
int hold_items_read(hold_t *hold, const char *text);

unsigned hold_units(const hold_t *hold);

/* Reads the hold of id and owner.  HOLD_DONE, HOLD_EXPIRED and a released one,
 * HOLD_UNKNOWN with *released set, fill everything in. */
hold_result_t hold_read(db_t *db, hold_t *hold, bool *released);

/* The owner's living holds of the performance, at most max, oldest first. */
hold_result_t hold_list(db_t *db, uint32_t performance, const char *owner,
                        hold_t *holds, unsigned max, unsigned *n);

/*
 * Makes the hold of id and owner last one ttl from now, but no longer than the
 * performance's hold_max_ms since it was made; once.  In a transaction that
 * the caller has begun: adds to change what it did, and fills the hold in as
 * it is then.  After anything but HOLD_DONE the caller undoes what was
 * written; after HOLD_BUSY, HOLD_UNAVAILABLE and HOLD_ERROR, all of the
 * transaction.
 */
hold_result_t hold_extend(db_t *db, hold_t *hold, change_t *change);

/*
 * Gives back what the hold of id and owner still has, in a transaction of its
 * own, with its change in outbox and memory.
 */
hold_result_t hold_release(db_t *db, halls_t *halls, const hold_t *hold);

/* How far a round through the holds that have run out has come; zero at first.
 * Its owner's, who keeps it from one sweep to the next. */
typedef struct {
    int64_t after_ms; /* the end and the id of the last one looked at */
    hold_id_t after;
    unsigned ended;         /* by the last sweep */
    bool more;              /* which has not reached the end of the round */
    int64_t quiet_until_ms; /* about holds that cannot be ended */
} hold_sweep_t;

/*
 * The same for holds that have run out, whosesoever: the next max of them, in
 * one transaction for each performance.  One that cannot be ended is left for
 * the next round, and stands in the way of no other.
 */
hold_result_t hold_sweep(db_t *db, halls_t *halls, unsigned max,
                         hold_sweep_t *sweep);

#endif
