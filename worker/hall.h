/*
 * One performance in memory: its hall, which never changes, and the state of
 * its seats and pools as last heard.  The state is only a hint: it lets the
 * worker refuse without asking, choose seats that are likely free, and show
 * the map to everybody; what is sold the database decides.
 *
 * Nothing here locks, allocates behind the caller's back, or knows a clock:
 * the owner (halls.h) has the lock, now_ms is milliseconds since 1970 by the
 * database's clock.
 */
#ifndef HALL_H
#define HALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "change.h"
#include "seat.h"

#define HALL_ROOM_MAX 129
#define HALL_NAME_MAX 800 /* bytes: 200 characters of UTF-8 */
#define HALL_NONE     UINT32_MAX
#define HALL_TIERS    UINT16_MAX /* of a row: seats of more than one tier */

typedef struct {
    /* Of the map; set once. */
    char name[SEAT_NAME_MAX + 1];
    uint16_t section;
    uint16_t row_no, pos;
    uint16_t tier; /* index into hall->tier */
    int32_t x, y;
    uint32_t row; /* index into hall->row */

    /* As last heard. */
    uint8_t state;      /* seat_state_t, as in the database */
    uint8_t shown;      /* seat_state_t that tag, n_free and bits count it as */
    uint8_t batch;      /* the batch under way that wants it; 0: none */
    bool heard;         /* the row is known at all */
    uint32_t version;   /* of the row */
    hold_id_t hold;     /* zero unless held */
    int64_t expires_ms; /* of the hold; 0 unless held */
    int64_t seen_ms;    /* now_ms when it was last read or written by us */
} hall_seat_t;

typedef struct {
    char name[SECTION_NAME_MAX + 1];
    int32_t focal_x, focal_y;
} hall_section_t;

/* A row of a section: seats first to first + n of hall->seat. */
typedef struct {
    uint32_t first, n;
    uint16_t section;
    uint16_t tier;                      /* of all its seats, or HALL_TIERS */
    int32_t min_x, max_x, min_y, max_y; /* where its seats are */
    uint64_t nearest;                   /* the least distance of its seats */
    uint32_t n_free;   /* of them shown as free, and in no batch */
    uint32_t longest;  /* no more such neighbours than that; best.h lowers it */
    uint32_t n_marked; /* of them in a batch */
    int64_t lapse_ms;  /* no hold in it runs out before; INT64_MAX */
} hall_row_t;

typedef struct {
    uint32_t capacity, held, sold, version;
    uint8_t batch;    /* the batch under way that has it for itself; 0: none */
    uint32_t taken;   /* how many places that batch takes */
    uint32_t planned; /* the version that it took them at */
    int64_t seen_ms;  /* now_ms when it was last read or written by us */
} hall_bucket_t;

typedef struct {
    char name[POOL_NAME_MAX + 1];
    uint16_t tier;
    unsigned n_buckets;
    hall_bucket_t *bucket;
} hall_pool_t;

typedef struct {
    uint32_t performance;
    uint32_t map_id;
    uint32_t version; /* of the row of performance */
    char name[HALL_NAME_MAX + 1];
    char room[HALL_ROOM_MAX + 1];
    uint32_t hold_ttl_ms, hold_max_ms;
    uint32_t max_per_user;                 /* 0: no limit */
    int64_t starts_ms;                     /* 0: not known */
    int64_t sale_opens_ms, sale_closes_ms; /* 0: no bound */

    unsigned n_tiers;
    char (*tier)[SEAT_TIER_MAX + 1];
    unsigned n_sections;
    hall_section_t *section;
    unsigned n_rows;
    hall_row_t *row;
    uint32_t n_seats;
    hall_seat_t *seat; /* by number: sections, rows and positions in order */
    unsigned n_pools;
    hall_pool_t *pool;

    uint32_t *index; /* hash table of seat numbers by name */
    uint32_t index_mask;

    /* For choosing (best.h): arrays by seat, bits in words of 64. */
    uint64_t *distance;  /* squared, from its section's focal point */
    uint32_t *near_rows; /* all rows, the nearest first */
    uint64_t *joined;    /* bits: a neighbour of the seat before it */
    uint64_t *free;      /* bits: shown as free */
    uint64_t *open;      /* bits: shown as free, and in no batch */

    /* What is shown, for the seat map: copied as a whole. */
    unsigned char *states; /* two bits a seat, seat 0 in the lowest bits */
    uint32_t *versions;    /* by seat */

    int64_t loaded_ms; /* when all of it was last read */
    int64_t tried_ms;  /* and when that was last tried, by clock_ms */
    bool gone;         /* the performance was deleted */

    uint64_t tag;     /* of what is shown: equal in all workers that know the
                         same, different when a state or version differs */
    uint64_t changes; /* counts changes of what is shown */
    int64_t lapse_ms; /* a hold may run out then: call hall_lapse; INT64_MAX */
} hall_t;

/*
 * Makes room for a hall; the caller fills the map of seats, sections, tiers
 * and pools in, and then calls hall_finish.  NULL without memory.
 */
hall_t *hall_new(unsigned n_tiers, unsigned n_sections, uint32_t n_seats,
                 unsigned n_pools);

/*
 * Gives the pool its buckets, all of capacity 0 and version 0.  Returns 0, or
 * -1 without memory.  Before hall_finish.
 */
int hall_set_buckets(hall_t *hall, unsigned pool_no, unsigned n);

/*
 * Builds rows and index once the map is filled in.  Returns 0, or -1 without
 * memory, if seats are not in the order of section, row_no and pos, or if one
 * is of a section or tier that there is not.
 */
int hall_finish(hall_t *hall);

void hall_free(hall_t *hall);

/* The number of the seat of that name, or HALL_NONE. */
uint32_t hall_find_seat(const hall_t *hall, const char *name);

/* The number of the pool or tier of that name, or HALL_NONE. */
uint32_t hall_find_pool(const hall_t *hall, const char *name);
uint32_t hall_find_tier(const hall_t *hall, const char *name);

/*
 * Takes in what was heard of a row.  What is older than what is known (by
 * version) is ignored; unknown numbers, too.  The same version with something
 * else in it is taken in: a row that was changed by hand.  Returns true when
 * it changed what is shown: a state, a version, or a bucket's numbers.
 */
bool hall_apply_seat(hall_t *hall, const seat_change_t *seat, int64_t now_ms);
bool hall_apply_bucket(hall_t *hall, const bucket_change_t *bucket,
                       int64_t now_ms);

/* All of a change. */
void hall_apply(hall_t *hall, const change_t *change, int64_t now_ms);

/*
 * Takes in rows that were read from the database, beginning at read_ms.  What
 * was heard clearly before that was committed before, so the database knows it
 * or never did: it was set back, and its older version is the truth.
 */
#define HALL_SETTLED_MS 1000
void hall_correct(hall_t *hall, const change_t *rows, int64_t read_ms,
                  int64_t now_ms);

/*
 * What visitors are shown: a hold that has run out is as good as none, and a
 * seat that was never heard of is as good as blocked.
 */
seat_state_t hall_shown(const hall_seat_t *seat, int64_t now_ms);

/*
 * Takes note of holds that have run out, once lapse_ms has come: looks only
 * at rows in which one may have.
 */
void hall_lapse(hall_t *hall, int64_t now_ms);

/* Gives a seat to a batch (0: to none), keeping the rows' n_free right. */
void hall_set_batch(hall_t *hall, uint32_t seat_no, uint8_t batch,
                    int64_t now_ms);

/*
 * The squared distance of two points, each of its two parts capped so that
 * the distances of ten seats can be added up.
 */
uint64_t hall_distance(int32_t x, int32_t y, int32_t to_x, int32_t to_y);

/* Places that can be had: neither held nor sold. */
uint32_t hall_bucket_left(const hall_bucket_t *bucket);
uint32_t hall_pool_left(const hall_pool_t *pool);

#endif
