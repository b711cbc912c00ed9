/*
 * Integers as bytes, big-endian: in tokens, and in what is hashed.  Bytes from
 * hexadecimal digits.
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

static inline int ticket_hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Reads 2 * n digits of either case.  Returns -1 when one of them is none; some
 * bytes are then written.
 */
static inline int ticket_get_hex(unsigned char *p, const char *hex, size_t n)
{
    for (size_t i = 0; i < n; i++, hex += 2) {
        int high = ticket_hex_value(hex[0]), low = ticket_hex_value(hex[1]);

        if (high < 0 || low < 0) {
            return -1;
        }

        p[i] = (unsigned char)(high << 4 | low);
    }

    return 0;
}

#endif
