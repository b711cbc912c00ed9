/*
 * Holds as JSON, written by hand because every hold that is made is told this
 * way: ids, names of seats, tiers and pools are ASCII that needs no escape.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "hold_json.h"
#include "rfc3339.h"

/* Text of at most so many bytes, with what stands around the names. */
_Static_assert(256 + HOLD_UNITS_MAX * (64 + SEAT_NAME_MAX + SEAT_TIER_MAX) +
                       HOLD_UNITS_MAX * (64 + POOL_NAME_MAX + SEAT_TIER_MAX) <=
                   HOLD_JSON_MAX,
               "a hold has room");

typedef struct {
    char *text;
    size_t len;
} json_t;

static void add(json_t *json, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void add(json_t *json, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    json->len += (size_t)vsnprintf(json->text + json->len,
                                   HOLD_JSON_MAX - json->len, fmt, args);
    va_end(args);
}

/* raised: by how much the versions have risen since. */
static bool add_seats(json_t *json, const hold_t *hold, const hall_t *hall,
                      unsigned raised)
{
    add(json, ",\"seats\":[");
    for (unsigned i = 0; i < hold->n_seats; i++) {
        const hall_seat_t *seat;

        if (hold->seat[i].seat_no >= hall->n_seats) {
            return false;
        }

        seat = &hall->seat[hold->seat[i].seat_no];
        add(json, "%s{\"seat\":\"%s\",\"version\":%" PRIu32 ",\"tier\":\"%s\"}",
            i ? "," : "", seat->name, hold->seat[i].version + raised,
            hall->tier[seat->tier]);
    }
    add(json, "]");

    return true;
}

/* Whether an earlier part is of the same pool as part i. */
static bool was_told(const hold_t *hold, unsigned i)
{
    for (unsigned j = 0; j < i; j++) {
        if (hold->part[j].pool_no == hold->part[i].pool_no) {
            return true;
        }
    }

    return false;
}

/* From which buckets the places come is nobody's business. */
static bool add_pools(json_t *json, const hold_t *hold, const hall_t *hall)
{
    const char *comma = "";

    add(json, ",\"pools\":[");
    for (unsigned i = 0; i < hold->n_parts; i++) {
        const hall_pool_t *pool;
        unsigned quantity = 0;

        if (hold->part[i].pool_no >= hall->n_pools) {
            return false;
        }

        if (was_told(hold, i)) {
            continue;
        }

        pool = &hall->pool[hold->part[i].pool_no];
        for (unsigned j = i; j < hold->n_parts; j++) {
            if (hold->part[j].pool_no == hold->part[i].pool_no) {
                quantity += hold->part[j].quantity;
            }
        }
        add(json, "%s{\"pool\":\"%s\",\"quantity\":%u,\"tier\":\"%s\"}", comma,
            pool->name, quantity, hall->tier[pool->tier]);
        comma = ",";
    }
    add(json, "]");

    return true;
}

static void begin(json_t *json, const hold_t *hold, int64_t expires_ms,
                  int64_t left_ms)
{
    char id[HOLD_ID_LEN + 1], expires_at[RFC3339_MAX + 1];

    hold_id_write(&hold->id, id);
    rfc3339_write(expires_ms, expires_at);
    add(json,
        "{\"hold\":\"%s\",\"performance\":%" PRIu32
        ",\"expires_at\":\"%s\",\"expires_in_ms\":%" PRId64,
        id, hold->performance, expires_at, left_ms > 0 ? left_ms : 0);
}

/* Returns its length, or 0. */
static size_t end(json_t *json, const hold_t *hold, const hall_t *hall,
                  unsigned raised)
{
    if (!add_seats(json, hold, hall, raised) || !add_pools(json, hold, hall)) {
        return 0;
    }
    add(json, "}");

    return json->len;
}

size_t hold_json_made(char *text, const hold_t *hold, const hall_t *hall)
{
    json_t json = {.text = text};

    begin(&json, hold, hold->created_ms + hold->ttl_ms, hold->ttl_ms);

    return end(&json, hold, hall, 0);
}

size_t hold_json_now(char *text, const hold_t *hold, const hall_t *hall,
                     int64_t now_ms)
{
    json_t json = {.text = text};

    begin(&json, hold, hold->expires_ms, hold->expires_ms - now_ms);
    add(&json, ",\"extended\":%s", hold->extended ? "true" : "false");

    return end(&json, hold, hall, hold->extended ? 1 : 0);
}
