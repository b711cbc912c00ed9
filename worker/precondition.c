/*
 * Preconditions: a list of entity tags, compared strongly.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "precondition.h"

#define DIGITS_MAX 10

static const char *skip_spaces(const char *p)
{
    return p + strspn(p, " \t");
}

/* The version in a tag of len characters between its quotes. */
static bool read_version(const char *tag, size_t len, uint32_t *version)
{
    size_t digits = len > 1 ? strspn(tag + 1, "0123456789") : 0;
    unsigned long long number;

    if (len < 2 || *tag != 'v' || digits != len - 1 || digits > DIGITS_MAX ||
        (tag[1] == '0' && digits > 1)) {
        return false;
    }

    number = strtoull(tag + 1, NULL, 10);
    *version = (uint32_t)number;

    return number <= UINT32_MAX;
}

/* Past the tag at p, whose version goes into the list; NULL: it is no tag. */
static const char *read_tag(precondition_t *precondition, const char *p)
{
    bool weak = strncmp(p, "W/", 2) == 0;
    const char *tag = p + (weak ? 3 : 1);
    const char *end;
    uint32_t version;

    if (tag[-1] != '"') {
        return NULL;
    }

    end = strchr(tag, '"');
    if (end == NULL) {
        return NULL;
    }

    if (!weak && read_version(tag, (size_t)(end - tag), &version)) {
        precondition->version[precondition->n++] = version;
    }

    return end + 1;
}

int precondition_read(precondition_t *precondition, const char *value)
{
    const char *p = skip_spaces(value);

    *precondition = (precondition_t){0};
    if (*p == '*') {
        precondition->any = true;
        return *skip_spaces(p + 1) == '\0' ? 0 : -1;
    }

    for (unsigned n = 0; n < PRECONDITION_TAGS_MAX; n++) {
        p = read_tag(precondition, p);
        if (p == NULL) {
            return -1;
        }

        p = skip_spaces(p);
        if (*p == '\0') {
            return 0;
        }

        if (*p != ',') {
            return -1;
        }
        p = skip_spaces(p + 1);
    }

    return -1;
}

bool precondition_holds(const precondition_t *precondition, uint32_t version)
{
    bool holds = precondition->any;

    for (unsigned i = 0; i < precondition->n; i++) {
        holds = holds || precondition->version[i] == version;
    }

    return holds;
}
