/*
 * A hall as its operator writes it down in a spreadsheet: docs/halls.md says
 * how.  Read as a whole or not at all, with what is wrong line by line.
 */
#ifndef MAP_CSV_H
#define MAP_CSV_H

#include <stddef.h>
#include <stdint.h>

#include "seat.h"

#define MAP_SEATS_MAX    200000
#define MAP_SECTIONS_MAX 1000
#define MAP_ROWS_MAX     65535 /* in a section; also the last position */
#define MAP_TIERS_MAX    100
#define MAP_POOLS_MAX    100
#define MAP_CAPACITY_MAX 1000000 /* of a pool */
#define MAP_PLACE_MAX    1000000 /* x and y, either way from 0 */
#define MAP_LABEL_MAX    64      /* characters of a section or a row */
#define MAP_ERRORS_MAX   20
#define MAP_COLUMN_LEN   40
#define MAP_ERROR_LEN    320

typedef struct {
    char name[SEAT_NAME_MAX + 1];
    int is_named;     /* by the file; else by section, row and position */
    uint16_t section; /* numbers from 0, in the order of the file */
    uint16_t row_no;  /* from 1, in the order of the file */
    uint16_t pos;
    uint16_t tier;
    int32_t x, y;
    unsigned line; /* of the file */
} map_csv_seat_t;

typedef struct {
    char name[SECTION_NAME_MAX + 1];
    int has_focal; /* the file says it */
    int32_t focal_x, focal_y;
    uint32_t n_rows;
    unsigned line; /* where it is first named */
} map_csv_section_t;

typedef struct {
    char name[POOL_NAME_MAX + 1];
    uint16_t tier;
    uint32_t capacity;
} map_csv_pool_t;

/* What is wrong, where, and what to do. */
typedef struct {
    unsigned line;               /* 0: the file as a whole */
    char column[MAP_COLUMN_LEN]; /* empty: the line as a whole */
    char text[MAP_ERROR_LEN];
} map_csv_error_t;

typedef struct {
    unsigned n_sections;
    map_csv_section_t *section;
    uint32_t n_seats, seats_size;
    map_csv_seat_t *seat; /* by section, row and position */
    unsigned n_pools;
    map_csv_pool_t pool[MAP_POOLS_MAX];
    unsigned n_tiers;
    char tier[MAP_TIERS_MAX][SEAT_TIER_MAX + 1];

    unsigned n_errors;
    map_csv_error_t error[MAP_ERRORS_MAX]; /* by line, as far as it was read */
} map_csv_t;

/*
 * Reads the text.  NULL without memory; otherwise the caller's to free, and
 * good if it has no errors.
 */
map_csv_t *map_csv_read(const char *text, size_t len);

void map_csv_free(map_csv_t *map);

/* Notes a mistake, unless there are many already; for those who read it.
 * line 0: of the file as a whole; column "": of the line as a whole. */
void map_csv_complain(map_csv_t *map, unsigned line, const char *column,
                      const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
