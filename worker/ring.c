/*
 * Events of a performance, in the order of their ids.  Many listeners have
 * heard the same and ask for the same, so the last text is kept.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define ITEM_TEXT_MAX (sizeof("[,],") + 10 + 10)
#define FRAME_MAX                                                              \
    (sizeof("id: \nevent: seats\ndata: {\"seats\":[],\"pools\":[]}\n\n") +     \
     RING_ID_SIZE)

typedef struct {
    ring_id_t id;
    unsigned n_seats, n_pools;
    ring_item_t item[];
} event_t;

struct ring_s {
    ring_id_t floor; /* all that came after it is there */
    uint64_t first; /* number of the oldest event; its place is % RING_EVENTS */
    uint64_t end;   /* number of the next event to come */
    size_t bytes;
    event_t *event[RING_EVENTS];

    /* Of all events from text_from on; NULL: not made yet. */
    char *text;
    uint64_t text_from;
    size_t text_len;
    uint64_t long_before; /* from an event before it the text is too long */
};

int ring_id_read(ring_id_t *id, const char *text)
{
    uint64_t *parts[] = {&id->ms, &id->seq};

    *id = (ring_id_t){0, 0};
    if (*text == '\0') {
        return 0;
    }

    for (int i = 0; i < 2; i++) {
        const char *begin = text;

        for (; *text >= '0' && *text <= '9'; text++) {
            if (__builtin_mul_overflow(*parts[i], 10, parts[i]) ||
                __builtin_add_overflow(*parts[i], (unsigned)(*text - '0'),
                                       parts[i])) {
                return -1;
            }
        }

        if (text == begin || *text++ != (i == 0 ? '-' : '\0')) {
            return -1;
        }
    }

    return 0;
}

void ring_id_write(const ring_id_t *id, char text[RING_ID_SIZE])
{
    if (id->ms == 0 && id->seq == 0) {
        *text = '\0';
    } else {
        snprintf(text, RING_ID_SIZE, "%" PRIu64 "-%" PRIu64, id->ms, id->seq);
    }
}

int ring_id_compare(const ring_id_t *a, const ring_id_t *b)
{
    if (a->ms != b->ms) {
        return a->ms < b->ms ? -1 : 1;
    }

    return (a->seq > b->seq) - (a->seq < b->seq);
}

ring_id_t ring_id_before(ring_id_t id)
{
    if (id.seq-- == 0) {
        id.ms--;
    }

    return id;
}

ring_id_t ring_id_behind(ring_id_t id)
{
    if (++id.seq == 0) {
        id.ms++;
    }

    return id;
}

ring_t *ring_new(ring_id_t floor)
{
    ring_t *ring = calloc(1, sizeof(*ring));

    if (ring != NULL) {
        ring->floor = floor;
    }

    return ring;
}

static event_t **place(ring_t *ring, uint64_t number)
{
    return &ring->event[number % RING_EVENTS];
}

static size_t size_of(const event_t *event)
{
    return sizeof(*event) +
           ((size_t)event->n_seats + event->n_pools) * sizeof(event->item[0]);
}

/* Who has heard the oldest event needs it no more; who has not, is too late. */
static void drop_oldest(ring_t *ring)
{
    event_t *event = *place(ring, ring->first++);

    ring->floor = event->id;
    ring->bytes -= size_of(event);
    free(event);
}

static void drop_text(ring_t *ring)
{
    free(ring->text);
    ring->text = NULL;
}

void ring_reset(ring_t *ring, ring_id_t floor)
{
    while (ring->first < ring->end) {
        drop_oldest(ring);
    }

    drop_text(ring);
    ring->floor = floor;
}

void ring_free(ring_t *ring)
{
    if (ring != NULL) {
        ring_reset(ring, ring->floor);
        free(ring);
    }
}

void ring_add(ring_t *ring, ring_id_t id, const ring_item_t *items,
              unsigned n_seats, unsigned n_pools)
{
    size_t n = (size_t)n_seats + n_pools;
    event_t *event = malloc(sizeof(*event) + n * sizeof(*items));

    if (event == NULL) {
        ring_reset(ring, id);
        return;
    }

    event->id = id;
    event->n_seats = n_seats;
    event->n_pools = n_pools;
    if (n > 0) {
        memcpy(event->item, items, n * sizeof(*items));
    }

    if (ring->end - ring->first == RING_EVENTS) {
        drop_oldest(ring);
    }
    *place(ring, ring->end++) = event;
    ring->bytes += size_of(event);

    while (ring->bytes > RING_BYTES) {
        drop_oldest(ring);
    }
    drop_text(ring);
}

/* The number of the first event after id. */
static uint64_t find_after(ring_t *ring, const ring_id_t *id)
{
    uint64_t low = ring->first, high = ring->end;

    while (low < high) {
        uint64_t middle = low + (high - low) / 2;

        if (ring_id_compare(&(*place(ring, middle))->id, id) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low;
}

/* The items of one kind: seats or pools. */
static const ring_item_t *items_of(const event_t *event, bool pools,
                                   unsigned *n)
{
    *n = pools ? event->n_pools : event->n_seats;

    return event->item + (pools ? event->n_seats : 0);
}

/*
 * The last value of every number among the events from there on, at
 * last[no - *low], plus one; zero where there is none.  NULL without memory,
 * *n is how many numbers there are in all, before any is left out.
 */
static uint64_t *last_values(ring_t *ring, uint64_t from, bool pools,
                             uint32_t *low, uint32_t *high, size_t *n)
{
    const ring_item_t *item;
    uint64_t *last;
    unsigned some;

    *low = UINT32_MAX;
    *high = 0;
    *n = 0;
    for (uint64_t number = from; number < ring->end; number++) {
        item = items_of(*place(ring, number), pools, &some);
        *n += some;
        for (unsigned i = 0; i < some; i++) {
            *low = item[i].no < *low ? item[i].no : *low;
            *high = item[i].no > *high ? item[i].no : *high;
        }
    }

    last = calloc(*n == 0 ? 1 : (size_t)*high - *low + 1, sizeof(*last));
    for (uint64_t number = from; last && number < ring->end; number++) {
        item = items_of(*place(ring, number), pools, &some);
        for (unsigned i = 0; i < some; i++) {
            last[item[i].no - *low] = (uint64_t)item[i].value + 1;
        }
    }

    return last;
}

/* Writes [no,value],… ; returns the end of it. */
static char *write_values(char *to, const uint64_t *last, uint32_t low,
                          uint32_t high)
{
    const char *between = "";

    for (uint64_t no = low; no <= high; no++) {
        if (last[no - low] != 0) {
            to += sprintf(to, "%s[%" PRIu64 ",%" PRIu64 "]", between, no,
                          last[no - low] - 1);
            between = ",";
        }
    }

    return to;
}

/* Keeps a text that was made, unless it is too long; takes it over. */
static void keep_text(ring_t *ring, char *text, size_t len, uint64_t from)
{
    char *shrunk;

    if (len > RING_TEXT_MAX) {
        ring->long_before = from + 1;
        free(text);
        return;
    }

    shrunk = realloc(text, len + 1);
    if (shrunk != NULL) {
        text = shrunk;
    }

    ring->text = text;
    ring->text_len = len;
    ring->text_from = from;
}

/* Puts the text of the events from there on into ring->text, or NULL. */
static void make_text(ring_t *ring, uint64_t from)
{
    uint32_t low[2], high[2];
    uint64_t *last[2];
    char id[RING_ID_SIZE], *text = NULL, *to;
    size_t n[2];

    drop_text(ring);
    for (int i = 0; i < 2; i++) {
        last[i] = last_values(ring, from, i == 1, &low[i], &high[i], &n[i]);
    }

    if (last[0] != NULL && last[1] != NULL) {
        text = malloc(FRAME_MAX + (n[0] + n[1]) * ITEM_TEXT_MAX);
    }

    if (text != NULL) {
        ring_id_write(&(*place(ring, ring->end - 1))->id, id);
        to = text;
        to += sprintf(to, "id: %s\nevent: seats\ndata: {\"seats\":[", id);
        to = write_values(to, last[0], low[0], high[0]);
        to = stpcpy(to, "],\"pools\":[");
        to = write_values(to, last[1], low[1], high[1]);
        to = stpcpy(to, "]}\n\n");
        keep_text(ring, text, (size_t)(to - text), from);
    }

    free(last[0]);
    free(last[1]);
}

ring_result_t ring_after(ring_t *ring, ring_id_t *id, ring_id_t last,
                         char **text, size_t *len)
{
    uint64_t from;

    if (ring_id_compare(id, &ring->floor) < 0 ||
        ring_id_compare(id, &last) > 0) {
        return RING_GONE;
    }

    from = find_after(ring, id);
    if (from == ring->end) {
        return RING_QUIET;
    }

    if (ring->text == NULL || ring->text_from != from) {
        if (from >= ring->long_before) {
            make_text(ring, from);
        }
        if (from < ring->long_before) {
            return RING_GONE;
        }
    }

    *text = ring->text ? malloc(ring->text_len + 1) : NULL;
    if (*text == NULL) {
        return RING_NO_MEMORY;
    }

    memcpy(*text, ring->text, ring->text_len + 1);
    *len = ring->text_len;
    *id = (*place(ring, ring->end - 1))->id;

    return RING_EVENTS_FOLLOW;
}
