/*
 * Rendered seat maps.  A body is good as long as the hall's tag stands, and
 * is made anew by the first who asks after that.
 *
 * The lock over the halls is held for as long as it takes to copy what is
 * needed, that over the table here for as long as it takes to share a body,
 * and never one within the other.  Rendering is under neither.  A large hall in
 * JSON takes milliseconds: then one thread of the pool renders, and those who
 * came meanwhile take what it made after them.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "negotiate.h"
#include "seatmaps.h"
#include "stream.h"

#define HEADS      256
#define LONG_SEATS 4096 /* more of them in JSON are for the pool */

/* The entry's body in one form, of the tag and event. */
typedef struct {
    body_t *body;
    uint64_t tag;
    char event[STREAM_ID_MAX + 1];
} rendered_t;

typedef struct entry_s entry_t;

struct entry_s {
    entry_t *next;
    uint32_t performance;
    seatmap_t *map;
    rendered_t rendered[SEATMAPS_FORMS];

    pthread_mutex_t rendering; /* held by the thread that renders for long */
    unsigned long begun;       /* such renderings, under the table's lock */
};

struct seatmaps_s {
    pthread_mutex_t mutex; /* over all below but the mutexes of entries */
    entry_t *head[HEADS];
};

seatmaps_t *seatmaps_new(void)
{
    seatmaps_t *maps = calloc(1, sizeof(*maps));

    if (maps != NULL) {
        pthread_mutex_init(&maps->mutex, NULL);
    }

    return maps;
}

/* Forgets what was rendered of the entry. */
static void clear_entry(entry_t *entry)
{
    for (int i = 0; i < SEATMAPS_FORMS; i++) {
        body_drop(entry->rendered[i].body);
        entry->rendered[i] = (rendered_t){0};
    }

    seatmap_drop(entry->map);
    entry->map = NULL;
}

void seatmaps_free(seatmaps_t *maps)
{
    if (maps == NULL) {
        return;
    }

    for (int i = 0; i < HEADS; i++) {
        entry_t *next;

        for (entry_t *entry = maps->head[i]; entry != NULL; entry = next) {
            next = entry->next;
            clear_entry(entry);
            pthread_mutex_destroy(&entry->rendering);
            free(entry);
        }
    }

    pthread_mutex_destroy(&maps->mutex);
    free(maps);
}

/* Under the table's lock; entries stay until the end. */
static entry_t *find_entry(seatmaps_t *maps, uint32_t performance)
{
    entry_t *entry = maps->head[performance % HEADS];

    while (entry != NULL && entry->performance != performance) {
        entry = entry->next;
    }

    return entry;
}

/* The entry of the performance and its map, shared; NULL: there is none. */
static entry_t *share_map(seatmaps_t *maps, uint32_t performance,
                          seatmap_t **map)
{
    entry_t *entry;

    pthread_mutex_lock(&maps->mutex);
    entry = find_entry(maps, performance);
    *map = entry == NULL ? NULL : seatmap_share(entry->map);
    pthread_mutex_unlock(&maps->mutex);

    return *map == NULL ? NULL : entry;
}

/* Keeps the map, which it takes over, for the performance. */
static int keep_map(seatmaps_t *maps, uint32_t performance, seatmap_t *map)
{
    entry_t *entry;

    pthread_mutex_lock(&maps->mutex);
    entry = find_entry(maps, performance);

    if (entry == NULL) {
        entry = calloc(1, sizeof(*entry));
        if (entry != NULL) {
            pthread_mutex_init(&entry->rendering, NULL);
            entry->performance = performance;
            entry->next = maps->head[performance % HEADS];
            maps->head[performance % HEADS] = entry;
        }
    }

    if (entry != NULL) {
        clear_entry(entry);
        entry->map = map;
    }
    pthread_mutex_unlock(&maps->mutex);

    if (entry == NULL) {
        seatmap_drop(map);
    }

    return entry == NULL ? -1 : 0;
}

/* Renders the geometry; what else it reads of the hall never changes. */
static int make_map(seatmaps_t *maps, halls_t *halls, hall_t *hall)
{
    uint32_t *capacity = malloc((hall->n_pools + 1) * sizeof(*capacity));
    seatmap_t *map = NULL;

    if (capacity != NULL) {
        halls_lock(halls);
        seatmap_capacities(hall, capacity);
        halls_unlock(halls);
        map = seatmap_new(hall, capacity);
    }
    free(capacity);

    return map == NULL ? -1 : keep_map(maps, hall->performance, map);
}

seatmaps_result_t seatmaps_find(seatmaps_t *maps, const seatmaps_query_t *query,
                                seatmap_t **map, hall_t *head)
{
    seatmaps_result_t result = SEATMAPS_LATER;
    halls_t *halls = query->worker->halls;
    hall_t *hall;

    share_map(maps, query->performance, map);

    halls_lock(halls);
    hall = halls_find(halls, query->performance);
    if (hall != NULL && strcmp(hall->room, query->room) != 0) {
        result = SEATMAPS_NONE;
    } else if (hall != NULL && *map != NULL && seatmap_fits(*map, hall)) {
        result = SEATMAPS_OK;
        if (head != NULL) {
            *head = *hall;
        }
    }
    halls_unlock(halls);

    if (result != SEATMAPS_OK) {
        seatmap_drop(*map);
        *map = NULL;
    }

    return result;
}

/* The hall, if it is in memory, and whether its map as it is now is, too. */
static hall_t *look_for(seatmaps_t *maps, halls_t *halls, uint32_t performance,
                        bool *made)
{
    hall_t *hall;
    seatmap_t *map;

    share_map(maps, performance, &map);
    halls_lock(halls);
    hall = halls_find(halls, performance);
    *made = hall != NULL && map != NULL && seatmap_fits(map, hall);
    halls_unlock(halls);
    seatmap_drop(map);

    return hall;
}

seatmaps_result_t seatmaps_load(seatmaps_t *maps, const worker_t *worker,
                                db_t *db, uint32_t performance,
                                const char *room)
{
    halls_t *halls = worker->halls;
    halls_result_t result = HALLS_OK;
    bool made;
    hall_t *hall = look_for(maps, halls, performance, &made);

    if (hall == NULL) {
        result = halls_load(halls, db, performance, room);
        hall = look_for(maps, halls, performance, &made);
    }

    switch (result) {
    case HALLS_OK:
        return made || (hall != NULL && make_map(maps, halls, hall) == 0)
                   ? SEATMAPS_OK
                   : SEATMAPS_ERROR;
    case HALLS_NONE:
        return SEATMAPS_NONE;
    case HALLS_AWAY:
        return SEATMAPS_AWAY;
    default:
        return SEATMAPS_ERROR;
    }
}

/*
 * The compact form also tells the last event, which the tag does not cover:
 * it is the same for whoever looks at the seats, which is what weak means.
 */
static void write_etag(char *etag, seats_form_t form, uint64_t tag)
{
    snprintf(etag, SEATMAPS_ETAG_MAX, "%s%016" PRIx64 "\"",
             form == SEATMAPS_COMPACT ? "W/\"c" : "\"j", tag);
}

/* The tag of the seats as they are now. */
static seatmaps_result_t look_at_tag(const seatmaps_query_t *query,
                                     const seatmap_t *map, uint64_t *tag)
{
    halls_t *halls = query->worker->halls;
    seatmaps_result_t result = SEATMAPS_LATER;
    hall_t *hall;

    halls_lock(halls);
    hall = halls_find(halls, query->performance);
    if (hall != NULL && strcmp(hall->room, query->room) != 0) {
        result = SEATMAPS_NONE;
    } else if (hall != NULL && seatmap_fits(map, hall)) {
        hall_lapse(hall, halls_now(halls));
        *tag = hall->tag;
        result = SEATMAPS_OK;
    }
    halls_unlock(halls);

    return result;
}

/* Shares what there is of that tag and event, if there is. */
static body_t *share_body(seatmaps_t *maps, const entry_t *entry,
                          const seatmap_t *map, seats_form_t form, uint64_t tag,
                          const char *event)
{
    const rendered_t *rendered = &entry->rendered[form];
    body_t *body = NULL;

    pthread_mutex_lock(&maps->mutex);
    if (entry->map == map && rendered->tag == tag &&
        strcmp(rendered->event, event) == 0) {
        body = body_share(rendered->body);
    }
    pthread_mutex_unlock(&maps->mutex);

    return body;
}

/* Shares the body, if there is one, with the others who ask. */
static void keep_body(seatmaps_t *maps, entry_t *entry, const seatmap_t *map,
                      seats_form_t form, uint64_t tag, const char *event,
                      body_t *body)
{
    rendered_t *rendered = &entry->rendered[form];
    body_t *old = NULL;

    pthread_mutex_lock(&maps->mutex);
    if (entry->map == map && body != NULL) {
        old = rendered->body;
        rendered->body = body_share(body);
        rendered->tag = tag;
        strcpy(rendered->event, event);
    }
    pthread_mutex_unlock(&maps->mutex);

    body_drop(old);
}

/* Renders the seats as they are now; *tag says of when. */
static seatmaps_result_t render(const seatmaps_query_t *query,
                                const seatmap_t *map, seats_form_t form,
                                const char *event, uint64_t *tag, body_t **body)
{
    halls_t *halls = query->worker->halls;
    seatmap_view_t view;
    hall_t *hall;
    bool fits;

    if (seatmap_view_init(&view, map, form == SEATMAPS_JSON) != 0) {
        return SEATMAPS_ERROR;
    }

    halls_lock(halls);
    hall = halls_find(halls, query->performance);
    fits = hall != NULL && seatmap_fits(map, hall);
    if (fits) {
        hall_lapse(hall, halls_now(halls));
        seatmap_take(&view, hall);
    }
    halls_unlock(halls);

    if (fits) {
        *tag = view.tag;
        *body = form == SEATMAPS_JSON ? seatmap_json(map, &view)
                                      : seatmap_compact(map, &view, event);
    }
    seatmap_view_clear(&view);

    return !fits ? SEATMAPS_LATER : *body ? SEATMAPS_OK : SEATMAPS_ERROR;
}

/*
 * The same for a form that takes long: one thread renders, and who waited for
 * it takes the first that was begun after they came.
 */
static seatmaps_result_t render_long(seatmaps_t *maps, entry_t *entry,
                                     const seatmaps_query_t *query,
                                     const seatmap_t *map, uint64_t *tag,
                                     body_t **body)
{
    const rendered_t *rendered = &entry->rendered[SEATMAPS_JSON];
    seatmaps_result_t result = SEATMAPS_OK;
    unsigned long came;

    pthread_mutex_lock(&maps->mutex);
    came = entry->begun;
    pthread_mutex_unlock(&maps->mutex);

    pthread_mutex_lock(&entry->rendering);
    pthread_mutex_lock(&maps->mutex);
    if (entry->begun > came && entry->map == map && rendered->body != NULL) {
        *tag = rendered->tag;
        *body = body_share(rendered->body);
    } else {
        entry->begun++;
    }
    pthread_mutex_unlock(&maps->mutex);

    if (*body == NULL) {
        result = render(query, map, SEATMAPS_JSON, "", tag, body);
        keep_body(maps, entry, map, SEATMAPS_JSON, *tag, "", *body);
    }
    pthread_mutex_unlock(&entry->rendering);

    return result;
}

/* The body of the form, rendered if need be. */
static seatmaps_result_t get_body(seatmaps_t *maps, entry_t *entry,
                                  const seatmaps_query_t *query,
                                  const seatmap_t *map, seats_form_t form,
                                  uint64_t *tag, body_t **body)
{
    stream_t *stream = query->worker->stream;
    char event[STREAM_ID_MAX + 1] = "";
    seatmaps_result_t result;

    /* Before the seats, so that these have all of it in them. */
    if (form == SEATMAPS_COMPACT && stream != NULL) {
        stream_last(stream, query->performance, event);
    }

    *body = share_body(maps, entry, map, form, *tag, event);
    if (*body != NULL) {
        return SEATMAPS_OK;
    }

    if (form == SEATMAPS_JSON && seatmap_seats(map) > LONG_SEATS) {
        return query->patient ? render_long(maps, entry, query, map, tag, body)
                              : SEATMAPS_LATER;
    }

    result = render(query, map, form, event, tag, body);
    keep_body(maps, entry, map, form, *tag, event, *body);

    return result;
}

seatmaps_result_t seatmaps_seats(seatmaps_t *maps,
                                 const seatmaps_query_t *query,
                                 seats_form_t form, const char *known,
                                 char etag[SEATMAPS_ETAG_MAX], body_t **body)
{
    seatmaps_result_t result;
    seatmap_t *map;
    entry_t *entry = share_map(maps, query->performance, &map);
    uint64_t tag = 0;

    *body = NULL;
    if (entry == NULL) {
        return SEATMAPS_LATER;
    }

    result = look_at_tag(query, map, &tag);
    write_etag(etag, form, tag);

    if (result == SEATMAPS_OK && !negotiate_knows(known, etag)) {
        result = get_body(maps, entry, query, map, form, &tag, body);
        write_etag(etag, form, tag);
    }
    seatmap_drop(map);

    return result;
}
