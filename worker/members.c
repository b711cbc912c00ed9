/*
 * Operators' JSON.  yajl calls for each piece, and each call checks that the
 * piece may stand where it stands, so that nothing is built that is not kept.
 * A list of seats is an object whose only member is a list of such objects:
 * the members of the object at hand are all there is to know.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "members.h"
#include "text.h"

#define N_SEAT_MEMBERS 2
#define NUMBER_LEN_MAX 18

typedef struct {
    member_t *members; /* of the object at hand */
    unsigned n;
    member_t *at; /* whose value comes next; NULL: none */
    char *err;

    bool is_list; /* of seats: {"seats":[ the objects ]} */
    enum {
        BEFORE,   /* the outermost object */
        IN_OUTER, /* of a list, before "seats" or behind its value */
        BEFORE_LIST,
        IN_LIST,
        IN_OBJECT,
        BEHIND
    } where;
    bool has_list;
    listed_seat_t *seats;
    unsigned n_seats, seats_size;
} parse_t;

/* Ends the parse. */
static int refuse(parse_t *parse, const char *fmt, const char *what)
{
    snprintf(parse->err, MEMBERS_ERR_LEN, fmt, what);
    return 0;
}

static int refuse_shape(parse_t *parse)
{
    return refuse(parse, "the body is %s",
                  parse->is_list
                      ? "{\"seats\":[{\"seat\":name,\"version\":number},…]}"
                      : "an object of single values, without lists or objects "
                        "in it");
}

/* What the member may be, in words. */
static int refuse_value(parse_t *parse, const member_t *member)
{
    const char *or_null = member->nullable ? ", or null" : "";

    if (member->type == MEMBER_NUMBER) {
        snprintf(parse->err, MEMBERS_ERR_LEN,
                 "\"%s\" is a whole number from %lld to %lld%s", member->name,
                 (long long)member->min, (long long)member->max, or_null);
    } else {
        snprintf(parse->err, MEMBERS_ERR_LEN,
                 "\"%s\" is a text of %lld to %lld characters on one line, "
                 "without a space at either end%s",
                 member->name, (long long)member->min, (long long)member->max,
                 or_null);
    }

    return 0;
}

/* The member that the value at hand is of; NULL when none may stand here. */
static member_t *take_member(parse_t *parse)
{
    member_t *member = parse->where == IN_OBJECT ? parse->at : NULL;

    parse->at = NULL;
    if (member == NULL) {
        refuse_shape(parse);
    }

    return member;
}

static int on_null(void *ctx)
{
    parse_t *parse = ctx;
    member_t *member = take_member(parse);

    if (member == NULL) {
        return 0;
    }

    member->is_null = true;

    return member->nullable ? 1 : refuse_value(parse, member);
}

static int on_boolean(void *ctx, int value)
{
    parse_t *parse = ctx;
    member_t *member = take_member(parse);

    (void)value;

    return member == NULL ? 0 : refuse_value(parse, member);
}

/* As it is written, since yajl calls one that is too large no JSON at all. */
static int on_number(void *ctx, const char *text, size_t len)
{
    parse_t *parse = ctx;
    member_t *member = take_member(parse);
    char digits[NUMBER_LEN_MAX + 1], *end = digits;

    if (member == NULL) {
        return 0;
    }

    snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
    member->number = strtoll(digits, &end, 10);
    if (member->type != MEMBER_NUMBER || len > NUMBER_LEN_MAX || *end != '\0' ||
        member->number < member->min || member->number > member->max) {
        return refuse_value(parse, member);
    }

    return 1;
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    parse_t *parse = ctx;
    member_t *member = take_member(parse);

    if (member == NULL) {
        return 0;
    }

    if (member->type != MEMBER_TEXT || len > MEMBER_TEXT_MAX ||
        !text_is_label((const char *)text, len, (size_t)member->max)) {
        return refuse_value(parse, member);
    }

    memcpy(member->text, text, len);
    member->text[len] = '\0';

    return 1;
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    parse_t *parse = ctx;
    char name[TEXT_SHOWN_MAX + 1], shown[TEXT_SHOWN_MAX + 1];

    snprintf(name, sizeof(name), "%.*s", (int)len, (const char *)text);
    if (parse->where == IN_OUTER) {
        if (len != 5 || memcmp(text, "seats", 5) != 0 || parse->has_list) {
            return refuse_shape(parse);
        }
        parse->where = BEFORE_LIST;
        return 1;
    }

    for (member_t *member = parse->members; member < parse->members + parse->n;
         member++) {
        if (len != strlen(member->name) ||
            memcmp(text, member->name, len) != 0) {
            continue;
        }

        if (member->given) {
            return refuse(parse, "\"%s\" appears twice", member->name);
        }
        member->given = true;
        parse->at = member;
        return 1;
    }

    return refuse(parse, "there is no member \"%s\"; see docs/halls.md",
                  text_shown(shown, name));
}

static int on_map(void *ctx)
{
    parse_t *parse = ctx;

    if (parse->where == BEFORE) {
        parse->where = parse->is_list ? IN_OUTER : IN_OBJECT;
    } else if (parse->where == IN_LIST) {
        parse->where = IN_OBJECT;
        for (unsigned i = 0; i < parse->n; i++) {
            parse->members[i].given = false;
        }
    } else {
        return refuse_shape(parse);
    }

    return 1;
}

/* Adds the object of a list that has just been read. */
static int add_seat(parse_t *parse)
{
    const member_t *name = &parse->members[0], *version = &parse->members[1];
    listed_seat_t *seat;

    if (!text_is_name(name->text, strlen(name->text))) {
        return refuse(parse, "%s",
                      "a seat's name is 1 to 32 of A-Z a-z 0-9 . _ -");
    }

    if (parse->n_seats == SEAT_LIST_MAX) {
        return refuse(parse, "%s", "a list has 2000 seats at most");
    }

    if (parse->n_seats == parse->seats_size) {
        unsigned size = parse->seats_size ? parse->seats_size * 2 : 16;

        seat = realloc(parse->seats, size * sizeof(*seat));
        if (seat == NULL) {
            return refuse(parse, "%s", "no memory to read it");
        }
        parse->seats = seat;
        parse->seats_size = size;
    }

    seat = &parse->seats[parse->n_seats++];
    strcpy(seat->name, name->text);
    seat->has_version = version->given;
    seat->version = version->given ? (uint32_t)version->number : 0;

    return 1;
}

static int on_map_end(void *ctx)
{
    parse_t *parse = ctx;

    if (parse->where == IN_OUTER) {
        parse->where = BEHIND;
        return parse->has_list ? 1 : refuse_shape(parse);
    }

    for (unsigned i = 0; i < parse->n; i++) {
        if (parse->members[i].needed && !parse->members[i].given) {
            return refuse(parse, "\"%s\" is missing", parse->members[i].name);
        }
    }

    parse->where = parse->is_list ? IN_LIST : BEHIND;

    return parse->is_list ? add_seat(parse) : 1;
}

static int on_array(void *ctx)
{
    parse_t *parse = ctx;

    if (parse->where != BEFORE_LIST) {
        return refuse_shape(parse);
    }

    parse->has_list = true;
    parse->where = IN_LIST;

    return 1;
}

static int on_array_end(void *ctx)
{
    parse_t *parse = ctx;

    parse->where = IN_OUTER;

    return parse->n_seats > 0 ? 1 : refuse(parse, "%s", "no seat is named");
}

/* 0, or -1 with what is wrong in err. */
static int run(parse_t *parse, const char *text, size_t len)
{
    static const yajl_callbacks callbacks = {
        on_null, on_boolean, NULL,       NULL,     on_number,   on_string,
        on_map,  on_key,     on_map_end, on_array, on_array_end};
    yajl_handle parser = yajl_alloc(&callbacks, NULL, parse);
    yajl_status status;

    *parse->err = '\0';
    if (parser == NULL) {
        refuse(parse, "%s", "no memory to read it");
        return -1;
    }

    status = yajl_parse(parser, (const unsigned char *)text, len);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(parser);
    }
    yajl_free(parser);

    if (*parse->err == '\0' &&
        (status != yajl_status_ok || parse->where != BEHIND)) {
        refuse(parse, "%s", "the body is not JSON in UTF-8");
    }

    return *parse->err == '\0' ? 0 : -1;
}

int members_read(member_t *members, unsigned n, const char *text, size_t len,
                 char err[MEMBERS_ERR_LEN])
{
    parse_t state = {.members = members, .n = n, .err = err};

    return run(&state, text, len);
}

static int compare_seats(const void *a, const void *b)
{
    return strcmp(((const listed_seat_t *)a)->name,
                  ((const listed_seat_t *)b)->name);
}

int seat_list_read(listed_seat_t **seats, unsigned *n, const char *text,
                   size_t len, char err[MEMBERS_ERR_LEN])
{
    member_t members[N_SEAT_MEMBERS] = {
        {.name = "seat",
         .type = MEMBER_TEXT,
         .min = 1,
         .max = SEAT_NAME_MAX,
         .needed = true},
        {.name = "version", .type = MEMBER_NUMBER, .max = UINT32_MAX}};
    parse_t state = {
        .members = members, .n = N_SEAT_MEMBERS, .err = err, .is_list = true};
    int rc = run(&state, text, len);

    if (rc == 0) {
        qsort(state.seats, state.n_seats, sizeof(listed_seat_t), compare_seats);
    }

    for (unsigned i = 1; rc == 0 && i < state.n_seats; i++) {
        if (compare_seats(&state.seats[i - 1], &state.seats[i]) == 0) {
            refuse(&state, "\"%s\" is named twice", state.seats[i].name);
            rc = -1;
        }
    }

    if (rc != 0) {
        free(state.seats);
        return -1;
    }

    *seats = state.seats;
    *n = state.n_seats;

    return 0;
}
