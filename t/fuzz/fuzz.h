/*
 * What the fuzz targets share.  A target is a file NAME_fuzz.c with the one
 * function that libFuzzer calls (https://llvm.org/docs/LibFuzzer.html); the
 * same target with replay.c in libFuzzer's place runs the inputs it is given.
 *
 * What must hold for all inputs is stated with REQUIRE, so that a wrong answer
 * is found as a bad access is.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUIRE(condition)                                                     \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__,         \
                    #condition);                                               \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* One input; data is not the target's to change or keep. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_PATH_LEN 32

/*
 * Puts the bytes where code that opens a file by its name can read them.
 * Returns a descriptor for the caller to close, and writes the name to path.
 */
static inline int memory_file(const void *bytes, size_t size,
                              char path[MEMORY_PATH_LEN])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    REQUIRE(fd >= 0 && fchmod(fd, 0600) == 0);
    REQUIRE(write(fd, bytes, size) == (ssize_t)size);
    snprintf(path, MEMORY_PATH_LEN, "/proc/self/fd/%d", fd);

    return fd;
}

#endif
