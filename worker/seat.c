/*
 * The names of states, and holds' ids as text.
 */
#include "seat.h"
#include "ticket_bytes.h"

static const char *const names[] = {"free", "held", "sold", "blocked"};

const char *seat_state_name(seat_state_t state)
{
    return names[state];
}

seat_state_t seat_state_read(const char *name)
{
    seat_state_t state = SEAT_FREE;

    while (state < SEAT_BLOCKED && strcmp(names[state], name) != 0) {
        state++;
    }

    return state;
}

void hold_id_write(const hold_id_t *id, char text[HOLD_ID_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (unsigned i = 0; i < HOLD_ID_BYTES; i++) {
        text[2 * i] = digits[id->byte[i] >> 4];
        text[2 * i + 1] = digits[id->byte[i] & 0xf];
    }

    text[HOLD_ID_LEN] = '\0';
}

bool hold_id_read(hold_id_t *id, const char *text, size_t len)
{
    return len == HOLD_ID_LEN &&
           ticket_get_hex(id->byte, text, HOLD_ID_BYTES) == 0;
}
