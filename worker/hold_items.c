/*
 * The id of a hold, and the column items: what was held, as it was made.  Only
 * this program writes the column, so the reader knows one form and no other;
 * whatever else it finds there it refuses.
 */
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "holds.h"

#define PERFORMANCE_BYTES 4
#define NUMBER_BYTES      4
#define DIGITS_MAX        10 /* of a uint32_t */

static void write_big_endian(unsigned char *to, uint32_t number)
{
    to[0] = (unsigned char)(number >> 24);
    to[1] = (unsigned char)(number >> 16);
    to[2] = (unsigned char)(number >> 8);
    to[3] = (unsigned char)number;
}

/* The number in "ROOM/EPOCH-NUMBER"; its low bits. */
static uint32_t visitor_number(const char *owner)
{
    const char *dash = strrchr(owner, '-');

    return dash == NULL ? 0 : (uint32_t)strtoull(dash + 1, NULL, 10);
}

void hold_id_first(hold_id_t *id, uint32_t performance, const char *owner)
{
    memset(id, 0, sizeof(*id));
    write_big_endian(id->byte, performance);
    write_big_endian(id->byte + PERFORMANCE_BYTES, visitor_number(owner));
}

void hold_id_make(hold_id_t *id, uint32_t performance, const char *owner,
                  const char *key)
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;

    hold_id_first(id, performance, owner);
    sha256_init(&sha);
    sha256_update(&sha, strlen(owner) + 1, (const uint8_t *)owner);
    sha256_update(&sha, strlen(key), (const uint8_t *)key);
    sha256_digest(&sha, sizeof(digest), digest);
    memcpy(id->byte + PERFORMANCE_BYTES + NUMBER_BYTES, digest,
           HOLD_ID_BYTES - PERFORMANCE_BYTES - NUMBER_BYTES);
}

void hold_id_last(hold_id_t *id, uint32_t performance, const char *owner)
{
    hold_id_first(id, performance, owner);
    memset(id->byte + PERFORMANCE_BYTES + NUMBER_BYTES, 0xff,
           HOLD_ID_BYTES - PERFORMANCE_BYTES - NUMBER_BYTES);
}

uint32_t hold_id_performance(const hold_id_t *id)
{
    return (uint32_t)id->byte[0] << 24 | (uint32_t)id->byte[1] << 16 |
           (uint32_t)id->byte[2] << 8 | id->byte[3];
}

unsigned hold_units(const hold_t *hold)
{
    unsigned units = hold->n_seats;

    for (unsigned i = 0; i < hold->n_parts; i++) {
        units += hold->part[i].quantity;
    }

    return units;
}

static char *add_text(char *to, const char *text)
{
    size_t len = strlen(text);

    memcpy(to, text, len + 1);

    return to + len;
}

static char *add_number(char *to, uint32_t number)
{
    char digits[DIGITS_MAX];
    unsigned n = 0;

    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);

    while (n > 0) {
        *to++ = digits[--n];
    }

    return to;
}

/* "[1,2,3]", after a comma unless it is the first. */
static char *add_tuple(char *to, bool first, const uint32_t *number, unsigned n)
{
    to = add_text(to, first ? "" : ",");
    for (unsigned i = 0; i < n; i++) {
        *to++ = i == 0 ? '[' : ',';
        to = add_number(to, number[i]);
    }
    *to++ = ']';

    return to;
}

/* The longest there can be: brackets, commas and all digits. */
_Static_assert(sizeof("{\"seats\":[],\"pools\":[]}") +
                       HOLD_UNITS_MAX * (sizeof(",[,]") - 1 + 8 + DIGITS_MAX) +
                       HOLD_PARTS_MAX * (sizeof(",[,,]") - 1 + 5 + 5 + 2) <=
                   HOLD_ITEMS_MAX,
               "items have room");

void hold_items_write(const hold_t *hold, char *text)
{
    text = add_text(text, "{\"seats\":[");
    for (unsigned i = 0; i < hold->n_seats; i++) {
        uint32_t number[] = {hold->seat[i].seat_no, hold->seat[i].version};

        text = add_tuple(text, i == 0, number, 2);
    }

    text = add_text(text, "],\"pools\":[");
    for (unsigned i = 0; i < hold->n_parts; i++) {
        uint32_t number[] = {hold->part[i].pool_no, hold->part[i].bucket,
                             hold->part[i].quantity};

        text = add_tuple(text, i == 0, number, 3);
    }

    add_text(text, "]}");
}

/* Moves *text past what is expected there; false: it is something else. */
static bool skip(const char **text, const char *expected)
{
    size_t len = strlen(expected);

    if (strncmp(*text, expected, len) != 0) {
        return false;
    }

    *text += len;

    return true;
}

static bool read_number(const char **text, uint32_t max, uint32_t *number)
{
    const char *digits = *text;
    uint64_t value = 0;

    while (**text >= '0' && **text <= '9' && *text - digits < DIGITS_MAX) {
        value = value * 10 + (uint64_t)(*(*text)++ - '0');
    }
    *number = (uint32_t)value;

    return *text != digits && value <= max;
}

static bool read_seat(hold_t *hold, const char **text)
{
    unsigned i = hold->n_seats++;

    return i < HOLD_UNITS_MAX && skip(text, "[") &&
           read_number(text, UINT32_MAX, &hold->seat[i].seat_no) &&
           skip(text, ",") &&
           read_number(text, UINT32_MAX, &hold->seat[i].version) &&
           skip(text, "]");
}

static bool read_part(hold_t *hold, const char **text)
{
    unsigned i = hold->n_parts++;
    uint32_t pool_no, bucket, quantity;

    if (i >= HOLD_PARTS_MAX || !skip(text, "[") ||
        !read_number(text, UINT16_MAX, &pool_no) || !skip(text, ",") ||
        !read_number(text, UINT16_MAX, &bucket) || !skip(text, ",") ||
        !read_number(text, HOLD_UNITS_MAX, &quantity) || !skip(text, "]")) {
        return false;
    }

    hold->part[i] = (standing_part_t){.pool_no = (uint16_t)pool_no,
                                      .bucket = (uint16_t)bucket,
                                      .quantity = (uint16_t)quantity};

    return true;
}

/* A list of what read_one reads, up to its closing bracket. */
static bool read_list(hold_t *hold, const char **text,
                      bool (*read_one)(hold_t *hold, const char **text))
{
    bool first = true;

    while (!skip(text, "]")) {
        if ((!first && !skip(text, ",")) || !read_one(hold, text)) {
            return false;
        }
        first = false;
    }

    return true;
}

int hold_items_read(hold_t *hold, const char *text)
{
    hold->n_seats = hold->n_parts = 0;
    if (skip(&text, "{\"seats\":[") && read_list(hold, &text, read_seat) &&
        skip(&text, ",\"pools\":[") && read_list(hold, &text, read_part) &&
        strcmp(text, "}") == 0) {
        return 0;
    }

    hold->n_seats = hold->n_parts = 0;

    return -1;
}
