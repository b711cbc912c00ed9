/*
 * Who asks: the pass and the room instance that nginx hands on.
 */
#ifndef PASS_H
#define PASS_H

#include <stdbool.h>
#include <stddef.h>

#include "ticket_keys.h"

typedef enum {
    PASS_OK = 0,
    PASS_MISSING,
    PASS_BAD,
    PASS_EXPIRED
} pass_verdict_t;

/*
 * Judges a pass by its room instance and the clock; either may be NULL.
 * PASS_OK writes the owner, "ROOM/EPOCH-NUMBER".  Not for two threads at
 * once, because the keys are not.
 */
pass_verdict_t pass_check(ticket_keys_t *keys, const char *room,
                          const char *pass, char *owner, size_t owner_len);

#endif
