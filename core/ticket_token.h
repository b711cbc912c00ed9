/*
 * Tokens: the signed proof of a number (queue token) and of an admission
 * (pass).  The one codec for the module and the worker: plain C, no nginx.
 *
 * A token is 48 bytes, written as 64 characters of base64url (48 is a
 * multiple of 3, so that every bit of the text is a bit of the token):
 *
 *     0   version, TICKET_TOKEN_VERSION
 *     1   kind, ticket_token_kind_t
 *     2   key id, 16 bits        all integers big-endian
 *     4   epoch, 32 bits
 *     8   number, 64 bits
 *    16   time, 64 bits: Unix milliseconds of issue (queue) or expiry (pass)
 *    24   id, 64 random bits
 *    32   MAC: HMAC-SHA256 (RFC 2104) cut to its first 128 bits, over bytes
 *         0 to 31, one byte with the length of the room instance's name, and
 *         the name; for a bound token further two bytes with the length of
 *         the bound value, and the value
 *
 * A value that a token is bound to (who the visitor is, say) is not in the
 * token: it opens only where the same value is given again.
 */
#ifndef TICKET_TOKEN_H
#define TICKET_TOKEN_H

#include <stddef.h>
#include <stdint.h>

#include "ticket_keys.h"

#define TICKET_TOKEN_VERSION  1
#define TICKET_TOKEN_BYTES    48
#define TICKET_TOKEN_TEXT_LEN 64   /* characters, no terminating zero */
#define TICKET_ROOM_MAX       129  /* bytes in the name of a room instance */
#define TICKET_BIND_MAX       4096 /* bytes in a bound value */

typedef enum {
    TICKET_TOKEN_QUEUE = 1,
    TICKET_TOKEN_PASS = 2
} ticket_token_kind_t;

typedef enum {
    TICKET_TOKEN_OK = 0,
    TICKET_TOKEN_MALFORMED, /* not the length, alphabet or version */
    TICKET_TOKEN_KIND,      /* signed, but of the other kind */
    TICKET_TOKEN_FORGED     /* unknown key, other room or value, altered */
} ticket_token_verdict_t;

typedef struct {
    ticket_token_kind_t kind;
    uint32_t epoch;
    uint64_t number;
    uint64_t time_ms;
    uint64_t id;
} ticket_token_t;

/*
 * Signs *token for the room instance with the first key and writes
 * TICKET_TOKEN_TEXT_LEN characters to text.  bind_len 0 binds it to nothing
 * (bind may be NULL then).  Returns 0, or -1 when the room's name is empty or
 * longer than TICKET_ROOM_MAX, or the bound value longer than TICKET_BIND_MAX.
 */
int ticket_token_seal(const ticket_keys_t *keys, const ticket_token_t *token,
                      const char *room, size_t room_len, const void *bind,
                      size_t bind_len, char text[TICKET_TOKEN_TEXT_LEN]);

/*
 * Reads a token of the given kind that was signed for the room instance and
 * bound to the same value; a token bound to nothing is FORGED where a value is
 * given, and the other way round.
 * Fills *token only when it returns TICKET_TOKEN_OK.  Epoch and time are the
 * caller's to judge.  Compares in constant time.
 */
ticket_token_verdict_t ticket_token_open(const ticket_keys_t *keys,
                                         ticket_token_kind_t kind,
                                         const char *text, size_t len,
                                         const char *room, size_t room_len,
                                         const void *bind, size_t bind_len,
                                         ticket_token_t *token);

#endif
