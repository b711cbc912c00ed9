/*
 * How long it will take and when to ask again: bounds of the estimate, and of
 * the poll interval and its jitter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ticket_line.h"

static void test_eta(void **state)
{
    static const uint32_t served[] = {1,  2,   3,     4,         5,
                                      10, 100, 10000, UINT32_MAX};
    static const uint64_t spans[] = {1, 50, 1000, 60000, 3600000, UINT64_MAX};
    ticket_eta_t eta;

    (void)state;
    assert_int_equal(ticket_eta(5, 0, 60000, &eta), -1);
    assert_int_equal(ticket_eta(5, 10, 0, &eta), -1);

    for (size_t i = 0; i < sizeof(served) / sizeof(served[0]); i++) {
        for (size_t j = 0; j < sizeof(spans) / sizeof(spans[0]); j++) {
            ticket_eta_t before = {0, 0};

            for (uint64_t ahead = 0; ahead <= UINT32_MAX;
                 ahead = ahead * 3 + 1) {
                double middle =
                    (double)spans[j] / 1000 * ((double)ahead + 1) / served[i];

                assert_int_equal(
                    ticket_eta((uint32_t)ahead, served[i], spans[j], &eta), 0);
                assert_true((double)eta.min <= middle);
                assert_true((double)eta.max >= middle || eta.max == UINT32_MAX);
                assert_true(eta.min >= before.min && eta.max >= before.max);
                before = eta;
            }
        }
    }

    /* 100 calls in 10 s, 49 ahead: 5 s, from 4.2 to 6.25 */
    assert_int_equal(ticket_eta(49, 100, 10000, &eta), 0);
    assert_int_equal(eta.min, 4);
    assert_int_equal(eta.max, 7);
}

static void test_poll_after(void **state)
{
    static const uint64_t liveness[] = {1000, 5000, 30000, 120000, 3600000};

    (void)state;
    for (size_t i = 0; i < sizeof(liveness) / sizeof(liveness[0]); i++) {
        uint32_t before = 0;

        for (uint64_t ahead = 0; ahead <= UINT32_MAX; ahead = ahead * 2 + 1) {
            uint32_t least = ticket_poll_after((uint32_t)ahead, liveness[i], 0);
            uint32_t most =
                ticket_poll_after((uint32_t)ahead, liveness[i], 1023);
            uint32_t middle =
                ticket_poll_after((uint32_t)ahead, liveness[i], 512);

            assert_true(least > 0 && least < middle && middle < most);
            /* a quarter to either side, within a rounded millisecond */
            assert_in_range(least, middle * 3 / 4 - 2, middle * 3 / 4 + 2);
            assert_in_range(most, middle * 5 / 4 - middle / 500 - 3,
                            middle * 5 / 4 + 2);
            assert_true(middle >= before);
            /* three polls fit into the liveness time */
            assert_true((uint64_t)most * 3 < liveness[i]);
            before = middle;

            for (int j = 0; j < 50; j++) {
                uint32_t after = ticket_poll_after((uint32_t)ahead, liveness[i],
                                                   (uint32_t)random() * 2 + 1);

                assert_in_range(after, least, most);
            }
        }
    }

    assert_in_range(ticket_poll_after(0, 120000, 512), 950, 1050);
    assert_in_range(ticket_poll_after(1000000, 120000, 512), 29900, 30100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eta),
        cmocka_unit_test(test_poll_after),
    };

    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
