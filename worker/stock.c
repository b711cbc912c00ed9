/*
 * Publisher of the stock: one thread, which counts the seats of a room
 * instance in the database and SETs the number in Redis.  Handlers only mark
 * an instance as changed, so whatever Redis does, they do not notice.
 *
 * Several workers publish the same instance, and a SET may reach Redis after
 * that of a worker which counted later.  So every SET is checked: a while
 * after its answer the instance is counted once more, and published again
 * unless the number is still the same.  Whichever SET was the last of all, the
 * count after it said the same, hence it is right.
 *
 * Time frees seats, too: every count also finds when the next hold runs out,
 * and the instance is counted again then.  What no worker is told of (seats
 * that are changed by hand, a worker that was killed, a Redis that forgot)
 * comes right with the next regular count.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <mysql.h>

#include "clock.h"
#include "db.h"
#include "log.h"
#include "redis.h"
#include "backoff.h"
#include "stock.h"
#include "task.h"

#define REST_MS         100  /* from one count of an instance to its next */
#define REST_FACTOR     20   /* and so many times as long as the count took */
#define EXPIRY_SLACK_MS 2    /* parts of a millisecond, cut off in between */
#define LAST_MS         1000 /* to publish what is left at the end */
#define ROOM_MAX        129

/* A room instance; all but changed is the thread's alone. */
typedef struct {
    char name[ROOM_MAX + 1];
    bool changed;          /* since it was last counted; under the mutex */
    bool listed;           /* it has performances */
    bool unchecked;        /* published, and not counted since */
    uint64_t published;    /* the number last SET */
    int64_t rest_until_ms; /* not to be counted before, whatever happens */
    int64_t count_at_ms;   /* to be counted then even if nothing happens */
} room_t;

struct stock_s {
    const config_t *config;
    db_t *db;
    redis_t *redis;
    db_stats_t db_stats;
    task_t task;

    pthread_mutex_t mutex; /* guards all down to relist; the thread alone
                              changes rooms, and reads it without */
    room_t **rooms;        /* sorted by name */
    size_t n_rooms;
    bool relist; /* a room that is not among them was named */

    int64_t list_at_ms;
    backoff_t backoff;

    atomic_ulong published;
    atomic_ulong failures;
    atomic_llong last_ms; /* of the last answered SET; 0: none */
};

/* What a count brings. */
typedef struct {
    uint64_t seats;
    int64_t expiry_ms; /* until the next hold runs out; -1: there is none */
} count_t;

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The place of the name among the rooms, or where it belongs. */
static size_t find_place(const stock_t *stock, const char *name, bool *found)
{
    size_t low = 0, high = stock->n_rooms;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(stock->rooms[middle]->name, name);

        if (order == 0) {
            *found = true;
            return middle;
        }

        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    *found = false;

    return low;
}

void stock_changed(stock_t *stock, const char *room)
{
    bool *mark, known, news;
    size_t place;

    if (stock == NULL) {
        return;
    }

    pthread_mutex_lock(&stock->mutex);
    place = find_place(stock, room, &known);
    mark = known ? &stock->rooms[place]->changed : &stock->relist;
    news = !*mark;
    *mark = true;
    pthread_mutex_unlock(&stock->mutex);

    if (news) {
        task_wake(&stock->task);
    }
}

/* Reads a mark and takes it back. */
static bool take_mark(stock_t *stock, bool *mark)
{
    bool was;

    pthread_mutex_lock(&stock->mutex);
    was = *mark;
    *mark = false;
    pthread_mutex_unlock(&stock->mutex);

    return was;
}

/* The database failed: nothing is tried for a while. */
static void database_failed(stock_t *stock)
{
    stock->failures++;
    backoff_failed(&stock->backoff);
}

static void redis_failed(stock_t *stock, const char *err)
{
    stock->failures++;
    if (backoff_failed_anew(&stock->backoff)) {
        log_line(LOG_LEVEL_ERROR,
                 "redis: %s; the stock is not published until that is over",
                 err);
    }
}

static void redis_succeeded(stock_t *stock)
{
    if (backoff_succeeded_again(&stock->backoff)) {
        log_line(LOG_LEVEL_INFO, "redis: the stock is published again");
    }

    stock->published++;
    stock->last_ms = clock_ms();
}

/* A new connection knows nothing: everything is published anew. */
static bool connect_redis(stock_t *stock)
{
    char err[256];

    if (redis_connect(stock->redis, err, sizeof(err)) != 0) {
        redis_failed(stock, err);
        return false;
    }

    for (size_t i = 0; i < stock->n_rooms; i++) {
        stock->rooms[i]->unchecked = false;
        stock->rooms[i]->count_at_ms = 0;
    }

    return true;
}

static void add_room(stock_t *stock, size_t place, const char *name)
{
    room_t *room = calloc(1, sizeof(*room));
    room_t **rooms;

    if (room == NULL || strlen(name) > ROOM_MAX) {
        free(room);
        return;
    }

    strcpy(room->name, name);
    room->listed = true;

    pthread_mutex_lock(&stock->mutex);
    rooms = realloc(stock->rooms, (stock->n_rooms + 1) * sizeof(*rooms));
    if (rooms != NULL) {
        memmove(rooms + place + 1, rooms + place,
                (stock->n_rooms - place) * sizeof(*rooms));
        rooms[place] = room;
        stock->rooms = rooms;
        stock->n_rooms++;
    }
    pthread_mutex_unlock(&stock->mutex);

    if (rooms == NULL) {
        free(room);
    }
}

static void remove_room(stock_t *stock, room_t *room)
{
    bool found;
    size_t place = find_place(stock, room->name, &found);

    pthread_mutex_lock(&stock->mutex);
    stock->relist = stock->relist || room->changed;
    stock->n_rooms--;
    memmove(stock->rooms + place, stock->rooms + place + 1,
            (stock->n_rooms - place) * sizeof(stock->rooms[0]));
    pthread_mutex_unlock(&stock->mutex);

    free(room);
}

static void on_room(void *ctx, char *const *column)
{
    stock_t *stock = ctx;
    bool found;
    size_t place = find_place(stock, column[0], &found);

    if (found) {
        stock->rooms[place]->listed = true;
    } else {
        add_room(stock, place, column[0]);
    }
}

/* Learns which room instances there are.  Without memory for a new one, the
 * next listing has it. */
static bool list_rooms(stock_t *stock)
{
    db_params_t none = {0};

    stock->list_at_ms = 0;
    for (size_t i = 0; i < stock->n_rooms; i++) {
        stock->rooms[i]->listed = false;
    }

    if (db_connect(stock->db) != DB_OK ||
        db_select(stock->db, STATEMENT_ROOMS, &none, on_room, stock) != DB_OK) {
        database_failed(stock);
        return false;
    }

    stock->list_at_ms =
        clock_ms() + stock->config->redis.recount_s * INT64_C(1000);

    return true;
}

static void on_count(void *ctx, char *const *column)
{
    count_t *count = ctx;

    count->seats = strtoull(column[0], NULL, 10);
    if (column[1] != NULL) {
        count->expiry_ms = later(strtoll(column[1], NULL, 10), 0);
    }
}

static bool count_seats(stock_t *stock, const room_t *room, count_t *count)
{
    db_params_t params = {0};

    *count = (count_t){.expiry_ms = -1};
    for (int i = 0; i < STATEMENT_STOCK_ROOMS; i++) {
        db_add_text(&params, room->name);
    }
    if (db_connect(stock->db) == DB_OK &&
        db_select(stock->db, STATEMENT_STOCK, &params, on_count, count) ==
            DB_OK) {
        return true;
    }

    database_failed(stock);

    return false;
}

static bool set_stock(stock_t *stock, room_t *room, uint64_t seats)
{
    char err[256];

    if (redis_set_stock(stock->redis, room->name, seats, err, sizeof(err)) !=
        0) {
        redis_failed(stock, err);
        return false;
    }

    redis_succeeded(stock);
    room->published = seats;

    return true;
}

/*
 * Counts the room and publishes the number; a check that finds the same again
 * is the end of it.  The room may be freed by that, when it has no
 * performances any more.
 */
static void publish(stock_t *stock, room_t *room)
{
    bool changed = take_mark(stock, &room->changed), right;
    int64_t started = clock_ms(), took;
    count_t count;

    room->count_at_ms = 0;
    if (!count_seats(stock, room, &count)) {
        room->unchecked = false;
        return;
    }

    took = clock_ms() - started;
    room->rest_until_ms = started + later(REST_MS, REST_FACTOR * took);
    right = room->unchecked && !changed && count.seats == room->published;
    room->unchecked = false;

    if (right && !room->listed) {
        remove_room(stock, room);
        return;
    }

    if (!right) {
        if (set_stock(stock, room, count.seats)) {
            room->unchecked = true;
            room->count_at_ms = room->rest_until_ms;
        }
        return;
    }

    room->count_at_ms =
        started + stock->config->redis.recount_s * INT64_C(1000);
    if (count.expiry_ms >= 0) {
        room->count_at_ms = sooner(
            room->count_at_ms, clock_ms() + count.expiry_ms + EXPIRY_SLACK_MS);
    }
}

/*
 * The room to be counted next, and when.  Of those whose time has come, the
 * changed ones come first: a large hall that only has its regular count does
 * not hold them up.
 */
static room_t *next_room(stock_t *stock, int64_t now, int64_t *when)
{
    room_t *best = NULL;
    bool best_urgent = false;

    pthread_mutex_lock(&stock->mutex);

    for (size_t i = 0; i < stock->n_rooms; i++) {
        room_t *room = stock->rooms[i];
        int64_t due = room->changed
                          ? room->rest_until_ms
                          : later(room->count_at_ms, room->rest_until_ms);
        bool urgent = room->changed && due <= now;

        if (best == NULL || urgent > best_urgent ||
            (urgent == best_urgent && due < *when)) {
            best = room;
            best_urgent = urgent;
            *when = due;
        }
    }

    pthread_mutex_unlock(&stock->mutex);

    return best;
}

/* Does the next thing to be done; returns when there will be another. */
static int64_t take_turn(stock_t *stock)
{
    int64_t now = clock_ms(), when = 0;
    room_t *room;

    if (now < stock->backoff.until_ms) {
        return stock->backoff.until_ms;
    }

    if (!redis_connected(stock->redis) && !connect_redis(stock)) {
        return stock->backoff.until_ms;
    }

    if ((take_mark(stock, &stock->relist) || now >= stock->list_at_ms) &&
        !list_rooms(stock)) {
        return stock->backoff.until_ms;
    }

    room = next_room(stock, now, &when);
    if (room == NULL || when > now) {
        return room == NULL ? stock->list_at_ms
                            : sooner(when, stock->list_at_ms);
    }

    publish(stock, room);

    return now;
}

/* Waits until then, or until a mark is made or Redis hangs up. */
static void wait_until(stock_t *stock, int64_t when)
{
    /* Redis says nothing unasked, unless it is to go. */
    if (task_wait(&stock->task, when, redis_fd(stock->redis)).readable) {
        redis_close(stock->redis);
        redis_failed(stock, "the connection was closed");
    }
}

/*
 * At the end, when nobody makes marks any more: what changed, and the checks,
 * without the rests in between.
 */
static void publish_last(stock_t *stock)
{
    int64_t deadline = clock_ms() + LAST_MS;

    if (redis_connected(stock->redis) && take_mark(stock, &stock->relist)) {
        list_rooms(stock);
    }

    for (size_t i = 0; i < stock->n_rooms; i++) {
        room_t *room = stock->rooms[i];

        room->listed = true; /* so that publish does not remove it */
        while ((room->changed || room->unchecked) &&
               redis_connected(stock->redis) && clock_ms() < deadline) {
            publish(stock, room);
        }
    }
}

static void run(void *ctx)
{
    stock_t *stock = ctx;

    mysql_thread_init();

    while (!task_stopping(&stock->task)) {
        wait_until(stock, take_turn(stock));
    }

    publish_last(stock);
    db_free(stock->db);
    stock->db = NULL;
    mysql_thread_end();
}

static void free_stock(stock_t *stock)
{
    for (size_t i = 0; i < stock->n_rooms; i++) {
        free(stock->rooms[i]);
    }

    free(stock->rooms);
    db_free(stock->db);
    redis_free(stock->redis);
    pthread_mutex_destroy(&stock->mutex);
    free(stock);
}

stock_t *stock_start(const config_t *config)
{
    stock_t *stock = calloc(1, sizeof(*stock));

    if (stock == NULL) {
        return NULL;
    }

    pthread_mutex_init(&stock->mutex, NULL);
    stock->config = config;
    stock->db = db_new(config, &stock->db_stats);
    stock->redis = redis_new(&config->redis);

    if (stock->db == NULL || stock->redis == NULL ||
        task_start(&stock->task, run, stock) != 0) {
        free_stock(stock);
        return NULL;
    }

    return stock;
}

void stock_stats(const stock_t *stock, stock_stats_t *stats)
{
    int64_t last_ms = stock->last_ms;

    stats->published = stock->published;
    stats->failures = stock->failures;
    stats->age_ms = last_ms == 0 ? -1 : clock_ms() - last_ms;
}

bool stock_stop(stock_t *stock)
{
    if (stock == NULL) {
        return true;
    }

    if (!task_stop(&stock->task)) {
        return false;
    }

    free_stock(stock);

    return true;
}
