/*
 * Proofs of work, as they come in a header.  The first byte of an input is the
 * difficulty; with its highest bit set a good challenge is put before the
 * rest, which so need not guess a MAC.
 */
#include "fuzz.h"
#include "key_file.h"
#include "ticket_proof.h"

#define NOW  1764633612345
#define ROOM "concert:20261201"
#define WHO  "\x7f\0\0\1"

static ticket_keys_t *keys;

static ticket_proof_verdict_t check(unsigned difficulty, const char *text,
                                    size_t len)
{
    return ticket_proof_check(keys, ROOM, strlen(ROOM), WHO, 4, NOW, difficulty,
                              text, len);
}

/* Whether it is the challenge of this time, a full stop, and digits. */
static int is_of(uint64_t now_ms, const char *text, size_t len)
{
    char challenge[TICKET_CHALLENGE_MAX];
    size_t n = ticket_proof_challenge(keys, ROOM, strlen(ROOM), WHO, 4, now_ms,
                                      challenge);

    if (len < n + 2 || len > n + 1 + TICKET_PROOF_NONCE ||
        memcmp(text, challenge, n) != 0 || text[n] != '.') {
        return 0;
    }

    for (size_t i = n + 1; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return 0;
        }
    }

    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096];
    size_t len = 0;

    if (keys == NULL) {
        keys = good_keys("7 " SECRET_A "\n");
        REQUIRE(keys != NULL);
    }

    if (size == 0 || size > sizeof(text) - TICKET_CHALLENGE_MAX) {
        return 0;
    }

    if (*data & 0x80) {
        len =
            ticket_proof_challenge(keys, ROOM, strlen(ROOM), WHO, 4, NOW, text);
    }

    memcpy(text + len, data + 1, size - 1);
    len += size - 1;

    /* Of its own size, for what would read beyond it. */
    char *proof = memcpy(malloc(len + !len), text, len);
    ticket_proof_verdict_t verdict = check(0, proof, len);
    int good =
        is_of(NOW, proof, len) || is_of(NOW - TICKET_PROOF_STEP_MS, proof, len);

    REQUIRE((verdict == TICKET_PROOF_OK) == good);

    ticket_proof_verdict_t hard = check(*data & 0x7f, proof, len);

    REQUIRE(hard == verdict ||
            (verdict == TICKET_PROOF_OK && hard == TICKET_PROOF_TOO_EASY));
    REQUIRE(ticket_proof_id(proof, len) != 0);
    free(proof);

    return 0;
}
