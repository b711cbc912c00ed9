/*
 * What the records of a hall's CSV mean.  Sections, rows and tiers are numbered
 * as they first appear; what needs the whole file (the order of the seats, the
 * names that it does not give, what stands there twice) is found out by sorting
 * at the end, in map_order.c.  Reading goes on past mistakes, so that many can
 * be put right at once.
 */
#include <search.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "csv.h"
#include "map_csv.h"
#include "map_order.h"
#include "text.h"

#define NONE UINT32_MAX
#define STEP 100 /* between two rows or positions without a place */

typedef enum {
    TYPE,
    SECTION,
    ROW,
    SEAT,
    NAME,
    TIER,
    X,
    Y,
    FOCAL_X,
    FOCAL_Y,
    POOL,
    CAPACITY,
    COLUMNS
} column_t;

static const char *const column_name[COLUMNS] = {
    "type", "section", "row",     "seat",    "name", "tier",
    "x",    "y",       "focal_x", "focal_y", "pool", "capacity"};

#define BIT(column) (1u << (column))

/* What a line may be, and which columns it needs and may have besides. */
static const struct {
    const char *type;
    unsigned needs, may;
} kinds[] = {
    {"seat", BIT(SECTION) | BIT(ROW) | BIT(SEAT) | BIT(TIER),
     BIT(NAME) | BIT(X) | BIT(Y)},
    {"section", BIT(SECTION) | BIT(FOCAL_X) | BIT(FOCAL_Y), 0},
    {"pool", BIT(POOL) | BIT(CAPACITY) | BIT(TIER), 0},
};

typedef enum {
    KIND_SEAT,
    KIND_SECTION,
    KIND_POOL,
    KINDS
} kind_t;

/* A section, a tier, a pool, or a row of a section, by what the file calls it.
 */
typedef struct {
    uint32_t of; /* the section of a row; or one of the following */
    uint32_t number;
    char *text;
} label_t;

#define OF_SECTIONS (UINT32_MAX - 1)
#define OF_TIERS    (UINT32_MAX - 2)
#define OF_POOLS    (UINT32_MAX - 3)

typedef struct {
    map_csv_t *map;
    csv_t csv;
    column_t column[CSV_FIELDS_MAX]; /* of each field */
    unsigned n_columns;
    const char *value[COLUMNS]; /* of the record; "" where there is none */
    void *labels;               /* tree of label_t (tsearch) */
    bool failed;                /* no memory */
} reading_t;

void map_csv_complain(map_csv_t *map, unsigned line, const char *column,
                      const char *fmt, ...)
{
    map_csv_error_t *error;
    va_list args;

    if (map->n_errors == MAP_ERRORS_MAX) {
        return;
    }

    error = &map->error[map->n_errors++];
    error->line = line;
    snprintf(error->column, sizeof(error->column), "%s", column);
    va_start(args, fmt);
    vsnprintf(error->text, sizeof(error->text), fmt, args);
    va_end(args);
}

/* About a value of the record at hand: what it is and what it should be. */
static void complain_of(reading_t *reading, column_t column, const char *wants)
{
    char shown[TEXT_SHOWN_MAX + 1];

    map_csv_complain(reading->map, reading->csv.line, column_name[column],
                     "\"%s\" is not %s",
                     text_shown(shown, reading->value[column]), wants);
}

static int compare_labels(const void *a, const void *b)
{
    const label_t *left = a, *right = b;

    if (left->of != right->of) {
        return left->of < right->of ? -1 : 1;
    }

    return strcmp(left->text, right->text);
}

static void free_label(void *label)
{
    free(((label_t *)label)->text);
    free(label);
}

/* The number that goes by the text, or NONE. */
static uint32_t find_label(const reading_t *reading, uint32_t of,
                           const char *text)
{
    label_t key = {.of = of, .text = (char *)text};
    label_t **found = tfind(&key, &reading->labels, compare_labels);

    return found != NULL ? (*found)->number : NONE;
}

static void add_label(reading_t *reading, uint32_t of, const char *text,
                      uint32_t number)
{
    label_t *label = malloc(sizeof(*label));

    if (label != NULL) {
        *label = (label_t){.of = of, .number = number, .text = strdup(text)};
    }

    if (label == NULL || label->text == NULL ||
        tsearch(label, &reading->labels, compare_labels) == NULL) {
        if (label != NULL) {
            free_label(label);
        }
        reading->failed = true;
    }
}

/* A whole number of the record; false: it is none, or out of bounds. */
static bool read_number(reading_t *reading, column_t column, long min, long max,
                        long *number)
{
    const char *text = reading->value[column];
    size_t digits = strspn(text + (*text == '-'), "0123456789");
    char wants[80];

    if (digits >= 1 && digits <= 9 && text[digits + (*text == '-')] == '\0') {
        *number = strtol(text, NULL, 10);
        if (*number >= min && *number <= max) {
            return true;
        }
    }

    snprintf(wants, sizeof(wants), "a whole number from %ld to %ld", min, max);
    complain_of(reading, column, wants);

    return false;
}

/* The same of a place, which may be left out. */
static bool read_place(reading_t *reading, column_t column, long otherwise,
                       int32_t *place)
{
    long number = otherwise;

    if (*reading->value[column] != '\0' &&
        !read_number(reading, column, -MAP_PLACE_MAX, MAP_PLACE_MAX, &number)) {
        return false;
    }

    *place = (int32_t)number;

    return true;
}

static bool check_label(reading_t *reading, column_t column)
{
    const char *text = reading->value[column];

    if (text_is_label(text, strlen(text), MAP_LABEL_MAX)) {
        return true;
    }

    complain_of(reading, column,
                "1 to 64 characters on one line, without a space "
                "at either end");

    return false;
}

static bool check_name(reading_t *reading, column_t column)
{
    const char *text = reading->value[column];

    if (text_is_name(text, strlen(text))) {
        return true;
    }

    complain_of(reading, column, "1 to 32 of A-Z a-z 0-9 . _ -");

    return false;
}

/* The number of the section on the line; NONE: a mistake, or no memory. */
static uint32_t read_section(reading_t *reading)
{
    map_csv_t *map = reading->map;
    const char *text = reading->value[SECTION];
    uint32_t number = find_label(reading, OF_SECTIONS, text);

    if (number != NONE) {
        return number;
    }

    if (!check_label(reading, SECTION)) {
        return NONE;
    }

    if (map->n_sections == MAP_SECTIONS_MAX) {
        map_csv_complain(map, reading->csv.line, column_name[SECTION],
                         "there are more than %d sections", MAP_SECTIONS_MAX);
        return NONE;
    }

    number = map->n_sections++;
    snprintf(map->section[number].name, sizeof(map->section[number].name), "%s",
             text);
    map->section[number].line = reading->csv.line;
    add_label(reading, OF_SECTIONS, text, number);

    return number;
}

/* The number of the row on the line, in that section; NONE as above. */
static uint32_t read_row(reading_t *reading, uint32_t section)
{
    map_csv_section_t *in = &reading->map->section[section];
    const char *text = reading->value[ROW];
    uint32_t number = find_label(reading, section, text);

    if (number != NONE) {
        return number;
    }

    if (!check_label(reading, ROW)) {
        return NONE;
    }

    if (in->n_rows == MAP_ROWS_MAX) {
        map_csv_complain(reading->map, reading->csv.line, column_name[ROW],
                         "the section has more than %d rows", MAP_ROWS_MAX);
        return NONE;
    }

    add_label(reading, section, text, ++in->n_rows);

    return in->n_rows;
}

static uint32_t read_tier(reading_t *reading)
{
    map_csv_t *map = reading->map;
    const char *text = reading->value[TIER];
    uint32_t number = find_label(reading, OF_TIERS, text);

    if (number != NONE) {
        return number;
    }

    if (!check_name(reading, TIER)) {
        return NONE;
    }

    if (map->n_tiers == MAP_TIERS_MAX) {
        map_csv_complain(map, reading->csv.line, column_name[TIER],
                         "there are more than %d tiers", MAP_TIERS_MAX);
        return NONE;
    }

    number = map->n_tiers++;
    strcpy(map->tier[number], text);
    add_label(reading, OF_TIERS, text, number);

    return number;
}

/* Room for one more seat, or NULL. */
static map_csv_seat_t *open_seat(reading_t *reading)
{
    map_csv_t *map = reading->map;
    map_csv_seat_t *seat;

    if (map->n_seats == MAP_SEATS_MAX) {
        map_csv_complain(map, reading->csv.line, "",
                         "there are more than %d seats", MAP_SEATS_MAX);
        reading->csv.at = reading->csv.end;
        return NULL;
    }

    if (map->n_seats == map->seats_size) {
        uint32_t size = map->seats_size ? map->seats_size * 2 : 1024;

        seat = realloc(map->seat, size * sizeof(*seat));
        if (seat == NULL) {
            reading->failed = true;
            return NULL;
        }
        map->seat = seat;
        map->seats_size = size;
    }

    return &map->seat[map->n_seats];
}

/* The seat's name by the file, or the end of it that is known by now. */
static bool read_name(reading_t *reading, map_csv_seat_t *seat)
{
    const char *name = reading->value[NAME];
    size_t row;

    seat->is_named = *name != '\0';
    if (seat->is_named) {
        strcpy(seat->name, name);
        return true;
    }

    row = text_to_name(seat->name, sizeof(seat->name), reading->value[ROW]);
    if (row + 1 + strlen(reading->value[SEAT]) <= SEAT_NAME_MAX) {
        sprintf(seat->name + row, "-%s", reading->value[SEAT]);
        return true;
    }

    map_csv_complain(reading->map, reading->csv.line, column_name[NAME],
                     "row and seat make a name longer than %d characters; "
                     "give the seat a name in this column",
                     SEAT_NAME_MAX);

    return false;
}

static void read_seat(reading_t *reading)
{
    map_csv_seat_t *seat = open_seat(reading);
    uint32_t section, row, tier;
    long pos;

    if (seat == NULL || (section = read_section(reading)) == NONE ||
        (row = read_row(reading, section)) == NONE ||
        !read_number(reading, SEAT, 1, MAP_ROWS_MAX, &pos) ||
        (tier = read_tier(reading)) == NONE ||
        !read_place(reading, X, pos * STEP, &seat->x) ||
        !read_place(reading, Y, (long)row * STEP, &seat->y) ||
        (*reading->value[NAME] != '\0' && !check_name(reading, NAME)) ||
        !read_name(reading, seat)) {
        return;
    }

    seat->section = (uint16_t)section;
    seat->row_no = (uint16_t)row;
    seat->pos = (uint16_t)pos;
    seat->tier = (uint16_t)tier;
    seat->line = reading->csv.line;
    reading->map->n_seats++;
}

static void read_focal(reading_t *reading)
{
    uint32_t number = read_section(reading);
    map_csv_section_t *section;

    if (number == NONE) {
        return;
    }

    section = &reading->map->section[number];
    if (section->has_focal) {
        map_csv_complain(reading->map, reading->csv.line, "",
                         "the section has two lines of type \"section\"; "
                         "remove one");
        return;
    }

    section->has_focal = read_place(reading, FOCAL_X, 0, &section->focal_x) &&
                         read_place(reading, FOCAL_Y, 0, &section->focal_y);
}

static void read_pool(reading_t *reading)
{
    map_csv_t *map = reading->map;
    const char *name = reading->value[POOL];
    uint32_t tier;
    long capacity;

    if (!check_name(reading, POOL) ||
        !read_number(reading, CAPACITY, 1, MAP_CAPACITY_MAX, &capacity) ||
        (tier = read_tier(reading)) == NONE) {
        return;
    }

    if (find_label(reading, OF_POOLS, name) != NONE) {
        map_csv_complain(map, reading->csv.line, column_name[POOL],
                         "there is a pool of this name already; give each a "
                         "name of its own");
        return;
    }

    if (map->n_pools == MAP_POOLS_MAX) {
        map_csv_complain(map, reading->csv.line, "",
                         "there are more than %d pools", MAP_POOLS_MAX);
        return;
    }

    strcpy(map->pool[map->n_pools].name, name);
    map->pool[map->n_pools].tier = (uint16_t)tier;
    map->pool[map->n_pools].capacity = (uint32_t)capacity;
    add_label(reading, OF_POOLS, name, map->n_pools++);
}

/* What the line is; KINDS and a complaint when it is nothing known. */
static kind_t kind_of(reading_t *reading)
{
    const char *type = reading->value[TYPE];

    if (*type == '\0') {
        return KIND_SEAT;
    }

    for (kind_t kind = 0; kind < KINDS; kind++) {
        if (strcasecmp(type, kinds[kind].type) == 0) {
            return kind;
        }
    }

    complain_of(reading, TYPE, "seat, section or pool");

    return KINDS;
}

/* Whether the line has what its kind needs, and nothing else. */
static bool check_columns(reading_t *reading, kind_t kind)
{
    for (column_t column = SECTION; column < COLUMNS; column++) {
        bool has = *reading->value[column] != '\0';

        if (!has && (kinds[kind].needs & BIT(column))) {
            map_csv_complain(reading->map, reading->csv.line,
                             column_name[column], "a %s needs a %s here",
                             kinds[kind].type, column_name[column]);
            return false;
        }

        if (has && !((kinds[kind].needs | kinds[kind].may) & BIT(column))) {
            map_csv_complain(reading->map, reading->csv.line,
                             column_name[column],
                             "a %s has no %s; leave it empty, or put another "
                             "type into column \"type\"",
                             kinds[kind].type, column_name[column]);
            return false;
        }
    }

    return true;
}

static void read_line(reading_t *reading)
{
    const csv_t *csv = &reading->csv;
    kind_t kind;

    for (column_t column = 0; column < COLUMNS; column++) {
        reading->value[column] = "";
    }

    for (unsigned i = 0; i < csv->n; i++) {
        if (i < reading->n_columns) {
            reading->value[reading->column[i]] = csv->field[i];
        } else if (*csv->field[i] != '\0') {
            map_csv_complain(reading->map, csv->line, "",
                             "the line has more columns than the first line "
                             "names; put a value with a comma in quotes");
            return;
        }
    }

    kind = kind_of(reading);
    if (kind == KINDS || !check_columns(reading, kind)) {
        return;
    }

    switch (kind) {
    case KIND_SEAT:
        read_seat(reading);
        break;
    case KIND_SECTION:
        read_focal(reading);
        break;
    default:
        read_pool(reading);
    }
}

static column_t find_column(const char *name)
{
    column_t column = 0;

    while (column < COLUMNS && strcasecmp(name, column_name[column]) != 0) {
        column++;
    }

    return column;
}

/* The first line; with a mistake in it nothing else is looked at. */
static void read_header(reading_t *reading)
{
    const csv_t *csv = &reading->csv;
    unsigned seen = 0, needs;
    char shown[TEXT_SHOWN_MAX + 1];

    /* Spreadsheets add commas for columns that were used once. */
    reading->n_columns = csv->n;
    while (*csv->field[reading->n_columns - 1] == '\0') {
        reading->n_columns--;
    }

    for (unsigned i = 0; i < reading->n_columns; i++) {
        column_t column = find_column(csv->field[i]);

        if (column == COLUMNS || (seen & BIT(column))) {
            map_csv_complain(
                reading->map, csv->line, text_shown(shown, csv->field[i]),
                column == COLUMNS
                    ? "there is no such column; the first line names the "
                      "columns, with commas between them: section,row,seat,tier"
                    : "the column appears twice; remove one");
            continue;
        }

        seen |= BIT(column);
        reading->column[i] = column;
    }

    needs = kinds[KIND_SEAT].needs;
    if (seen & BIT(TYPE)) {
        needs = BIT(TIER);
    }

    for (column_t column = 0; column < COLUMNS; column++) {
        if ((needs & ~seen) & BIT(column)) {
            map_csv_complain(reading->map, csv->line, column_name[column],
                             "the column is missing from the first line");
        }
    }
}

/* All lines, as far as there is use in reading on. */
static void read_lines(reading_t *reading)
{
    map_csv_t *map = reading->map;
    csv_result_t result = csv_next(&reading->csv);

    if (result == CSV_RECORD) {
        read_header(reading);
        if (map->n_errors > 0) {
            return;
        }

        while ((result = csv_next(&reading->csv)) == CSV_RECORD) {
            read_line(reading);
            if (reading->failed || map->n_errors == MAP_ERRORS_MAX) {
                return;
            }
        }
    }

    if (result == CSV_WRONG) {
        map_csv_complain(map, reading->csv.line, "", "%s", reading->csv.wrong);
    } else if (map->n_errors == 0 && map->n_seats == 0 && map->n_pools == 0) {
        map_csv_complain(map, 0, "",
                         "there is no seat and no pool in the file; the first "
                         "line names the columns, each further one is a seat "
                         "or a pool");
    }
}

/* The line on which the text stops being UTF-8; 0: it does not. */
static unsigned find_bad_line(const char *text, size_t len)
{
    size_t good = text_utf8_prefix(text, len);
    unsigned line = 1;

    for (size_t i = 0; i < good; i++) {
        line += text[i] == '\n';
    }

    return good < len ? line : 0;
}

map_csv_t *map_csv_read(const char *text, size_t len)
{
    reading_t reading = {.map = calloc(1, sizeof(map_csv_t))};
    map_csv_t *map = reading.map;
    unsigned bad_line = find_bad_line(text, len);

    if (map == NULL) {
        return NULL;
    }

    map->section = calloc(MAP_SECTIONS_MAX, sizeof(map->section[0]));
    if (map->section == NULL) {
        reading.failed = true;
    } else if (bad_line != 0) {
        map_csv_complain(map, bad_line, "",
                         "this is not UTF-8; save the file as \"CSV UTF-8\"");
    } else {
        csv_begin(&reading.csv, text, len);
        read_lines(&reading);
    }

    tdestroy(reading.labels, free_label);

    if (!reading.failed && map->n_errors == 0) {
        reading.failed = map_order(map) != 0;
    }

    if (reading.failed) {
        map_csv_free(map);
        return NULL;
    }

    return map;
}

void map_csv_free(map_csv_t *map)
{
    if (map != NULL) {
        free(map->section);
        free(map->seat);
        free(map);
    }
}
