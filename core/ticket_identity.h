/*
 * Who a visitor is, as far as Redis is told: not the identity itself (a login
 * name, an account's number) but a hash of it, by which one is found again.
 */
#ifndef TICKET_IDENTITY_H
#define TICKET_IDENTITY_H

#include <stddef.h>

#define TICKET_IDENTITY_KEY_LEN 32

/*
 * The first 16 bytes of SHA-256 (FIPS 180-4) over an identity of any length,
 * as hexadecimal digits without a terminating zero.
 */
void ticket_identity_key(const void *identity, size_t len,
                         char key[TICKET_IDENTITY_KEY_LEN]);

#endif
