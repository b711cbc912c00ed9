/*
 * The performances in memory.  A hall is read once as a whole; from then on
 * only its states and its row are read again, and rows of a newer version win,
 * from wherever they come.  So no order has to be kept between a refresh, the
 * stream and our own commits, and a hall never moves.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "hall_read.h"
#include "halls.h"
#include "known.h"

#define FRESH_MS    1000 /* so long one may refuse by what was read */
#define CHUNK       256  /* rows applied under one lock */
#define KNOWN_HOURS 24   /* an Idempotency-Key is remembered so long */

struct halls_s {
    const config_t *config;
    atomic_llong clock_offset_ms; /* the database's clock less our monotonic */
    atomic_bool live;
    atomic_llong wanted_ms;    /* all are to be read since then, by clock_ms */
    atomic_llong refreshed_ms; /* and have been, for what was wanted then */

    pthread_mutex_t loading; /* of one that makes a hall: a crowd that wants
                                it waits; taken before the mutex */
    pthread_mutex_t mutex;   /* guards all below, and what is in the halls */
    hall_t **hall;           /* by number of performance */
    size_t n;
    known_t known;
};

halls_t *halls_new(const config_t *config)
{
    halls_t *halls = calloc(1, sizeof(*halls));

    if (halls != NULL) {
        halls->config = config;
        pthread_mutex_init(&halls->loading, NULL);
        pthread_mutex_init(&halls->mutex, NULL);
    }

    return halls;
}

void halls_free(halls_t *halls)
{
    if (halls == NULL) {
        return;
    }

    for (size_t i = 0; i < halls->n; i++) {
        hall_free(halls->hall[i]);
    }

    known_free(&halls->known);
    pthread_mutex_destroy(&halls->mutex);
    pthread_mutex_destroy(&halls->loading);
    free(halls->hall);
    free(halls);
}

void halls_lock(halls_t *halls)
{
    pthread_mutex_lock(&halls->mutex);
}

void halls_unlock(halls_t *halls)
{
    pthread_mutex_unlock(&halls->mutex);
}

/* The place of the performance, or where it belongs.  Under the lock. */
static size_t find_place(const halls_t *halls, uint32_t performance)
{
    size_t low = 0, high = halls->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (halls->hall[middle]->performance < performance) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low;
}

hall_t *halls_find(halls_t *halls, uint32_t performance)
{
    size_t place = find_place(halls, performance);

    return place < halls->n && halls->hall[place]->performance == performance &&
                   !halls->hall[place]->gone
               ? halls->hall[place]
               : NULL;
}

void halls_each(halls_t *halls, void (*each)(void *ctx, hall_t *hall),
                void *ctx)
{
    halls_lock(halls);
    for (size_t i = 0; i < halls->n; i++) {
        each(ctx, halls->hall[i]);
    }
    halls_unlock(halls);
}

int64_t halls_now(halls_t *halls)
{
    return clock_ms() + halls->clock_offset_ms;
}

void halls_set_clock(halls_t *halls, int64_t database_ms)
{
    halls->clock_offset_ms = database_ms - clock_ms();
}

void halls_set_live(halls_t *halls, bool live)
{
    halls->live = live;
}

bool halls_live(halls_t *halls)
{
    return halls->live && halls->refreshed_ms >= halls->wanted_ms;
}

bool halls_fresh(halls_t *halls, int64_t heard_ms)
{
    int64_t age_ms = halls_now(halls) - heard_ms;

    /* Far below zero when the database's clock was set back. */
    return halls_live(halls) || (age_ms > -FRESH_MS && age_ms < FRESH_MS);
}

bool halls_knows_hold(halls_t *halls, const hold_id_t *id)
{
    return known_has(&halls->known, id);
}

/* Without memory a repeat is refused that could have been answered. */
static void know_holds(halls_t *halls, const change_t *change)
{
    for (unsigned i = 0; i < change->n_holds; i++) {
        known_add(&halls->known, &change->hold[i]);
    }
}

void halls_know_locked(halls_t *halls, const hold_id_t *id)
{
    known_add(&halls->known, id);
}

void halls_apply_locked(halls_t *halls, const change_t *change)
{
    hall_t *hall = halls_find(halls, change->performance);

    know_holds(halls, change);

    if (hall != NULL) {
        hall_apply(hall, change, halls_now(halls));
    }
}

void halls_apply(halls_t *halls, const change_t *change)
{
    halls_lock(halls);
    halls_apply_locked(halls, change);
    halls_unlock(halls);
}

static halls_result_t judge(db_result_t result)
{
    return result == DB_OK                               ? HALLS_OK
           : result == DB_FAILED || result == DB_REFUSED ? HALLS_ERROR
                                                         : HALLS_AWAY;
}

/* What an operator may change of a performance. */
static void copy_row(hall_t *hall, const hall_row_read_t *row)
{
    hall->version = row->version;
    memcpy(hall->name, row->name, sizeof(hall->name));
    hall->hold_ttl_ms = row->hold_ttl_ms;
    hall->hold_max_ms = row->hold_max_ms;
    hall->max_per_user = row->max_per_user;
    hall->starts_ms = row->starts_ms;
    hall->sale_opens_ms = row->sale_opens_ms;
    hall->sale_closes_ms = row->sale_closes_ms;
}

/* Rows on their way from the database. */
typedef struct {
    halls_t *halls;
    hall_t *hall;    /* one that nobody else has yet; NULL: those in memory */
    int64_t read_ms; /* when the reading began */
} reading_t;

static void take_in(void *ctx, const change_t *rows)
{
    const reading_t *reading = ctx;
    halls_t *halls = reading->halls;
    hall_t *hall = reading->hall;

    halls_lock(halls);

    if (hall == NULL) {
        hall = halls_find(halls, rows->performance);
    }

    if (hall != NULL) {
        hall_correct(hall, rows, reading->read_ms, halls_now(halls));
    }

    know_holds(halls, rows);
    halls_unlock(halls);
}

static db_result_t read_all(halls_t *halls, db_t *db, hall_t *hall)
{
    reading_t reading = {halls, hall, halls_now(halls)};
    db_result_t result =
        hall_read_seats(db, hall->performance, NULL, 0, take_in, &reading);

    if (result == DB_OK) {
        result = hall_read_buckets(db, hall->performance, take_in, &reading);
    }

    if (result == DB_OK) {
        result = hall_read_holds(db, hall->performance, KNOWN_HOURS, take_in,
                                 &reading);
    }

    return result;
}

/* Puts a finished hall among the others, unless somebody else just did. */
static bool add_hall(halls_t *halls, hall_t *hall)
{
    hall_t **grown;
    bool added = false;
    size_t place;

    halls_lock(halls);
    grown = realloc(halls->hall, (halls->n + 1) * sizeof(hall_t *));
    if (grown != NULL) {
        halls->hall = grown;
        place = find_place(halls, hall->performance);
        if (place == halls->n ||
            grown[place]->performance != hall->performance) {
            memmove(grown + place + 1, grown + place,
                    (halls->n - place) * sizeof(hall_t *));
            grown[place] = hall;
            halls->n++;
            added = true;
        }
    }
    halls_unlock(halls);

    return added;
}

/* Reads again what can have changed of a hall in memory. */
static halls_result_t load_again(halls_t *halls, db_t *db, hall_t *hall)
{
    hall_row_read_t row;
    reading_t reading = {halls, NULL, halls_now(halls)};
    db_result_t result = hall_read_row(db, hall->performance, &row);

    if (result == DB_OK && row.found) {
        halls_set_clock(halls, row.now_ms);
        result =
            hall_read_seats(db, hall->performance, NULL, 0, take_in, &reading);
    }

    if (result == DB_OK && row.found) {
        result = hall_read_buckets(db, hall->performance, take_in, &reading);
    }

    if (result != DB_OK) {
        return judge(result);
    }

    halls_lock(halls);
    hall->loaded_ms = reading.read_ms;
    hall->gone = !row.found;
    if (row.found && row.version >= hall->version) {
        copy_row(hall, &row);
    }
    halls_unlock(halls);

    return row.found ? HALLS_OK : HALLS_NONE;
}

static halls_result_t load_new(halls_t *halls, db_t *db, uint32_t performance,
                               const char *room)
{
    hall_row_read_t row;
    hall_t *hall = NULL;
    db_result_t result = hall_read_row(db, performance, &row);

    if (result == DB_OK &&
        (!row.found || (room != NULL && strcmp(row.room, room) != 0))) {
        return HALLS_NONE;
    }

    if (result == DB_OK) {
        halls_set_clock(halls, row.now_ms);
        result = hall_read_map(db, performance, row.map_id, &hall);
    }

    if (result != DB_OK || hall == NULL) {
        return result == DB_OK ? HALLS_ERROR : judge(result);
    }

    memcpy(hall->room, row.room, sizeof(hall->room));
    copy_row(hall, &row);
    hall->tried_ms = clock_ms();
    result = read_all(halls, db, hall);
    if (result != DB_OK || !add_hall(halls, hall)) {
        hall_free(hall);
        return result == DB_OK ? HALLS_ERROR : judge(result);
    }

    /* What happened meanwhile found no hall to be applied to. */
    return load_again(halls, db, hall);
}

halls_result_t halls_read_seats(halls_t *halls, db_t *db, uint32_t performance,
                                const uint32_t *seat_no, unsigned n)
{
    reading_t reading = {halls, NULL, halls_now(halls)};

    if (db_connect(db) != DB_OK) {
        return HALLS_AWAY;
    }

    return judge(
        hall_read_seats(db, performance, seat_no, n, take_in, &reading));
}

halls_result_t halls_read_buckets(halls_t *halls, db_t *db,
                                  uint32_t performance)
{
    reading_t reading = {halls, NULL, halls_now(halls)};

    if (db_connect(db) != DB_OK) {
        return HALLS_AWAY;
    }

    return judge(hall_read_buckets(db, performance, take_in, &reading));
}

/* The hall, also one that is gone. */
static hall_t *find_any(halls_t *halls, uint32_t performance)
{
    hall_t *hall = NULL;
    size_t place;

    halls_lock(halls);
    place = find_place(halls, performance);
    if (place < halls->n && halls->hall[place]->performance == performance) {
        hall = halls->hall[place];
    }
    halls_unlock(halls);

    return hall;
}

halls_result_t halls_load(halls_t *halls, db_t *db, uint32_t performance,
                          const char *room)
{
    hall_t *hall = find_any(halls, performance);
    halls_result_t result = HALLS_OK;

    if (db_connect(db) != DB_OK) {
        return HALLS_AWAY;
    }

    if (hall != NULL) {
        return load_again(halls, db, hall);
    }

    pthread_mutex_lock(&halls->loading);
    if (find_any(halls, performance) == NULL) {
        result = load_new(halls, db, performance, room);
    }
    pthread_mutex_unlock(&halls->loading);

    return result;
}

void halls_want_refresh(halls_t *halls)
{
    halls->wanted_ms = clock_ms();
}

/* The hall that has waited the longest, if it is due; NULL: none is. */
static hall_t *next_due(halls_t *halls, int64_t due_ms)
{
    hall_t *found = NULL;

    halls_lock(halls);
    for (size_t i = 0; i < halls->n; i++) {
        hall_t *hall = halls->hall[i];

        if (hall->tried_ms < due_ms &&
            (found == NULL || hall->tried_ms < found->tried_ms)) {
            found = hall;
        }
    }

    if (found != NULL) {
        found->tried_ms = clock_ms();
    }
    halls_unlock(halls);

    return found;
}

void halls_refresh(halls_t *halls, db_t *db)
{
    int64_t wanted_ms = halls->wanted_ms;
    int64_t due_ms = clock_ms() - halls->config->refresh_s * INT64_C(1000);
    hall_t *hall = next_due(halls, due_ms > wanted_ms ? due_ms : wanted_ms);

    if (hall == NULL) {
        halls->refreshed_ms = wanted_ms;
    } else if (db_connect(db) == DB_OK) {
        load_again(halls, db, hall);
    }
}
