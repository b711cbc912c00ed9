/*
 * A crowd of 20,000 in virtual time, who poll the real line as they are told,
 * and of whom three in ten leave: the range that a poll announces must hold
 * the wait that follows.
 *
 * Redis is played by a few lines that do what the scripts do: numbers, two
 * presence windows, calls within slots and rate in the order of the numbers.
 * The line, its pace and the time between two polls are those of core/.
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
#include "ticket_line.h"

#define CROWD       20000
#define LEAVING     0.3
#define TICK_MS     250
#define EXCHANGE_MS 500
#define LIVENESS_MS 120000
#define CLAIM_MS    120000
#define BUCKETS     256 /* ticks ahead that a poll may lie */
#define LAST_MS     (3 * 3600 * 1000)
#define LONG_MS     (3600 * 1000) /* more than a session */
#define TICKS       ((LAST_MS + LONG_MS) / TICK_MS)
#define PARTS       100 /* of the rate's time */

#define MINUTE 60000
#define NEVER  UINT32_MAX

/* Ranges of that width by their middle are allowed at the median. */
#define NARROW 0.5
#define WIDER  0.6 /* where the rate changes */
#define LUMPS  1.5 /* where many are called once a minute */

typedef struct {
    const char *name;
    double width;
    uint32_t slots, session_ms; /* 0: no limit; mean of the lengths */
    int even;                   /* lengths of a half to three halves of it */
    uint32_t rate[2], per_ms;   /* before and after the change; 0: no limit */
    uint32_t change_ms;
    uint32_t pause_ms[2]; /* from, until */
    uint32_t arrive_ms;   /* over which they come */
    uint32_t wait_ms[2];  /* of the first and the last, for when they leave */
} scenario_t;

typedef struct {
    uint32_t number;
    uint32_t leaves_ms, called_ms; /* or NEVER */
    uint32_t next;                 /* in its bucket */
} visitor_t;

typedef struct {
    uint32_t visitor, at_ms;
    ticket_eta_t eta; /* max is 0: none */
} poll_t;

static struct {
    const scenario_t *s;
    uint64_t now;
    uint32_t random;

    ticket_line_t line;
    ticket_seg_t seg;
    ticket_pace_t pace;

    unsigned char window[2][TICKET_SEG_BYTES], gone[TICKET_SEG_BYTES];
    uint64_t turned;
    uint32_t issued, called, total, sessions, calls;
    uint32_t in_rate, oldest;    /* calls that count, from part */
    uint32_t part[LAST_MS / 10]; /* calls by hundredth of that time */
    uint32_t sessions_end[TICKS], calls_end[TICKS]; /* by tick */

    visitor_t visitor[CROWD];
    uint32_t come;
    uint32_t bucket[BUCKETS]; /* visitor + 1 who polls in that tick */
    poll_t *poll;
    size_t polls, room;
} sim;

/* From 0 to 1, the same in every run. */
static double chance(void)
{
    sim.random = sim.random * 1664525U + 1013904223U;

    return (double)(sim.random >> 8) / (1 << 24);
}

static int get(const unsigned char *bits, uint32_t n)
{
    return bits[n / 8] >> (7 - n % 8) & 1;
}

static void set(unsigned char *bits, uint32_t n)
{
    bits[n / 8] |= (unsigned char)(0x80 >> n % 8);
}

static int paused(void)
{
    return sim.now >= sim.s->pause_ms[0] && sim.now < sim.s->pause_ms[1];
}

/* How many more may be called, as in line.lua. */
static uint32_t free_now(void)
{
    const scenario_t *s = sim.s;
    uint32_t n = CROWD, taken = sim.sessions + sim.calls;

    if (paused()) {
        return 0;
    }

    if (s->slots) {
        n = s->slots > taken ? s->slots - taken : 0;
    }

    if (s->per_ms) {
        uint32_t rate = s->rate[s->change_ms && sim.now >= s->change_ms];
        uint64_t width = s->per_ms / PARTS;

        while ((sim.oldest + 1) * width + s->per_ms <= sim.now) {
            sim.in_rate -= sim.part[sim.oldest++];
        }

        uint32_t left = rate > sim.in_rate ? rate - sim.in_rate : 0;
        n = left < n ? left : n;
    }

    return n;
}

static void begin_session(void)
{
    double mean = sim.s->session_ms;
    double ms =
        sim.s->even ? mean * (0.5 + chance()) : -log(1 - chance()) * mean;

    if (mean > 0) {
        sim.sessions++;
        sim.sessions_end[(sim.now + (uint64_t)fmin(ms, LONG_MS / 2)) / TICK_MS +
                         1]++;
    }
}

/* One who left keeps the slot until the time to claim is over. */
static void call_one(uint32_t number)
{
    visitor_t *visitor = &sim.visitor[number - 1];

    set(sim.gone, number);
    sim.called = number;
    sim.total++;
    if (sim.s->per_ms) {
        sim.part[sim.now / (sim.s->per_ms / PARTS)]++;
        sim.in_rate++;
    }

    visitor->called_ms = (uint32_t)sim.now;
    if (visitor->leaves_ms > sim.now) {
        begin_session();
    } else {
        sim.calls++;
        sim.calls_end[(sim.now + CLAIM_MS) / TICK_MS]++;
    }
}

static void call(void)
{
    uint32_t n = free_now();

    for (uint32_t i = sim.called + 1; n > 0 && i <= sim.issued; i++) {
        if (!get(sim.gone, i) &&
            (get(sim.window[0], i) || get(sim.window[1], i))) {
            call_one(i);
            n--;
        }
    }
}

static void wake(uint32_t v, uint64_t at_ms)
{
    uint32_t *bucket = &sim.bucket[(at_ms + TICK_MS - 1) / TICK_MS % BUCKETS];

    sim.visitor[v].next = *bucket;
    *bucket = v + 1;
}

static void join(void)
{
    const uint32_t *wait = sim.s->wait_ms;
    visitor_t *visitor = &sim.visitor[sim.come];

    visitor->number = ++sim.issued;
    visitor->called_ms = NEVER;
    visitor->leaves_ms = NEVER;
    if (chance() < LEAVING) {
        double ms = wait[0] + (double)(wait[1] - wait[0]) * sim.come / CROWD;

        visitor->leaves_ms = (uint32_t)((double)sim.now + chance() * ms);
    }

    set(sim.window[0], visitor->number);
    wake(sim.come++, sim.now + TICK_MS + (uint64_t)(chance() * 1000));
    call();
}

static void turn_window(void)
{
    if (sim.now - sim.turned >= LIVENESS_MS) {
        sim.turned = sim.now;
        memcpy(sim.window[1], sim.window[0], TICKET_SEG_BYTES);
        memset(sim.window[0], 0, TICKET_SEG_BYTES);
    }
}

static void exchange(void)
{
    static unsigned char bits[TICKET_SEG_BYTES];
    size_t offset = 0, len = ticket_line_polled(&sim.line, 0, 0, bits, &offset);

    for (size_t i = offset; len && i < offset + len; i++) {
        sim.window[0][i] |= bits[i];
    }

    if (len) {
        ticket_line_delivered(&sim.line, 0, bits + offset, offset, len);
    }

    turn_window();
    call();
    for (size_t i = 0; i < TICKET_SEG_BYTES; i++) {
        bits[i] =
            (sim.window[0][i] | sim.window[1][i]) & (unsigned char)~sim.gone[i];
    }

    ticket_view_t *view = ticket_line_begin(&sim.line);

    assert_int_equal(ticket_line_put(&sim.line, 0, bits, sizeof(bits)), 0);
    view->life = 1;
    view->issued = sim.issued;
    view->called = sim.called;

    ticket_news_t news = {.now_ms = sim.now,
                          .life = view->life,
                          .liveness_ms = LIVENESS_MS,
                          .issued = sim.issued,
                          .calls = sim.total,
                          .waiting = ticket_line_count(&sim.line),
                          .held = paused()};

    ticket_pace_sample(&sim.pace, &news, &view->speed);
    ticket_line_publish(&sim.line);
}

static void poll_one(uint32_t v)
{
    const visitor_t *visitor = &sim.visitor[v];
    ticket_place_t place;

    if (visitor->called_ms <= sim.now || visitor->leaves_ms <= sim.now) {
        return;
    }

    if (sim.polls == sim.room) {
        sim.room = sim.room ? 2 * sim.room : 1 << 20;
        sim.poll = realloc(sim.poll, sim.room * sizeof(poll_t));
        assert_non_null(sim.poll);
    }

    poll_t *poll = &sim.poll[sim.polls++];

    ticket_line_mark(&sim.line, visitor->number);
    ticket_line_look(&sim.line, visitor->number, sim.issued, &place);
    *poll = (poll_t){.visitor = v, .at_ms = (uint32_t)sim.now};
    (void)ticket_eta(&place.view.speed, place.ahead, &poll->eta);
    wake(v, sim.now + ticket_poll_after(place.ahead, LIVENESS_MS,
                                        (uint32_t)(chance() * JITTERS)));
}

static void poll_due(uint64_t tick)
{
    uint32_t *bucket = &sim.bucket[tick % BUCKETS], v = *bucket;

    *bucket = 0;
    while (v) {
        uint32_t next = sim.visitor[v - 1].next;

        poll_one(v - 1);
        v = next;
    }
}

/* Lets time pass until all are gone, or until then. */
static void run(const scenario_t *s, uint64_t until_ms)
{
    ticket_view_t view;

    memset(&sim, 0, sizeof(sim));
    sim.s = s;
    sim.random = 20261201;
    sim.seg.bits = calloc(1, sizeof(ticket_bits_t));
    assert_non_null(sim.seg.bits);
    ticket_line_attach(&sim.line, 0, &sim.seg);

    do {
        sim.now += TICK_MS;
        sim.sessions -= sim.sessions_end[sim.now / TICK_MS];
        sim.calls -= sim.calls_end[sim.now / TICK_MS];
        while (sim.come < CROWD &&
               (uint64_t)sim.come * s->arrive_ms / CROWD < sim.now) {
            join();
        }

        if (sim.now % EXCHANGE_MS == 0) {
            exchange();
        }

        poll_due(sim.now / TICK_MS);
        ticket_line_view(&sim.line, &view);
    } while (sim.now < until_ms && (sim.come < CROWD || view.waiting > 0));

    free(sim.seg.bits);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* What the polls of those who were called in the end were worth. */
static void judge(void)
{
    double *width = malloc((sim.polls + 1) * sizeof(double));
    size_t n = 0, sooner = 0, later = 0, none = 0;

    assert_non_null(width);
    for (size_t i = 0; i < sim.polls; i++) {
        const poll_t *poll = &sim.poll[i];
        const visitor_t *visitor = &sim.visitor[poll->visitor];
        double min = poll->eta.min, max = poll->eta.max;

        if (visitor->called_ms == NEVER ||
            visitor->leaves_ms < visitor->called_ms) {
            continue;
        }

        if (max == 0) {
            none++;
            continue;
        }

        double wait = (visitor->called_ms - poll->at_ms) / 1000.0;

        sooner += wait < min;
        later += wait > max;
        width[n++] = (max - min) * 2 / (max + min);
    }

    assert_true(n > CROWD);
    qsort(width, n, sizeof(double), by_size);

    double median = width[n / 2], right = 1 - (double)(sooner + later) / n;

    print_message("# %s: %zu polls in %u min, %.1f %% right, %.1f %% called "
                  "sooner, %.1f %% later, median width %.2f, without %.1f %%\n",
                  sim.s->name, n, (unsigned)(sim.now / MINUTE), right * 100,
                  sooner * 100.0 / n, later * 100.0 / n, median,
                  none * 100.0 / (n + none));
    free(width);
    free(sim.poll);

    assert_true(right >= 0.8);
    assert_true(median <= sim.s->width);
    assert_true(none < 0.15 * (n + none));
    assert_int_equal(sim.come, CROWD);
}

static const scenario_t scenario[] = {
    {.name = "a rate, all come at once",
     .width = NARROW,
     .rate = {10, 10},
     .per_ms = 1000,
     .arrive_ms = 10000,
     .wait_ms = {0, 30 * MINUTE}},
    {.name = "a rate, they come over time",
     .width = NARROW,
     .rate = {7, 7},
     .per_ms = 1000,
     .arrive_ms = 30 * MINUTE,
     .wait_ms = {10 * MINUTE, 10 * MINUTE}},
    {.name = "a rate by the minute",
     .width = LUMPS,
     .rate = {600, 600},
     .per_ms = MINUTE,
     .arrive_ms = 10000,
     .wait_ms = {0, 30 * MINUTE}},
    {.name = "slots, sessions of any length",
     .width = NARROW,
     .slots = 1000,
     .session_ms = 2 * MINUTE,
     .arrive_ms = 10000,
     .wait_ms = {0, 30 * MINUTE}},
    {.name = "slots, sessions of like lengths",
     .width = WIDER,
     .slots = 1000,
     .session_ms = 2 * MINUTE,
     .even = 1,
     .arrive_ms = 10000,
     .wait_ms = {0, 30 * MINUTE}},
    {.name = "slots, they come over time",
     .width = NARROW,
     .slots = 800,
     .session_ms = 2 * MINUTE,
     .arrive_ms = 30 * MINUTE,
     .wait_ms = {15 * MINUTE, 15 * MINUTE}},
    {.name = "the rate is raised, all come at once",
     .width = WIDER,
     .rate = {8, 12},
     .per_ms = 1000,
     .change_ms = 15 * MINUTE,
     .arrive_ms = 10000,
     .wait_ms = {0, 30 * MINUTE}},
    {.name = "the rate is lowered, all come at once",
     .width = WIDER,
     .rate = {12, 8},
     .per_ms = 1000,
     .change_ms = 12 * MINUTE,
     .arrive_ms = 10000,
     .wait_ms = {0, 30 * MINUTE}},
    {.name = "the rate is raised, they come over time",
     .width = WIDER,
     .rate = {5, 8},
     .per_ms = 1000,
     .change_ms = 24 * MINUTE,
     .arrive_ms = 30 * MINUTE,
     .wait_ms = {15 * MINUTE, 15 * MINUTE}},
    {.name = "the rate is lowered, they come over time",
     .width = WIDER,
     .rate = {8, 5},
     .per_ms = 1000,
     .change_ms = 24 * MINUTE,
     .arrive_ms = 30 * MINUTE,
     .wait_ms = {15 * MINUTE, 15 * MINUTE}},
    {.name = "a pause of five minutes",
     .width = NARROW,
     .rate = {10, 10},
     .per_ms = 1000,
     .pause_ms = {10 * MINUTE, 15 * MINUTE},
     .arrive_ms = 30 * MINUTE,
     .wait_ms = {10 * MINUTE, 10 * MINUTE}},
};

static void test_estimate(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(scenario) / sizeof(scenario[0]); i++) {
        run(&scenario[i], LAST_MS);
        judge();
    }
}

/* A line that stands polls as often as the arithmetic says. */
static void test_polls(void **state)
{
    static const scenario_t stands = {.name = "a line that stands",
                                      .pause_ms = {0, NEVER},
                                      .arrive_ms = 1000,
                                      .wait_ms = {NEVER / 2, NEVER / 2}};
    size_t n = 0, present = 0;

    (void)state;
    run(&stands, 10 * MINUTE);
    for (size_t i = 0; i < sim.polls; i++) {
        n += sim.poll[i].at_ms > MINUTE;
    }

    for (size_t i = 0; i < CROWD; i++) {
        present += sim.visitor[i].leaves_ms > sim.now;
    }

    double rate = (double)n / (9 * 60);
    double expected = poll_rate(CROWD, LIVENESS_MS) * (double)present / CROWD;

    print_message("# %zu present poll %.0f times a second, expected %.0f\n",
                  present, rate, expected);
    free(sim.poll);
    /* a poll waits for the next tick; some are going to leave */
    assert_true(rate < expected * 1.03 && rate > expected * 0.95);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_estimate),
        cmocka_unit_test(test_polls),
    };

    return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
