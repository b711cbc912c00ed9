/*
 * The draw: a permutation for any number of entries, with the places that
 * docs/draw.md promises, and without favour: neither for one entry over many
 * keys nor for neighbours.  The expanded form is held against the plain one.
 * The keys are counted up, so that a run that passes passes always; the bounds
 * would fail one honest permutation in a million.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ticket_draw.h"
#include "ticket_line.h"

#define VECTORS "t/unit/draw_vectors.txt"
#define BINS    100
/* Deviations that a normal value exceeds with a chance of 1e-6. */
#define DEVIATIONS 4.75

typedef unsigned char draw_key_t[TICKET_DRAW_KEY_LEN];

static void count_key(draw_key_t key, uint32_t n)
{
    memset(key, 0, sizeof(draw_key_t));
    memcpy(key, &n, sizeof(n));
}

static int from_hex(const char *hex, unsigned char out[32])
{
    for (size_t i = 0; i < 32; i++) {
        if (sscanf(hex + 2 * i, "%2hhx", out + i) != 1) {
            return -1;
        }
    }

    return 0;
}

static ticket_draw_t *open_draw(const draw_key_t key, uint64_t entries)
{
    ticket_draw_t *draw = ticket_draw_open(key, entries);

    assert_non_null(draw);

    return draw;
}

static void check_vector(const draw_key_t key, uint64_t entries,
                         uint64_t number, uint64_t place)
{
    ticket_draw_t *draw = open_draw(key, entries);

    assert_int_equal(ticket_draw_place(key, entries, number), place);
    assert_int_equal(ticket_draw_look(draw, number), place);
    ticket_draw_close(draw);
}

static void test_vectors(void **state)
{
    char line[256], key_hex[65], commitment_hex[65];
    unsigned char key[32] = {0}, commitment[32], out[32];
    uint64_t entries, number, place;
    int vectors = 0, keys = 0;
    FILE *file = fopen(VECTORS, "r");

    (void)state;
    if (file == NULL) {
        fail_msg("%s: run this from the root of the repository", VECTORS);
    }

    while (fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "key %64s %64s", key_hex, commitment_hex) == 2) {
            assert_int_equal(from_hex(key_hex, key), 0);
            assert_int_equal(from_hex(commitment_hex, commitment), 0);
            ticket_draw_commitment(key, out);
            assert_memory_equal(out, commitment, sizeof(out));
            keys++;
        } else if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &entries,
                          &number, &place) == 3) {
            check_vector(key, entries, number, place);
            vectors++;
        }
    }

    fclose(file);
    assert_true(keys >= 3 && vectors > 400);
}

/* Every place from 1 to entries is given once. */
static void check_bijection(const draw_key_t key, uint64_t entries)
{
    ticket_draw_t *draw = open_draw(key, entries);
    unsigned char *taken = calloc(entries / 8 + 1, 1);

    assert_non_null(taken);
    for (uint64_t n = 1; n <= entries; n++) {
        uint64_t place = ticket_draw_look(draw, n);
        unsigned char bit = (unsigned char)(1 << place % 8);

        if (place < 1 || place > entries || taken[place / 8] & bit) {
            fail_msg("%" PRIu64 " entries: entry %" PRIu64 " gets %" PRIu64,
                     entries, n, place);
        }

        taken[place / 8] |= bit;
    }

    free(taken);
    ticket_draw_close(draw);
}

static void test_bijection(void **state)
{
    draw_key_t key;

    (void)state;
    for (uint32_t entries = 1; entries <= 10000; entries++) {
        count_key(key, entries);
        check_bijection(key, entries);
    }
}

static void test_millions(void **state)
{
    draw_key_t key;

    (void)state;
    count_key(key, 1);
    check_bijection(key, 10000000);
    check_bijection(key, TICKET_NUMBER_MAX);
}

/* The expanded form gives what the plain one does, of every step-th number. */
static void check_same(const draw_key_t key, uint64_t entries, uint64_t step)
{
    ticket_draw_t *draw = open_draw(key, entries);

    for (uint64_t n = 1; n <= entries + 1; n += step) {
        uint64_t plain = ticket_draw_place(key, entries, n);

        if (ticket_draw_look(draw, n) != plain) {
            fail_msg("%" PRIu64 " entries: entry %" PRIu64 " gets %" PRIu64,
                     entries, n, plain);
        }
    }

    assert_int_equal(ticket_draw_look(draw, entries),
                     ticket_draw_place(key, entries, entries));
    ticket_draw_close(draw);
}

/* Whether a rectangle of about this size begins, ends or is just full. */
static int is_seam(uint64_t entries)
{
    uint64_t a = (uint64_t)sqrt((double)entries);
    uint64_t over = entries - a * a;

    return over <= 1 || (over >= a && over <= a + 1) || over == 2 * a;
}

static void test_expanded(void **state)
{
    static const uint64_t many[] = {65535,   65536,    65537,
                                    1000000, 10000000, TICKET_NUMBER_MAX};
    draw_key_t key;

    (void)state;
    for (uint32_t entries = 1; entries <= 10000; entries++) {
        count_key(key, entries + 7);
        check_same(key, entries,
                   entries <= 300 || is_seam(entries) ? 1 : entries / 20);
    }

    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
        check_same(key, many[i], many[i] / 9973 + 1);
    }
}

static void test_out_of_range(void **state)
{
    draw_key_t key;

    (void)state;
    count_key(key, 1);
    assert_int_equal(ticket_draw_place(key, 1, 1), 1);
    assert_int_equal(ticket_draw_place(key, 0, 0), 0);
    assert_int_equal(ticket_draw_place(key, 0, 1), 0);
    assert_int_equal(ticket_draw_place(key, 300, 0), 0);
    assert_int_equal(ticket_draw_place(key, 300, 301), 0);
    assert_int_equal(ticket_draw_place(key, 300, UINT64_MAX), 0);
    assert_int_equal(ticket_draw_place(key, TICKET_NUMBER_MAX + 1, 1), 0);
    assert_int_equal(ticket_draw_place(key, UINT64_MAX, 1), 0);
    assert_in_range(ticket_draw_place(key, TICKET_NUMBER_MAX, 1), 1,
                    TICKET_NUMBER_MAX);
}

static void test_expanded_range(void **state)
{
    static const uint64_t sizes[] = {1, 255, 256, 300};
    draw_key_t key;

    (void)state;
    count_key(key, 1);
    assert_null(ticket_draw_open(key, 0));
    assert_null(ticket_draw_open(key, TICKET_NUMBER_MAX + 1));
    assert_null(ticket_draw_open(key, UINT64_MAX));

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ticket_draw_t *draw = open_draw(key, sizes[i]);

        assert_int_equal(ticket_draw_look(draw, 0), 0);
        assert_int_equal(ticket_draw_look(draw, sizes[i] + 1), 0);
        assert_int_equal(ticket_draw_look(draw, UINT64_MAX), 0);
        assert_int_equal(ticket_draw_look(draw, ((uint64_t)1 << 32) + 1), 0);
        ticket_draw_close(draw);
    }

    ticket_draw_close(NULL);
}

/*
 * Chi-square over n counts that should be equal, as deviations from what
 * chance gives (Wilson and Hilferty, "The distribution of chi-square", 1931).
 */
static double unevenness(const uint32_t *counts, size_t n)
{
    double total = 0, chi = 0, df = (double)n - 1;

    for (size_t i = 0; i < n; i++) {
        total += counts[i];
    }

    for (size_t i = 0; i < n; i++) {
        double off = counts[i] - total / (double)n;

        chi += off * off / (total / (double)n);
    }

    return (cbrt(chi / df) - (1 - 2 / (9 * df))) / sqrt(2 / (9 * df));
}

static void check_even(const char *what, const uint32_t *counts, size_t n)
{
    double off = unevenness(counts, n);

    if (off > DEVIATIONS) {
        fail_msg("%s: %.1f deviations from even", what, off);
    }
}

/* Few entries: all orders come up equally often. */
static void test_all_orders(void **state)
{
    const size_t orders[] = {0, 1, 2, 6, 24, 120};
    draw_key_t key;

    (void)state;
    for (uint64_t m = 2; m <= 5; m++) {
        uint32_t counts[3125] = {0}, seen[120];
        size_t n = 0;

        for (uint32_t k = 0; k < 60000; k++) {
            size_t order = 0;

            count_key(key, k);
            for (uint64_t number = 1; number <= m; number++) {
                order = order * m + ticket_draw_place(key, m, number) - 1;
            }
            counts[order]++;
        }

        for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
            if (counts[i] > 0) {
                assert_true(n < orders[m]);
                seen[n++] = counts[i];
            }
        }

        assert_int_equal(n, orders[m]);
        check_even("all orders", seen, n);
    }
}

/* Where one entry lands, over many keys. */
static void test_one_entry(void **state)
{
    static const uint64_t sizes[] = {200, 300, 10000, 10007};
    draw_key_t key;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint64_t m = sizes[i], entries[] = {1, 2, m / 2, m - 1, m};

        for (size_t j = 0; j < sizeof(entries) / sizeof(entries[0]); j++) {
            uint32_t counts[BINS] = {0};

            for (uint32_t k = 0; k < 20000; k++) {
                count_key(key, k);
                counts[(ticket_draw_place(key, m, entries[j]) - 1) * BINS /
                       m]++;
            }

            /* 10007 is no multiple of the bins; so little does not show */
            check_even("one entry", counts, BINS);
        }
    }
}

/* Where the entries "step" after others land relative to them. */
static void check_neighbours(uint64_t m, uint64_t step, uint64_t side)
{
    uint32_t distance[BINS] = {0}, column[BINS] = {0};
    draw_key_t key;

    for (uint32_t k = 0; k < 40; k++) {
        count_key(key, k);
        for (uint64_t n = 1; n + step <= m; n += 5) {
            uint64_t one = ticket_draw_place(key, m, n) - 1;
            uint64_t two = ticket_draw_place(key, m, n + step) - 1;

            distance[(two + m - one - 1) % m * BINS / m]++;
            column[(two % side + side - one % side) % side * BINS / side]++;
        }
    }

    check_even("distance of neighbours", distance, BINS);
    check_even("columns of neighbours", column, BINS);
}

/* 10,000 entries are a square of 100: entries 1 and 100 apart share a side. */
static void test_neighbours(void **state)
{
    (void)state;
    check_neighbours(10000, 1, 100);
    check_neighbours(10000, 100, 100);
}

/* Each bit of the key, and the number of entries, changes nearly all. */
static void test_key_counts(void **state)
{
    enum {
        M = 1000
    };

    draw_key_t key;
    uint64_t was[M + 1];
    int same;

    (void)state;
    count_key(key, 1);
    for (uint64_t n = 1; n <= M; n++) {
        was[n] = ticket_draw_place(key, M, n);
    }

    for (int bit = 0; bit <= 8 * TICKET_DRAW_KEY_LEN; bit++) {
        int more = bit == 8 * TICKET_DRAW_KEY_LEN;

        key[bit / 8 % TICKET_DRAW_KEY_LEN] ^= (unsigned char)(!more << bit % 8);
        same = 0;
        for (uint64_t n = 1; n <= M; n++) {
            same += ticket_draw_place(key, M + (uint64_t)more, n) == was[n];
        }
        key[bit / 8 % TICKET_DRAW_KEY_LEN] ^= (unsigned char)(!more << bit % 8);
        /* one is to be expected, and more than twelve once in 10^10 */
        assert_in_range(same, 0, 12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_bijection),
        cmocka_unit_test(test_millions),
        cmocka_unit_test(test_expanded),
        cmocka_unit_test(test_out_of_range),
        cmocka_unit_test(test_expanded_range),
        cmocka_unit_test(test_all_orders),
        cmocka_unit_test(test_one_entry),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_key_counts),
    };

    return cmocka_run_group_tests_name("draw", tests, NULL, NULL);
}
