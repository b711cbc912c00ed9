/*
 * How long it will take and when to ask again: what is measured of calls and
 * of those who leave, the bounds of the estimate, of the poll interval and its
 * jitter, and how much a long line polls.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "poll_rate.h"
#include "ticket_pace.h"

/* A line with an exchange every half second. */
typedef struct {
    ticket_pace_t pace;
    ticket_news_t news;
    ticket_speed_t speed;
} track_t;

static void start(track_t *t, uint32_t waiting)
{
    memset(t, 0, sizeof(*t));
    t->news = (ticket_news_t){.now_ms = 1000000,
                              .life = 1,
                              .liveness_ms = 10000,
                              .issued = 5000000,
                              .calls = 70000,
                              .waiting = waiting};
    ticket_pace_sample(&t->pace, &t->news, &t->speed);
}

/* So many are called a second; those who leave are noticed every ten. */
static void go_on(track_t *t, uint32_t seconds, uint32_t calls, double leave)
{
    for (uint32_t i = 1; i <= 2 * seconds; i++) {
        uint32_t n = i % 2 ? calls - calls / 2 : calls / 2;

        t->news.now_ms += 500;
        t->news.calls += n;
        t->news.waiting -= n;
        if (i % 20 == 0) {
            t->news.waiting -= (uint32_t)(leave * 10 * t->news.waiting);
        }
        ticket_pace_sample(&t->pace, &t->news, &t->speed);
        assert_in_range(t->pace.samples, 1, TICKET_PACE_SAMPLES);
    }
}

static void assert_near(double is, double wanted, double part)
{
    if (is < wanted * (1 - part) || is > wanted * (1 + part)) {
        fail_msg("%g is not near %g", is, wanted);
    }
}

static void test_speed(void **state)
{
    track_t t;
    ticket_eta_t eta;

    (void)state;
    start(&t, 1000000);
    assert_int_equal(ticket_eta(&t.speed, 5, &eta), -1);
    /* half a second says nothing */
    t.news.now_ms += 500;
    t.news.calls += 10;
    ticket_pace_sample(&t.pace, &t.news, &t.speed);
    assert_int_equal(ticket_eta(&t.speed, 5, &eta), -1);
    go_on(&t, 10, 20, 0);
    assert_near(t.speed.calls, 20, 0.01);
    assert_true(t.speed.leave < 0);
    assert_int_equal(ticket_eta(&t.speed, 199, &eta), 0);
    assert_true(eta.min < 10 && eta.max > 10);

    /* ten minutes are looked back, however long it goes on */
    go_on(&t, 3000, 20, 0);
    assert_near(t.speed.calls, 20, 0.01);
    assert_near(t.speed.span_s, 640, 0.05);
    assert_near(t.speed.scatter, 1, 0.01);
    assert_true(t.speed.leave == 0);
    assert_int_equal(ticket_eta(&t.speed, 1999, &eta), 0);
    assert_in_range(eta.min, 70, 99);
    assert_in_range(eta.max, 101, 140);

    /* of another rate, all of it is known after that time */
    go_on(&t, 700, 50, 0);
    assert_near(t.speed.calls, 50, 0.01);
}

/* Calls that come once a minute scatter, and a step in the rate does. */
static void test_scatter(void **state)
{
    track_t t;
    ticket_eta_t steady, lumps;

    (void)state;
    start(&t, 1000000);
    go_on(&t, 1200, 10, 0);
    assert_int_equal(ticket_eta(&t.speed, 299, &steady), 0);

    start(&t, 1000000);
    for (int i = 0; i < 20; i++) {
        go_on(&t, 59, 0, 0);
        go_on(&t, 1, 600, 0);
    }
    assert_near(t.speed.calls, 10, 0.1);
    assert_true(t.speed.lump > 20000);
    assert_int_equal(ticket_eta(&t.speed, 299, &lumps), 0);
    assert_true(lumps.min < steady.min && lumps.max > steady.max);
    /* the next lump takes them, in a minute at most */
    assert_true(lumps.min <= 1 && lumps.max >= 60);

    start(&t, 1000000);
    go_on(&t, 600, 10, 0);
    go_on(&t, 300, 20, 0);
    assert_true(t.speed.scatter > 5);
}

/* Those ahead who leave: the place falls faster than the calls say. */
static void test_leave(void **state)
{
    track_t t;
    ticket_eta_t eta;

    (void)state;
    start(&t, 100000);
    go_on(&t, 25, 10, 0.002);
    assert_true(t.speed.leave < 0);
    assert_int_equal(ticket_eta(&t.speed, 9999, &eta), 0);
    assert_true(eta.min < 700); /* somebody may leave */

    go_on(&t, 300, 10, 0.002);
    assert_near(t.speed.leave, 0.002, 0.05);
    assert_int_equal(ticket_eta(&t.speed, 9999, &eta), 0);
    /* ln(1 + 0.002 * 10000 / 10) / 0.002 = 549 s, not 1000 */
    assert_in_range(eta.min, 300, 548);
    assert_in_range(eta.max, 550, 900);

    /* more return than leave: no faster than the calls */
    start(&t, 1000);
    for (int i = 0; i < 200; i++) {
        go_on(&t, 1, 1, 0);
        t.news.waiting += 2;
    }
    assert_true(t.speed.leave == 0);
}

static void test_stands_still(void **state)
{
    track_t t;
    ticket_eta_t eta;

    (void)state;
    start(&t, 100000);
    go_on(&t, 100, 10, 0);
    assert_int_equal(ticket_eta(&t.speed, 9, &eta), 0);
    t.news.held = 1;
    go_on(&t, 1000, 0, 0);
    assert_int_equal(ticket_eta(&t.speed, 9, &eta), -1);

    /* the time held does not count: as fast as before */
    t.news.held = 0;
    go_on(&t, 10, 10, 0);
    assert_near(t.speed.calls, 10, 0.02);

    /* nor does that with nobody in line */
    t.news.waiting = 0;
    go_on(&t, 1000, 0, 0);
    t.news.waiting = 100000;
    go_on(&t, 10, 10, 0);
    assert_near(t.speed.calls, 10, 0.02);

    /* but where it could have moved and did not, that shows */
    go_on(&t, 300, 0, 0);
    assert_near(t.speed.calls, 10 * 120.0 / 420, 0.1);
    go_on(&t, 700, 0, 0);
    assert_int_equal(ticket_eta(&t.speed, 9, &eta), -1);
}

static void begins_anew(track_t *t)
{
    ticket_eta_t eta;

    ticket_pace_sample(&t->pace, &t->news, &t->speed);
    assert_int_equal(t->pace.samples, 1);
    assert_int_equal(ticket_eta(&t->speed, 9, &eta), -1);
    go_on(t, 100, 10, 0);
    assert_near(t->speed.calls, 10, 0.02);
}

static void test_begins_anew(void **state)
{
    track_t t;

    (void)state;
    start(&t, 1000000);
    go_on(&t, 100, 20, 0);
    t.news.calls = 0;
    begins_anew(&t);
    t.news.issued--;
    begins_anew(&t);
    t.news.life++;
    begins_anew(&t);
    t.news.now_ms += 3600000;
    begins_anew(&t);
    t.news.now_ms -= 7200000;
    begins_anew(&t);
}

/* Whatever was measured: a range, in order, that never falls with the place. */
static void test_eta(void **state)
{
    static const float calls[] = {0.002F, 0.5F, 10, 1e6F};
    static const float lump[] = {0, 100, 1e6F};
    static const float scatter[] = {1, 30, 1e5F};
    static const float leave[] = {-1, 0, 1e-5F, 0.01F, 10};
    static const float span[] = {5, 640};

    (void)state;
    for (size_t i = 0; i < 4 * 3 * 3 * 5 * 2; i++) {
        ticket_speed_t speed = {.calls = calls[i % 4],
                                .lump = lump[i / 4 % 3],
                                .scatter = scatter[i / 12 % 3],
                                .leave = leave[i / 36 % 5],
                                .span_s = span[i / 180]};
        ticket_eta_t before = {0, 0}, eta;

        speed.seen = fmaxf(1, speed.calls * speed.span_s);
        for (uint64_t n = 0; n <= UINT32_MAX; n = n * 3 / 2 + 1) {
            assert_int_equal(ticket_eta(&speed, (uint32_t)n, &eta), 0);
            assert_true(eta.min < eta.max || eta.min == UINT32_MAX);
            assert_true(eta.min >= before.min && eta.max >= before.max);
            before = eta;
        }
    }
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

#define LIVENESS_MS 120000 /* the default */

/* How much a long line polls: docs/operations.md has these figures. */
static void test_poll_rate(void **state)
{
    (void)state;
    assert_near(poll_mean(0, LIVENESS_MS), 1000, 0.001);
    assert_near(poll_mean(1000000, LIVENESS_MS), 30000, 0.001);
    assert_near(poll_rate(10000, LIVENESS_MS), 577, 0.002);
    assert_near(poll_rate(100000, LIVENESS_MS), 3577, 0.001);
    assert_near(poll_rate(1000000, LIVENESS_MS), 33577, 0.001);
    assert_true(poll_rate(1000000, LIVENESS_MS) < 60000);
    assert_near(poll_rate(1000000, 30000), 133400, 0.001);
}

/* Half of the least that was told, here or anywhere further back. */
static void test_poll_gap(void **state)
{
    static const uint64_t liveness[] = {1000, 5000, 30000, 120000, 3600000};

    (void)state;
    assert_int_equal(ticket_poll_gap(0, LIVENESS_MS), 375);
    assert_int_equal(ticket_poll_gap(UINT32_MAX, LIVENESS_MS),
                     TICKET_GAP_MAX_MS);
    for (size_t i = 0; i < sizeof(liveness) / sizeof(liveness[0]); i++) {
        uint32_t before = 0;

        for (uint64_t ahead = 0; ahead <= UINT32_MAX; ahead = ahead * 3 + 1) {
            uint32_t gap = ticket_poll_gap((uint32_t)ahead, liveness[i]);

            assert_in_range(gap, before, TICKET_GAP_MAX_MS);
            for (uint32_t j = 0; j < JITTERS; j++) {
                assert_true(2 * gap <=
                            ticket_poll_after((uint32_t)ahead, liveness[i], j));
            }
            before = gap;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speed),       cmocka_unit_test(test_scatter),
        cmocka_unit_test(test_leave),       cmocka_unit_test(test_stands_still),
        cmocka_unit_test(test_begins_anew), cmocka_unit_test(test_eta),
        cmocka_unit_test(test_poll_after),  cmocka_unit_test(test_poll_rate),
        cmocka_unit_test(test_poll_gap),
    };

    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
