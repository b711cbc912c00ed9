/*
 * The last events of a performance: what listeners get, and when they have to
 * begin anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ring.h"

static ring_id_t id_of(uint64_t ms, uint64_t seq)
{
    return (ring_id_t){ms, seq};
}

/* Expects this text after the id, and the id then. */
static void expect(ring_t *ring, ring_id_t after, ring_id_t last,
                   const char *expected)
{
    char *text = NULL;
    size_t len = 0;

    assert_int_equal(ring_after(ring, &after, last, &text, &len),
                     RING_EVENTS_FOLLOW);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    assert_int_equal(ring_id_compare(&after, &last), 0);
    free(text);
}

static ring_result_t result(ring_t *ring, ring_id_t after, ring_id_t last)
{
    char *text = NULL;
    size_t len;
    ring_result_t got = ring_after(ring, &after, last, &text, &len);

    free(text);

    return got;
}

static void add(ring_t *ring, ring_id_t id, uint32_t seat, uint32_t state)
{
    ring_item_t item = {seat, state};

    ring_add(ring, id, &item, 1, 0);
}

static void test_ids(void **state)
{
    static const char *const bad[] = {"1",
                                      "-",
                                      "1-",
                                      "-1",
                                      "1-2-3",
                                      "1-2 ",
                                      " 1-2",
                                      "+1-2",
                                      "a-b",
                                      "1--2",
                                      "18446744073709551616-0",
                                      "0-18446744073709551616"};
    static const char *const good[] = {
        "1-0", "0-1", "1732200000000-12",
        "18446744073709551615-18446744073709551615"};
    char text[RING_ID_SIZE];
    ring_id_t id, other;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ring_id_read(&id, bad[i]), -1);
    }

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(ring_id_read(&id, good[i]), 0);
        ring_id_write(&id, text);
        assert_string_equal(text, good[i]);
    }

    assert_int_equal(ring_id_read(&id, ""), 0);
    ring_id_write(&id, text);
    assert_string_equal(text, "");

    /* By number: as text, 9 comes after 10. */
    id = id_of(9, 9);
    other = id_of(9, 10);
    assert_true(ring_id_compare(&id, &other) < 0);
    other = id_of(10, 0);
    assert_true(ring_id_compare(&id, &other) < 0);
    assert_true(ring_id_compare(&other, &id) > 0);

    id = ring_id_before(other);
    assert_true(id.ms == 9 && id.seq == UINT64_MAX);
    id = ring_id_behind(id);
    assert_int_equal(ring_id_compare(&id, &other), 0);
}

static void test_one_event(void **state)
{
    ring_item_t items[] = {{12, 1}, {3, 2}, {0, 480}};
    ring_t *ring = ring_new(id_of(5, 0));

    (void)state;
    assert_int_equal(result(ring, id_of(5, 0), id_of(5, 0)), RING_QUIET);
    ring_add(ring, id_of(9, 1), items, 2, 1);
    expect(ring, id_of(5, 0), id_of(9, 1),
           "id: 9-1\nevent: seats\n"
           "data: {\"seats\":[[3,2],[12,1]],\"pools\":[[0,480]]}\n\n");
    assert_int_equal(result(ring, id_of(9, 1), id_of(9, 1)), RING_QUIET);
    ring_free(ring);
}

static void test_several_are_one(void **state)
{
    ring_item_t pool = {1, 7};
    ring_t *ring = ring_new(id_of(0, 0));

    (void)state;
    add(ring, id_of(10, 0), 4, 1);
    add(ring, id_of(10, 1), 5, 1);
    add(ring, id_of(11, 0), 4, 0);
    ring_add(ring, id_of(12, 0), &pool, 0, 1);
    expect(ring, id_of(0, 0), id_of(12, 0),
           "id: 12-0\nevent: seats\n"
           "data: {\"seats\":[[4,0],[5,1]],\"pools\":[[1,7]]}\n\n");

    /* Another listener has heard more, and then there is more. */
    expect(ring, id_of(10, 1), id_of(12, 0),
           "id: 12-0\nevent: seats\n"
           "data: {\"seats\":[[4,0]],\"pools\":[[1,7]]}\n\n");
    add(ring, id_of(13, 0), 6, 3);
    expect(ring, id_of(10, 1), id_of(13, 0),
           "id: 13-0\nevent: seats\n"
           "data: {\"seats\":[[4,0],[6,3]],\"pools\":[[1,7]]}\n\n");

    /* An id between events, of another performance, is as good. */
    expect(ring, id_of(12, 5), id_of(13, 0),
           "id: 13-0\nevent: seats\n"
           "data: {\"seats\":[[6,3]],\"pools\":[]}\n\n");
    ring_free(ring);
}

static void test_gone(void **state)
{
    ring_t *ring = ring_new(id_of(100, 0));

    (void)state;
    add(ring, id_of(101, 0), 1, 1);
    assert_int_equal(result(ring, id_of(99, 9), id_of(101, 0)), RING_GONE);
    assert_int_equal(result(ring, id_of(0, 0), id_of(101, 0)), RING_GONE);
    assert_int_equal(result(ring, id_of(101, 1), id_of(101, 0)), RING_GONE);
    assert_int_equal(result(ring, id_of(101, 1), id_of(101, 1)), RING_QUIET);

    ring_reset(ring, id_of(200, 0));
    assert_int_equal(result(ring, id_of(101, 0), id_of(200, 0)), RING_GONE);
    assert_int_equal(result(ring, id_of(200, 0), id_of(200, 0)), RING_QUIET);
    add(ring, id_of(201, 0), 2, 1);
    expect(ring, id_of(200, 0), id_of(201, 0),
           "id: 201-0\nevent: seats\n"
           "data: {\"seats\":[[2,1]],\"pools\":[]}\n\n");
    ring_free(ring);
}

static void test_so_many(void **state)
{
    const unsigned n = RING_EVENTS + 10;
    ring_t *ring = ring_new(id_of(0, 0));

    (void)state;
    for (unsigned i = 1; i <= n; i++) {
        add(ring, id_of(i, 0), 1, i % 2);
    }

    /* Those that are left are 11 to n: who has heard 10 misses nothing. */
    assert_int_equal(result(ring, id_of(10, 0), id_of(n, 0)),
                     RING_EVENTS_FOLLOW);
    assert_int_equal(result(ring, id_of(9, 9), id_of(n, 0)), RING_GONE);
    ring_free(ring);
}

static void test_so_many_bytes(void **state)
{
    const unsigned seats = 10000; /* eight bytes each, so fifty fit */
    ring_item_t *items = calloc(seats, sizeof(*items));
    ring_t *ring = ring_new(id_of(0, 0));

    (void)state;
    assert_non_null(items);
    for (unsigned i = 0; i < seats; i++) {
        items[i] = (ring_item_t){i % 100, 1};
    }

    for (unsigned i = 1; i <= 60; i++) {
        ring_add(ring, id_of(i, 0), items, seats, 0);
    }

    assert_int_equal(result(ring, id_of(5, 0), id_of(60, 0)), RING_GONE);
    assert_int_equal(result(ring, id_of(20, 0), id_of(60, 0)),
                     RING_EVENTS_FOLLOW);
    ring_free(ring);
    free(items);
}

/* Each event's text has half the length that there may be at most. */
static void test_long_text(void **state)
{
    const unsigned seats = RING_TEXT_MAX / 2 / (sizeof("[10000,1],") - 1);
    ring_item_t *items = calloc(seats, sizeof(*items));
    ring_t *ring = ring_new(id_of(0, 0));

    (void)state;
    assert_non_null(items);
    for (unsigned event = 1; event <= 3; event++) {
        for (unsigned i = 0; i < seats; i++) {
            items[i] = (ring_item_t){10000 * event + i, 1};
        }
        ring_add(ring, id_of(event, 0), items, seats, 0);
    }

    for (unsigned times = 0; times < 2; times++) {
        assert_int_equal(result(ring, id_of(0, 0), id_of(3, 0)), RING_GONE);
        assert_int_equal(result(ring, id_of(0, 9), id_of(3, 0)), RING_GONE);
        assert_int_equal(result(ring, id_of(1, 0), id_of(3, 0)), RING_GONE);
        assert_int_equal(result(ring, id_of(2, 0), id_of(3, 0)),
                         RING_EVENTS_FOLLOW);
    }

    add(ring, id_of(4, 0), 1, 1);
    assert_int_equal(result(ring, id_of(1, 0), id_of(4, 0)), RING_GONE);
    assert_int_equal(result(ring, id_of(2, 0), id_of(4, 0)),
                     RING_EVENTS_FOLLOW);
    ring_free(ring);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_one_event),
        cmocka_unit_test(test_several_are_one),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_so_many),
        cmocka_unit_test(test_so_many_bytes),
        cmocka_unit_test(test_long_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
