/*
 * Accept and If-None-Match.  Both are lists in which a quoted string may hold
 * commas.  What is not of their form is passed over, as if it were not there:
 * neither header is reason to refuse a request.
 */
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "negotiate.h"

#define SPACE " \t"

typedef struct {
    const char *text;
    size_t len;
} piece_t;

/*
 * The piece of the list at *list that ends with the separator or the list;
 * moves *list past it.  False at the end.
 */
static bool next_piece(const char **list, const char *end, char separator,
                       piece_t *piece)
{
    const char *p = *list;
    bool quoted = false;

    if (p >= end) {
        return false;
    }

    for (; p < end && (quoted || *p != separator); p++) {
        if (quoted && *p == '\\' && p + 1 < end) {
            p++;
        } else if (*p == '"') {
            quoted = !quoted;
        }
    }

    piece->text = *list;
    piece->len = (size_t)(p - *list);
    *list = p + 1;

    while (piece->len > 0 && strchr(SPACE, *piece->text) != NULL) {
        piece->text++;
        piece->len--;
    }
    while (piece->len > 0 &&
           strchr(SPACE, piece->text[piece->len - 1]) != NULL) {
        piece->len--;
    }

    return true;
}

static bool is_text(const piece_t *piece, const char *text, size_t len)
{
    return piece->len == len && strncasecmp(piece->text, text, len) == 0;
}

/* How specific a range that the type falls in is, 1 to 3; 0: another. */
static unsigned rank(const piece_t *range, const char *type)
{
    size_t major = strcspn(type, "/") + 1;

    if (is_text(range, type, strlen(type))) {
        return 3;
    }

    if (range->len == major + 1 && range->text[major] == '*' &&
        strncasecmp(range->text, type, major) == 0) {
        return 2;
    }

    return is_text(range, "*/*", 3) ? 1 : 0;
}

/* "0.25" is 250; what is no such number counts as 1. */
static unsigned read_quality(const piece_t *value)
{
    unsigned quality, digit = 100;

    if (value->len < 1 || value->len > 5 || value->text[0] != '0' ||
        (value->len > 1 && value->text[1] != '.')) {
        return 1000;
    }

    quality = 0;
    for (size_t i = 2; i < value->len; i++, digit /= 10) {
        if (value->text[i] < '0' || value->text[i] > '9') {
            return 1000;
        }
        quality += (unsigned)(value->text[i] - '0') * digit;
    }

    return quality;
}

unsigned negotiate_quality(const char *accept, const char *type, bool *named)
{
    const char *list = accept == NULL ? "" : accept;
    const char *end = list + strlen(list);
    unsigned best_rank = 0, best = 0;
    piece_t element;

    *named = false;
    if (list[strspn(list, SPACE)] == '\0') {
        return 1000;
    }

    while (next_piece(&list, end, ',', &element)) {
        const char *part = element.text;
        const char *part_end = part + element.len;
        unsigned this_rank, quality = 1000;
        piece_t piece;

        if (!next_piece(&part, part_end, ';', &piece)) {
            continue;
        }

        this_rank = rank(&piece, type);
        while (next_piece(&part, part_end, ';', &piece)) {
            if (piece.len > 2 && strncasecmp(piece.text, "q=", 2) == 0) {
                piece.text += 2;
                piece.len -= 2;
                quality = read_quality(&piece);
            }
        }

        if (this_rank > best_rank ||
            (this_rank == best_rank && quality > best && this_rank > 0)) {
            best_rank = this_rank;
            best = quality;
        }
    }

    *named = best_rank == 3;

    return best;
}

/* The tag without its mark of weakness. */
static piece_t strong(piece_t tag)
{
    if (tag.len > 2 && memcmp(tag.text, "W/", 2) == 0) {
        tag.text += 2;
        tag.len -= 2;
    }

    return tag;
}

bool negotiate_knows(const char *if_none_match, const char *etag)
{
    const char *list = if_none_match == NULL ? "" : if_none_match;
    const char *end = list + strlen(list);
    piece_t own = strong((piece_t){etag, strlen(etag)});
    piece_t tag;

    while (next_piece(&list, end, ',', &tag)) {
        if (tag.len == 1 && *tag.text == '*') {
            return true;
        }

        tag = strong(tag);
        if (tag.len == own.len && memcmp(tag.text, own.text, own.len) == 0) {
            return true;
        }
    }

    return false;
}
