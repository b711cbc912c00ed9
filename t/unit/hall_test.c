/*
 * A performance in memory: seats by name, what of it is heard and in which
 * order, holds that run out, and counts that agree with a count of all.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "seat_rows.h"

static hall_t *finished(unsigned sections, unsigned rows, unsigned seats,
                        unsigned pools, unsigned buckets)
{
    hall_t *hall = seat_rows(sections, rows, seats, pools);

    for (unsigned i = 0; i < pools; i++) {
        snprintf(hall->pool[i].name, sizeof(hall->pool[i].name), "pool-%u", i);
        assert_int_equal(hall_set_buckets(hall, i, buckets), 0);
    }

    assert_int_equal(hall_finish(hall), 0);

    return hall;
}

static void names_are_found(void **state)
{
    hall_t *hall = finished(4, 100, 50, 2, 1);
    char long_name[200];

    (void)state;

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        assert_int_equal(hall_find_seat(hall, hall->seat[i].name), i);
    }

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(hall_find_seat(hall, long_name), HALL_NONE);
    assert_int_equal(hall_find_seat(hall, ""), HALL_NONE);
    assert_int_equal(hall_find_seat(hall, "0-1-51"), HALL_NONE);
    assert_int_equal(hall_find_pool(hall, "pool-1"), 1);
    assert_int_equal(hall_find_pool(hall, "pool"), HALL_NONE);
    assert_int_equal(hall_find_tier(hall, "tier-2"), 2);
    assert_int_equal(hall_find_tier(hall, "tier-3"), HALL_NONE);

    hall_free(hall);
}

static void rows_are_built(void **state)
{
    hall_t *hall = seat_rows(2, 3, 10, 0);

    (void)state;

    hall->seat[14].tier = 1;
    hall->seat[23].x = -5;
    hall->seat[23].y = INT32_MAX;
    assert_int_equal(hall_finish(hall), 0);

    assert_int_equal(hall->n_rows, 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(hall->row[i].first, i * 10);
        assert_int_equal(hall->row[i].n, 10);
        assert_int_equal(hall->row[i].section, i / 3);
        assert_int_equal(hall->row[i].n_free, 0);
        assert_int_equal(hall->row[i].tier, i == 1 ? HALL_TIERS : 0);
        assert_int_equal(hall->seat[i * 10 + 9].row, i);
    }

    assert_int_equal(hall->row[2].min_x, -5);
    assert_int_equal(hall->row[2].max_x, 900);
    assert_int_equal(hall->row[2].min_y, 200);
    assert_int_equal(hall->row[2].max_y, INT32_MAX);
    assert_int_equal(hall->row[0].nearest, 2500);
    assert_int_equal(hall->row[5].nearest, 200 * 200 + 2500);

    hall_free(hall);
    hall_free(NULL);
}

static void an_empty_hall(void **state)
{
    hall_t *hall = finished(0, 0, 0, 0, 0);
    change_t change = {0};

    (void)state;

    assert_int_equal(hall_find_seat(hall, "A-1"), HALL_NONE);
    hall_apply(hall, &change, 5);
    hall_lapse(hall, 5);
    assert_int_equal(hall->n_rows, 0);

    hall_free(hall);
}

static void wrong_maps_are_refused(void **state)
{
    (void)state;

    for (int i = 0; i < 6; i++) {
        hall_t *hall = seat_rows(2, 2, 5, 0);

        switch (i) {
        case 0:
            hall->seat[3].pos = hall->seat[2].pos;
            break;
        case 1:
            hall->seat[3].pos = hall->seat[4].pos + 1;
            break;
        case 2:
            hall->seat[5].row_no = 0;
            break;
        case 3:
            hall->seat[19].section = 0;
            break;
        case 4:
            hall->seat[19].section = 2;
            break;
        default:
            hall->seat[7].tier = TIERS;
        }

        assert_int_equal(hall_finish(hall), -1);
        hall_free(hall);
    }
}

/* Points as far from each other as can be: ten distances can be added up. */
static void distances(void **state)
{
    uint64_t most = hall_distance(INT32_MIN, INT32_MIN, INT32_MAX, INT32_MAX);

    (void)state;

    assert_int_equal(hall_distance(-3, 1, 0, 5), 25);
    assert_int_equal(hall_distance(0, 5, -3, 1), 25);
    assert_true(most <= UINT64_MAX / 10);
    assert_true(hall_distance(0, 0, 700000000, 0) ==
                UINT64_C(49) * 100 * 100 * 100 * 100 * 100 * 100 * 100 * 100);
    assert_true(hall_distance(0, 0, 800000000, 0) <= most);
    assert_true(hall_distance(0, 0, 800000000, 0) >
                hall_distance(0, 0, 700000000, 0));
}

static void newer_wins(void **state)
{
    hall_t *hall = finished(1, 1, 5, 0, 0);
    hall_seat_t *seat = &hall->seat[2];
    seat_change_t change = heard(2, SEAT_BLOCKED, 5, 0);

    (void)state;

    /* never heard of: as good as blocked, and takes anything */
    assert_int_equal(hall_shown(seat, 0), SEAT_BLOCKED);
    assert_false(seat->heard);
    assert_true(hall_apply_seat(hall, &change, 70));
    assert_true(seat->heard);
    assert_int_equal(seat->seen_ms, 70);

    change = heard(2, SEAT_FREE, 4, 0);
    assert_false(hall_apply_seat(hall, &change, 71));
    assert_int_equal(seat->state, SEAT_BLOCKED);
    assert_int_equal(seat->seen_ms, 70);

    change = heard(2, SEAT_FREE, 5, 0); /* changed by hand */
    assert_true(hall_apply_seat(hall, &change, 72));
    assert_int_equal(seat->state, SEAT_FREE);
    assert_false(hall_apply_seat(hall, &change, 73));
    assert_int_equal(seat->seen_ms, 73);

    change = heard(2, SEAT_HELD, 6, 1000);
    assert_true(hall_apply_seat(hall, &change, 74));
    assert_true(hold_id_equal(&seat->hold, &change.hold));
    assert_int_equal(seat->expires_ms, 1000);

    /* only held seats have a hold, whatever is said */
    change.state = SEAT_SOLD;
    change.version = 7;
    assert_true(hall_apply_seat(hall, &change, 75));
    assert_true(hold_id_is_zero(&seat->hold));
    assert_int_equal(seat->expires_ms, 0);

    change.seat_no = 5; /* there is none */
    assert_false(hall_apply_seat(hall, &change, 76));
    assert_int_equal(hall->changes, 4);

    hall_free(hall);
}

static void only_what_is_shown_is_a_change(void **state)
{
    hall_t *hall = finished(1, 1, 5, 0, 0);
    seat_change_t change = heard(1, SEAT_HELD, 1, 1000);
    uint64_t tag;

    (void)state;

    open_all(hall);
    assert_true(hall_apply_seat(hall, &change, 0));
    tag = hall->tag;
    change.expires_ms = 2000;
    change.hold.byte[0] ^= 1;
    assert_false(hall_apply_seat(hall, &change, 0));
    assert_true(hall->tag == tag);
    assert_int_equal(hall->seat[1].expires_ms, 2000);

    hall_set_batch(hall, 3, 9, 0);
    assert_true(hall->tag == tag);

    change.version = 2;
    assert_true(hall_apply_seat(hall, &change, 0));
    assert_true(hall->tag != tag);

    hall_free(hall);
}

static void holds_run_out(void **state)
{
    hall_t *hall = finished(2, 2, 5, 0, 0);
    uint64_t changes;

    (void)state;

    open_all(hall);
    assert_true(hall->lapse_ms == INT64_MAX);
    hear(hall, 3, SEAT_HELD, 1, 1000);
    hear(hall, 4, SEAT_HELD, 1, 500);
    hear(hall, 12, SEAT_HELD, 1, 700);
    assert_int_equal(hall->lapse_ms, 500);
    assert_int_equal(hall->row[0].n_free, 3);
    changes = hall->changes;

    hall_lapse(hall, 499);
    assert_int_equal(hall->changes, changes);
    assert_int_equal(hall_shown(&hall->seat[4], 499), SEAT_HELD);
    assert_int_equal(hall_shown(&hall->seat[4], 500), SEAT_FREE);

    hall_lapse(hall, 500);
    assert_int_equal(hall->changes, changes + 1);
    assert_int_equal(hall->row[0].n_free, 4);
    assert_int_equal(hall->lapse_ms, 700);

    hall_lapse(hall, 1000);
    assert_int_equal(hall->changes, changes + 3);
    assert_int_equal(hall->row[0].n_free, 5);
    assert_true(hall->lapse_ms == INT64_MAX);
    hall_lapse(hall, 2000);
    assert_int_equal(hall->changes, changes + 3);

    /* heard of only when it has run out already */
    hear(hall, 5, SEAT_HELD, 1, 0);
    assert_int_equal(hall->row[1].n_free, 5);

    /* extended: the same version, or a higher one, later */
    hear(hall, 5, SEAT_HELD, 2, 3000);
    hear(hall, 5, SEAT_HELD, 3, 4000);
    hall_lapse(hall, 3000);
    assert_int_equal(hall->row[1].n_free, 4);
    assert_int_equal(hall->lapse_ms, 4000);

    hall_free(hall);
}

static void batches_mark_seats(void **state)
{
    hall_t *hall = finished(1, 1, 5, 0, 0);

    (void)state;

    open_all(hall);
    hall_set_batch(hall, 2, 1, 0);
    assert_int_equal(hall->row[0].n_free, 4);
    assert_int_equal(hall->row[0].n_marked, 1);
    hall_set_batch(hall, 2, 2, 0);
    assert_int_equal(hall->row[0].n_free, 4);
    assert_int_equal(hall->row[0].n_marked, 1);

    /* taken by the batch, and then given up by it */
    hear(hall, 2, SEAT_HELD, 1, 1000);
    hall_set_batch(hall, 2, 0, 0);
    assert_int_equal(hall->row[0].n_free, 4);
    assert_int_equal(hall->row[0].n_marked, 0);

    /* one whose hold has run out and was not noticed */
    hall_set_batch(hall, 2, 1, 1000);
    assert_int_equal(hall->row[0].n_free, 4);
    hall_set_batch(hall, 2, 0, 1000);
    assert_int_equal(hall->row[0].n_free, 5);

    hall_free(hall);
}

static void check_bit(const uint64_t *bits, uint32_t i, bool expected)
{
    assert_int_equal(bits[i / 64] >> i % 64 & 1, expected);
}

/* Counts everything anew, at a time when holds that ran out are noted. */
static void check_counts(const hall_t *hall, int64_t now_ms)
{
    int64_t lapse_ms = INT64_MAX;

    for (unsigned r = 0; r < hall->n_rows; r++) {
        const hall_row_t *row = &hall->row[r];
        uint32_t n_free = 0, n_marked = 0;

        for (uint32_t i = row->first; i < row->first + row->n; i++) {
            const hall_seat_t *seat = &hall->seat[i];
            seat_state_t shown = hall_shown(seat, now_ms);
            bool is_free = shown == SEAT_FREE;

            assert_int_equal(seat->shown, shown);
            check_bit(hall->free, i, is_free);
            check_bit(hall->open, i, is_free && seat->batch == 0);
            n_free += is_free && seat->batch == 0;
            n_marked += seat->batch != 0;
            if (shown == SEAT_HELD && seat->expires_ms < lapse_ms) {
                lapse_ms = seat->expires_ms;
            }
        }

        assert_int_equal(row->n_free, n_free);
        assert_int_equal(row->n_marked, n_marked);
    }

    assert_true(hall->lapse_ms <= lapse_ms);
}

static void counts_stay_right(void **state)
{
    hall_t *hall = finished(2, 5, 30, 0, 0);
    int64_t now_ms = 0;

    (void)state;
    srandom(20261203);

    for (int i = 0; i < 20000; i++) {
        uint32_t seat_no = any_of(300);
        seat_change_t change =
            heard(seat_no, any_of(4),
                  hall->seat[seat_no].version + any_of(4) - any_of(2),
                  now_ms + any_of(400) - 50);

        now_ms += any_of(3);
        switch (any_of(4)) {
        case 0:
            hall_set_batch(hall, seat_no, (uint8_t)any_of(3), now_ms);
            break;
        case 1:
            hall_lapse(hall, now_ms);
            break;
        default:
            if (change.version < 1U << 31) {
                (void)hall_apply_seat(hall, &change, now_ms);
            }
        }

        if (i % 20 == 0) {
            hall_lapse(hall, now_ms);
            check_counts(hall, now_ms);
        }
    }

    hall_free(hall);
}

/* The same events in another order, at other times, some twice. */
static void tags_are_of_what_is_shown(void **state)
{
    (void)state;
    srandom(20261204);

    for (int round = 0; round < 50; round++) {
        hall_t *a = finished(2, 5, 30, 2, 4), *b = finished(2, 5, 30, 2, 4);
        change_t change = {0};

        for (uint32_t i = 0; i < 400; i++) {
            seat_change_t seat = heard(any_of(300), any_of(4), i, any_of(200));
            bucket_change_t bucket = {
                (uint16_t)any_of(2), (uint16_t)any_of(4), 2000,
                any_of(1000),        any_of(1000),        i + 1};

            assert_int_equal(change_add_seat(&change, &seat), 0);
            assert_int_equal(change_add_bucket(&change, &bucket), 0);
        }

        hall_apply(a, &change, 50);
        hall_lapse(a, 100);

        for (unsigned i = 0; i < change.n_seats; i++) {
            unsigned k = any_of(change.n_seats);

            (void)hall_apply_seat(b, &change.seat[k], i / 3);
            (void)hall_apply_bucket(b, &change.bucket[k], i / 3);
        }
        hall_apply(b, &change, 100);
        hall_lapse(b, 100);

        assert_true(a->tag == b->tag);
        check_counts(b, 100);
        change_clear(&change);
        hall_free(a);
        hall_free(b);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void tags_differ(void **state)
{
    static uint64_t tag[50 * 4 * 100 + 5 * 5 * 5 * 5];
    hall_t *hall = finished(1, 5, 10, 1, 5);
    size_t n = 0;

    (void)state;

    for (uint32_t i = 0; i < 50; i++) {
        for (uint32_t version = 1; version <= 100; version++) {
            for (seat_state_t s = SEAT_FREE; s <= SEAT_BLOCKED; s++) {
                hear(hall, i, s, version, 1000);
                tag[n++] = hall->tag;
            }
        }
    }

    for (uint32_t i = 1; i <= 5 * 5 * 5 * 5; i++) {
        bucket_change_t bucket = {0,          0,         40 + i / 125,
                                  i / 25 % 5, i / 5 % 5, i / 5};

        bucket.bucket = (uint16_t)(i % 5);
        (void)hall_apply_bucket(hall, &bucket, 0);
        tag[n++] = hall->tag;
    }

    qsort(tag, n, sizeof(tag[0]), by_value);
    for (size_t i = 1; i < n; i++) {
        assert_true(tag[i] != tag[i - 1]);
    }

    hall_free(hall);
}

static void buckets(void **state)
{
    hall_t *hall = finished(0, 0, 0, 2, 3);
    bucket_change_t change = {1, 2, 500, 3, 4, 0};
    const hall_pool_t *pool = &hall->pool[1];

    (void)state;

    assert_int_equal(hall_pool_left(pool), 0);
    assert_true(hall_apply_bucket(hall, &change, 60));
    assert_int_equal(hall_pool_left(pool), 493);
    assert_int_equal(pool->bucket[2].seen_ms, 60);
    assert_false(hall_apply_bucket(hall, &change, 61));
    assert_int_equal(pool->bucket[2].seen_ms, 61);

    change.held = 10;
    assert_true(hall_apply_bucket(hall, &change, 62)); /* by hand */
    change.version = 3;
    assert_true(hall_apply_bucket(hall, &change, 62));
    change.version = 2;
    change.held = 0;
    assert_false(hall_apply_bucket(hall, &change, 63));
    assert_int_equal(hall_pool_left(pool), 486);
    assert_int_equal(pool->bucket[2].seen_ms, 62);
    assert_int_equal(hall_pool_left(&hall->pool[0]), 0);

    /* more gone than there are, which the database does not let happen */
    change = (bucket_change_t){1, 0, 5, UINT32_MAX, UINT32_MAX, 1};
    assert_true(hall_apply_bucket(hall, &change, 64));
    assert_int_equal(hall_pool_left(pool), 486);

    change.bucket = 3;
    assert_false(hall_apply_bucket(hall, &change, 65));
    change.bucket = 0;
    change.pool_no = 2;
    assert_false(hall_apply_bucket(hall, &change, 65));

    for (uint16_t i = 0; i < 3; i++) {
        change = (bucket_change_t){1, i, UINT32_MAX, 0, 0, 9};
        assert_true(hall_apply_bucket(hall, &change, 66));
    }
    assert_true(hall_pool_left(pool) == UINT32_MAX);

    hall_free(hall);
}

/* Told, not judged. */
static void how_long_it_takes(void **state)
{
    hall_t *hall = finished(8, 100, 100, 0, 0);
    double begin, applying, lapsing, all;

    (void)state;

    open_all(hall);
    begin = microseconds();
    for (uint32_t i = 0; i < hall->n_seats; i++) {
        hear(hall, i, SEAT_HELD, 1, 1000 + i);
    }
    applying = microseconds() - begin;

    begin = microseconds();
    for (int64_t now = 1000; now < 2000; now++) {
        hall_lapse(hall, now);
    }
    lapsing = microseconds() - begin;

    begin = microseconds();
    hall_lapse(hall, 1000000);
    all = microseconds() - begin;

    print_message("# 80,000 seats: an event applied in %.3f us, a hold that "
                  "runs out noted in %.2f us, 79,000 at once in %.0f us\n",
                  applying / hall->n_seats, lapsing / 1000, all);
    hall_free(hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(rows_are_built),
        cmocka_unit_test(an_empty_hall),
        cmocka_unit_test(wrong_maps_are_refused),
        cmocka_unit_test(distances),
        cmocka_unit_test(newer_wins),
        cmocka_unit_test(only_what_is_shown_is_a_change),
        cmocka_unit_test(holds_run_out),
        cmocka_unit_test(batches_mark_seats),
        cmocka_unit_test(counts_stay_right),
        cmocka_unit_test(tags_are_of_what_is_shown),
        cmocka_unit_test(tags_differ),
        cmocka_unit_test(buckets),
        cmocka_unit_test(how_long_it_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
