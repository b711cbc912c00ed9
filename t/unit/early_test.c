/*
 * Polls that come too early: refused while they do, never once they do not,
 * whatever the phase of the clock, and however the stamps are swept.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ticket_line.h"

static ticket_line_t line;
static ticket_seg_t seg[2]; /* the first and the last have memory */

static int set_up(void **state)
{
    (void)state;
    memset(&line, 0, sizeof(line));
    memset(seg, 0, sizeof(seg));
    for (size_t i = 0; i < 2; i++) {
        seg[i].bits = calloc(1, sizeof(ticket_bits_t));
        assert_non_null(seg[i].bits);
        ticket_line_attach(&line, i * (TICKET_SEGS_MAX - 1), &seg[i]);
    }

    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(seg[0].bits);
    free(seg[1].bits);

    return 0;
}

#define GAP 11250 /* the longest */

/* Sweeps as an exchange does, each second from one time to another. */
static void sweep_until(uint64_t from_ms, uint64_t to_ms)
{
    for (uint64_t now = from_ms; now <= to_ms; now += 1000) {
        ticket_line_sweep(&line, now);
    }
}

/* At every phase of the clock: refused well before the gap, never after it. */
static void test_early(void **state)
{
    static const uint32_t gaps[] = {93, 375, 1000, 5000, GAP};

    (void)state;
    for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
        for (uint64_t at = 100000; at < 117000; at += 7) {
            uint64_t number = at % 30000;
            uint32_t gap = gaps[i], wait;

            memset(seg[0].bits->stamp, 0, sizeof(seg[0].bits->stamp));
            line.swept_ms = 0;
            sweep_until(at - 1000, at);
            assert_int_equal(ticket_line_early(&line, number, at, gap), 0);
            wait = ticket_line_early(&line, number, at + 1, gap);
            /* two units of the stamp at most are given away */
            assert_true(wait > 0 || gap < 2 * 63);
            assert_true(wait <= gap + 126);
            sweep_until(at, at + gap);
            if (gap > 250) {
                wait = ticket_line_early(&line, number, at + gap - 250, gap);
                assert_in_range(wait, 250, 250 + 126);
                /* which holds, and a refused poll stamped nothing */
                sweep_until(at, at + gap - 250 + wait);
                assert_int_equal(ticket_line_early(&line, number,
                                                   at + gap - 250 + wait, gap),
                                 0);
            } else {
                assert_int_equal(
                    ticket_line_early(&line, number, at + gap, gap), 0);
            }
        }
    }
}

static void test_early_is_of_one(void **state)
{
    (void)state;
    sweep_until(100000, 100000);
    assert_int_equal(ticket_line_early(&line, 1000, 100000, GAP), 0);
    for (uint64_t n = 990; n < 1010; n++) {
        uint32_t wait = ticket_line_early(&line, n, 100100, GAP);

        assert_true(n == 1000 ? wait > 0 : wait == 0);
    }

    /* without memory or out of range there is nothing to tell it from */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(
            ticket_line_early(&line, 2 * TICKET_SEG_BITS, 100100, GAP), 0);
        assert_int_equal(
            ticket_line_early(&line, TICKET_NUMBER_MAX + 1, 100100, GAP), 0);
        assert_int_equal(ticket_line_early(&line, UINT64_MAX, 100100, GAP), 0);
    }
    assert_int_equal(ticket_line_early(&line, TICKET_NUMBER_MAX, 100100, GAP),
                     0);
    assert_true(ticket_line_early(&line, TICKET_NUMBER_MAX, 100100, GAP) > 0);
}

/* A clock of 16 s goes round: a poll is never taken for one of before. */
static void test_early_does_not_alias(void **state)
{
    (void)state;
    for (uint64_t later = GAP; later < 120000; later += 61) {
        uint64_t at = 1000000 + 200000 * later, number = later % 32768;

        sweep_until(at, at);
        assert_int_equal(ticket_line_early(&line, number, at, GAP), 0);
        /* sweeps as rare as is allowed */
        for (uint64_t now = at; now <= at + later; now += TICKET_SWEEP_MS) {
            ticket_line_sweep(&line, now);
        }
        assert_int_equal(ticket_line_early(&line, number, at + later, GAP), 0);
        assert_true(ticket_line_early(&line, number, at + later, GAP) > 0);
    }
}

/* Without sweeps nothing is refused, and what they missed is forgotten. */
static void test_early_without_sweeps(void **state)
{
    uint64_t at = 500000;

    (void)state;
    assert_int_equal(ticket_line_early(&line, 7, at, GAP), 0);
    assert_int_equal(ticket_line_early(&line, 7, at, GAP), 0);

    sweep_until(at, at);
    assert_int_equal(ticket_line_early(&line, 7, at, GAP), 0);
    assert_true(ticket_line_early(&line, 7, at + TICKET_SWEEP_MS, GAP) > 0);
    assert_int_equal(ticket_line_early(&line, 7, at + 5000, GAP), 0);
    assert_int_equal(ticket_line_early(&line, 7, at + 5000, GAP), 0);
    ticket_line_sweep(&line, at + 16000);
    assert_int_equal(ticket_line_early(&line, 7, at + 16100, GAP), 0);
    assert_true(ticket_line_early(&line, 7, at + 16200, GAP) > 0);
}

/* A process whose clock is a little behind that of the others. */
static void test_early_clocks(void **state)
{
    (void)state;
    for (uint64_t at = 100000; at < 116500; at += 63) {
        uint64_t number = at % 30000;

        line.swept_ms = 0;
        ticket_line_sweep(&line, at);
        assert_int_equal(ticket_line_early(&line, number, at, GAP), 0);
        assert_true(ticket_line_early(&line, number, at - 150, GAP) > 0);
        line.swept_ms = at - 3000;
        ticket_line_sweep(&line, at - 150);
        assert_true(ticket_line_early(&line, number, at, GAP) > 0);
    }
}

/* What a sweep leaves and forgets, stamp by stamp, in a full segment. */
static void test_sweep(void **state)
{
    uint64_t at = 100000;
    size_t left = 0;

    (void)state;
    for (uint64_t n = 0; n < TICKET_SEG_BITS; n++) {
        uint64_t now = at + n * 15000 / TICKET_SEG_BITS;

        ticket_line_sweep(&line, now);
        assert_int_equal(ticket_line_early(&line, n, now, GAP), 0);
    }

    at += 15000;
    ticket_line_sweep(&line, at + 1000);
    for (uint64_t n = 0; n < TICKET_SEG_BITS; n++) {
        uint64_t age = 16000 - n * 15000 / TICKET_SEG_BITS;
        const unsigned char *stamp = (const unsigned char *)seg[0].bits->stamp;

        assert_true(stamp[n] ? age < GAP + 126 : age > GAP - 126);
        left += stamp[n] != 0;
    }
    assert_in_range(left, 20000, 24000);

    /* one that has none is passed over, until somebody polls there */
    sweep_until(at, at + 100000);
    seg[0].bits->stamp[0] = 1;
    sweep_until(at + 100000, at + 120000);
    assert_int_equal(seg[0].bits->stamp[0], 1);
    ticket_line_early(&line, 9, at + 120000, GAP);
    sweep_until(at + 120000, at + 140000);
    assert_int_equal(seg[0].bits->stamp[0], 0);
}

#define POLLERS 3
#define NUMBERS 999
#define ROUNDS  25

static int refused;

/* Each polls numbers of its own, among the others', and never too early. */
static void *poll_in_time(void *data)
{
    uint64_t first = *(uint64_t *)data;

    for (uint64_t now = 112000; now < 112000 + 130 * ROUNDS; now += 130) {
        for (uint64_t n = first; n < NUMBERS; n += POLLERS) {
            if (ticket_line_early(&line, n, now, 120) != 0) {
                __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
            }
        }
    }

    return NULL;
}

/* Sweeps among polls: what is stale goes, and nobody in time is refused. */
static void test_sweep_race(void **state)
{
    unsigned char *stamp = (unsigned char *)line.seg[0]->bits->stamp;
    pthread_t poller[POLLERS];
    uint64_t first[POLLERS];

    (void)state;
    refused = 0;
    ticket_line_sweep(&line, 100000);
    for (uint64_t n = 0; n < 2 * NUMBERS; n++) {
        assert_int_equal(ticket_line_early(&line, n, 100000, GAP), 0);
    }

    line.swept_ms = 111000;
    for (int i = 0; i < POLLERS; i++) {
        first[i] = (uint64_t)i;
        assert_int_equal(
            pthread_create(&poller[i], NULL, poll_in_time, &first[i]), 0);
    }

    for (int i = 0; i < 2000; i++) {
        line.swept_ms = 109500;
        ticket_line_sweep(&line, 112000);
    }

    for (int i = 0; i < POLLERS; i++) {
        pthread_join(poller[i], NULL);
    }

    assert_int_equal(refused, 0);
    for (uint64_t n = NUMBERS; n < 2 * NUMBERS; n++) {
        assert_int_equal(stamp[n], 0);
    }
}

#define early_test(name)                                                       \
    cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        early_test(test_early),
        early_test(test_early_is_of_one),
        early_test(test_early_does_not_alias),
        early_test(test_early_without_sweeps),
        early_test(test_early_clocks),
        early_test(test_sweep),
        early_test(test_sweep_race),
    };

    return cmocka_run_group_tests_name("early", tests, NULL, NULL);
}
