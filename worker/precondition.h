/*
 * If-Match (RFC 9110, 13.1.1), where the tags are versions: "v7".
 */
#ifndef PRECONDITION_H
#define PRECONDITION_H

#include <stdbool.h>
#include <stdint.h>

#define PRECONDITION_TAGS_MAX 16

typedef struct {
    bool any;   /* "*": whatever the version, as long as there is one */
    unsigned n; /* 0 without any: tags of ours are not among them */
    uint32_t version[PRECONDITION_TAGS_MAX];
} precondition_t;

/*
 * Reads the value of the header.  Weak tags and those of another form match
 * nothing, and are left out.  Returns 0, or -1 when it is no list of tags, or
 * has too many.
 */
int precondition_read(precondition_t *precondition, const char *value);

/* Whether a version is among them. */
bool precondition_holds(const precondition_t *precondition, uint32_t version);

#endif
