/*
 * The words that all files about seats share: states, names, ids.
 */
#ifndef SEAT_H
#define SEAT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define SEAT_NAME_MAX    32
#define SEAT_TIER_MAX    32
#define POOL_NAME_MAX    32
#define SECTION_NAME_MAX 256 /* bytes: 64 characters of UTF-8 */
#define HOLD_ID_BYTES    16
#define HOLD_ID_LEN      32 /* as text */

/* The numbers are on the wire: two bits a seat. */
typedef enum {
    SEAT_FREE = 0,
    SEAT_HELD = 1,
    SEAT_SOLD = 2,
    SEAT_BLOCKED = 3
} seat_state_t;

typedef struct {
    unsigned char byte[HOLD_ID_BYTES];
} hold_id_t;

static inline bool hold_id_equal(const hold_id_t *a, const hold_id_t *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool hold_id_is_zero(const hold_id_t *id)
{
    static const hold_id_t zero;

    return hold_id_equal(id, &zero);
}

/* "free", "held", "sold", "blocked": as in the database and in the API. */
const char *seat_state_name(seat_state_t state);

/* The state of that name; SEAT_BLOCKED when there is none. */
seat_state_t seat_state_read(const char *name);

/* 32 lower-case hexadecimal digits and a zero byte. */
void hold_id_write(const hold_id_t *id, char text[HOLD_ID_LEN + 1]);

/* From 32 hexadecimal digits of either case; false: it is something else. */
bool hold_id_read(hold_id_t *id, const char *text, size_t len);

#endif
