/*
 * Reading what seats somebody wants.  yajl calls for each piece of JSON, and
 * each call checks that the piece may stand where it stands: so the shape is
 * fixed, nesting ends at three levels, and nothing is built that is not kept.
 */
#include <string.h>

#include <yajl/yajl_parse.h>

#include "wish.h"

typedef struct {
    hold_t *hold;
    const char *wrong;
    enum {
        AT_START,
        IN_BODY,     /* in the outer object */
        BEFORE_LIST, /* after "seats": */
        IN_LIST,
        IN_SEAT, /* in {"seat":…,"version":…} */
        BEFORE_NAME,
        BEFORE_VERSION,
        AT_END
    } at;
    bool has_list;
    bool has_name;
} wish_t;

/* Ends the parse; the first complaint stays. */
static int refuse(wish_t *wish, const char *wrong)
{
    wish->wrong = wrong;
    return 0;
}

static int refuse_shape(wish_t *wish)
{
    return refuse(wish, "the body is {\"seats\":[…]}, each seat a name or "
                        "{\"seat\":name,\"version\":number}");
}

/* Seats are named by letters, digits and ". _ -", as rooms are. */
static bool is_name(const unsigned char *text, size_t len)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789._-";

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\0' || strchr(allowed, text[i]) == NULL) {
            return false;
        }
    }

    return len > 0 && len <= SEAT_NAME_MAX;
}

/* Adds a seat to the list. */
static int open_seat(wish_t *wish)
{
    hold_t *hold = wish->hold;

    if (hold->n == HOLD_SEATS_MAX) {
        return refuse(wish, "more than 10 seats");
    }

    hold->seat[hold->n++] = (held_seat_t){0};

    return 1;
}

static int name_seat(wish_t *wish, const unsigned char *text, size_t len)
{
    held_seat_t *seat = &wish->hold->seat[wish->hold->n - 1];

    if (!is_name(text, len)) {
        return refuse(wish, "a seat's name is 1 to 32 of A-Z a-z 0-9 . _ -");
    }

    memcpy(seat->name, text, len);
    seat->name[len] = '\0';

    for (held_seat_t *other = wish->hold->seat; other < seat; other++) {
        if (strcmp(other->name, seat->name) == 0) {
            return refuse(wish, "a seat is named twice");
        }
    }

    return 1;
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    wish_t *wish = ctx;

    if (wish->at == IN_LIST) {
        return open_seat(wish) && name_seat(wish, text, len);
    }

    if (wish->at == BEFORE_NAME) {
        wish->at = IN_SEAT;
        return name_seat(wish, text, len);
    }

    return refuse_shape(wish);
}

static int on_integer(void *ctx, long long value)
{
    wish_t *wish = ctx;
    held_seat_t *seat;

    if (wish->at != BEFORE_VERSION) {
        return refuse_shape(wish);
    }

    if (value < 0 || value > UINT32_MAX) {
        return refuse(wish, "a version is a number, 0 to 4294967295");
    }

    seat = &wish->hold->seat[wish->hold->n - 1];
    seat->wants_version = true;
    seat->wanted_version = (uint32_t)value;
    wish->at = IN_SEAT;

    return 1;
}

static bool is_key(const unsigned char *text, size_t len, const char *key)
{
    return len == strlen(key) && memcmp(text, key, len) == 0;
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    wish_t *wish = ctx;
    held_seat_t *seat;

    if (wish->at == IN_BODY && is_key(text, len, "seats") && !wish->has_list) {
        wish->has_list = true;
        wish->at = BEFORE_LIST;
        return 1;
    }

    if (wish->at != IN_SEAT) {
        return refuse_shape(wish);
    }

    seat = &wish->hold->seat[wish->hold->n - 1];
    if (is_key(text, len, "seat") && !wish->has_name) {
        wish->has_name = true;
        wish->at = BEFORE_NAME;
        return 1;
    }

    if (is_key(text, len, "version") && !seat->wants_version) {
        wish->at = BEFORE_VERSION;
        return 1;
    }

    return refuse_shape(wish);
}

static int on_map(void *ctx)
{
    wish_t *wish = ctx;

    if (wish->at == AT_START) {
        wish->at = IN_BODY;
        return 1;
    }

    if (wish->at == IN_LIST) {
        wish->at = IN_SEAT;
        wish->has_name = false;
        return open_seat(wish);
    }

    return refuse_shape(wish);
}

static int on_map_end(void *ctx)
{
    wish_t *wish = ctx;

    if (wish->at == IN_SEAT && wish->has_name) {
        wish->at = IN_LIST;
        return 1;
    }

    if (wish->at == IN_BODY && wish->has_list) {
        wish->at = AT_END;
        return 1;
    }

    return refuse_shape(wish);
}

static int on_array(void *ctx)
{
    wish_t *wish = ctx;

    if (wish->at != BEFORE_LIST) {
        return refuse_shape(wish);
    }

    wish->at = IN_LIST;

    return 1;
}

static int on_array_end(void *ctx)
{
    wish_t *wish = ctx;

    wish->at = IN_BODY;

    return wish->hold->n > 0 ? 1 : refuse(wish, "no seat is named");
}

static int on_null(void *ctx)
{
    return refuse_shape(ctx);
}

static int on_boolean(void *ctx, int value)
{
    (void)value;
    return refuse_shape(ctx);
}

static int on_double(void *ctx, double value)
{
    (void)value;
    return refuse_shape(ctx);
}

const char *wish_read(hold_t *hold, const char *body, size_t len)
{
    static const yajl_callbacks callbacks = {
        on_null, on_boolean, on_integer, on_double, NULL,        on_string,
        on_map,  on_key,     on_map_end, on_array,  on_array_end};
    wish_t wish = {.hold = hold, .at = AT_START};
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &wish);
    yajl_status status;

    if (parser == NULL) {
        return "no memory to read it";
    }

    status = yajl_parse(parser, (const unsigned char *)body, len);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(parser);
    }
    yajl_free(parser);

    if (wish.wrong != NULL) {
        return wish.wrong;
    }

    return status == yajl_status_ok && wish.at == AT_END ? NULL
                                                         : "it is not JSON";
}
