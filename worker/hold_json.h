/*
 * A hold as its owner is told of it, in JSON.
 */
#ifndef HOLD_JSON_H
#define HOLD_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "hall.h"
#include "holds.h"

/* Enough for any hold, with its zero byte. */
#define HOLD_JSON_MAX 4096

/*
 * The hold as it was made, from what never changes of it: so that a repeated
 * request is told the same, byte for byte, whatever has become of the hold.
 * json has HOLD_JSON_MAX bytes.  Returns the length, or 0 when the hall has no
 * such seat or pool.  The caller has the lock over the hall; nothing is
 * allocated.
 */
size_t hold_json_made(char *json, const hold_t *hold, const hall_t *hall);

/* The same as it is at now_ms: the time left, whether it was extended, and the
 * versions that its seats have now. */
size_t hold_json_now(char *json, const hold_t *hold, const hall_t *hall,
                     int64_t now_ms);

#endif
