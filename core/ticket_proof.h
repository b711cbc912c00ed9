/*
 * Proof of work: what a browser computes before it is given a number, so that
 * numbers cost something.  Nothing is kept: a challenge is signed, and says
 * for itself when it was made.
 *
 * A challenge is the text STEP-KEY-MAC: the minute it was made (Unix time in
 * steps of TICKET_PROOF_STEP_MS) and the id of the signing key in decimal,
 * and in lower-case hexadecimal the MAC (ticket_keys_mac) over
 *
 *     "ticket-proof"       no token begins so: its first byte is a version
 *     length, room         length in 1 byte, the room instance's name
 *     length, who          length in 2 bytes, whom it was made for
 *     STEP                 8 bytes; all integers big-endian
 *
 * A proof is CHALLENGE.NONCE, with a decimal number as the nonce, and good
 * when its SHA-256 begins with as many zero bits as the difficulty says (the
 * scheme of Hashcash: Back, "Hashcash - A Denial of Service Counter-Measure",
 * 2002).  Each nonce that fits is work of its own.  That a proof is used once
 * is the caller's to see to: ticket_proof_id names it.
 */
#ifndef TICKET_PROOF_H
#define TICKET_PROOF_H

#include <stddef.h>
#include <stdint.h>

#include "ticket_keys.h"

#define TICKET_PROOF_STEP_MS  60000
#define TICKET_PROOF_NONCE    20   /* digits of a nonce, at most */
#define TICKET_PROOF_BITS_MAX 32   /* the highest difficulty */
#define TICKET_PROOF_WHO_MAX  4096 /* bytes */
/* Characters of a challenge at most: step, key id, MAC, and two hyphens. */
#define TICKET_CHALLENGE_MAX (15 + 5 + 2 * TICKET_MAC_LEN + 2)
/* Characters of a proof at most: a challenge, a full stop, a nonce. */
#define TICKET_PROOF_MAX (TICKET_CHALLENGE_MAX + 1 + TICKET_PROOF_NONCE)

typedef enum {
    TICKET_PROOF_OK = 0,
    TICKET_PROOF_MALFORMED, /* not of the form of a proof */
    TICKET_PROOF_STALE,     /* of neither this minute nor the last */
    TICKET_PROOF_FORGED,    /* not signed, or for another room or visitor */
    TICKET_PROOF_TOO_EASY   /* too few zero bits */
} ticket_proof_verdict_t;

/*
 * Writes the challenge for a visitor, who is known by any bytes that stay the
 * same for two minutes (the binary address, say), in letters, digits and '-'
 * without a terminating zero.  now_ms is Unix time.  Returns its length, or 0
 * when the room's name is empty or longer than TICKET_ROOM_MAX, or who longer
 * than TICKET_PROOF_WHO_MAX.
 */
size_t ticket_proof_challenge(const ticket_keys_t *keys, const char *room,
                              size_t room_len, const void *who, size_t who_len,
                              uint64_t now_ms, char text[TICKET_CHALLENGE_MAX]);

/*
 * Judges a proof of len bytes, which need not end in a zero: good for 60 to
 * 120 s from its challenge on.  difficulty is 0 to TICKET_PROOF_BITS_MAX; more
 * counts as that.  Compares in constant time.
 */
ticket_proof_verdict_t ticket_proof_check(const ticket_keys_t *keys,
                                          const char *room, size_t room_len,
                                          const void *who, size_t who_len,
                                          uint64_t now_ms, unsigned difficulty,
                                          const char *proof, size_t len);

/*
 * Names an accepted proof, for a table of those used: it need be remembered
 * for 2 * TICKET_PROOF_STEP_MS.  Never 0.  Two different proofs have the same
 * id with a chance of 2^-64.
 */
uint64_t ticket_proof_id(const char *proof, size_t len);

#endif
