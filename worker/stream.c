/*
 * Reader of the seats' streams: one thread with a connection of its own, which
 * follows the streams of the room instances whose halls are in memory.
 *
 * At the start of a stream it goes back some thousand events, so that
 * listeners that were served by another worker, or before a restart, can go on
 * where they were.  When it was cut off it goes on behind the last event it
 * read; if that is not there any more, something may be missing, so listeners
 * are told to begin anew and all halls are read again.
 *
 * Locks: shows.c has one, which is never held while calling halls_…, so whoever
 * holds halls_lock may call stream_….
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "clock.h"
#include "log.h"
#include "redis.h"
#include "backoff.h"
#include "ring.h"
#include "shows.h"
#include "stream.h"
#include "task.h"

#define BLOCK_MS  500 /* until new rooms, and the end, are noticed */
#define IDLE_MS   200 /* the same without any room */
#define READ_MAX  256 /* events of a stream in one answer */
#define BACK_MAX  RING_EVENTS
#define NEW_HALLS 32 /* that are taken in at a time */

_Static_assert(STREAM_ID_MAX + 1 == RING_ID_SIZE, "ids of the same size");

struct stream_s {
    halls_t *halls;
    redis_t *redis;
    shows_t *shows;
    task_t task;

    backoff_t backoff;
    unsigned long malformed_before; /* as it was when reading began */

    atomic_int notify_fd;
    atomic_bool live;
    atomic_ulong events, malformed, failures;
};

static void notify(stream_t *stream)
{
    if (stream->notify_fd >= 0) {
        eventfd_write(stream->notify_fd, 1);
    }
}

static void set_live(stream_t *stream, bool live)
{
    if (live != stream->live) {
        stream->live = live;
        halls_set_live(stream->halls, live);
    }
}

static void redis_failed(stream_t *stream, const char *err)
{
    set_live(stream, false);
    stream->failures++;
    if (backoff_failed_anew(&stream->backoff)) {
        log_line(LOG_LEVEL_ERROR,
                 "redis: %s; what other workers sell is seen late until that "
                 "is over",
                 err);
    }
}

static void redis_succeeded(stream_t *stream)
{
    if (backoff_succeeded_again(&stream->backoff)) {
        log_line(LOG_LEVEL_INFO, "redis: the seats' streams are read again");
    }
}

/* Halls that are not among the shows yet. */
typedef struct {
    const shows_t *shows;
    unsigned n;
    struct {
        uint32_t performance;
        char room[HALL_ROOM_MAX + 1];
    } hall[NEW_HALLS];
} news_t;

static void on_hall(void *ctx, hall_t *hall)
{
    news_t *news = ctx;

    if (news->n < NEW_HALLS &&
        !shows_has(news->shows, hall->performance, hall->room)) {
        news->hall[news->n].performance = hall->performance;
        strcpy(news->hall[news->n].room, hall->room);
        news->n++;
    }
}

/* Learns which performances are in memory. */
static void look_for_halls(stream_t *stream)
{
    news_t news = {.shows = stream->shows};

    halls_each(stream->halls, on_hall, &news);

    for (unsigned i = 0; i < news.n; i++) {
        shows_add(stream->shows, news.hall[i].performance, news.hall[i].room);
    }
}

/* Remembers an event's id, and no more of it. */
static void on_id(void *ctx, const char *room, const char *id,
                  const char *performance, const char *payload,
                  size_t payload_len)
{
    (void)room;
    (void)performance;
    (void)payload;
    (void)payload_len;
    ring_id_read(ctx, id);
}

/* Asks for the id of the first or last event: 1, 0: there is none, -1. */
static int ask_for_end(stream_t *stream, const shows_room_t *room, bool last,
                       ring_id_t *id)
{
    char err[256];
    int n = redis_range(stream->redis, room->name, last, last ? "+" : "-", 1,
                        on_id, id, err, sizeof(err));

    if (n < 0) {
        redis_failed(stream, err);
    }

    return n;
}

/* Goes back in the stream as far as a ring does: as ask_for_end. */
static int go_back(stream_t *stream, const shows_room_t *room, ring_id_t *id)
{
    char from[RING_ID_SIZE] = "+", err[256];
    ring_id_t before;
    int n, all = 0;

    do {
        n = redis_range(stream->redis, room->name, true, from, READ_MAX, on_id,
                        id, err, sizeof(err));
        if (n < 0) {
            redis_failed(stream, err);
            return -1;
        }
        all += n;
        before = ring_id_before(*id);
        ring_id_write(&before, from);
    } while (n == READ_MAX && all < BACK_MAX);

    return all > 0;
}

/* Begins with a room's stream, for the first time or after a gap. */
static bool begin_room(stream_t *stream, shows_room_t *room)
{
    ring_id_t oldest, none = {0, 0};
    int there = go_back(stream, room, &oldest);

    if (there < 0) {
        return false;
    }

    if (there) {
        shows_place(stream->shows, room, ring_id_before(oldest), oldest);
    } else {
        /* What was heard of a stream that is no more leads nowhere. */
        shows_place(
            stream->shows, room, none,
            room->placed
                ? ring_id_behind(ring_id_compare(&room->at, &room->floor) > 0
                                     ? room->at
                                     : room->floor)
                : none);
    }

    return true;
}

/* After a reconnect: finds out whether events may have been missed. */
static bool check_room(stream_t *stream, shows_room_t *room)
{
    ring_id_t first, last, none = {0, 0};
    int there = ask_for_end(stream, room, false, &first);
    bool whole;

    if (there < 0 || ask_for_end(stream, room, true, &last) < 0) {
        return false;
    }

    whole = there ? ring_id_compare(&first, &room->at) <= 0 &&
                        ring_id_compare(&last, &room->at) >= 0
                  : ring_id_compare(&room->at, &none) == 0;
    if (whole) {
        return true;
    }

    log_line(LOG_LEVEL_WARN,
             "ticket:{%s}:seats: events may have been missed; all seats are "
             "read anew",
             room->name);
    if (!begin_room(stream, room)) {
        return false;
    }
    halls_want_refresh(stream->halls);
    notify(stream);

    return true;
}

static bool connect_redis(stream_t *stream)
{
    char err[256];

    if (redis_connect(stream->redis, err, sizeof(err)) != 0) {
        redis_failed(stream, err);
        return false;
    }

    for (unsigned i = 0; i < shows_n_rooms(stream->shows); i++) {
        shows_room_t *room = shows_room(stream->shows, i);

        if (room->placed && !check_room(stream, room)) {
            return false;
        }
    }

    return true;
}

static bool read_number(const char *text, uint32_t *number)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    *number = (uint32_t)value;

    return *text >= '1' && *text <= '9' && *end == '\0' && errno == 0 &&
           value <= UINT32_MAX;
}

/* Applies the change, and looks at what the hall is like then. */
static told_t apply(stream_t *stream, const change_t *change)
{
    size_t most = (size_t)change->n_seats + change->n_buckets + 1;
    told_t told = {.item = malloc(most * sizeof(*told.item))};
    int64_t now = halls_now(stream->halls);
    const hall_t *hall;
    unsigned n = 0;

    halls_apply(stream->halls, change);
    halls_lock(stream->halls);
    hall = halls_find(stream->halls, change->performance);

    if (hall == NULL || told.item == NULL) {
        halls_unlock(stream->halls);
        free(told.item);
        return (told_t){0};
    }

    for (unsigned i = 0; i < change->n_seats; i++) {
        uint32_t no = change->seat[i].seat_no;

        if (no < hall->n_seats) {
            told.item[n++] =
                (ring_item_t){no, hall_shown(&hall->seat[no], now)};
        }
    }
    told.n_seats = n;

    for (unsigned i = 0; i < change->n_buckets; i++) {
        uint32_t no = change->bucket[i].pool_no;

        if (no < hall->n_pools) {
            told.item[n++] = (ring_item_t){no, hall_pool_left(&hall->pool[no])};
        }
    }
    told.n_pools = n - told.n_seats;

    halls_unlock(stream->halls);

    return told;
}

static void malformed(stream_t *stream, const char *room, const char *id)
{
    if (stream->malformed++ == stream->malformed_before) {
        log_line(LOG_LEVEL_ERROR,
                 "ticket:{%s}:seats: event %s is not one of seats, and skipped",
                 room, id);
    }
}

/* Takes in one event that was read. */
static void on_event(void *ctx, const char *name, const char *id_text,
                     const char *performance, const char *payload,
                     size_t payload_len)
{
    stream_t *stream = ctx;
    shows_room_t *room = shows_find_room(stream->shows, name);
    change_t change = {0};
    ring_id_t id;
    told_t told;

    if (room == NULL || ring_id_read(&id, id_text) != 0) {
        return;
    }

    stream->events++;
    if (performance != NULL && payload != NULL &&
        change_from_json(&change, payload, payload_len) == 0 &&
        read_number(performance, &change.performance)) {
        told = apply(stream, &change);
        shows_move_on(stream->shows, room, id, change.performance, &told);
        free(told.item);
    } else {
        malformed(stream, name, id_text);
        shows_move_on(stream->shows, room, id, 0, NULL);
    }

    change_clear(&change);
}

/* Reads what there is, or waits for it for a moment. */
static void read_on(stream_t *stream)
{
    redis_position_t *position =
        calloc(shows_n_rooms(stream->shows), sizeof(*position));
    char(*id)[RING_ID_SIZE] = calloc(shows_n_rooms(stream->shows), sizeof(*id));
    unsigned long before = stream->events;
    char err[256];
    int most;

    if (position == NULL || id == NULL) {
        free(position);
        free(id);
        redis_failed(stream, "no memory");
        return;
    }

    for (unsigned i = 0; i < shows_n_rooms(stream->shows); i++) {
        const shows_room_t *room = shows_room(stream->shows, i);

        ring_id_write(&room->at, id[i]);
        position[i].room = room->name;
        position[i].id = *id[i] ? id[i] : "0";
    }

    stream->malformed_before = stream->malformed;
    most = redis_read_events(stream->redis, position,
                             shows_n_rooms(stream->shows), READ_MAX, BLOCK_MS,
                             on_event, stream, err, sizeof(err));
    free(position);
    free(id);

    if (most < 0) {
        redis_failed(stream, err);
    } else {
        redis_succeeded(stream);
        if (most < READ_MAX) {
            set_live(stream, true);
        }
    }

    if (stream->events != before) {
        notify(stream);
    }
}

/* With nothing to follow yet, only watches the connection. */
static void wait_for_rooms(stream_t *stream)
{
    redis_succeeded(stream);
    set_live(stream, true);
    if (task_wait(&stream->task, clock_ms() + IDLE_MS, redis_fd(stream->redis))
            .readable) {
        redis_close(stream->redis);
        redis_failed(stream, "the connection was closed");
    }
}

static void take_turn(stream_t *stream)
{
    if (clock_ms() < stream->backoff.until_ms) {
        task_wait(&stream->task, stream->backoff.until_ms, -1);
        return;
    }

    if (!redis_connected(stream->redis) && !connect_redis(stream)) {
        return;
    }

    look_for_halls(stream);
    for (unsigned i = 0; i < shows_n_rooms(stream->shows); i++) {
        if (!shows_room(stream->shows, i)->placed &&
            !begin_room(stream, shows_room(stream->shows, i))) {
            return;
        }
    }

    if (shows_n_rooms(stream->shows) == 0) {
        wait_for_rooms(stream);
    } else {
        read_on(stream);
    }
}

static void run(void *ctx)
{
    stream_t *stream = ctx;

    while (!task_stopping(&stream->task)) {
        take_turn(stream);
    }
}

static void free_stream(stream_t *stream)
{
    shows_free(stream->shows);
    redis_free(stream->redis);
    free(stream);
}

stream_t *stream_start(const config_t *config, halls_t *halls)
{
    stream_t *stream = calloc(1, sizeof(*stream));

    if (stream == NULL) {
        return NULL;
    }

    stream->halls = halls;
    stream->notify_fd = -1;
    stream->redis = redis_new(&config->redis);
    stream->shows = shows_new();

    if (stream->redis == NULL || stream->shows == NULL ||
        task_start(&stream->task, run, stream) != 0) {
        free_stream(stream);
        return NULL;
    }

    return stream;
}

void stream_notify(stream_t *stream, int fd)
{
    stream->notify_fd = fd;
}

void stream_last(stream_t *stream, uint32_t performance,
                 char id[STREAM_ID_MAX + 1])
{
    ring_id_t last = shows_last(stream->shows, performance);

    ring_id_write(&last, id);
}

stream_result_t stream_after(stream_t *stream, uint32_t performance,
                             char id[STREAM_ID_MAX + 1], char **text,
                             size_t *len)
{
    ring_id_t heard;

    if (ring_id_read(&heard, id) != 0) {
        return STREAM_GONE;
    }

    switch (shows_after(stream->shows, performance, &heard, text, len)) {
    case RING_EVENTS_FOLLOW:
        ring_id_write(&heard, id);
        return STREAM_EVENTS;
    case RING_GONE:
        return STREAM_GONE;
    default:
        return STREAM_QUIET;
    }
}

void stream_stats(stream_t *stream, stream_stats_t *stats)
{
    stats->live = stream->live;
    stats->events = stream->events;
    stats->malformed = stream->malformed;
    stats->failures = stream->failures;
}

bool stream_stop(stream_t *stream)
{
    if (stream == NULL) {
        return true;
    }

    if (!task_stop(&stream->task)) {
        return false;
    }

    free_stream(stream);

    return true;
}
