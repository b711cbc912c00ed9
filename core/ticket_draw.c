/*
 * Keyed permutation of the draw, as ticket_draw.h describes it step by step.
 * What is hashed fits one block of SHA-256, which is all the cost there is; the
 * expanded form hashes once each value that can occur, and then looks it up.
 */
#include <stdlib.h>
#include <string.h>

#include <nettle/sha2.h>

#include "ticket_bytes.h"
#include "ticket_draw.h"
#include "ticket_line.h"

#define ROUNDS        10
#define SHUFFLE_BELOW 256
#define WORDS         (SHA256_DIGEST_SIZE / 8)

typedef struct {
    const unsigned char *key;
    uint64_t entries;
} draw_t;

/*
 * Below SHUFFLE_BELOW entries: value[x] is where the entry x goes, and a is 0.
 * Else the Feistel network's values T(round, r) % s, round by round: an odd
 * round has b of them below a, an even one a of them below b.
 */
struct ticket_draw_s {
    uint32_t entries;
    uint32_t a;
    uint32_t b;
    uint16_t value[];
};

_Static_assert(TICKET_NUMBER_MAX <= (uint64_t)UINT16_MAX * UINT16_MAX,
               "a side of the Feistel network has 16 bits");

static void hash(const draw_t *draw, unsigned round, uint64_t value,
                 unsigned char digest[SHA256_DIGEST_SIZE])
{
    unsigned char text[TICKET_DRAW_KEY_LEN + 8 + 1 + 8];
    struct sha256_ctx sha256;

    memcpy(text, draw->key, TICKET_DRAW_KEY_LEN);
    ticket_put_uint(text + TICKET_DRAW_KEY_LEN, draw->entries, 8);
    text[TICKET_DRAW_KEY_LEN + 8] = (unsigned char)round;
    ticket_put_uint(text + TICKET_DRAW_KEY_LEN + 9, value, 8);

    sha256_init(&sha256);
    sha256_update(&sha256, sizeof(text), text);
    sha256_digest(&sha256, SHA256_DIGEST_SIZE, digest);
}

/* What the shuffle exchanges position i with.  It is asked downwards. */
static uint64_t partner(const draw_t *draw, uint64_t i,
                        unsigned char digest[SHA256_DIGEST_SIZE])
{
    if (i == draw->entries - 1 || i % WORDS == WORDS - 1) {
        hash(draw, 0, i / WORDS, digest);
    }

    return ticket_get_uint(digest + 8 * (i % WORDS), 8) % (i + 1);
}

/* Follows the one entry x through the shuffle. */
static uint64_t shuffle(const draw_t *draw, uint64_t x)
{
    unsigned char digest[SHA256_DIGEST_SIZE];

    for (uint64_t i = draw->entries - 1; i > 0; i--) {
        uint64_t j = partner(draw, i, digest);

        if (x == i) {
            x = j;
        } else if (x == j) {
            x = i;
        }
    }

    return x;
}

/* Does the whole shuffle, and writes where each entry came to stand. */
static void write_shuffle(const draw_t *draw, uint16_t *value)
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    uint16_t at[SHUFFLE_BELOW];

    for (uint16_t i = 0; i < SHUFFLE_BELOW; i++) {
        at[i] = i;
    }

    for (uint64_t i = draw->entries - 1; i > 0; i--) {
        uint64_t j = partner(draw, i, digest);
        uint16_t moved = at[i];

        at[i] = at[j];
        at[j] = moved;
    }

    for (uint16_t i = 0; i < draw->entries; i++) {
        value[at[i]] = i;
    }
}

/* What a round adds, on the side of s values. */
static uint64_t round_value(const draw_t *draw, unsigned round, uint64_t r,
                            uint64_t s)
{
    unsigned char digest[SHA256_DIGEST_SIZE];

    hash(draw, round, r, digest);

    return ticket_get_uint(digest, 8) % s;
}

static uint64_t feistel(const draw_t *draw, uint64_t a, uint64_t b, uint64_t x)
{
    uint64_t l = x % a, r = x / a;

    for (unsigned round = 1; round <= ROUNDS; round++) {
        uint64_t s = round % 2 ? a : b;
        uint64_t sum = (l + round_value(draw, round, r, s)) % s;

        l = r;
        r = sum;
    }

    return a * r + l;
}

static void write_rounds(const draw_t *draw, uint64_t a, uint64_t b,
                         uint16_t *value)
{
    for (unsigned round = 1; round <= ROUNDS; round++) {
        uint64_t s = round % 2 ? a : b, other = round % 2 ? b : a;

        for (uint64_t r = 0; r < other; r++) {
            *value++ = (uint16_t)round_value(draw, round, r, s);
        }
    }
}

/* The least integer whose square is not below n, which is at least 1. */
static uint64_t root(uint64_t n)
{
    uint64_t low = 1, high = (uint64_t)1 << 32;

    while (low < high) {
        uint64_t middle = (low + high) / 2;

        if (middle * middle < n) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low;
}

/* The sides of the rectangle that the entries stand in. */
static void sides(uint64_t entries, uint64_t *a, uint64_t *b)
{
    *a = root(entries);
    *b = (entries + *a - 1) / *a;
}

uint64_t ticket_draw_place(const unsigned char key[TICKET_DRAW_KEY_LEN],
                           uint64_t entries, uint64_t number)
{
    const draw_t draw = {key, entries};
    uint64_t x = number - 1, a, b;

    if (entries > TICKET_NUMBER_MAX || number < 1 || number > entries) {
        return 0;
    }

    if (entries < SHUFFLE_BELOW) {
        return shuffle(&draw, x) + 1;
    }

    sides(entries, &a, &b);

    do {
        x = feistel(&draw, a, b, x);
    } while (x >= entries);

    return x + 1;
}

ticket_draw_t *ticket_draw_open(const unsigned char key[TICKET_DRAW_KEY_LEN],
                                uint64_t entries)
{
    const draw_t from = {key, entries};
    uint64_t a = 0, b = 0;
    size_t n = entries;

    if (entries < 1 || entries > TICKET_NUMBER_MAX) {
        return NULL;
    }

    if (entries >= SHUFFLE_BELOW) {
        sides(entries, &a, &b);
        n = ROUNDS / 2 * (a + b);
    }

    ticket_draw_t *draw = malloc(sizeof(*draw) + n * sizeof(draw->value[0]));
    if (draw == NULL) {
        return NULL;
    }

    draw->entries = (uint32_t)entries;
    draw->a = (uint32_t)a;
    draw->b = (uint32_t)b;

    if (a == 0) {
        write_shuffle(&from, draw->value);
    } else {
        write_rounds(&from, a, b, draw->value);
    }

    return draw;
}

static uint32_t look_feistel(const ticket_draw_t *draw, uint32_t x)
{
    const uint16_t *value = draw->value;
    uint32_t a = draw->a, b = draw->b, l = x % a, r = x / a;

    for (unsigned round = 1; round <= ROUNDS; round += 2) {
        l += value[r];
        l -= l < a ? 0 : a;
        value += b;

        r += value[l];
        r -= r < b ? 0 : b;
        value += a;
    }

    return a * r + l;
}

uint64_t ticket_draw_look(const ticket_draw_t *draw, uint64_t number)
{
    uint32_t x = (uint32_t)number - 1;

    if (number < 1 || number > draw->entries) {
        return 0;
    }

    if (draw->a == 0) {
        return (uint64_t)draw->value[x] + 1;
    }

    do {
        x = look_feistel(draw, x);
    } while (x >= draw->entries);

    return (uint64_t)x + 1;
}

void ticket_draw_close(ticket_draw_t *draw)
{
    free(draw);
}

void ticket_draw_commitment(const unsigned char key[TICKET_DRAW_KEY_LEN],
                            unsigned char out[32])
{
    struct sha256_ctx sha256;

    sha256_init(&sha256);
    sha256_update(&sha256, TICKET_DRAW_KEY_LEN, key);
    sha256_digest(&sha256, SHA256_DIGEST_SIZE, out);
}
