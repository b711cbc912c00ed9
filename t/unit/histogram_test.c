/*
 * Histograms: what lies at a bound, quantiles against values known one by
 * one, and counts that agree with themselves while threads go on adding.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ticket_histogram.h"

#define THREADS 4
#define ADDS    20000

static const ticket_bounds_t *const waits = &ticket_wait_bounds;

static void bounds_rise(void **state)
{
    const ticket_bounds_t *all[] = {&ticket_wait_bounds,
                                    &ticket_round_trip_bounds};

    (void)state;

    for (size_t k = 0; k < 2; k++) {
        assert_in_range(all[k]->n, 1, TICKET_BOUNDS_MAX);

        for (size_t i = 1; i < all[k]->n; i++) {
            assert_true(all[k]->bound[i] > all[k]->bound[i - 1]);
        }
    }
}

static void a_bound_belongs_to_the_bin_below(void **state)
{
    ticket_histogram_t histogram = {0};

    (void)state;

    for (size_t i = 0; i < waits->n; i++) {
        ticket_histogram_add(&histogram, waits, waits->bound[i]);
        assert_int_equal(histogram.bin[i], 1);
        ticket_histogram_add(&histogram, waits, waits->bound[i] + 1);
        assert_int_equal(histogram.bin[i + 1], 1);
        memset(histogram.bin, 0, sizeof(histogram.bin));
    }

    histogram.sum = 0;
    ticket_histogram_add(&histogram, waits, 0);
    ticket_histogram_add(&histogram, waits, UINT32_MAX);
    assert_int_equal(histogram.bin[0], 1);
    assert_int_equal(histogram.bin[waits->n], 1);
    assert_int_equal(histogram.sum, UINT32_MAX);
}

static void quantiles(void **state)
{
    ticket_histogram_t histogram = {0};

    (void)state;

    assert_int_equal(ticket_histogram_quantile(&histogram, waits, 500), -1);

    /* 1 to 1000 ms: half lie below 500, all of them below 1000 */
    for (uint64_t i = 1; i <= 1000; i++) {
        ticket_histogram_add(&histogram, waits, i);
    }

    assert_int_equal(ticket_histogram_quantile(&histogram, waits, 0), 0);
    assert_int_equal(ticket_histogram_quantile(&histogram, waits, 250), 250);
    assert_int_equal(ticket_histogram_quantile(&histogram, waits, 500), 500);
    assert_int_equal(ticket_histogram_quantile(&histogram, waits, 900), 900);
    assert_int_equal(ticket_histogram_quantile(&histogram, waits, 1000), 1000);

    /* one in a higher bin, with empty bins between */
    ticket_histogram_add(&histogram, waits, 60000);
    assert_int_equal(ticket_histogram_quantile(&histogram, waits, 1000), 60000);

    /* what lies above all bounds is told as the highest */
    for (int i = 0; i < 100000; i++) {
        ticket_histogram_add(&histogram, waits, 99999999);
    }

    assert_int_equal(ticket_histogram_quantile(&histogram, waits, 500),
                     7200000);
}

static void since_an_earlier_copy(void **state)
{
    ticket_histogram_t histogram = {0}, before, now;

    (void)state;

    ticket_histogram_add(&histogram, waits, 100000);
    ticket_histogram_read(&histogram, &before);
    ticket_histogram_add(&histogram, waits, 10);
    ticket_histogram_read(&histogram, &now);
    ticket_histogram_since(&now, &before);

    assert_int_equal(ticket_histogram_count(&now), 1);
    assert_int_equal(now.sum, 10);
    assert_int_equal(ticket_histogram_quantile(&now, waits, 1000), 500);
}

static void *add_many(void *data)
{
    for (int i = 0; i < ADDS; i++) {
        ticket_histogram_add(data, waits, (uint64_t)i);
    }

    return NULL;
}

static void many_at_once(void **state)
{
    ticket_histogram_t histogram = {0}, copy;
    pthread_t thread[THREADS];
    uint64_t last = 0;

    (void)state;

    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, add_many, &histogram),
                         0);
    }

    while (last < (uint64_t)THREADS * ADDS / 2) {
        ticket_histogram_read(&histogram, &copy);
        assert_true(ticket_histogram_count(&copy) >= last);
        last = ticket_histogram_count(&copy);
    }

    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }

    ticket_histogram_read(&histogram, &copy);
    assert_int_equal(ticket_histogram_count(&copy), THREADS * ADDS);
    assert_int_equal(copy.sum, (uint64_t)THREADS * ADDS * (ADDS - 1) / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounds_rise),
        cmocka_unit_test(a_bound_belongs_to_the_bin_below),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(since_an_earlier_copy),
        cmocka_unit_test(many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
