/*
 * What a transaction changed, and its JSON.  Every batch writes one, so it is
 * written by hand into a buffer that is large enough from the start.  What is
 * read comes from Redis and is not trusted: yajl calls for each piece, and
 * each call checks that the piece may stand where it stands, so the shape is
 * fixed and nothing is kept that is not wanted.
 */
#include <stdlib.h>

#include <yajl/yajl_parse.h>

#include "change.h"
#include "put.h"

/* The most of each list that is read. */
#define ENTRIES_MAX 100000

/* The end of the year 9999, where the database's times end. */
#define EXPIRES_MAX 253402300799999LL

/* The most that an entry takes as text, with its comma. */
#define SEAT_TEXT_MAX   (sizeof("[,,,\"\",],") + 10 + 1 + 10 + HOLD_ID_LEN + 20)
#define BUCKET_TEXT_MAX (sizeof("[,,,,,],") + 2 * 5 + 4 * 10)
#define HOLD_TEXT_MAX   (sizeof("\"\",") + HOLD_ID_LEN)

/*
 * A list with room for one more at *list, which has n of *max; NULL without
 * memory.
 */
static void *grown(void *list, unsigned n, unsigned *max, size_t size)
{
    unsigned more = *max == 0 ? 16 : *max * 2;
    void *longer;

    if (n < *max) {
        return list;
    }

    longer = reallocarray(list, more, size);
    if (longer != NULL) {
        *max = more;
    }

    return longer;
}

int change_add_seat(change_t *change, const seat_change_t *seat)
{
    seat_change_t *list =
        grown(change->seat, change->n_seats, &change->seats_max, sizeof(*list));

    if (list == NULL) {
        return -1;
    }

    change->seat = list;
    list[change->n_seats++] = *seat;

    return 0;
}

int change_add_bucket(change_t *change, const bucket_change_t *bucket)
{
    bucket_change_t *list = grown(change->bucket, change->n_buckets,
                                  &change->buckets_max, sizeof(*list));

    if (list == NULL) {
        return -1;
    }

    change->bucket = list;
    list[change->n_buckets++] = *bucket;

    return 0;
}

int change_add_hold(change_t *change, const hold_id_t *id)
{
    hold_id_t *list =
        grown(change->hold, change->n_holds, &change->holds_max, sizeof(*list));

    if (list == NULL) {
        return -1;
    }

    change->hold = list;
    list[change->n_holds++] = *id;

    return 0;
}

void change_clear(change_t *change)
{
    free(change->seat);
    free(change->bucket);
    free(change->hold);
    *change = (change_t){0};
}

/* The number, and what follows it. */
static char *put_field(char *p, uint64_t number, char after)
{
    p = put_number(p, number);
    *p++ = after;

    return p;
}

static char *put_hold(char *p, const hold_id_t *id)
{
    char text[HOLD_ID_LEN + 1];

    hold_id_write(id, text);
    *p++ = '"';
    p = put_text(p, text);
    *p++ = '"';

    return p;
}

static char *put_seat(char *p, const seat_change_t *seat)
{
    bool is_held = seat->state == SEAT_HELD;

    *p++ = '[';
    p = put_field(p, seat->seat_no, ',');
    p = put_field(p, seat->state, ',');
    p = put_field(p, seat->version, ',');
    p = is_held ? put_hold(p, &seat->hold) : put_text(p, "\"\"");
    *p++ = ',';

    return put_field(p, is_held ? (uint64_t)seat->expires_ms : 0, ']');
}

static char *put_bucket(char *p, const bucket_change_t *bucket)
{
    *p++ = '[';
    p = put_field(p, bucket->pool_no, ',');
    p = put_field(p, bucket->bucket, ',');
    p = put_field(p, bucket->capacity, ',');
    p = put_field(p, bucket->held, ',');
    p = put_field(p, bucket->sold, ',');

    return put_field(p, bucket->version, ']');
}

/* Between two of a list. */
static char *put_comma(char *p, unsigned i)
{
    if (i > 0) {
        *p++ = ',';
    }

    return p;
}

char *change_to_json(const change_t *change, size_t *len)
{
    static const char rest[] = "{\"seats\":[],\"buckets\":[],\"holds\":[]}";
    char *text = malloc(sizeof(rest) + change->n_seats * SEAT_TEXT_MAX +
                        change->n_buckets * BUCKET_TEXT_MAX +
                        change->n_holds * HOLD_TEXT_MAX);
    char *p;

    if (text == NULL) {
        return NULL;
    }

    p = put_text(text, "{\"seats\":[");
    for (unsigned i = 0; i < change->n_seats; i++) {
        p = put_seat(put_comma(p, i), &change->seat[i]);
    }

    p = put_text(p, "],\"buckets\":[");
    for (unsigned i = 0; i < change->n_buckets; i++) {
        p = put_bucket(put_comma(p, i), &change->bucket[i]);
    }

    p = put_text(p, "],\"holds\":[");
    for (unsigned i = 0; i < change->n_holds; i++) {
        p = put_hold(put_comma(p, i), &change->hold[i]);
    }

    p = put_text(p, "]}");
    *p = '\0';
    *len = (size_t)(p - text);

    return text;
}

/* The lists, as bits: which was there. */
typedef enum {
    NO_LIST = 0,
    SEATS = 1,
    BUCKETS = 2,
    HOLDS = 4,
    ALL_LISTS = 7
} list_t;

#define SEAT_FIELDS   5
#define BUCKET_FIELDS 6
#define HOLD_FIELD    3 /* of a seat: the one that is text */

typedef struct {
    change_t *change;
    enum {
        AT_START,
        IN_BODY,
        BEFORE_LIST,
        IN_LIST,
        IN_ENTRY, /* the array of a seat or bucket */
        AT_END
    } at;
    list_t list;
    unsigned seen; /* bits of list_t */
    unsigned n;    /* fields of the entry so far */
    uint64_t field[BUCKET_FIELDS];
    bool has_hold;
    hold_id_t hold;
} reader_t;

/* The greatest number of each field. */
static const uint64_t seat_limit[SEAT_FIELDS] = {UINT32_MAX, SEAT_BLOCKED,
                                                 UINT32_MAX, 0, EXPIRES_MAX};
static const uint64_t bucket_limit[BUCKET_FIELDS] = {
    UINT16_MAX, UINT16_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};

/* Whether the next field may be of that kind. */
static bool takes_field(const reader_t *reader, bool is_text)
{
    if (reader->at != IN_ENTRY) {
        return false;
    }

    return reader->list == SEATS
               ? reader->n < SEAT_FIELDS && is_text == (reader->n == HOLD_FIELD)
               : reader->n < BUCKET_FIELDS && !is_text;
}

static int on_integer(void *ctx, long long value)
{
    reader_t *reader = ctx;
    uint64_t limit;

    if (!takes_field(reader, false) || value < 0) {
        return 0;
    }

    limit =
        reader->list == SEATS ? seat_limit[reader->n] : bucket_limit[reader->n];
    if ((uint64_t)value > limit) {
        return 0;
    }

    reader->field[reader->n++] = (uint64_t)value;

    return 1;
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
    reader_t *reader = ctx;

    if (reader->at == IN_LIST && reader->list == HOLDS) {
        return reader->change->n_holds < ENTRIES_MAX &&
               hold_id_read(&reader->hold, (const char *)text, len) &&
               change_add_hold(reader->change, &reader->hold) == 0;
    }

    if (!takes_field(reader, true)) {
        return 0;
    }

    reader->n++;
    reader->has_hold = len > 0;
    reader->hold = (hold_id_t){0};

    return len == 0 || hold_id_read(&reader->hold, (const char *)text, len);
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
    static const struct {
        const char *name;
        list_t list;
    } lists[] = {{"seats", SEATS}, {"buckets", BUCKETS}, {"holds", HOLDS}};
    reader_t *reader = ctx;

    reader->list = NO_LIST;
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (len == strlen(lists[i].name) &&
            memcmp(text, lists[i].name, len) == 0) {
            reader->list = lists[i].list;
        }
    }

    if (reader->list == NO_LIST || (reader->seen & reader->list) != 0) {
        return 0;
    }

    reader->seen |= reader->list;
    reader->at = BEFORE_LIST;

    return 1;
}

static int on_map(void *ctx)
{
    reader_t *reader = ctx;

    if (reader->at != AT_START) {
        return 0;
    }

    reader->at = IN_BODY;

    return 1;
}

static int on_map_end(void *ctx)
{
    reader_t *reader = ctx;

    reader->at = AT_END;

    return reader->seen == ALL_LISTS;
}

static int on_array(void *ctx)
{
    reader_t *reader = ctx;

    if (reader->at == BEFORE_LIST) {
        reader->at = IN_LIST;
        return 1;
    }

    if (reader->at != IN_LIST || reader->list == HOLDS) {
        return 0;
    }

    reader->at = IN_ENTRY;
    reader->n = 0;

    return 1;
}

/* A seat has a hold and an expiry if it is held, and else neither. */
static int end_seat(reader_t *reader)
{
    const uint64_t *field = reader->field;
    seat_change_t seat = {.seat_no = (uint32_t)field[0],
                          .state = (seat_state_t)field[1],
                          .version = (uint32_t)field[2],
                          .hold = reader->hold,
                          .expires_ms = (int64_t)field[4]};
    bool is_held = seat.state == SEAT_HELD;

    return reader->n == SEAT_FIELDS && reader->has_hold == is_held &&
           (seat.expires_ms > 0) == is_held &&
           reader->change->n_seats < ENTRIES_MAX &&
           change_add_seat(reader->change, &seat) == 0;
}

static int end_bucket(reader_t *reader)
{
    const uint64_t *field = reader->field;
    bucket_change_t bucket = {.pool_no = (uint16_t)field[0],
                              .bucket = (uint16_t)field[1],
                              .capacity = (uint32_t)field[2],
                              .held = (uint32_t)field[3],
                              .sold = (uint32_t)field[4],
                              .version = (uint32_t)field[5]};

    return reader->n == BUCKET_FIELDS && field[3] + field[4] <= field[2] &&
           reader->change->n_buckets < ENTRIES_MAX &&
           change_add_bucket(reader->change, &bucket) == 0;
}

static int on_array_end(void *ctx)
{
    reader_t *reader = ctx;

    if (reader->at == IN_LIST) {
        reader->at = IN_BODY;
        return 1;
    }

    reader->at = IN_LIST;

    return reader->list == SEATS ? end_seat(reader) : end_bucket(reader);
}

static int on_null(void *ctx)
{
    (void)ctx;
    return 0;
}

static int on_boolean(void *ctx, int value)
{
    (void)ctx;
    (void)value;
    return 0;
}

static int on_double(void *ctx, double value)
{
    (void)ctx;
    (void)value;
    return 0;
}

int change_from_json(change_t *change, const char *text, size_t len)
{
    static const yajl_callbacks callbacks = {
        on_null, on_boolean, on_integer, on_double, NULL,        on_string,
        on_map,  on_key,     on_map_end, on_array,  on_array_end};
    reader_t reader = {.change = change, .at = AT_START};
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &reader);
    yajl_status status;

    if (parser == NULL) {
        return -1;
    }

    status = yajl_parse(parser, (const unsigned char *)text, len);
    if (status == yajl_status_ok) {
        status = yajl_complete_parse(parser);
    }
    yajl_free(parser);

    if (status != yajl_status_ok || reader.at != AT_END) {
        change_clear(change);
        return -1;
    }

    return 0;
}
