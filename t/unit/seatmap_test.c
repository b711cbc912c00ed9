/*
 * The seat map: exactly what a small hall is rendered as, and what it takes to
 * render a large one (told, not judged).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "seatmap.h"

#define HASH_AT (sizeof("{\"map\":\"") - 1)

static void set_seat(hall_t *hall, uint32_t no, const char *name,
                     uint16_t section, uint16_t row_no, uint16_t pos)
{
    hall_seat_t *seat = &hall->seat[no];

    snprintf(seat->name, sizeof(seat->name), "%s", name);
    seat->section = section;
    seat->row_no = row_no;
    seat->pos = pos;
    seat->tier = section;
    seat->x = pos * 100;
    seat->y = -row_no * 100;
}

static void hear(hall_t *hall, uint32_t no, seat_state_t state,
                 uint32_t version, int64_t expires_ms)
{
    hall_apply_seat(hall,
                    &(seat_change_t){.seat_no = no,
                                     .state = state,
                                     .version = version,
                                     .expires_ms = expires_ms},
                    1);
}

/* Two sections, one with a name that needs escapes, and a pool of two
 * buckets; five seats, of which the last was never heard of. */
static hall_t *small_hall(void)
{
    hall_t *hall = hall_new(3, 2, 5, 1);

    assert_non_null(hall);
    hall->performance = 7;
    strcpy(hall->tier[0], "gold");
    strcpy(hall->tier[1], "standard");
    strcpy(hall->tier[2], "standing");
    strcpy(hall->section[0].name, "Parkett \"A\\B\" \xe2\x99\xab\n");
    strcpy(hall->section[1].name, "Rang");
    hall->section[1].focal_x = -5;
    set_seat(hall, 0, "A-1", 0, 1, 1);
    set_seat(hall, 1, "A-2", 0, 1, 2);
    set_seat(hall, 2, "B-1", 0, 2, 1);
    set_seat(hall, 3, "R-1", 1, 1, 1);
    set_seat(hall, 4, "R-2", 1, 1, 3);
    strcpy(hall->pool[0].name, "floor");
    hall->pool[0].tier = 2;
    assert_int_equal(hall_set_buckets(hall, 0, 2), 0);
    assert_int_equal(hall_finish(hall), 0);

    hear(hall, 0, SEAT_FREE, 0, 0);
    hear(hall, 1, SEAT_HELD, 4, 1000);
    hear(hall, 2, SEAT_SOLD, 4294967295u, 0);
    hear(hall, 3, SEAT_BLOCKED, 2, 0);
    hall_apply_bucket(
        hall, &(bucket_change_t){.bucket = 0, .capacity = 300, .held = 20}, 1);
    hall_apply_bucket(
        hall, &(bucket_change_t){.bucket = 1, .capacity = 200, .sold = 30}, 1);

    return hall;
}

static seatmap_t *new_map(const hall_t *hall)
{
    uint32_t *capacity = malloc((hall->n_pools + 1) * sizeof(*capacity));
    seatmap_t *map;

    assert_non_null(capacity);
    seatmap_capacities(hall, capacity);
    map = seatmap_new(hall, capacity);
    free(capacity);
    assert_non_null(map);

    return map;
}

static void assert_body(body_t *body, const char *text)
{
    char *copy;

    assert_non_null(body);
    copy = strndup(body_text(body), body_len(body));
    assert_string_equal(copy, text);
    free(copy);
}

static void test_geometry(void **state)
{
    hall_t *hall = small_hall();
    seatmap_t *map = new_map(hall), *again = new_map(hall);
    char expected[1024];

    (void)state;

    assert_int_equal(strlen(seatmap_hash(map)), SEATMAP_HASH_LEN);
    assert_string_equal(seatmap_hash(map), seatmap_hash(again));
    snprintf(expected, sizeof(expected),
             "{\"map\":\"%s\",\"tiers\":[\"gold\",\"standard\",\"standing\"],"
             "\"sections\":["
             "{\"name\":\"Parkett \\\"A\\\\B\\\" \xe2\x99\xab\\n\","
             "\"focal\":[0,0],\"rows\":["
             "{\"row\":1,\"first\":0,\"seats\":[[\"A-1\",1,0,100,-100],"
             "[\"A-2\",2,0,200,-100]]},"
             "{\"row\":2,\"first\":2,\"seats\":[[\"B-1\",1,0,100,-200]]}]},"
             "{\"name\":\"Rang\",\"focal\":[-5,0],\"rows\":["
             "{\"row\":1,\"first\":3,\"seats\":[[\"R-1\",1,1,100,-100],"
             "[\"R-2\",3,1,300,-100]]}]}],"
             "\"pools\":[{\"pool\":\"floor\",\"tier\":2,\"capacity\":500}]}",
             seatmap_hash(map));
    assert_body(seatmap_geometry(map), expected);

    seatmap_drop(again);
    seatmap_drop(map);
    hall_free(hall);
}

static void test_hash_and_fit(void **state)
{
    hall_t *hall = small_hall();
    seatmap_t *map = new_map(hall), *other;

    (void)state;

    hear(hall, 0, SEAT_SOLD, 1, 0);
    assert_true(seatmap_fits(map, hall));
    other = new_map(hall);
    assert_string_equal(seatmap_hash(map), seatmap_hash(other));
    seatmap_drop(other);

    hall_apply_bucket(
        hall, &(bucket_change_t){.bucket = 1, .capacity = 201, .version = 1},
        1);
    assert_false(seatmap_fits(map, hall));
    other = new_map(hall);
    assert_string_not_equal(seatmap_hash(map), seatmap_hash(other));

    seatmap_drop(other);
    seatmap_drop(map);
    hall_free(hall);
}

static void test_json(void **state)
{
    hall_t *hall = small_hall();
    seatmap_t *map = new_map(hall);
    seatmap_view_t view;
    body_t *body;

    (void)state;

    assert_int_equal(seatmap_view_init(&view, map, true), 0);
    seatmap_take(&view, hall);
    assert_true(view.tag == hall->tag);
    body = seatmap_json(map, &view);
    assert_body(
        body,
        "{\"performance\":7,\"seats\":["
        "{\"seat\":\"A-1\",\"state\":\"free\",\"version\":0},"
        "{\"seat\":\"A-2\",\"state\":\"held\",\"version\":4},"
        "{\"seat\":\"B-1\",\"state\":\"sold\",\"version\":4294967295},"
        "{\"seat\":\"R-1\",\"state\":\"blocked\",\"version\":2},"
        "{\"seat\":\"R-2\",\"state\":\"blocked\",\"version\":0}],"
        "\"pools\":[{\"pool\":\"floor\",\"left\":450,\"capacity\":500}]}");

    body_drop(body);
    seatmap_view_clear(&view);
    seatmap_drop(map);
    hall_free(hall);
}

/* Seats 0 to 3 are 0, 1, 2, 3 in the first byte, seat 4 is 3 in the second:
 * e4 03. */
static void test_compact(void **state)
{
    hall_t *hall = small_hall();
    seatmap_t *map = new_map(hall);
    seatmap_view_t view;
    char expected[256];
    body_t *body;

    (void)state;

    assert_int_equal(seatmap_view_init(&view, map, false), 0);
    seatmap_take(&view, hall);
    body = seatmap_compact(map, &view, "1732200000000-3");
    snprintf(expected, sizeof(expected),
             "{\"performance\":7,\"map\":\"/v1/performances/7/map/%s\","
             "\"event\":\"1732200000000-3\",\"states\":\"5AM=\","
             "\"pools\":[450]}",
             seatmap_hash(map));
    assert_body(body, expected);
    body_drop(body);

    /* The hold runs out: the seat is free, 00 in bits 2 and 3: e0 03. */
    hall_lapse(hall, 1000);
    seatmap_take(&view, hall);
    body = seatmap_compact(map, &view, "");
    snprintf(expected, sizeof(expected),
             "{\"performance\":7,\"map\":\"/v1/performances/7/map/%s\","
             "\"event\":\"\",\"states\":\"4AM=\",\"pools\":[450]}",
             seatmap_hash(map));
    assert_body(body, expected);
    body_drop(body);

    seatmap_view_clear(&view);
    seatmap_drop(map);
    hall_free(hall);
}

static void test_only_pools(void **state)
{
    hall_t *hall = hall_new(0, 0, 0, 0);
    seatmap_view_t view;
    seatmap_t *map;
    body_t *body;

    (void)state;

    assert_non_null(hall);
    assert_int_equal(hall_finish(hall), 0);
    map = new_map(hall);
    assert_int_equal(seatmap_view_init(&view, map, true), 0);
    seatmap_take(&view, hall);
    body = seatmap_json(map, &view);
    assert_body(body, "{\"performance\":0,\"seats\":[],\"pools\":[]}");

    body_drop(body);
    seatmap_view_clear(&view);
    seatmap_drop(map);
    hall_free(hall);
}

static double since_us(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (double)(now.tv_sec - start->tv_sec) * 1e6 +
           (double)(now.tv_nsec - start->tv_nsec) / 1e3;
}

static hall_t *large_hall(void)
{
    hall_t *hall = hall_new(1, 1, 80000, 0);
    char name[16];

    assert_non_null(hall);
    strcpy(hall->tier[0], "standard");
    strcpy(hall->section[0].name, "Hall");
    for (uint32_t i = 0; i < 80000; i++) {
        snprintf(name, sizeof(name), "R%u-%u", i / 100, i % 100);
        set_seat(hall, i, name, 0, (uint16_t)(i / 100), (uint16_t)(i % 100));
    }
    assert_int_equal(hall_finish(hall), 0);
    for (uint32_t i = 0; i < 80000; i++) {
        hear(hall, i, i % 3 ? SEAT_FREE : SEAT_SOLD, i % 7, 0);
    }

    return hall;
}

static void test_large(void **state)
{
    hall_t *hall = large_hall();
    struct timespec start;
    double take_us, render_us;
    seatmap_view_t view;
    seatmap_t *map;
    body_t *body;

    (void)state;

    clock_gettime(CLOCK_MONOTONIC, &start);
    map = new_map(hall);
    render_us = since_us(&start);
    print_message("# 80,000 seats: geometry of %zu bytes in %.0f us\n",
                  body_len(seatmap_geometry(map)), render_us);

    for (int versions = 0; versions < 2; versions++) {
        assert_int_equal(seatmap_view_init(&view, map, versions), 0);
        clock_gettime(CLOCK_MONOTONIC, &start);
        seatmap_take(&view, hall);
        take_us = since_us(&start);
        clock_gettime(CLOCK_MONOTONIC, &start);
        body = versions ? seatmap_json(map, &view)
                        : seatmap_compact(map, &view, "");
        render_us = since_us(&start);
        assert_non_null(body);
        print_message("# %s: %zu bytes, %.0f us under the lock, %.0f us "
                      "outside\n",
                      versions ? "json" : "compact", body_len(body), take_us,
                      render_us);
        body_drop(body);
        seatmap_view_clear(&view);
    }

    seatmap_drop(map);
    hall_free(hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_geometry),   cmocka_unit_test(test_hash_and_fit),
        cmocka_unit_test(test_json),       cmocka_unit_test(test_compact),
        cmocka_unit_test(test_only_pools), cmocka_unit_test(test_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
