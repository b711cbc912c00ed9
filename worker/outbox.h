/*
 * The outbox: what a transaction tells others, written with it, and moved on
 * to the room instance's stream in Redis by whoever is the keeper (keeper.h).
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include "change.h"
#include "db.h"

/*
 * Adds the change to the outbox, within the transaction that made it.  An
 * empty change adds nothing.
 */
db_result_t outbox_add(db_t *db, const char *room, const change_t *change);

#endif
