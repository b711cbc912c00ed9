/*
 * Who asks: the pass, the room instance and the bound value that nginx hands
 * on.
 */
#ifndef PASS_H
#define PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ticket_keys.h"

typedef enum {
    PASS_OK = 0,
    PASS_MISSING,
    PASS_BIND_TOO_LONG,
    PASS_BAD,
    PASS_EXPIRED
} pass_verdict_t;

/*
 * Whether it is the name of a room instance: "room" or "room:value", each of 1
 * to 64 letters, digits and ". _ -".
 */
bool pass_is_room(const char *room);

/*
 * Judges a pass by its room instance, the value it is bound to and the clock.
 * Each text may be NULL; bind NULL or empty: the pass must be bound to nothing.
 * PASS_OK writes the owner, "ROOM/EPOCH-NUMBER", and when the pass ends, in
 * milliseconds since 1970.  Not for two threads at once, because the keys are
 * not.
 */
pass_verdict_t pass_check(ticket_keys_t *keys, const char *room,
                          const char *pass, const char *bind, char *owner,
                          size_t owner_len, int64_t *ends_ms);

#endif
