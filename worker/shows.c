/*
 * The shows, sorted by performance.  The mutex guards rings and positions for
 * those who ask from other threads; nobody waits for anything with it.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shows.h"

typedef struct {
    uint32_t performance;
    shows_room_t *room;
    ring_t *ring;
} show_t;

struct shows_s {
    pthread_mutex_t mutex; /* for changing any of it, and for reading it in
                              another thread than the reader's */
    shows_room_t **rooms;
    unsigned n_rooms;
    show_t *show;
    unsigned n_shows;
};

shows_t *shows_new(void)
{
    shows_t *shows = calloc(1, sizeof(*shows));

    if (shows != NULL) {
        pthread_mutex_init(&shows->mutex, NULL);
    }

    return shows;
}

void shows_free(shows_t *shows)
{
    if (shows == NULL) {
        return;
    }

    for (unsigned i = 0; i < shows->n_shows; i++) {
        ring_free(shows->show[i].ring);
    }

    for (unsigned i = 0; i < shows->n_rooms; i++) {
        free(shows->rooms[i]);
    }

    free(shows->show);
    free(shows->rooms);
    pthread_mutex_destroy(&shows->mutex);
    free(shows);
}

static ring_id_t later_id(ring_id_t a, ring_id_t b)
{
    return ring_id_compare(&a, &b) > 0 ? a : b;
}

/* The place of the performance among the shows, or where it belongs. */
static unsigned find_place(const shows_t *shows, uint32_t performance,
                           bool *found)
{
    unsigned low = 0, high = shows->n_shows;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;

        if (shows->show[middle].performance < performance) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    *found =
        low < shows->n_shows && shows->show[low].performance == performance;

    return low;
}

static show_t *find_show(const shows_t *shows, uint32_t performance)
{
    bool found;
    unsigned place = find_place(shows, performance, &found);

    return found ? &shows->show[place] : NULL;
}

bool shows_has(const shows_t *shows, uint32_t performance, const char *room)
{
    const show_t *show = find_show(shows, performance);

    return show != NULL && strcmp(show->room->name, room) == 0;
}

unsigned shows_n_rooms(const shows_t *shows)
{
    return shows->n_rooms;
}

shows_room_t *shows_room(const shows_t *shows, unsigned i)
{
    return shows->rooms[i];
}

shows_room_t *shows_find_room(const shows_t *shows, const char *name)
{
    for (unsigned i = 0; i < shows->n_rooms; i++) {
        if (strcmp(shows->rooms[i]->name, name) == 0) {
            return shows->rooms[i];
        }
    }

    return NULL;
}

/* The room of that name, made if need be; NULL without memory. */
static shows_room_t *get_room(shows_t *shows, const char *name)
{
    shows_room_t *room = shows_find_room(shows, name), **rooms;

    if (room != NULL) {
        return room;
    }

    room = calloc(1, sizeof(*room));
    rooms = realloc(shows->rooms, (shows->n_rooms + 1) * sizeof(*rooms));
    if (rooms != NULL) {
        shows->rooms = rooms;
    }

    if (room == NULL || rooms == NULL) {
        free(room);
        return NULL;
    }

    strcpy(room->name, name);
    rooms[shows->n_rooms++] = room;

    return room;
}

/* As shows_add, under the mutex. */
static void add(shows_t *shows, uint32_t performance, const char *name)
{
    bool found;
    unsigned place = find_place(shows, performance, &found);
    shows_room_t *room = get_room(shows, name);
    show_t *list;
    ring_t *ring;

    if (room == NULL) {
        return;
    }

    if (found) {
        shows->show[place].room = room;
        ring_reset(shows->show[place].ring, later_id(room->at, room->floor));
        return;
    }

    ring = ring_new(later_id(room->at, room->floor));
    list = realloc(shows->show, (shows->n_shows + 1) * sizeof(*list));
    if (list != NULL) {
        shows->show = list;
    }

    if (ring == NULL || list == NULL) {
        ring_free(ring);
        return;
    }

    memmove(list + place + 1, list + place,
            (shows->n_shows - place) * sizeof(*list));
    list[place] =
        (show_t){.performance = performance, .room = room, .ring = ring};
    shows->n_shows++;
}

void shows_add(shows_t *shows, uint32_t performance, const char *room)
{
    pthread_mutex_lock(&shows->mutex);
    add(shows, performance, room);
    pthread_mutex_unlock(&shows->mutex);
}

/* Listeners of the room begin anew, from floor on.  Under the mutex. */
static void reset_rings(shows_t *shows, shows_room_t *room, ring_id_t floor)
{
    room->floor = floor;
    for (unsigned i = 0; i < shows->n_shows; i++) {
        if (shows->show[i].room == room) {
            ring_reset(shows->show[i].ring, floor);
        }
    }
}

void shows_place(shows_t *shows, shows_room_t *room, ring_id_t at,
                 ring_id_t floor)
{
    pthread_mutex_lock(&shows->mutex);
    room->placed = true;
    room->at = at;
    reset_rings(shows, room, floor);
    pthread_mutex_unlock(&shows->mutex);
}

void shows_move_on(shows_t *shows, shows_room_t *room, ring_id_t id,
                   uint32_t performance, const told_t *told)
{
    show_t *show;

    pthread_mutex_lock(&shows->mutex);

    /* The stream has begun anew with ids from before it ended. */
    if (ring_id_compare(&id, &room->floor) < 0) {
        reset_rings(shows, room, id);
    }

    room->at = id;
    show = find_show(shows, performance);
    if (told != NULL && show != NULL && show->room == room) {
        if (told->item == NULL) {
            ring_reset(show->ring, id);
        } else if (told->n_seats + told->n_pools > 0) {
            ring_add(show->ring, id, told->item, told->n_seats, told->n_pools);
        }
    }

    pthread_mutex_unlock(&shows->mutex);
}

ring_id_t shows_last(shows_t *shows, uint32_t performance)
{
    ring_id_t last = {0, 0};
    const show_t *show;

    pthread_mutex_lock(&shows->mutex);
    show = find_show(shows, performance);
    if (show != NULL) {
        last = later_id(show->room->at, show->room->floor);
    }
    pthread_mutex_unlock(&shows->mutex);

    return last;
}

ring_result_t shows_after(shows_t *shows, uint32_t performance, ring_id_t *id,
                          char **text, size_t *len)
{
    ring_result_t result = RING_QUIET;
    const show_t *show;

    pthread_mutex_lock(&shows->mutex);
    show = find_show(shows, performance);
    if (show != NULL && show->room->placed) {
        result =
            ring_after(show->ring, id,
                       later_id(show->room->at, show->room->floor), text, len);
    }
    pthread_mutex_unlock(&shows->mutex);

    return result;
}
