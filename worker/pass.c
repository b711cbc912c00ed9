/*
 * Pass.  The gate has checked it already; the worker does so again, with the
 * same codec, because it is the worker that gives seats away.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pass.h"
#include "ticket_token.h"

#define PART_MAX 64 /* characters in a room's name, and in its value */

static size_t part_len(const char *text)
{
    return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "abcdefghijklmnopqrstuvwxyz0123456789._-");
}

bool pass_is_room(const char *room)
{
    size_t name = part_len(room), value;

    if (name < 1 || name > PART_MAX) {
        return false;
    }

    if (room[name] == '\0') {
        return true;
    }

    value = part_len(room + name + 1);

    return room[name] == ':' && value >= 1 && value <= PART_MAX &&
           room[name + 1 + value] == '\0';
}

pass_verdict_t pass_check(ticket_keys_t *keys, const char *room,
                          const char *pass, const char *bind, char *owner,
                          size_t owner_len, int64_t *ends_ms)
{
    size_t bind_len = bind == NULL ? 0 : strlen(bind);
    ticket_token_t token;
    struct timespec now;
    int n;

    if (room == NULL || pass == NULL || *room == '\0' || *pass == '\0') {
        return PASS_MISSING;
    }

    if (bind_len > TICKET_BIND_MAX) {
        return PASS_BIND_TOO_LONG;
    }

    if (!pass_is_room(room) ||
        ticket_token_open(keys, TICKET_TOKEN_PASS, pass, strlen(pass), room,
                          strlen(room), bind, bind_len,
                          &token) != TICKET_TOKEN_OK) {
        return PASS_BAD;
    }

    clock_gettime(CLOCK_REALTIME, &now);
    if (token.time_ms <=
        (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) {
        return PASS_EXPIRED;
    }

    *ends_ms = (int64_t)token.time_ms;
    n = snprintf(owner, owner_len, "%s/%" PRIu32 "-%" PRIu64, room, token.epoch,
                 token.number);

    return n > 0 && (size_t)n < owner_len ? PASS_OK : PASS_BAD;
}
