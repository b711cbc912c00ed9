/*
 * The draw: which place in line each entry gets that came before the opening.
 * A secret key of 32 random bytes decides it.  Its SHA-256, the commitment,
 * is published beforehand and the key afterwards, so that anybody can compute
 * the places again (docs/draw.md; scripts/verify-draw does so).
 *
 * Entries i = 1..M get the places 1..M by a permutation that the key and M
 * select.  With T(round, value) for the first 8 bytes, big-endian, of
 * SHA-256(key, M in 8 bytes, round in 1 byte, value in 8 bytes):
 *
 * M below 256: a shuffle (Durstenfeld, "Algorithm 235", CACM 1964), as a
 * Feistel network is uneven on so few.  Word w of it are the bytes 8 * (w % 4)
 * on, 8 of them, of the SHA-256 above with round 0 and value w / 4.  From
 * i = M - 1 down to 1, what stands at i changes places with what stands at
 * word(i) % (i + 1), both counted from 0.
 *
 * M of 256 and more: the generalised Feistel network of Black and Rogaway
 * ("Ciphers with Arbitrary Finite Domains", CT-RSA 2002, method 3): a is the
 * least integer whose square is not below M, b the least with a * b not below
 * M.  The entry counted from 0, x, is split in l = x % a and r = x / a.
 * Rounds 1 to 10 put (r, (l + T(round, r)) % s) in place of (l, r), s being a
 * in odd rounds and b in even ones; then x = a * r + l.  While x is not below
 * M, the ten rounds are done again on it (cycle walking).  Ten rounds are
 * what the format-preserving encryption FF1 does (NIST SP 800-38G).
 */
#ifndef TICKET_DRAW_H
#define TICKET_DRAW_H

#include <stdint.h>

#define TICKET_DRAW_KEY_LEN 32

/*
 * The place of an entry among all entries, 1 for the first: for each key and
 * number of entries a permutation.  entries is at most TICKET_NUMBER_MAX.
 * Returns 0 when number is not one of 1 to entries, or entries is too high.
 * Costs ten times SHA-256 of one block, for less than 256 entries up to 64
 * times.
 */
uint64_t ticket_draw_place(const unsigned char key[TICKET_DRAW_KEY_LEN],
                           uint64_t entries, uint64_t number);

/*
 * The same permutation expanded, for who asks for many places of one draw: the
 * values of all rounds in a table, or below 256 entries all places.  10,000,000
 * entries take 63 KB and some 30,000 SHA-256 once, and a place then none.
 */
typedef struct ticket_draw_s ticket_draw_t;

/*
 * Returns the expanded draw, owned by the caller, or NULL when there is no
 * memory, or entries is 0 or above TICKET_NUMBER_MAX.  The key is not kept.
 */
ticket_draw_t *ticket_draw_open(const unsigned char key[TICKET_DRAW_KEY_LEN],
                                uint64_t entries);

/* As ticket_draw_place.  Safe from many threads. */
uint64_t ticket_draw_look(const ticket_draw_t *draw, uint64_t number);

/* Accepts NULL. */
void ticket_draw_close(ticket_draw_t *draw);

/* SHA-256 of the key. */
void ticket_draw_commitment(const unsigned char key[TICKET_DRAW_KEY_LEN],
                            unsigned char out[32]);

#endif
