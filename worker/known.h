/*
 * A set of the ids of holds that are known to exist: the last one or two
 * million of them.  It says yes to one in some 2^64 ids that are not in it:
 * whoever acts on a yes asks the database.
 */
#ifndef KNOWN_H
#define KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seat.h"

#define KNOWN_MAX (1 << 20) /* ids in one half */

typedef struct {
    uint64_t *slot; /* 0: empty */
    size_t n, size;
} known_half_t;

/* Begins as {0}. */
typedef struct {
    known_half_t young, old; /* when the young half is full, it is the old */
} known_t;

/* Returns 0, or -1 without memory: then it is not in the set. */
int known_add(known_t *known, const hold_id_t *id);

bool known_has(const known_t *known, const hold_id_t *id);

void known_free(known_t *known);

#endif
