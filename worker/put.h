/*
 * Pieces of text, written by hand where there are so many of them that a
 * generator of JSON would be felt.  Each writes at p, which has room, and
 * returns where it ended.
 */
#ifndef PUT_H
#define PUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PUT_NUMBER_MAX 20 /* digits */

static inline char *put_bytes(char *p, const char *bytes, size_t len)
{
    memcpy(p, bytes, len);

    return p + len;
}

static inline char *put_text(char *p, const char *text)
{
    return put_bytes(p, text, strlen(text));
}

static inline char *put_number(char *p, uint64_t number)
{
    char digits[PUT_NUMBER_MAX];
    size_t n = 0;

    do {
        digits[n++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);

    while (n > 0) {
        *p++ = digits[--n];
    }

    return p;
}

#endif
