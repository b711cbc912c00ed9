/*
 * Integers as bytes, big-endian: in tokens, and in what is hashed.
 */
#ifndef TICKET_BYTES_H
#define TICKET_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Writes the lowest n bytes of value, at most 8. */
static inline void ticket_put_uint(unsigned char *p, uint64_t value, size_t n)
{
    while (n-- > 0) {
        p[n] = (unsigned char)value;
        value >>= 8;
    }
}

/* Reads n bytes, at most 8. */
static inline uint64_t ticket_get_uint(const unsigned char *p, size_t n)
{
    uint64_t value = 0;

    while (n-- > 0) {
        value = value << 8 | *p++;
    }

    return value;
}

#endif
