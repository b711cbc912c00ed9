/*
 * What the arithmetic of the line costs with many numbers issued: a poll, an
 * exchange, a sweep, and memory.  Run by scripts/bench-line.
 *
 *   line_bench [MILLIONS]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "ticket_line.h"

#define POLLS     2000000
#define EXCHANGES 50
#define PRESENT   0xdb /* of eight numbers, six */

typedef struct {
    ticket_line_t line;
    ticket_pace_t pace;
    uint64_t issued;
    size_t segs;
    uint64_t random;
} bench_t;

static double now_ns(void)
{
    return bench_now() * 1e9;
}

/* The next number to poll, anywhere in the line. */
static uint64_t any_number(bench_t *b)
{
    b->random = b->random * 6364136223846793005U + 1442695040888963407U;

    return 1 + (b->random >> 33) % b->issued;
}

static void attach_all(bench_t *b)
{
    for (size_t i = 0; i < b->segs; i++) {
        ticket_seg_t *seg = bench_alloc(1, sizeof(*seg));

        seg->bits = bench_alloc(1, sizeof(*seg->bits));
        ticket_line_attach(&b->line, i, seg);
    }
}

/* One exchange that brings so many segments. */
static void exchange(bench_t *b, size_t segs, uint64_t now_ms)
{
    static unsigned char bytes[TICKET_SEG_BYTES];
    ticket_view_t *view = ticket_line_begin(&b->line);

    memset(bytes, PRESENT, sizeof(bytes));
    for (size_t i = 0; i < segs; i++) {
        if (ticket_line_put(&b->line, i, bytes, sizeof(bytes)) != 0) {
            bench_fail("a segment without memory");
        }
    }

    view->life = 1;
    view->issued = b->issued;

    ticket_news_t news = {.now_ms = now_ms,
                          .life = 1,
                          .liveness_ms = 120000,
                          .issued = b->issued,
                          .calls = now_ms / 10,
                          .waiting = ticket_line_count(&b->line)};

    ticket_pace_sample(&b->pace, &news, &view->speed);
    ticket_line_publish(&b->line);
}

static void bench_exchanges(bench_t *b)
{
    double begin = now_ns();

    for (int i = 0; i < EXCHANGES; i++) {
        exchange(b, 1, (uint64_t)i * 500);
    }
    printf("exchange, one segment changed  %8.0f us\n",
           (now_ns() - begin) / EXCHANGES / 1000);

    begin = now_ns();
    for (int i = 0; i < EXCHANGES; i++) {
        exchange(b, b->segs, (uint64_t)(EXCHANGES + i) * 500);
    }
    printf("exchange, all changed          %8.0f us\n",
           (now_ns() - begin) / EXCHANGES / 1000);

    double spent[2] = {0, 0};

    for (int i = 0; i < EXCHANGES; i++) {
        begin = now_ns();
        ticket_line_begin(&b->line);
        spent[0] += now_ns() - begin;
        begin = now_ns();
        ticket_line_publish(&b->line);
        spent[1] += now_ns() - begin;
    }
    printf("  begin alone                  %8.0f us\n",
           spent[0] / EXCHANGES / 1000);
    printf("  publish alone                %8.0f us\n",
           spent[1] / EXCHANGES / 1000);
}

static void bench_polls(bench_t *b)
{
    ticket_place_t place;
    ticket_eta_t eta;
    uint64_t sum = 0;
    double begin = now_ns();

    for (int i = 0; i < POLLS; i++) {
        uint64_t number = any_number(b);

        if (ticket_line_mark(&b->line, number) != 0) {
            bench_fail("a number without memory");
        }
        ticket_line_look(&b->line, number, b->issued, &place);
        sum += place.ahead;
    }
    printf("mark and look                  %8.0f ns\n",
           (now_ns() - begin) / POLLS);

    begin = now_ns();
    for (int i = 0; i < POLLS; i++) {
        ticket_line_look(&b->line, any_number(b), b->issued, &place);
        sum += (uint64_t)ticket_eta(&place.view.speed, place.ahead, &eta) +
               eta.min + ticket_poll_after(place.ahead, 120000, 512);
    }
    printf("look, estimate, when to poll   %8.0f ns\n",
           (now_ns() - begin) / POLLS);

    ticket_line_sweep(&b->line, 1000000);
    begin = now_ns();
    for (int i = 0; i < POLLS; i++) {
        sum += ticket_line_early(&b->line, any_number(b), 1000000, 11250);
    }
    printf("too early?                     %8.0f ns\n",
           (now_ns() - begin) / POLLS);
    if (sum == 0) {
        bench_fail("nobody is in line");
    }
}

/* Every number has polled: as much as a sweep can find. */
static void bench_sweep(bench_t *b)
{
    unsigned char out[TICKET_SEG_BYTES];
    size_t offset = 0;

    for (uint64_t n = 1; n <= b->issued; n++) {
        ticket_line_early(&b->line, n, 1000000 + n * 3000 / b->issued, 0);
    }

    double begin = now_ns();

    ticket_line_sweep(&b->line, 1003000);
    printf("sweep, nothing stale           %8.0f us\n",
           (now_ns() - begin) / 1000);
    for (uint64_t now = 1006000; now < 1015000; now += 3000) {
        begin = now_ns();
        ticket_line_sweep(&b->line, now);
    }
    printf("sweep, much of it stale        %8.0f us\n",
           (now_ns() - begin) / 1000);

    begin = now_ns();
    for (size_t i = 0; i < b->segs; i++) {
        size_t len = ticket_line_polled(&b->line, i, 0, out, &offset);

        ticket_line_delivered(&b->line, i, out + offset, offset, len);
    }
    printf("polls collected and forgotten  %8.0f us\n",
           (now_ns() - begin) / 1000);
}

int main(int argc, char **argv)
{
    static bench_t b = {.random = 20261201};
    double millions = argc > 1 ? strtod(argv[1], NULL) : 10;

    b.issued = (uint64_t)(millions * 1e6);
    if (b.issued < 1 || b.issued > TICKET_NUMBER_MAX) {
        bench_fail("usage: line_bench [MILLIONS]");
    }

    b.segs = ticket_seg_of(b.issued) + 1;
    attach_all(&b);
    printf("numbers                        %8.0f k, %zu segments\n",
           millions * 1e3, b.segs);
    printf("memory for a million           %8.0f KB\n",
           1e6 / TICKET_SEG_BITS *
               (sizeof(ticket_bits_t) + sizeof(ticket_seg_t)) / 1024);
    bench_exchanges(&b);
    bench_polls(&b);
    bench_sweep(&b);

    return 0;
}
