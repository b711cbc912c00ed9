/*
 * Key files.  What is refused is told about without any part of a secret.
 */
#include <ctype.h>

#include "fuzz.h"
#include "ticket_keys.h"

/* More than any number in a message has. */
#define SECRET_PART 21

static size_t longest_hex(const char *text)
{
    size_t longest = 0, now = 0;

    for (; *text; text++) {
        now = isxdigit((unsigned char)*text) ? now + 1 : 0;
        longest = now > longest ? now : longest;
    }

    return longest;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[MEMORY_PATH_LEN], err[256] = "";
    unsigned char mac[TICKET_MAC_LEN];
    const ticket_part_t part = {"x", 1};
    int fd = memory_file(data, size, path);
    ticket_keys_t *keys = ticket_keys_load(path, err, sizeof(err));

    close(fd);

    if (keys == NULL) {
        REQUIRE(*err != '\0' && strchr(err, '\n') == NULL);
        REQUIRE(longest_hex(err) < SECRET_PART);
        return 0;
    }

    uint16_t id = ticket_keys_signing_id(keys);

    REQUIRE(id >= 1 && ticket_keys_mac(keys, id, &part, 1, mac) == 0);
    REQUIRE(ticket_keys_mac(keys, 0, &part, 1, mac) != 0);
    ticket_keys_free(keys);

    return 0;
}
