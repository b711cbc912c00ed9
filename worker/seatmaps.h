/*
 * The seat maps of all performances, as they were last rendered: thousands
 * who ask for the same cost one rendering.
 */
#ifndef SEATMAPS_H
#define SEATMAPS_H

#include "seatmap.h"
#include "worker.h"

#define SEATMAPS_ETAG_MAX 24 /* W/"c0123456789abcdef" fits */

typedef struct seatmaps_s seatmaps_t;

typedef enum {
    SEATMAPS_OK,
    SEATMAPS_LATER, /* not in memory, or too much for the HTTP thread */
    SEATMAPS_NONE,  /* there is no such performance in this room */
    SEATMAPS_AWAY,  /* the database does not answer */
    SEATMAPS_ERROR
} seatmaps_result_t;

typedef enum {
    SEATMAPS_JSON,
    SEATMAPS_COMPACT,
    SEATMAPS_FORMS
} seats_form_t;

/* NULL without memory. */
seatmaps_t *seatmaps_new(void);
void seatmaps_free(seatmaps_t *maps);

/*
 * Reads the performance from the database if it is not in memory, and renders
 * its geometry.  In a thread of the pool.
 */
seatmaps_result_t seatmaps_load(seatmaps_t *maps, const worker_t *worker,
                                db_t *db, uint32_t performance,
                                const char *room);

/* What one asks for. */
typedef struct {
    const worker_t *worker;
    uint32_t performance;
    const char *room;
    bool patient; /* in a thread of the pool, where it may take its time */
} seatmaps_query_t;

/* The map, shared, and if head is not NULL the members of the hall that have
 * no pointers. */
seatmaps_result_t seatmaps_find(seatmaps_t *maps, const seatmaps_query_t *query,
                                seatmap_t **map, hall_t *head);

/*
 * The seats as they are now: etag, and the body, shared, or NULL when known,
 * an If-None-Match, lists the tag.  Without memory SEATMAPS_ERROR.
 */
seatmaps_result_t seatmaps_seats(seatmaps_t *maps,
                                 const seatmaps_query_t *query,
                                 seats_form_t form, const char *known,
                                 char etag[SEATMAPS_ETAG_MAX], body_t **body);

#endif
