/*
 * Texts: UTF-8 (RFC 3629: no surrogates, nothing longer than need be), labels,
 * names.
 */
#include <stdint.h>
#include <string.h>

#include "seat.h"
#include "text.h"

/* Bytes of the character at the beginning, as its first byte has it, and the
 * least number that may be written with so many; 0: none begins so. */
static size_t sequence_len(unsigned char first, uint32_t *least, uint32_t *bits)
{
    static const struct {
        unsigned char mask, mark;
        uint32_t least;
    } form[] = {{0x80, 0x00, 0},
                {0xe0, 0xc0, 0x80},
                {0xf0, 0xe0, 0x800},
                {0xf8, 0xf0, 0x10000}};

    for (size_t i = 0; i < sizeof(form) / sizeof(form[0]); i++) {
        if ((first & form[i].mask) == form[i].mark) {
            *least = form[i].least;
            *bits = first & (unsigned char)~form[i].mask;
            return i + 1;
        }
    }

    return 0;
}

size_t text_utf8_prefix(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len) {
        uint32_t least, code;
        size_t n = sequence_len((unsigned char)text[at], &least, &code);

        if (n == 0 || n > len - at) {
            break;
        }

        for (size_t i = 1; i < n; i++) {
            unsigned char next = (unsigned char)text[at + i];

            if ((next & 0xc0) != 0x80) {
                return at;
            }
            code = code << 6 | (next & 0x3f);
        }

        if (code < least || code > 0x10ffff ||
            (code >= 0xd800 && code <= 0xdfff)) {
            break;
        }
        at += n;
    }

    return at;
}

bool text_is_label(const char *text, size_t len, size_t max)
{
    size_t characters = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < ' ' || c == 0x7f) {
            return false;
        }
        characters += (c & 0xc0) != 0x80;
    }

    return characters >= 1 && characters <= max && text[0] != ' ' &&
           text[len - 1] != ' ' && text_utf8_prefix(text, len) == len;
}

/* Of which names of seats, pools and tiers are made. */
static bool is_name_char(char c)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789._-";

    return c != '\0' && strchr(allowed, c) != NULL;
}

bool text_is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!is_name_char(text[i])) {
            return false;
        }
    }

    return len >= 1 && len <= SEAT_NAME_MAX;
}

size_t text_to_name(char *name, size_t size, const char *text)
{
    bool in_run = false;
    size_t len = 0;

    for (; *text != '\0' && len + 1 < size; text++) {
        bool good = is_name_char(*text);

        if (good || !in_run) {
            name[len++] = good ? *text : '_';
        }
        in_run = !good;
    }

    name[len] = '\0';

    return len;
}

const char *text_shown(char shown[TEXT_SHOWN_MAX + 1], const char *text)
{
    size_t len = text_utf8_prefix(text, strnlen(text, TEXT_SHOWN_MAX));

    memcpy(shown, text, len);
    shown[len] = '\0';

    return shown;
}
