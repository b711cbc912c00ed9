/*
 * The keys that sign tokens, read from a file: one key a line, "ID SECRET",
 * where ID is 1 to 65535 and SECRET is 64 to 128 hexadecimal digits.  Empty
 * lines and lines that begin with '#' are skipped.  The first key signs, all
 * of them verify: to rotate, put a new line on top, and remove the old one
 * when the last token it signed has run out.
 */
#ifndef TICKET_KEYS_H
#define TICKET_KEYS_H

#include <stddef.h>
#include <stdint.h>

#define TICKET_KEYS_MAX 16
#define TICKET_MAC_LEN  16

typedef struct ticket_keys_s ticket_keys_t;

/* A piece of what a MAC covers; data may be NULL when len is 0. */
typedef struct {
    const void *data;
    size_t len;
} ticket_part_t;

/*
 * Reads the file.  Returns keys owned by the caller, or NULL with one line
 * about what is wrong in err; no part of a secret is ever written there.
 * A file that others than its owner and group may read is refused.
 */
ticket_keys_t *ticket_keys_load(const char *path, char *err, size_t err_len);

/* Accepts NULL.  Secrets are wiped. */
void ticket_keys_free(ticket_keys_t *keys);

/* Id of the key that signs. */
uint16_t ticket_keys_signing_id(const ticket_keys_t *keys);

/*
 * The first TICKET_MAC_LEN bytes of HMAC-SHA256 under key id, over n parts one
 * after the other.  Where one part ends and the next begins is not covered:
 * the caller writes lengths where they vary.  Returns 0, or -1 when there is
 * no such key.  Safe from many threads.
 */
int ticket_keys_mac(const ticket_keys_t *keys, uint16_t id,
                    const ticket_part_t *parts, size_t n,
                    unsigned char mac[TICKET_MAC_LEN]);

#endif
