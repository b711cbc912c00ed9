/*
 * A hold as it is kept and as it is told: ids, the column items, JSON.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hold_json.h"

#define OWNER "hall:20261201/7-4294967299" /* 2^32 + 3 */

static void test_id(void **state)
{
    char text[HOLD_ID_LEN + 1];
    hold_id_t id, other;

    (void)state;
    hold_id_make(&id, 0x01020304, OWNER, "key");
    hold_id_write(&id, text);

    /* printf 'hall:20261201/7-4294967299\0key' | sha256sum */
    assert_string_equal(text, "0102030400000003820ffdfc0a51008e");
    assert_int_equal(hold_id_performance(&id), 0x01020304);

    hold_id_make(&other, 0x01020304, OWNER, "kez");
    assert_memory_equal(&id, &other, 8);
    assert_false(hold_id_equal(&id, &other));
    hold_id_make(&other, 0x01020304, "hall/7-3", "key");
    assert_memory_equal(&id, &other, 8);
    assert_false(hold_id_equal(&id, &other));
    hold_id_make(&other, 0xffffffff, OWNER, "key");
    assert_int_equal(hold_id_performance(&other), 0xffffffff);
}

static void test_id_range(void **state)
{
    hold_id_t first, last, id;

    (void)state;
    hold_id_first(&first, 5, OWNER);
    hold_id_last(&last, 5, OWNER);
    for (int i = 0; i < 1000; i++) {
        char key[16];

        snprintf(key, sizeof(key), "%d", i);
        hold_id_make(&id, 5, OWNER, key);
        assert_true(memcmp(&first, &id, sizeof(id)) <= 0);
        assert_true(memcmp(&id, &last, sizeof(id)) <= 0);
    }
    hold_id_make(&id, 6, OWNER, "key");
    assert_true(memcmp(&last, &id, sizeof(id)) < 0);
    hold_id_make(&id, 5, "hall/7-4", "key");
    assert_true(memcmp(&last, &id, sizeof(id)) < 0);
    hold_id_make(&id, 5, "hall/7-2", "key");
    assert_true(memcmp(&id, &first, sizeof(id)) < 0);
}

static void test_items(void **state)
{
    hold_t hold = {.n_seats = 2,
                   .seat = {{0, 1}, {65536, UINT32_MAX}},
                   .n_parts = 2,
                   .part = {{0, 1, 2}, {UINT16_MAX, UINT16_MAX, 10}}};
    hold_t read = {0};
    char text[HOLD_ITEMS_MAX + 1];

    (void)state;
    assert_int_equal(hold_units(&hold), 14);
    hold_items_write(&hold, text);
    assert_string_equal(text, "{\"seats\":[[0,1],[65536,4294967295]],"
                              "\"pools\":[[0,1,2],[65535,65535,10]]}");
    assert_int_equal(hold_items_read(&read, text), 0);
    assert_memory_equal(&read, &hold, sizeof(hold));

    hold_items_write(&(hold_t){0}, text);
    assert_string_equal(text, "{\"seats\":[],\"pools\":[]}");
    assert_int_equal(hold_items_read(&read, text), 0);
    assert_int_equal(read.n_seats + read.n_parts, 0);
}

/* The longest there can be has room, and is read. */
static void test_items_longest(void **state)
{
    hold_t hold = {.n_seats = HOLD_UNITS_MAX, .n_parts = HOLD_PARTS_MAX};
    hold_t read = {0};
    char text[HOLD_ITEMS_MAX + 2];

    (void)state;
    for (unsigned i = 0; i < HOLD_UNITS_MAX; i++) {
        hold.seat[i].seat_no = hold.seat[i].version = UINT32_MAX - i;
    }
    for (unsigned i = 0; i < HOLD_PARTS_MAX; i++) {
        hold.part[i] =
            (standing_part_t){(uint16_t)(UINT16_MAX - i), UINT16_MAX, 10};
    }

    text[HOLD_ITEMS_MAX + 1] = '#';
    hold_items_write(&hold, text);
    assert_int_equal(text[HOLD_ITEMS_MAX + 1], '#');
    assert_int_equal(hold_items_read(&read, text), 0);
    assert_memory_equal(&read, &hold, sizeof(hold));
}

static void test_items_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "null",
        "{\"seats\":[],\"pools\":[]} ",
        "{\"seats\":[],\"pools\":[]",
        "{\"seats\":[[1]],\"pools\":[]}",
        "{\"seats\":[[1,2,3]],\"pools\":[]}",
        "{\"seats\":[[1,2],],\"pools\":[]}",
        "{\"seats\":[,[1,2]],\"pools\":[]}",
        "{\"seats\":[[1,2][3,4]],\"pools\":[]}",
        "{\"seats\":[[-1,2]],\"pools\":[]}",
        "{\"seats\":[[1, 2]],\"pools\":[]}",
        "{\"seats\":[[1,4294967296]],\"pools\":[]}",
        "{\"seats\":[[1,18446744073709551617]],\"pools\":[]}",
        "{\"seats\":[],\"pools\":[[65536,0,1]]}",
        "{\"seats\":[],\"pools\":[[0,65536,1]]}",
        "{\"seats\":[],\"pools\":[[0,0,11]]}",
        "{\"seats\":[],\"pools\":[[0,0]]}",
        "{\"seats\":[[0,0],[1,0],[2,0],[3,0],[4,0],[5,0],[6,0],[7,0],[8,0],"
        "[9,0],[10,0]],\"pools\":[]}",
        "{\"seats\":[],\"pools\":[[0,0,1],[0,1,1],[0,2,1],[0,3,1],[0,4,1],"
        "[0,5,1],[0,6,1],[0,7,1],[0,8,1],[0,9,1],[0,10,1],[0,11,1],[0,12,1],"
        "[0,13,1],[0,14,1],[0,15,1],[0,16,1]]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        hold_t hold = {.n_seats = 1, .n_parts = 1};

        assert_int_equal(hold_items_read(&hold, bad[i]), -1);
        assert_int_equal(hold.n_seats + hold.n_parts, 0);
    }
}

/* Two seats of two tiers, two pools. */
static hall_t *make_hall(void)
{
    hall_t *hall = hall_new(2, 1, 2, 2);

    assert_non_null(hall);
    hall->performance = 9;
    strcpy(hall->tier[0], "gold");
    strcpy(hall->tier[1], "standing");
    strcpy(hall->section[0].name, "Hall");
    for (unsigned i = 0; i < 2; i++) {
        snprintf(hall->seat[i].name, sizeof(hall->seat[i].name), "A-%u", i + 1);
        hall->seat[i].pos = (uint16_t)i;
    }
    strcpy(hall->pool[0].name, "floor");
    strcpy(hall->pool[1].name, "balcony");
    hall->pool[0].tier = hall->pool[1].tier = 1;

    return hall;
}

static hold_t make_hold(void)
{
    return (hold_t){.performance = 9,
                    .ttl_ms = 300000,
                    .created_ms = 1795374999007,
                    .expires_ms = 1795375299007,
                    .n_seats = 2,
                    .seat = {{0, 3}, {1, 8}},
                    .n_parts = 3,
                    .part = {{1, 0, 2}, {0, 4, 1}, {1, 3, 3}}};
}

static void test_json_made(void **state)
{
    hall_t *hall = make_hall();
    hold_t hold = make_hold();
    char json[HOLD_JSON_MAX], again[HOLD_JSON_MAX];
    size_t len = hold_json_made(json, &hold, hall);

    (void)state;
    assert_int_equal(len, strlen(json));
    assert_string_equal(
        json, "{\"hold\":\"00000000000000000000000000000000\","
              "\"performance\":9,\"expires_at\":\"2026-11-22T19:21:39.007Z\","
              "\"expires_in_ms\":300000,\"seats\":["
              "{\"seat\":\"A-1\",\"version\":3,\"tier\":\"gold\"},"
              "{\"seat\":\"A-2\",\"version\":8,\"tier\":\"gold\"}],\"pools\":["
              "{\"pool\":\"balcony\",\"quantity\":5,\"tier\":\"standing\"},"
              "{\"pool\":\"floor\",\"quantity\":1,\"tier\":\"standing\"}]}");

    /* Whatever becomes of it, this is what it was made as. */
    hold.expires_ms += 100000;
    hold.extended = true;
    assert_int_equal(hold_json_made(again, &hold, hall), len);
    assert_string_equal(again, json);

    hall_free(hall);
}

static void test_json_now(void **state)
{
    hall_t *hall = make_hall();
    hold_t hold = make_hold();
    char json[HOLD_JSON_MAX];

    (void)state;
    hold.n_seats = 1;
    hold.n_parts = 0;
    assert_true(hold_json_now(json, &hold, hall, hold.expires_ms - 7) > 0);
    assert_non_null(strstr(json, "\"expires_in_ms\":7,\"extended\":false,"));
    assert_non_null(strstr(json, "\"version\":3,"));
    assert_non_null(strstr(json, "\"pools\":[]}"));

    hold.extended = true;
    assert_true(hold_json_now(json, &hold, hall, hold.expires_ms + 1) > 0);
    assert_non_null(strstr(json, "\"expires_in_ms\":0,\"extended\":true,"));
    assert_non_null(strstr(json, "\"version\":4,"));

    hall_free(hall);
}

/* What the hall does not have cannot be told. */
static void test_json_unknown(void **state)
{
    hall_t *hall = make_hall();
    hold_t hold = make_hold();
    char json[HOLD_JSON_MAX];

    (void)state;
    hold.seat[1].seat_no = 2;
    assert_int_equal(hold_json_made(json, &hold, hall), 0);
    hold = make_hold();
    hold.part[0].pool_no = 2;
    assert_int_equal(hold_json_made(json, &hold, hall), 0);

    hall_free(hall);
}

/* The longest names and numbers fit. */
static void test_json_longest(void **state)
{
    hall_t *hall = hall_new(1, 1, HOLD_UNITS_MAX, HOLD_UNITS_MAX);
    hold_t hold = {.performance = UINT32_MAX,
                   .expires_ms = 4102444799999,
                   .n_seats = HOLD_UNITS_MAX,
                   .n_parts = HOLD_UNITS_MAX};
    char json[HOLD_JSON_MAX];
    size_t len;

    (void)state;
    assert_non_null(hall);
    memset(hall->tier[0], 't', SEAT_TIER_MAX);
    for (unsigned i = 0; i < HOLD_UNITS_MAX; i++) {
        memset(hall->seat[i].name, 's', SEAT_NAME_MAX);
        memset(hall->pool[i].name, 'p', POOL_NAME_MAX);
        hold.seat[i].seat_no = i;
        hold.seat[i].version = UINT32_MAX;
        hold.part[i] = (standing_part_t){(uint16_t)i, 0, 10};
    }
    len = hold_json_now(json, &hold, hall, 0);
    assert_int_equal(len, strlen(json));
    assert_string_equal(json + strlen(json) - 3, "}]}");

    hall_free(hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id),
        cmocka_unit_test(test_id_range),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_items_longest),
        cmocka_unit_test(test_items_refused),
        cmocka_unit_test(test_json_made),
        cmocka_unit_test(test_json_now),
        cmocka_unit_test(test_json_unknown),
        cmocka_unit_test(test_json_longest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
