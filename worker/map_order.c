/*
 * Order in a hall: sorted by place, two seats at one place lie next to each
 * other, and so do two of one name when sorted by name.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "map_order.h"
#include "text.h"

static bool is_full(const map_csv_t *map)
{
    return map->n_errors == MAP_ERRORS_MAX;
}

/* Where there are several sections, a seat is not named by its row alone. */
static void complete_names(map_csv_t *map)
{
    char section[SEAT_NAME_MAX + 1], rest[SEAT_NAME_MAX + 1];

    for (uint32_t i = 0; i < map->n_seats && !is_full(map); i++) {
        map_csv_seat_t *seat = &map->seat[i];
        size_t len;

        if (seat->is_named) {
            continue;
        }

        len = text_to_name(section, sizeof(section),
                           map->section[seat->section].name);
        strcpy(rest, seat->name);
        if (len + 1 + strlen(rest) > SEAT_NAME_MAX) {
            map_csv_complain(map, seat->line, "name",
                             "section, row and seat make a name longer than "
                             "%d characters; give the seat a name in this "
                             "column",
                             SEAT_NAME_MAX);
            continue;
        }

        memcpy(seat->name, section, len);
        seat->name[len] = '-';
        strcpy(seat->name + len + 1, rest);
    }
}

static int compare_numbers(unsigned a, unsigned b)
{
    return (a > b) - (a < b);
}

/* By place, and by line, so that the second of two is the one complained of. */
static int compare_seats(const void *a, const void *b)
{
    const map_csv_seat_t *left = a, *right = b;
    int order = compare_numbers(left->section, right->section);

    if (order == 0) {
        order = compare_numbers(left->row_no, right->row_no);
    }

    if (order == 0) {
        order = compare_numbers(left->pos, right->pos);
    }

    return order ? order : compare_numbers(left->line, right->line);
}

static void check_places(map_csv_t *map)
{
    for (uint32_t i = 1; i < map->n_seats; i++) {
        const map_csv_seat_t *seat = &map->seat[i], *before = seat - 1;

        if (seat->section == before->section &&
            seat->row_no == before->row_no && seat->pos == before->pos) {
            map_csv_complain(map, seat->line, "seat",
                             "the row has a seat %u already, on line %u; give "
                             "each a number of its own",
                             seat->pos, before->line);
        }
    }
}

static int compare_names(const void *a, const void *b)
{
    const map_csv_seat_t *left = *(map_csv_seat_t *const *)a;
    const map_csv_seat_t *right = *(map_csv_seat_t *const *)b;
    int order = strcmp(left->name, right->name);

    return order ? order : compare_numbers(left->line, right->line);
}

static int check_names(map_csv_t *map)
{
    map_csv_seat_t **seats = calloc(map->n_seats + 1, sizeof(map_csv_seat_t *));

    if (seats == NULL) {
        return -1;
    }

    for (uint32_t i = 0; i < map->n_seats; i++) {
        seats[i] = &map->seat[i];
    }

    qsort(seats, map->n_seats, sizeof(map_csv_seat_t *), compare_names);
    for (uint32_t i = 1; i < map->n_seats; i++) {
        if (strcmp(seats[i]->name, seats[i - 1]->name) == 0) {
            map_csv_complain(map, seats[i]->line, "name",
                             "\"%s\" is the name of the seat on line %u, too; "
                             "give each a name of its own in this column",
                             seats[i]->name, seats[i - 1]->line);
        }
    }

    free(seats);

    return 0;
}

/* The middle of the row that begins with the seat. */
static void find_focal(const map_csv_t *map, uint32_t first,
                       map_csv_section_t *section)
{
    const map_csv_seat_t *seat = &map->seat[first];
    int32_t min_x = seat->x, max_x = min_x, min_y = seat->y, max_y = min_y;

    for (uint32_t i = first + 1; i < map->n_seats; i++) {
        const map_csv_seat_t *next = &map->seat[i];

        if (next->section != seat->section || next->row_no != seat->row_no) {
            break;
        }

        min_x = next->x < min_x ? next->x : min_x;
        max_x = next->x > max_x ? next->x : max_x;
        min_y = next->y < min_y ? next->y : min_y;
        max_y = next->y > max_y ? next->y : max_y;
    }

    section->focal_x = (min_x + max_x) / 2;
    section->focal_y = (min_y + max_y) / 2;
}

static void complete_sections(map_csv_t *map)
{
    uint32_t first = 0;

    for (unsigned i = 0; i < map->n_sections; i++) {
        map_csv_section_t *section = &map->section[i];

        if (first == map->n_seats || map->seat[first].section != i) {
            map_csv_complain(map, section->line, "section",
                             "the section has no seats; remove the line, or "
                             "write the section as its seats have it");
            continue;
        }

        if (!section->has_focal) {
            find_focal(map, first, section);
        }

        while (first < map->n_seats && map->seat[first].section == i) {
            first++;
        }
    }
}

static int compare_errors(const void *a, const void *b)
{
    const map_csv_error_t *left = a, *right = b;

    return compare_numbers(left->line, right->line);
}

int map_order(map_csv_t *map)
{
    if (map->n_sections > 1) {
        complete_names(map);
    }

    if (map->n_seats > 0) {
        qsort(map->seat, map->n_seats, sizeof(map->seat[0]), compare_seats);
    }

    check_places(map);
    complete_sections(map);
    if (check_names(map) != 0) {
        return -1;
    }

    qsort(map->error, map->n_errors, sizeof(map->error[0]), compare_errors);

    return 0;
}
