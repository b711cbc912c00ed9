/*
 * The policy of a room as text, and its hours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ticket_policy.h"

static void test_write(void **state)
{
    (void)state;

    ticket_policy_t policy = {.slots = 100, .rate = 7, .per = 1000, .opens = 9};
    char text[TICKET_POLICY_TEXT_MAX];
    size_t len = ticket_policy_write(&policy, text);

    assert_int_equal(len, strlen(text));
    assert_string_equal(text,
                        "slots=100 rate=7 per=1000 mode=0 paused=0 queue_all=0 "
                        "session=0 max=0 claim=0 liveness=0 draw=0 per_seat=0 "
                        "prequeue=0 opens=9 closes=0");
}

static void test_longest_text_fits(void **state)
{
    (void)state;

    ticket_policy_t policy;
    char text[TICKET_POLICY_TEXT_MAX];

    memset(&policy, 0xff, sizeof(policy));
    assert_in_range(ticket_policy_write(&policy, text), 1,
                    TICKET_POLICY_TEXT_MAX - 1);
}

static void test_longest_settings_fit(void **state)
{
    (void)state;

    ticket_policy_t policy = {0};
    const char *text = "mode=2 paused=1 per=86400000 queue_all=1 rate=10000000 "
                       "slots=10000000";

    assert_true(strlen(text) <= TICKET_SETTINGS_TEXT_MAX);
    assert_int_equal(ticket_policy_apply(&policy, text, strlen(text)), 0);
    assert_int_equal(policy.mode, TICKET_MODE_REJECT);
    assert_int_equal(policy.per, 86400000);
    assert_int_equal(policy.slots, 10000000);
}

static void test_settings_lie_over_the_policy(void **state)
{
    (void)state;

    ticket_policy_t policy = {.slots = 5, .rate = 6, .per = 1000};

    assert_int_equal(ticket_policy_apply(&policy, "slots=9 rate=", 13), 0);
    assert_int_equal(policy.slots, 9);
    assert_int_equal(policy.rate, 6);
    assert_int_equal(ticket_policy_apply(&policy, "", 0), 0);
}

static void test_wrong_settings_change_nothing(void **state)
{
    (void)state;

    static const char *const wrong[] = {
        "slots=9 paused=2",
        "slots=9 per=99",
        "slots=9 rate=10000001",
        "slots=9 slots=-1",
        "slots=9 rate=0x1",
        "slots=9 session=5",
        "slots=9 nothing=1",
        "slots=9  rate=1",
        "slots=9 rate",
        "slots=9 =1",
        "slots=9 rate=99999999999999999999",
        "slots=9 rate=1\n",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ticket_policy_t policy = {.slots = 5};

        assert_int_equal(
            ticket_policy_apply(&policy, wrong[i], strlen(wrong[i])), -1);
        assert_int_equal(policy.slots, 5);
    }
}

static void test_phase(void **state)
{
    (void)state;

    ticket_policy_t always = {0};
    ticket_policy_t hours = {.prequeue = 100, .opens = 200, .closes = 300};
    ticket_policy_t plain = {.opens = 200};

    assert_int_equal(ticket_policy_phase(&always, 1), TICKET_PHASE_OPEN);
    assert_int_equal(ticket_policy_phase(&hours, 99), TICKET_PHASE_EARLY);
    assert_int_equal(ticket_policy_phase(&hours, 100), TICKET_PHASE_PREQUEUE);
    assert_int_equal(ticket_policy_phase(&hours, 199), TICKET_PHASE_PREQUEUE);
    assert_int_equal(ticket_policy_phase(&hours, 200), TICKET_PHASE_OPEN);
    assert_int_equal(ticket_policy_phase(&hours, 299), TICKET_PHASE_OPEN);
    assert_int_equal(ticket_policy_phase(&hours, 300), TICKET_PHASE_OVER);
    assert_int_equal(ticket_policy_phase(&plain, 199), TICKET_PHASE_EARLY);
    assert_int_equal(ticket_policy_phase(&plain, 200), TICKET_PHASE_OPEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_longest_text_fits),
        cmocka_unit_test(test_longest_settings_fit),
        cmocka_unit_test(test_settings_lie_over_the_policy),
        cmocka_unit_test(test_wrong_settings_change_nothing),
        cmocka_unit_test(test_phase),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
