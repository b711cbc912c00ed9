/*
 * A performance in memory.  Whatever happens to a seat ends in recount(),
 * which compares what is to be shown with what was counted before, and keeps
 * tag, bits and the rows' counts right by the difference alone.
 *
 * The tag is the exclusive or of a well mixed number for each seat and bucket
 * as it is shown, so it does not depend on the order of events.
 */
#include <stdlib.h>

#include "hall.h"

/* A seat farther than about 760 million units counts as if it were there. */
#define DISTANCE_CAP (UINT64_C(1) << 59)

#define WORDS(n_seats) ((n_seats) / 64 + 1)

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);

    return x ^ x >> 31;
}

/* Numbers of seats have 24 bits, so different contents never collide here. */
static uint64_t seat_tag(uint32_t seat_no, unsigned shown, uint32_t version)
{
    return mix((uint64_t)seat_no << 34 | (uint64_t)shown << 32 | version);
}

static uint64_t bucket_tag(unsigned pool_no, unsigned bucket_no,
                           const hall_bucket_t *bucket)
{
    uint64_t tag = mix(UINT64_C(1) << 63 | (uint64_t)pool_no << 16 | bucket_no);

    tag = mix(tag ^ ((uint64_t)bucket->capacity << 32 | bucket->held));

    return mix(tag ^ ((uint64_t)bucket->sold << 32 | bucket->version));
}

static bool get_bit(const uint64_t *bits, uint32_t i)
{
    return bits[i / 64] >> i % 64 & 1;
}

static void put_bit(uint64_t *bits, uint32_t i, bool value)
{
    uint64_t bit = UINT64_C(1) << i % 64;

    bits[i / 64] = value ? bits[i / 64] | bit : bits[i / 64] & ~bit;
}

static void put_state(unsigned char *states, uint32_t i, unsigned shown)
{
    unsigned shift = i % 4 * 2;

    states[i / 4] =
        (unsigned char)((states[i / 4] & ~(3u << shift)) | shown << shift);
}

/* calloc of none may be NULL, which here means that there is no memory. */
static void *new_list(size_t n, size_t size)
{
    return calloc(n > 0 ? n : 1, size);
}

hall_t *hall_new(unsigned n_tiers, unsigned n_sections, uint32_t n_seats,
                 unsigned n_pools)
{
    hall_t *hall = calloc(1, sizeof(*hall));

    if (hall == NULL) {
        return NULL;
    }

    hall->n_tiers = n_tiers;
    hall->tier = new_list(n_tiers, sizeof(*hall->tier));
    hall->n_sections = n_sections;
    hall->section = new_list(n_sections, sizeof(*hall->section));
    hall->n_seats = n_seats;
    hall->seat = new_list(n_seats, sizeof(*hall->seat));
    hall->n_pools = n_pools;
    hall->pool = new_list(n_pools, sizeof(*hall->pool));
    hall->lapse_ms = INT64_MAX;

    if (hall->tier == NULL || hall->section == NULL || hall->seat == NULL ||
        hall->pool == NULL) {
        hall_free(hall);
        return NULL;
    }

    return hall;
}

int hall_set_buckets(hall_t *hall, unsigned pool_no, unsigned n)
{
    hall_pool_t *pool = &hall->pool[pool_no];
    hall_bucket_t *bucket = new_list(n, sizeof(*bucket));

    if (bucket == NULL) {
        return -1;
    }

    free(pool->bucket);
    pool->bucket = bucket;
    pool->n_buckets = n;

    return 0;
}

void hall_free(hall_t *hall)
{
    if (hall == NULL) {
        return;
    }

    for (unsigned i = 0; hall->pool != NULL && i < hall->n_pools; i++) {
        free(hall->pool[i].bucket);
    }

    free(hall->pool);
    free(hall->versions);
    free(hall->states);
    free(hall->open);
    free(hall->free);
    free(hall->joined);
    free(hall->near_rows);
    free(hall->distance);
    free(hall->index);
    free(hall->seat);
    free(hall->row);
    free(hall->section);
    free(hall->tier);
    free(hall);
}

/* FNV-1a, mixed so that its lowest bits can be used. */
static uint32_t hash_name(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (; *name != '\0'; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    }

    return (uint32_t)mix(hash);
}

/* Where in the index the name is, or the empty place where it would be. */
static uint32_t find_slot(const hall_t *hall, const char *name)
{
    uint32_t slot = hash_name(name) & hall->index_mask;

    while (hall->index[slot] != HALL_NONE &&
           strcmp(hall->seat[hall->index[slot]].name, name) != 0) {
        slot = (slot + 1) & hall->index_mask;
    }

    return slot;
}

/* At most half of it is full, so that a search ends soon. */
static int build_index(hall_t *hall)
{
    uint32_t size = 2;

    while (size / 2 < hall->n_seats) {
        size *= 2;
    }

    hall->index = malloc(size * sizeof(*hall->index));
    if (hall->index == NULL) {
        return -1;
    }

    hall->index_mask = size - 1;
    for (uint32_t i = 0; i < size; i++) {
        hall->index[i] = HALL_NONE;
    }

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        hall->index[find_slot(hall, hall->seat[i].name)] = i;
    }

    return 0;
}

static bool same_row(const hall_seat_t *a, const hall_seat_t *b)
{
    return a->section == b->section && a->row_no == b->row_no;
}

/* Whether a comes before b. */
static bool in_order(const hall_seat_t *a, const hall_seat_t *b)
{
    if (a->section != b->section) {
        return a->section < b->section;
    }

    return a->row_no != b->row_no ? a->row_no < b->row_no : a->pos < b->pos;
}

/* Counts the rows.  Returns -1 if the map is not as it must be. */
static int check_map(hall_t *hall)
{
    for (uint32_t i = 0; i < hall->n_seats; i++) {
        const hall_seat_t *seat = &hall->seat[i];

        if (seat->section >= hall->n_sections || seat->tier >= hall->n_tiers ||
            (i > 0 && !in_order(seat - 1, seat))) {
            return -1;
        }

        hall->n_rows += i == 0 || !same_row(seat - 1, seat);
    }

    return 0;
}

static uint64_t squared(int32_t a, int32_t b)
{
    uint64_t d = (uint64_t)llabs((int64_t)a - b);

    return d >= UINT64_C(1) << 30 || d * d > DISTANCE_CAP ? DISTANCE_CAP
                                                          : d * d;
}

uint64_t hall_distance(int32_t x, int32_t y, int32_t to_x, int32_t to_y)
{
    return squared(x, to_x) + squared(y, to_y);
}

static void begin_row(hall_row_t *row, uint32_t first, const hall_seat_t *seat)
{
    *row = (hall_row_t){.first = first,
                        .section = seat->section,
                        .tier = seat->tier,
                        .min_x = seat->x,
                        .max_x = seat->x,
                        .min_y = seat->y,
                        .max_y = seat->y,
                        .nearest = UINT64_MAX,
                        .lapse_ms = INT64_MAX};
}

static void extend_row(hall_row_t *row, const hall_seat_t *seat,
                       uint64_t distance)
{
    row->n++;
    row->tier = row->tier == seat->tier ? row->tier : HALL_TIERS;
    row->min_x = seat->x < row->min_x ? seat->x : row->min_x;
    row->max_x = seat->x > row->max_x ? seat->x : row->max_x;
    row->min_y = seat->y < row->min_y ? seat->y : row->min_y;
    row->max_y = seat->y > row->max_y ? seat->y : row->max_y;
    row->nearest = distance < row->nearest ? distance : row->nearest;
}

static void fill_rows(hall_t *hall)
{
    hall_row_t *row = hall->row;

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        hall_seat_t *seat = &hall->seat[i];
        const hall_section_t *section = &hall->section[seat->section];
        bool begins = i == 0 || !same_row(seat - 1, seat);

        if (begins) {
            row = i == 0 ? hall->row : row + 1;
            begin_row(row, i, seat);
        }

        hall->distance[i] =
            hall_distance(seat->x, seat->y, section->focal_x, section->focal_y);
        extend_row(row, seat, hall->distance[i]);
        put_bit(hall->joined, i, !begins && seat[-1].pos + 1 == seat->pos);
        seat->row = (uint32_t)(row - hall->row);
        seat->shown = SEAT_BLOCKED;
        put_state(hall->states, i, seat->shown);
    }
}

static int by_nearness(const void *a, const void *b, void *rows)
{
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    uint64_t near_i = ((const hall_row_t *)rows)[i].nearest;
    uint64_t near_j = ((const hall_row_t *)rows)[j].nearest;

    return near_i != near_j ? (near_i < near_j ? -1 : 1) : (i < j ? -1 : 1);
}

int hall_finish(hall_t *hall)
{
    if (check_map(hall) != 0) {
        return -1;
    }

    hall->row = new_list(hall->n_rows, sizeof(*hall->row));
    hall->near_rows = new_list(hall->n_rows, sizeof(*hall->near_rows));
    hall->distance = new_list(hall->n_seats, sizeof(*hall->distance));
    hall->joined = new_list(WORDS(hall->n_seats), sizeof(*hall->joined));
    hall->free = new_list(WORDS(hall->n_seats), sizeof(*hall->free));
    hall->open = new_list(WORDS(hall->n_seats), sizeof(*hall->open));
    hall->states = new_list(hall->n_seats / 4 + 1, sizeof(*hall->states));
    hall->versions = new_list(hall->n_seats, sizeof(*hall->versions));

    if (hall->row == NULL || hall->near_rows == NULL ||
        hall->distance == NULL || hall->joined == NULL || hall->free == NULL ||
        hall->open == NULL || hall->states == NULL || hall->versions == NULL ||
        build_index(hall) != 0) {
        return -1;
    }

    fill_rows(hall);

    for (uint32_t i = 0; i < hall->n_rows; i++) {
        hall->near_rows[i] = i;
    }
    qsort_r(hall->near_rows, hall->n_rows, sizeof(*hall->near_rows),
            by_nearness, hall->row);

    return 0;
}

uint32_t hall_find_seat(const hall_t *hall, const char *name)
{
    return hall->index[find_slot(hall, name)];
}

uint32_t hall_find_pool(const hall_t *hall, const char *name)
{
    for (unsigned i = 0; i < hall->n_pools; i++) {
        if (strcmp(hall->pool[i].name, name) == 0) {
            return i;
        }
    }

    return HALL_NONE;
}

uint32_t hall_find_tier(const hall_t *hall, const char *name)
{
    for (unsigned i = 0; i < hall->n_tiers; i++) {
        if (strcmp(hall->tier[i], name) == 0) {
            return i;
        }
    }

    return HALL_NONE;
}

seat_state_t hall_shown(const hall_seat_t *seat, int64_t now_ms)
{
    if (!seat->heard) {
        return SEAT_BLOCKED;
    }

    return seat->state == SEAT_HELD && seat->expires_ms <= now_ms
               ? SEAT_FREE
               : (seat_state_t)seat->state;
}

/*
 * Counts the seat as what it now is, at that version.  Returns true when what
 * is shown has changed.
 */
static bool recount(hall_t *hall, uint32_t seat_no, uint32_t version,
                    int64_t now_ms)
{
    hall_seat_t *seat = &hall->seat[seat_no];
    hall_row_t *row = &hall->row[seat->row];
    seat_state_t shown = hall_shown(seat, now_ms);
    bool is_open = shown == SEAT_FREE && seat->batch == 0;
    bool changed = shown != seat->shown || version != seat->version;

    if (changed) {
        hall->tag ^= seat_tag(seat_no, seat->shown, seat->version) ^
                     seat_tag(seat_no, shown, version);
        hall->changes++;
        seat->shown = (uint8_t)shown;
        put_state(hall->states, seat_no, shown);
        hall->versions[seat_no] = version;
        seat->version = version;
    }

    if (is_open != get_bit(hall->open, seat_no)) {
        row->n_free += is_open ? 1 : -1U;
        row->longest = is_open ? row->n : row->longest;
    }
    put_bit(hall->open, seat_no, is_open);
    put_bit(hall->free, seat_no, shown == SEAT_FREE);

    if (shown == SEAT_HELD && seat->expires_ms < row->lapse_ms) {
        row->lapse_ms = seat->expires_ms;
    }
    if (row->lapse_ms < hall->lapse_ms) {
        hall->lapse_ms = row->lapse_ms;
    }

    return changed;
}

/*
 * Whether what was heard then counts more than what was read: not what was
 * heard clearly before, nor in a future that the database's clock, set back,
 * knows nothing of.  Events are always ignored when they are older.
 */
static bool is_newer(int64_t seen_ms, int64_t settled_ms, int64_t now_ms)
{
    return settled_ms == INT64_MIN ||
           (seen_ms >= settled_ms && seen_ms <= now_ms + HALL_SETTLED_MS);
}

/* What was heard before settled_ms gives way to an older version, too. */
static bool apply_seat(hall_t *hall, const seat_change_t *change,
                       int64_t settled_ms, int64_t now_ms)
{
    hall_seat_t *seat;
    bool is_held = change->state == SEAT_HELD;

    if (change->seat_no >= hall->n_seats) {
        return false;
    }

    seat = &hall->seat[change->seat_no];
    if (seat->heard && change->version < seat->version &&
        is_newer(seat->seen_ms, settled_ms, now_ms)) {
        return false;
    }

    seat->heard = true;
    seat->state = (uint8_t)change->state;
    seat->hold = is_held ? change->hold : (hold_id_t){0};
    seat->expires_ms = is_held ? change->expires_ms : 0;
    seat->seen_ms = now_ms;

    return recount(hall, change->seat_no, change->version, now_ms);
}

bool hall_apply_seat(hall_t *hall, const seat_change_t *change, int64_t now_ms)
{
    return apply_seat(hall, change, INT64_MIN, now_ms);
}

static bool apply_bucket(hall_t *hall, const bucket_change_t *change,
                         int64_t settled_ms, int64_t now_ms)
{
    hall_bucket_t *bucket;
    uint64_t before, after;

    if (change->pool_no >= hall->n_pools ||
        change->bucket >= hall->pool[change->pool_no].n_buckets) {
        return false;
    }

    bucket = &hall->pool[change->pool_no].bucket[change->bucket];
    if (change->version < bucket->version &&
        is_newer(bucket->seen_ms, settled_ms, now_ms)) {
        return false;
    }

    before = bucket_tag(change->pool_no, change->bucket, bucket);
    bucket->capacity = change->capacity;
    bucket->held = change->held;
    bucket->sold = change->sold;
    bucket->version = change->version;
    bucket->seen_ms = now_ms;
    after = bucket_tag(change->pool_no, change->bucket, bucket);

    hall->tag ^= before ^ after;
    hall->changes += before != after;

    return before != after;
}

bool hall_apply_bucket(hall_t *hall, const bucket_change_t *change,
                       int64_t now_ms)
{
    return apply_bucket(hall, change, INT64_MIN, now_ms);
}

static void apply_all(hall_t *hall, const change_t *change, int64_t settled_ms,
                      int64_t now_ms)
{
    for (unsigned i = 0; i < change->n_seats; i++) {
        (void)apply_seat(hall, &change->seat[i], settled_ms, now_ms);
    }

    for (unsigned i = 0; i < change->n_buckets; i++) {
        (void)apply_bucket(hall, &change->bucket[i], settled_ms, now_ms);
    }
}

void hall_apply(hall_t *hall, const change_t *change, int64_t now_ms)
{
    apply_all(hall, change, INT64_MIN, now_ms);
}

void hall_correct(hall_t *hall, const change_t *rows, int64_t read_ms,
                  int64_t now_ms)
{
    apply_all(hall, rows, read_ms - HALL_SETTLED_MS, now_ms);
}

/* Takes note of the row's holds that have run out, and when the next does. */
static void lapse_row(hall_t *hall, hall_row_t *row, int64_t now_ms)
{
    row->lapse_ms = INT64_MAX;

    for (uint32_t i = row->first; i < row->first + row->n; i++) {
        if (hall->seat[i].shown == SEAT_HELD) {
            (void)recount(hall, i, hall->seat[i].version, now_ms);
        }
    }
}

void hall_lapse(hall_t *hall, int64_t now_ms)
{
    if (now_ms < hall->lapse_ms) {
        return;
    }

    hall->lapse_ms = INT64_MAX;

    for (unsigned i = 0; i < hall->n_rows; i++) {
        hall_row_t *row = &hall->row[i];

        if (row->lapse_ms <= now_ms) {
            lapse_row(hall, row, now_ms);
        }
        if (row->lapse_ms < hall->lapse_ms) {
            hall->lapse_ms = row->lapse_ms;
        }
    }
}

void hall_set_batch(hall_t *hall, uint32_t seat_no, uint8_t batch,
                    int64_t now_ms)
{
    hall_seat_t *seat = &hall->seat[seat_no];

    hall->row[seat->row].n_marked +=
        (uint32_t)(batch != 0) - (seat->batch != 0);
    seat->batch = batch;
    (void)recount(hall, seat_no, seat->version, now_ms);
}

uint32_t hall_bucket_left(const hall_bucket_t *bucket)
{
    uint64_t gone = (uint64_t)bucket->held + bucket->sold;

    return gone < bucket->capacity ? bucket->capacity - (uint32_t)gone : 0;
}

uint32_t hall_pool_left(const hall_pool_t *pool)
{
    uint64_t left = 0;

    for (unsigned i = 0; i < pool->n_buckets; i++) {
        left += hall_bucket_left(&pool->bucket[i]);
    }

    return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}
