/*
 * Reading what somebody wants to hold.  yajl calls for each piece of JSON, and
 * each call checks that the piece may stand where it stands: so the shape is
 * fixed, nesting ends at four levels, and nothing is built that is not kept.
 *
 * Numbers are taken as they were written, since yajl would call one that is
 * too large for it no JSON at all.
 */
#include <string.h>

#include <yajl/yajl_parse.h>

#include "text.h"
#include "wish.h"

/* Where the next piece stands. */
typedef enum {
    AT_START,
    IN_BODY,
    BEFORE_SEATS, /* after "seats": */
    IN_SEATS,     /* in its list */
    IN_SEAT,      /* in {"seat":…,"version":…} */
    BEFORE_SEAT_NAME,
    BEFORE_VERSION,
    BEFORE_POOLS,
    IN_POOLS,
    IN_POOL,
    BEFORE_POOL_NAME,
    BEFORE_POOL_QUANTITY,
    BEFORE_BEST,
    IN_BEST,
    BEFORE_BEST_QUANTITY,
    BEFORE_TIERS,
    IN_TIERS,
    BEFORE_TOGETHER,
    AT_END
} place_t;

#define BODY_FORM                                                                \
    "the body is {\"seats\":[…],\"pools\":[…],\"best\":{…}}, each member " \
    "once, and at least one of them"
#define SEAT_FORM                                                              \
    "\"seats\" is a list, each seat a name or "                                \
    "{\"seat\":name,\"version\":number}"
#define POOL_FORM                                                              \
    "\"pools\" is a list, each pool {\"pool\":name,\"quantity\":number}"
#define BEST_FORM                                                              \
    "\"best\" is {\"quantity\":number}, with \"tiers\":[name,…] and "        \
    "\"together\":true or false if wanted"
#define NAME_FORM     "a name is 1 to 32 of A-Z a-z 0-9 . _ -"
#define QUANTITY_FORM "a quantity is a whole number, 1 to 10"
#define TOO_MANY                                                               \
    "more than 10 places are asked for: ask for fewer, or in several requests"

/* What may stand there, for who sent something else. */
static const char *const form[] = {
    [AT_START] = BODY_FORM,
    [IN_BODY] = BODY_FORM,
    [BEFORE_SEATS] = SEAT_FORM,
    [IN_SEATS] = SEAT_FORM,
    [IN_SEAT] = SEAT_FORM,
    [BEFORE_SEAT_NAME] = SEAT_FORM,
    [BEFORE_VERSION] = "a version is a whole number, 0 to 4294967295",
    [BEFORE_POOLS] = POOL_FORM,
    [IN_POOLS] = POOL_FORM,
    [IN_POOL] = POOL_FORM,
    [BEFORE_POOL_NAME] = POOL_FORM,
    [BEFORE_POOL_QUANTITY] = QUANTITY_FORM,
    [BEFORE_BEST] = BEST_FORM,
    [IN_BEST] = BEST_FORM,
    [BEFORE_BEST_QUANTITY] = QUANTITY_FORM,
    [BEFORE_TIERS] = BEST_FORM,
    [IN_TIERS] = BEST_FORM,
    [BEFORE_TOGETHER] = "\"together\" is true or false",
    [AT_END] = BODY_FORM,
};

/* The members of each object, and what follows their names. */
enum {
    M_SEATS,
    M_POOLS,
    M_BEST,
    M_SEAT_NAME,
    M_VERSION,
    M_POOL_NAME,
    M_POOL_QUANTITY,
    M_BEST_QUANTITY,
    M_TIERS,
    M_TOGETHER,
    MEMBERS
};

static const struct {
    place_t in;
    const char *name;
    place_t then;
} members[MEMBERS] = {
    [M_SEATS] = {IN_BODY, "seats", BEFORE_SEATS},
    [M_POOLS] = {IN_BODY, "pools", BEFORE_POOLS},
    [M_BEST] = {IN_BODY, "best", BEFORE_BEST},
    [M_SEAT_NAME] = {IN_SEAT, "seat", BEFORE_SEAT_NAME},
    [M_VERSION] = {IN_SEAT, "version", BEFORE_VERSION},
    [M_POOL_NAME] = {IN_POOL, "pool", BEFORE_POOL_NAME},
    [M_POOL_QUANTITY] = {IN_POOL, "quantity", BEFORE_POOL_QUANTITY},
    [M_BEST_QUANTITY] = {IN_BEST, "quantity", BEFORE_BEST_QUANTITY},
    [M_TIERS] = {IN_BEST, "tiers", BEFORE_TIERS},
    [M_TOGETHER] = {IN_BEST, "together", BEFORE_TOGETHER},
};

#define BIT(member) (1U << (member))

typedef struct {
    wish_t *wish;
    const char *wrong;
    place_t at;
    unsigned seen; /* bits of the members of the objects that are open */
} reader_t;

/* Ends the parse; the first complaint stays. */
static int refuse(reader_t *reader, const char *wrong)
{
    reader->wrong = wrong;
    return 0;
}

static int refuse_piece(reader_t *reader)
{
    return refuse(reader, form[reader->at]);
}

/*
 * Writes a name into the last of n places that begin at first and are stride
 * apart, if none of the others has it.
 */
static int take_name(reader_t *reader, void *first, size_t stride, unsigned n,
                     const unsigned char *text, size_t len, const char *twice)
{
    char *name = (char *)first + (n - 1) * stride;

    _Static_assert(POOL_NAME_MAX == SEAT_NAME_MAX, "one form of names");
    _Static_assert(SEAT_TIER_MAX == SEAT_NAME_MAX, "one form of names");

    if (!text_is_name((const char *)text, len)) {
        return refuse(reader, NAME_FORM);
    }

    memcpy(name, text, len);
    name[len] = '\0';

    for (char *other = first; other < name; other += stride) {
        if (strcmp(other, name) == 0) {
            return refuse(reader, twice);
        }
    }

    return 1;
}

static int open_seat(reader_t *reader)
{
    if (reader->wish->n_seats == HOLD_UNITS_MAX) {
        return refuse(reader, TOO_MANY);
    }

    reader->wish->n_seats++;

    return 1;
}

static int open_pool(reader_t *reader)
{
    if (reader->wish->n_pools == HOLD_UNITS_MAX) {
        return refuse(reader, TOO_MANY);
    }

    reader->wish->n_pools++;

    return 1;
}

static int name_seat(reader_t *reader, const unsigned char *text, size_t len)
{
    wish_t *wish = reader->wish;

    return take_name(reader, wish->seat[0].name, sizeof(wish->seat[0]),
                     wish->n_seats, text, len,
                     "a seat is named twice: name each seat once");
}

static int name_pool(reader_t *reader, const unsigned char *text, size_t len)
{
    wish_t *wish = reader->wish;

    return take_name(reader, wish->pool[0].name, sizeof(wish->pool[0]),
                     wish->n_pools, text, len,
                     "a pool is named twice: name each pool once, with the "
                     "whole quantity");
}

static int name_tier(reader_t *reader, const unsigned char *text, size_t len)
{
    wish_t *wish = reader->wish;

    if (wish->best.n_tiers == BEST_TIERS_MAX) {
        return refuse(reader, "more than 8 tiers are named: leave \"tiers\" "
                              "away for seats of any tier");
    }

    wish->best.n_tiers++;

    return take_name(reader, wish->best.tier[0], sizeof(wish->best.tier[0]),
                     wish->best.n_tiers, text, len,
                     "a tier is named twice: name each tier once");
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    reader_t *reader = ctx;

    switch (reader->at) {
    case IN_SEATS:
        return open_seat(reader) && name_seat(reader, text, len);
    case IN_TIERS:
        return name_tier(reader, text, len);
    case BEFORE_SEAT_NAME:
        reader->at = IN_SEAT;
        return name_seat(reader, text, len);
    case BEFORE_POOL_NAME:
        reader->at = IN_POOL;
        return name_pool(reader, text, len);
    default:
        return refuse_piece(reader);
    }
}

/* A whole number, min to max; false: it is something else. */
static bool read_number(const char *text, size_t len, uint64_t min,
                        uint64_t max, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || *number > max) {
            return false;
        }
        *number = *number * 10 + (uint64_t)(text[i] - '0');
    }

    return *number >= min && *number <= max;
}

static int on_number(void *ctx, const char *text, size_t len)
{
    reader_t *reader = ctx;
    wish_t *wish = reader->wish;
    bool is_version = reader->at == BEFORE_VERSION;
    uint64_t number;

    if (!read_number(text, len, is_version ? 0 : 1,
                     is_version ? UINT32_MAX : HOLD_UNITS_MAX, &number)) {
        return refuse_piece(reader);
    }

    switch (reader->at) {
    case BEFORE_VERSION:
        wish->seat[wish->n_seats - 1].wants_version = true;
        wish->seat[wish->n_seats - 1].version = (uint32_t)number;
        reader->at = IN_SEAT;
        return 1;
    case BEFORE_POOL_QUANTITY:
        wish->pool[wish->n_pools - 1].quantity = (unsigned)number;
        reader->at = IN_POOL;
        return 1;
    case BEFORE_BEST_QUANTITY:
        wish->best.quantity = (unsigned)number;
        reader->at = IN_BEST;
        return 1;
    default:
        return refuse_piece(reader);
    }
}

static int on_boolean(void *ctx, int value)
{
    reader_t *reader = ctx;

    if (reader->at != BEFORE_TOGETHER) {
        return refuse_piece(reader);
    }

    reader->wish->best.together = value != 0;
    reader->at = IN_BEST;

    return 1;
}

static int on_null(void *ctx)
{
    return refuse_piece(ctx);
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    reader_t *reader = ctx;

    for (unsigned i = 0; i < MEMBERS; i++) {
        if (members[i].in == reader->at && strlen(members[i].name) == len &&
            memcmp(members[i].name, text, len) == 0 &&
            !(reader->seen & BIT(i))) {
            reader->seen |= BIT(i);
            reader->at = members[i].then;
            return 1;
        }
    }

    return refuse_piece(reader);
}

static int on_map(void *ctx)
{
    reader_t *reader = ctx;

    switch (reader->at) {
    case AT_START:
        reader->at = IN_BODY;
        return 1;
    case IN_SEATS:
        reader->at = IN_SEAT;
        reader->seen &= ~(BIT(M_SEAT_NAME) | BIT(M_VERSION));
        return open_seat(reader);
    case IN_POOLS:
        reader->at = IN_POOL;
        reader->seen &= ~(BIT(M_POOL_NAME) | BIT(M_POOL_QUANTITY));
        return open_pool(reader);
    case BEFORE_BEST:
        reader->at = IN_BEST;
        return 1;
    default:
        return refuse_piece(reader);
    }
}

/* The end of an object: what it must have, it has. */
static int on_map_end(void *ctx)
{
    static const struct {
        place_t in;
        unsigned needed;
        place_t then;
    } ends[] = {
        {IN_BODY, 0, AT_END},
        {IN_SEAT, BIT(M_SEAT_NAME), IN_SEATS},
        {IN_POOL, BIT(M_POOL_NAME) | BIT(M_POOL_QUANTITY), IN_POOLS},
        {IN_BEST, BIT(M_BEST_QUANTITY), IN_BODY},
    };
    reader_t *reader = ctx;

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (ends[i].in == reader->at &&
            (reader->seen & ends[i].needed) == ends[i].needed) {
            reader->at = ends[i].then;
            return 1;
        }
    }

    return refuse_piece(reader);
}

static int on_array(void *ctx)
{
    reader_t *reader = ctx;

    switch (reader->at) {
    case BEFORE_SEATS:
        reader->at = IN_SEATS;
        return 1;
    case BEFORE_POOLS:
        reader->at = IN_POOLS;
        return 1;
    case BEFORE_TIERS:
        reader->at = IN_TIERS;
        return 1;
    default:
        return refuse_piece(reader);
    }
}

static int on_array_end(void *ctx)
{
    reader_t *reader = ctx;

    if (reader->at == IN_TIERS && reader->wish->best.n_tiers == 0) {
        return refuse(reader, "\"tiers\" names no tier: leave it away for "
                              "seats of any tier");
    }

    reader->at = reader->at == IN_TIERS ? IN_BEST : IN_BODY;

    return 1;
}

unsigned wish_units(const wish_t *wish)
{
    unsigned units = wish->n_seats + wish->best.quantity;

    for (unsigned i = 0; i < wish->n_pools; i++) {
        units += wish->pool[i].quantity;
    }

    return units;
}

const char *wish_read(wish_t *wish, const char *body, size_t len)
{
    static const yajl_callbacks callbacks = {
        on_null, on_boolean, NULL,       NULL,     on_number,   on_string,
        on_map,  on_key,     on_map_end, on_array, on_array_end};
    reader_t reader = {.wish = wish, .at = AT_START};
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &reader);
    yajl_status status;

    *wish = (wish_t){.best.together = true};
    if (parser == NULL) {
        return "the worker has no memory to read the body: try again";
    }

    status = yajl_parse(parser, (const unsigned char *)body, len);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(parser);
    }
    yajl_free(parser);

    if (reader.wrong != NULL) {
        return reader.wrong;
    }

    if (status != yajl_status_ok || reader.at != AT_END) {
        return "the body is not JSON";
    }

    if (wish_units(wish) == 0) {
        return "nothing is asked for: name a seat, or a pool, or ask for best";
    }

    return wish_units(wish) > HOLD_UNITS_MAX ? TOO_MANY : NULL;
}
