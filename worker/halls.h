/*
 * All performances in memory, and the lock over them.  A hall is read from the
 * database when it is first asked for, and again every refresh_s seconds; in
 * between, what this worker commits and what the stream brings is applied.
 */
#ifndef HALLS_H
#define HALLS_H

#include "config.h"
#include "db.h"
#include "hall.h"

typedef struct halls_s halls_t;

typedef enum {
    HALLS_OK,
    HALLS_NONE, /* there is no such performance */
    HALLS_AWAY, /* the database does not answer */
    HALLS_ERROR
} halls_result_t;

/* The configuration must outlive it.  NULL without memory. */
halls_t *halls_new(const config_t *config);
void halls_free(halls_t *halls);

/*
 * The lock over all halls and what is in them.  Held for microseconds: no
 * statement, no allocation of size under it.
 */
void halls_lock(halls_t *halls);
void halls_unlock(halls_t *halls);

/*
 * The hall, or NULL when it is not in memory.  Under the lock.  It stays where
 * it is as long as the worker runs, so what never changes of it may be read
 * without the lock.
 */
hall_t *halls_find(halls_t *halls, uint32_t performance);

/* Calls each for every hall in memory, under the lock. */
void halls_each(halls_t *halls, void (*each)(void *ctx, hall_t *hall),
                void *ctx);

/*
 * Reads the performance from the database, or again what can have changed of
 * it: the states and the row of performance itself.  A map that is in use
 * never changes.  One that is new in memory must belong to the room, or it is
 * HALLS_NONE; room NULL: whichever.  Without the lock; takes as long as the
 * database does.
 */
halls_result_t halls_load(halls_t *halls, db_t *db, uint32_t performance,
                          const char *room);

/* Reads only those seats, or the buckets, of a hall in memory. */
halls_result_t halls_read_seats(halls_t *halls, db_t *db, uint32_t performance,
                                const uint32_t *seat_no, unsigned n);
halls_result_t halls_read_buckets(halls_t *halls, db_t *db,
                                  uint32_t performance);

/*
 * Reads one again, if there is one whose time has come.  For one thread, with
 * its connection; called at least four times a second.
 */
void halls_refresh(halls_t *halls, db_t *db);

/*
 * Applies a change to the hall it is of, if that is in memory, and remembers
 * the holds it made.  Takes the lock; the second is for those who have it.
 */
void halls_apply(halls_t *halls, const change_t *change);
void halls_apply_locked(halls_t *halls, const change_t *change);

/*
 * The database's clock, in milliseconds since 1970: what it last said
 * (halls_set_clock), and the time since.  With or without the lock.
 */
int64_t halls_now(halls_t *halls);
void halls_set_clock(halls_t *halls, int64_t database_ms);

/*
 * Whether what was heard then is good enough to refuse by: because the stream
 * is live, or because it was a moment ago.
 */
bool halls_fresh(halls_t *halls, int64_t heard_ms);

/*
 * Whether what others commit arrives in time, so that what is in memory may
 * be used to refuse: set by the reader of the stream.
 */
void halls_set_live(halls_t *halls, bool live);
bool halls_live(halls_t *halls);

/*
 * What others have committed may have been missed: every hall is to be read
 * anew soon, and halls_live is false until that is done.  From any thread,
 * without the lock.
 */
void halls_want_refresh(halls_t *halls);

/*
 * Holds known to have been committed, by id: whoever asks for one of them
 * again is not to be refused from memory.  Under the lock.
 */
void halls_know_locked(halls_t *halls, const hold_id_t *id);
bool halls_knows_hold(halls_t *halls, const hold_id_t *id);

#endif
