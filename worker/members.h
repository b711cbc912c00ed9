/*
 * The JSON that operators send: a small object of known members, or a list of
 * seats with the versions they are expected to have.
 */
#ifndef MEMBERS_H
#define MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seat.h"

#define MEMBER_TEXT_MAX 800  /* bytes */
#define SEAT_LIST_MAX   2000 /* in a list */
#define MEMBERS_ERR_LEN 256

/* A member that an object may have. */
typedef struct {
    const char *name;
    enum {
        MEMBER_NUMBER, /* a whole number, min to max */
        MEMBER_TEXT    /* min to max characters, none of control */
    } type;
    int64_t min, max; /* max of a text: MEMBER_TEXT_MAX / 4 at most */
    bool needed;
    bool nullable;

    /* As it was found. */
    bool given;
    bool is_null;
    int64_t number;
    char text[MEMBER_TEXT_MAX + 1];
} member_t;

/*
 * Reads an object of these members, each at most once, and no others.
 * Returns 0, or -1 with one line in err about what is wrong.
 */
int members_read(member_t *members, unsigned n, const char *body, size_t len,
                 char err[MEMBERS_ERR_LEN]);

typedef struct {
    char name[SEAT_NAME_MAX + 1];
    bool has_version;
    uint32_t version;
} listed_seat_t;

/*
 * Reads {"seats":[{"seat":"A-1","version":7},…]}, each seat once, sorted by
 * name.  seats is on the heap then, the caller's.  Returns 0, or -1 with one
 * line in err.
 */
int seat_list_read(listed_seat_t **seats, unsigned *n, const char *body,
                   size_t len, char err[MEMBERS_ERR_LEN]);

#endif
