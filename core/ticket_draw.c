/*
 * Keyed permutation of the draw, as ticket_draw.h describes it step by step.
 * What is hashed fits one block of SHA-256, which is all the cost there is.
 */
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

/* Follows the one entry x through the shuffle. */
static uint64_t shuffle(const draw_t *draw, uint64_t x)
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    uint64_t last = UINT64_MAX;

    for (uint64_t i = draw->entries - 1; i > 0; i--) {
        if (i / WORDS != last) {
            last = i / WORDS;
            hash(draw, 0, last, digest);
        }

        uint64_t j = ticket_get_uint(digest + 8 * (i % WORDS), 8) % (i + 1);

        if (x == i) {
            x = j;
        } else if (x == j) {
            x = i;
        }
    }

    return x;
}

static uint64_t feistel(const draw_t *draw, uint64_t a, uint64_t b, uint64_t x)
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    uint64_t l = x % a, r = x / a;

    for (unsigned round = 1; round <= ROUNDS; round++) {
        uint64_t s = round % 2 ? a : b;

        hash(draw, round, r, digest);

        uint64_t sum = (l + ticket_get_uint(digest, 8) % s) % s;

        l = r;
        r = sum;
    }

    return a * r + l;
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

uint64_t ticket_draw_place(const unsigned char key[TICKET_DRAW_KEY_LEN],
                           uint64_t entries, uint64_t number)
{
    const draw_t draw = {key, entries};
    uint64_t x = number - 1;

    if (entries > TICKET_NUMBER_MAX || number < 1 || number > entries) {
        return 0;
    }

    if (entries < SHUFFLE_BELOW) {
        return shuffle(&draw, x) + 1;
    }

    uint64_t a = root(entries);
    uint64_t b = (entries + a - 1) / a;

    do {
        x = feistel(&draw, a, b, x);
    } while (x >= entries);

    return x + 1;
}

void ticket_draw_commitment(const unsigned char key[TICKET_DRAW_KEY_LEN],
                            unsigned char out[32])
{
    struct sha256_ctx sha256;

    sha256_init(&sha256);
    sha256_update(&sha256, TICKET_DRAW_KEY_LEN, key);
    sha256_digest(&sha256, SHA256_DIGEST_SIZE, out);
}
