/*
 * Stands in for libFuzzer where there is none: gives each file named on the
 * command line to the target once.  The bytes lie in memory of exactly their
 * size, so that a sanitizer sees what reads beyond them.
 */
#include <errno.h>

#include "fuzz.h"

static uint8_t *read_all(FILE *file, size_t *size)
{
    struct stat st;

    if (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode)) {
        return NULL;
    }

    uint8_t *bytes = malloc((size_t)st.st_size);

    *size = (size_t)st.st_size;
    if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
        free(bytes);
        return NULL;
    }

    return bytes;
}

static int replay(const char *path)
{
    FILE *file = fopen(path, "re");
    size_t size;
    uint8_t *bytes = file != NULL ? read_all(file, &size) : NULL;

    if (file != NULL) {
        fclose(file);
    }

    if (bytes == NULL) {
        fprintf(stderr, "%s: cannot be read: %s\n", path, strerror(errno));
        return -1;
    }

    /* Said before, so that it is known which one a crash was in. */
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);

    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i]) != 0) {
            return 2;
        }
    }

    return 0;
}
