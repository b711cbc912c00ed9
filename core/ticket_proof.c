/*
 * Challenges and proofs of work.  A challenge that comes back is not taken
 * apart: it is written anew from the step and the key it names, and has to be
 * the same to the last character, so that it has one spelling only.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <nettle/memops.h>
#include <nettle/sha2.h>

#include "ticket_bytes.h"
#include "ticket_proof.h"
#include "ticket_token.h"

#define STEP_DIGITS 15
#define ID_DIGITS   5

static const char label[] = "ticket-proof";

/* Whom a challenge is for. */
typedef struct {
    ticket_part_t room;
    ticket_part_t who;
} audience_t;

/* A proof that has the right form. */
typedef struct {
    uint64_t step;
    uint64_t key_id;
    size_t challenge_len;
} proof_t;

static int sign(const ticket_keys_t *keys, uint16_t key_id,
                const audience_t *audience, uint64_t step,
                unsigned char mac[TICKET_MAC_LEN])
{
    unsigned char room_len, who_len[2], step_bytes[8];
    const ticket_part_t parts[] = {
        {label, sizeof(label) - 1},
        {&room_len, sizeof(room_len)},
        audience->room,
        {who_len, sizeof(who_len)},
        audience->who,
        {step_bytes, sizeof(step_bytes)},
    };

    if (audience->room.len == 0 || audience->room.len > TICKET_ROOM_MAX ||
        audience->who.len > TICKET_PROOF_WHO_MAX) {
        return -1;
    }

    room_len = (unsigned char)audience->room.len;
    ticket_put_uint(who_len, audience->who.len, sizeof(who_len));
    ticket_put_uint(step_bytes, step, sizeof(step_bytes));

    return ticket_keys_mac(keys, key_id, parts,
                           sizeof(parts) / sizeof(parts[0]), mac);
}

static size_t write_challenge(const ticket_keys_t *keys, uint16_t key_id,
                              const audience_t *audience, uint64_t step,
                              char text[TICKET_CHALLENGE_MAX])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char mac[TICKET_MAC_LEN];
    char head[STEP_DIGITS + ID_DIGITS + 3];

    if (sign(keys, key_id, audience, step, mac) != 0) {
        return 0;
    }

    size_t len = (size_t)snprintf(head, sizeof(head), "%" PRIu64 "-%u-", step,
                                  (unsigned)key_id);

    memcpy(text, head, len);
    for (size_t i = 0; i < TICKET_MAC_LEN; i++) {
        text[len++] = digits[mac[i] >> 4];
        text[len++] = digits[mac[i] & 15];
    }

    return len;
}

size_t ticket_proof_challenge(const ticket_keys_t *keys, const char *room,
                              size_t room_len, const void *who, size_t who_len,
                              uint64_t now_ms, char text[TICKET_CHALLENGE_MAX])
{
    const audience_t audience = {{room, room_len}, {who, who_len}};

    return write_challenge(keys, ticket_keys_signing_id(keys), &audience,
                           now_ms / TICKET_PROOF_STEP_MS, text);
}

/* Moves *p over a decimal number, and returns how many digits it has. */
static size_t skip_number(const char **p, const char *end, size_t most,
                          uint64_t *value)
{
    const char *start = *p;

    *value = 0;
    while (*p < end && **p >= '0' && **p <= '9' &&
           (size_t)(*p - start) < most) {
        *value = *value * 10 + (uint64_t)(*(*p)++ - '0');
    }

    return (size_t)(*p - start);
}

static int skip_char(const char **p, const char *end, char c)
{
    return *p < end && *(*p)++ == c;
}

/* STEP-KEY-MAC.NONCE; what stands in place of the MAC is not looked at. */
static int parse(const char *text, size_t len, proof_t *proof)
{
    const char *p = text, *end = text + len;
    uint64_t nonce;

    if (len > TICKET_PROOF_MAX ||
        !skip_number(&p, end, STEP_DIGITS, &proof->step) ||
        !skip_char(&p, end, '-') ||
        !skip_number(&p, end, ID_DIGITS, &proof->key_id) ||
        !skip_char(&p, end, '-') || end - p < 2 * TICKET_MAC_LEN) {
        return -1;
    }

    p += 2 * TICKET_MAC_LEN;
    proof->challenge_len = (size_t)(p - text);

    return skip_char(&p, end, '.') &&
                   skip_number(&p, end, TICKET_PROOF_NONCE, &nonce) && p == end
               ? 0
               : -1;
}

static void hash(const char *text, size_t len,
                 unsigned char digest[SHA256_DIGEST_SIZE])
{
    struct sha256_ctx sha256;

    sha256_init(&sha256);
    sha256_update(&sha256, len, (const uint8_t *)text);
    sha256_digest(&sha256, SHA256_DIGEST_SIZE, digest);
}

ticket_proof_verdict_t ticket_proof_check(const ticket_keys_t *keys,
                                          const char *room, size_t room_len,
                                          const void *who, size_t who_len,
                                          uint64_t now_ms, unsigned difficulty,
                                          const char *text, size_t len)
{
    const audience_t audience = {{room, room_len}, {who, who_len}};
    const uint64_t step = now_ms / TICKET_PROOF_STEP_MS;
    unsigned char digest[SHA256_DIGEST_SIZE];
    char challenge[TICKET_CHALLENGE_MAX];
    proof_t proof;

    if (parse(text, len, &proof) != 0 || proof.key_id > UINT16_MAX) {
        return TICKET_PROOF_MALFORMED;
    }

    if (proof.step != step && proof.step + 1 != step) {
        return TICKET_PROOF_STALE;
    }

    if (write_challenge(keys, (uint16_t)proof.key_id, &audience, proof.step,
                        challenge) != proof.challenge_len ||
        !memeql_sec(challenge, text, proof.challenge_len)) {
        return TICKET_PROOF_FORGED;
    }

    hash(text, len, digest);

    if (difficulty > TICKET_PROOF_BITS_MAX) {
        difficulty = TICKET_PROOF_BITS_MAX;
    }

    /* The first 32 bits, of which the lowest may be anything. */
    return ticket_get_uint(digest, 4) >> (32 - difficulty) == 0
               ? TICKET_PROOF_OK
               : TICKET_PROOF_TOO_EASY;
}

uint64_t ticket_proof_id(const char *proof, size_t len)
{
    unsigned char digest[SHA256_DIGEST_SIZE];

    hash(proof, len, digest);

    /* From the end: the beginning of an accepted one is zeros. */
    uint64_t id = ticket_get_uint(digest + SHA256_DIGEST_SIZE - 8, 8);

    return id == 0 ? 1 : id;
}
