/*
 * Key files for unit tests: written to a temporary file, read by the code
 * under test, and removed at once.
 */
#ifndef KEY_FILE_H
#define KEY_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ticket_keys.h"

/* Secrets of 32 bytes each, of which no part is in the other. */
#define SECRET_A                                                               \
    "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef"
#define SECRET_B                                                               \
    "f0e1d2c3b4a5968778695a4b3c2d1e0ff0e1d2c3b4a5968778695a4b3c2d1e0f"

/*
 * Loads the content as a key file of the given mode.  Returns what
 * ticket_keys_load returns, with its message in err.
 */
static inline ticket_keys_t *load_keys(const char *content, size_t len,
                                       mode_t mode, char *err, size_t err_len)
{
    char path[] = "/tmp/ticket-keys-XXXXXX";
    int fd = mkstemp(path);

    if (fd < 0 || write(fd, content, len) != (ssize_t)len ||
        fchmod(fd, mode) != 0 || close(fd) != 0) {
        perror(path);
        abort();
    }

    ticket_keys_t *keys = ticket_keys_load(path, err, err_len);
    unlink(path);

    return keys;
}

/* Loads a good key file; prints why it is none and returns NULL otherwise. */
static inline ticket_keys_t *good_keys(const char *content)
{
    char err[256] = "";
    ticket_keys_t *keys =
        load_keys(content, strlen(content), 0600, err, sizeof(err));

    if (keys == NULL) {
        fprintf(stderr, "key file refused: %s\n", err);
    }

    return keys;
}

#endif
