/*
 * Rendering of the seat map.  Names are escaped once, when the map is made,
 * and kept as JSON; what changes is written around them by hand, because
 * there are up to 80,000 seats.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <nettle/base64.h>
#include <nettle/sha2.h>

#include "put.h"
#include "reply.h"
#include "seatmap.h"

/* Texts of JSON, one after the other: the i-th is at[i] to at[i + 1], and
 * begins with the comma that parts it from the one before. */
typedef struct {
    char *text;
    uint32_t *at;
} names_t;

struct seatmap_s {
    atomic_uint users;
    uint32_t performance;
    uint32_t n_seats;
    unsigned n_pools;
    uint32_t *capacity; /* of each pool */
    names_t seats, pools;
    char hash[SEATMAP_HASH_LEN + 1];
    body_t *geometry;
};

static uint32_t pool_capacity(const hall_pool_t *pool)
{
    uint64_t capacity = 0;

    for (unsigned i = 0; i < pool->n_buckets; i++) {
        capacity += pool->bucket[i].capacity;
    }

    return capacity < UINT32_MAX ? (uint32_t)capacity : UINT32_MAX;
}

void seatmap_capacities(const hall_t *hall, uint32_t *capacity)
{
    for (unsigned i = 0; i < hall->n_pools; i++) {
        capacity[i] = pool_capacity(&hall->pool[i]);
    }
}

static void write_seat(yajl_gen json, const hall_seat_t *seat)
{
    yajl_gen_array_open(json);
    json_name(json, seat->name);
    yajl_gen_integer(json, seat->pos);
    yajl_gen_integer(json, seat->tier);
    yajl_gen_integer(json, seat->x);
    yajl_gen_integer(json, seat->y);
    yajl_gen_array_close(json);
}

static void write_rows(yajl_gen json, const hall_t *hall, unsigned section)
{
    json_name(json, "rows");
    yajl_gen_array_open(json);

    for (unsigned i = 0; i < hall->n_rows; i++) {
        const hall_row_t *row = &hall->row[i];

        if (row->section != section) {
            continue;
        }

        yajl_gen_map_open(json);
        json_int(json, "row", hall->seat[row->first].row_no);
        json_int(json, "first", row->first);
        json_name(json, "seats");
        yajl_gen_array_open(json);
        for (uint32_t j = 0; j < row->n; j++) {
            write_seat(json, &hall->seat[row->first + j]);
        }
        yajl_gen_array_close(json);
        yajl_gen_map_close(json);
    }

    yajl_gen_array_close(json);
}

static void write_sections(yajl_gen json, const hall_t *hall)
{
    json_name(json, "sections");
    yajl_gen_array_open(json);

    for (unsigned i = 0; i < hall->n_sections; i++) {
        const hall_section_t *section = &hall->section[i];

        yajl_gen_map_open(json);
        json_text(json, "name", section->name);
        json_name(json, "focal");
        yajl_gen_array_open(json);
        yajl_gen_integer(json, section->focal_x);
        yajl_gen_integer(json, section->focal_y);
        yajl_gen_array_close(json);
        write_rows(json, hall, i);
        yajl_gen_map_close(json);
    }

    yajl_gen_array_close(json);
}

static void write_pools(yajl_gen json, const hall_t *hall,
                        const uint32_t *capacity)
{
    json_name(json, "pools");
    yajl_gen_array_open(json);

    for (unsigned i = 0; i < hall->n_pools; i++) {
        yajl_gen_map_open(json);
        json_text(json, "pool", hall->pool[i].name);
        json_int(json, "tier", hall->pool[i].tier);
        json_int(json, "capacity", capacity[i]);
        yajl_gen_map_close(json);
    }

    yajl_gen_array_close(json);
}

static void hash_text(const unsigned char *text, size_t len, char *hash)
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;

    sha256_init(&sha);
    sha256_update(&sha, len, text);
    sha256_digest(&sha, sizeof(digest), digest);

    for (unsigned i = 0; i < SEATMAP_HASH_LEN / 2; i++) {
        snprintf(hash + 2 * i, 3, "%02x", digest[i]);
    }
}

/* The geometry begins with its own hash, which is of the rest. */
static int render_geometry(seatmap_t *map, const hall_t *hall)
{
    static const char head[] = "{\"map\":\"%s\",";
    yajl_gen json = yajl_gen_alloc(NULL);
    const unsigned char *rest;
    size_t len, size;
    char *text = NULL;

    if (json == NULL) {
        return -1;
    }

    yajl_gen_map_open(json);
    json_name(json, "tiers");
    yajl_gen_array_open(json);
    for (unsigned i = 0; i < hall->n_tiers; i++) {
        json_name(json, hall->tier[i]);
    }
    yajl_gen_array_close(json);
    write_sections(json, hall);
    write_pools(json, hall, map->capacity);

    if (yajl_gen_map_close(json) == yajl_gen_status_ok &&
        yajl_gen_get_buf(json, &rest, &len) == yajl_gen_status_ok) {
        hash_text(rest, len, map->hash);
        size = sizeof(head) + SEATMAP_HASH_LEN + len;
        text = malloc(size);
    }

    if (text != NULL) {
        int n = snprintf(text, size, head, map->hash);

        memcpy(text + n, rest + 1, len - 1);
        map->geometry = body_new(text, (size_t)n + len - 1);
    }

    yajl_gen_free(json);

    return map->geometry == NULL ? -1 : 0;
}

/* The names of n things, size bytes apart, as JSON. */
static int render_names(names_t *names, const char *first, uint32_t n,
                        size_t size)
{
    yajl_gen json = yajl_gen_alloc(NULL);
    const unsigned char *text = NULL;
    size_t len = 0;

    names->at = malloc((n + 1) * sizeof(*names->at));

    if (json != NULL && names->at != NULL) {
        yajl_gen_array_open(json);
        for (uint32_t i = 0; i <= n; i++) {
            yajl_gen_get_buf(json, &text, &len);
            names->at[i] = (uint32_t)len;
            if (i < n) {
                json_name(json, first + i * size);
            }
        }
        names->text = malloc(len);
    }

    if (names->text != NULL) {
        memcpy(names->text, text, len);
    }

    if (json != NULL) {
        yajl_gen_free(json);
    }

    return names->text == NULL ? -1 : 0;
}

static size_t names_len(const names_t *names, uint32_t n)
{
    return names->at[n];
}

/* Writes the i-th name with its quotes. */
static char *put_name(char *p, const names_t *names, uint32_t i)
{
    uint32_t from = names->at[i] + (i > 0);

    return put_bytes(p, names->text + from, names->at[i + 1] - from);
}

seatmap_t *seatmap_new(const hall_t *hall, const uint32_t *capacity)
{
    seatmap_t *map = calloc(1, sizeof(*map));

    if (map == NULL) {
        return NULL;
    }

    atomic_init(&map->users, 1);
    map->performance = hall->performance;
    map->n_seats = hall->n_seats;
    map->n_pools = hall->n_pools;
    map->capacity = malloc((hall->n_pools + 1) * sizeof(*map->capacity));

    if (map->capacity != NULL) {
        memcpy(map->capacity, capacity, hall->n_pools * sizeof(*map->capacity));
    }

    if (map->capacity == NULL ||
        render_names(&map->seats,
                     (const char *)hall->seat + offsetof(hall_seat_t, name),
                     hall->n_seats, sizeof(hall_seat_t)) != 0 ||
        render_names(&map->pools,
                     (const char *)hall->pool + offsetof(hall_pool_t, name),
                     hall->n_pools, sizeof(hall_pool_t)) != 0 ||
        render_geometry(map, hall) != 0) {
        seatmap_drop(map);
        return NULL;
    }

    return map;
}

seatmap_t *seatmap_share(seatmap_t *map)
{
    if (map != NULL) {
        atomic_fetch_add_explicit(&map->users, 1, memory_order_relaxed);
    }

    return map;
}

void seatmap_drop(seatmap_t *map)
{
    if (map == NULL ||
        atomic_fetch_sub_explicit(&map->users, 1, memory_order_acq_rel) != 1) {
        return;
    }

    body_drop(map->geometry);
    free(map->seats.text);
    free(map->seats.at);
    free(map->pools.text);
    free(map->pools.at);
    free(map->capacity);
    free(map);
}

bool seatmap_fits(const seatmap_t *map, const hall_t *hall)
{
    for (unsigned i = 0; i < map->n_pools; i++) {
        if (map->capacity[i] != pool_capacity(&hall->pool[i])) {
            return false;
        }
    }

    return true;
}

uint32_t seatmap_seats(const seatmap_t *map)
{
    return map->n_seats;
}

const char *seatmap_hash(const seatmap_t *map)
{
    return map->hash;
}

body_t *seatmap_geometry(const seatmap_t *map)
{
    return map->geometry;
}

static size_t states_len(const seatmap_t *map)
{
    return (map->n_seats + 3) / 4;
}

int seatmap_view_init(seatmap_view_t *view, const seatmap_t *map, bool versions)
{
    *view = (seatmap_view_t){0};
    view->states = malloc(states_len(map) + 1);
    view->left = malloc((map->n_pools + 1) * sizeof(*view->left));
    if (versions) {
        view->version = malloc((map->n_seats + 1) * sizeof(*view->version));
    }

    if (view->states == NULL || view->left == NULL ||
        (versions && view->version == NULL)) {
        seatmap_view_clear(view);
        return -1;
    }

    return 0;
}

void seatmap_view_clear(seatmap_view_t *view)
{
    free(view->states);
    free(view->left);
    free(view->version);
    *view = (seatmap_view_t){0};
}

void seatmap_take(seatmap_view_t *view, const hall_t *hall)
{
    view->tag = hall->tag;
    memcpy(view->states, hall->states, (hall->n_seats + 3) / 4);

    for (unsigned i = 0; i < hall->n_pools; i++) {
        view->left[i] = hall_pool_left(&hall->pool[i]);
    }

    if (view->version != NULL) {
        memcpy(view->version, hall->versions,
               hall->n_seats * sizeof(*view->version));
    }
}

body_t *seatmap_compact(const seatmap_t *map, const seatmap_view_t *view,
                        const char *event)
{
    size_t bytes = states_len(map);
    size_t size = 256 + strlen(event) + BASE64_ENCODE_RAW_LENGTH(bytes) +
                  map->n_pools * (PUT_NUMBER_MAX + 1);
    char *text = malloc(size), *p = text;

    if (text == NULL) {
        return NULL;
    }

    p += snprintf(p, size,
                  "{\"performance\":%" PRIu32 ",\"map\":\"/v1/performances/"
                  "%" PRIu32 "/map/%s\",\"event\":\"%s\",\"states\":\"",
                  map->performance, map->performance, map->hash, event);
    base64_encode_raw(p, bytes, view->states);
    p += BASE64_ENCODE_RAW_LENGTH(bytes);
    p = put_text(p, "\",\"pools\":[");
    for (unsigned i = 0; i < map->n_pools; i++) {
        p = put_text(p, i > 0 ? "," : "");
        p = put_number(p, view->left[i]);
    }
    p = put_text(p, "]}");

    return body_new(text, (size_t)(p - text));
}

static char *put_seat(char *p, const seatmap_t *map, const seatmap_view_t *view,
                      uint32_t i)
{
    unsigned state = view->states[i / 4] >> i % 4 * 2 & 3;

    p = put_text(p, i > 0 ? ",{\"seat\":" : "{\"seat\":");
    p = put_name(p, &map->seats, i);
    p = put_text(p, ",\"state\":\"");
    p = put_text(p, seat_state_name((seat_state_t)state));
    p = put_text(p, "\",\"version\":");
    p = put_number(p, view->version[i]);
    *p++ = '}';

    return p;
}

static char *put_pool(char *p, const seatmap_t *map, const seatmap_view_t *view,
                      unsigned i)
{
    p = put_text(p, i > 0 ? ",{\"pool\":" : "{\"pool\":");
    p = put_name(p, &map->pools, i);
    p = put_text(p, ",\"left\":");
    p = put_number(p, view->left[i]);
    p = put_text(p, ",\"capacity\":");
    p = put_number(p, map->capacity[i]);
    *p++ = '}';

    return p;
}

/* The most that a seat or pool takes beside its name. */
#define AROUND_MAX                                                             \
    (sizeof(",{\"seat\":,\"state\":\"blocked\",\"version\":}") +               \
     2 * PUT_NUMBER_MAX)

body_t *seatmap_json(const seatmap_t *map, const seatmap_view_t *view)
{
    size_t size = 64 + names_len(&map->seats, map->n_seats) +
                  names_len(&map->pools, map->n_pools) +
                  ((size_t)map->n_seats + map->n_pools) * AROUND_MAX;
    char *text = malloc(size), *p = text, *shorter;

    if (text == NULL) {
        return NULL;
    }

    p += snprintf(p, size, "{\"performance\":%" PRIu32 ",\"seats\":[",
                  map->performance);
    for (uint32_t i = 0; i < map->n_seats; i++) {
        p = put_seat(p, map, view, i);
    }
    p = put_text(p, "],\"pools\":[");
    for (unsigned i = 0; i < map->n_pools; i++) {
        p = put_pool(p, map, view, i);
    }
    p = put_text(p, "]}");

    shorter = realloc(text, (size_t)(p - text));

    return body_new(shorter != NULL ? shorter : text, (size_t)(p - text));
}
