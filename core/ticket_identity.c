/* Identities: see ticket_identity.h. */
#include <nettle/sha2.h>

#include "ticket_identity.h"

void ticket_identity_key(const void *identity, size_t len,
                         char key[TICKET_IDENTITY_KEY_LEN])
{
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[TICKET_IDENTITY_KEY_LEN / 2];
    struct sha256_ctx sha256;

    sha256_init(&sha256);
    sha256_update(&sha256, len, identity);
    sha256_digest(&sha256, sizeof(digest), digest);

    for (size_t i = 0; i < sizeof(digest); i++) {
        *key++ = hex[digest[i] >> 4];
        *key++ = hex[digest[i] & 15];
    }
}
