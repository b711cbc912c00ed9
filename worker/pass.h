/*
 * Who asks: the pass, the room instance and the bound value that nginx hands
 * on.
 */
#ifndef PASS_H
#define PASS_H

#include <stdbool.h>
#include <stddef.h>

#include "ticket_keys.h"

typedef enum {
    PASS_OK = 0,
    PASS_MISSING,
    PASS_BIND_TOO_LONG,
    PASS_BAD,
    PASS_EXPIRED
} pass_verdict_t;

/*
 * Judges a pass by its room instance, the value it is bound to and the clock.
 * Each text may be NULL; bind NULL or empty: the pass must be bound to nothing.
 * PASS_OK writes the owner, "ROOM/EPOCH-NUMBER".  Not for two threads at
 * once, because the keys are not.
 */
pass_verdict_t pass_check(ticket_keys_t *keys, const char *room,
                          const char *pass, const char *bind, char *owner,
                          size_t owner_len);

#endif
