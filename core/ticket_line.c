/*
 * The arithmetic of the line; see ticket_line.h for how it is kept.
 */
#include <endian.h>
#include <math.h>
#include <string.h>

#include "ticket_line.h"

#define BLOCK_WORDS (TICKET_SEG_WORDS / TICKET_SEG_BLOCKS)

#define POLL_NEAR_MS 1000  /* at the front of the line */
#define POLL_FAR_MS  30000 /* at its end */
#define POLL_STEP_MS 10    /* more for each visitor ahead */

static const ticket_seg_t *get_seg(const ticket_line_t *line, size_t seg)
{
    return __atomic_load_n(&line->seg[seg], __ATOMIC_ACQUIRE);
}

static uint64_t load_word(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

int ticket_line_mark(ticket_line_t *line, uint64_t number)
{
    if (number > TICKET_NUMBER_MAX) {
        return -1;
    }

    const ticket_seg_t *seg = get_seg(line, ticket_seg_of(number));
    if (seg == NULL) {
        return -1;
    }

    unsigned bit = (unsigned)(number % TICKET_SEG_BITS);
    unsigned char *byte = (unsigned char *)seg->bits->polled + bit / 8;
    unsigned char mask = (unsigned char)(0x80 >> bit % 8);

    /* Reading first keeps the cache line shared among processes. */
    if (!(__atomic_load_n(byte, __ATOMIC_RELAXED) & mask)) {
        __atomic_fetch_or(byte, mask, __ATOMIC_RELAXED);
    }

    return 0;
}

/* Waiting visitors of one copy in the segments below one without memory. */
static uint32_t count_before(const ticket_line_t *line, int copy, size_t seg)
{
    while (++seg < TICKET_SEGS_MAX) {
        const ticket_seg_t *next = get_seg(line, seg);

        if (next != NULL) {
            return next->before[copy];
        }
    }

    return line->view[copy].waiting;
}

/* Waiting visitors of one copy with a number below this one. */
static uint32_t count_below(const ticket_line_t *line, int copy,
                            uint64_t number, int *in_line)
{
    *in_line = 0;

    if (number > TICKET_NUMBER_MAX) {
        return line->view[copy].waiting;
    }

    const ticket_seg_t *seg = get_seg(line, ticket_seg_of(number));

    if (seg == NULL) {
        return count_before(line, copy, ticket_seg_of(number));
    }

    unsigned bit = (unsigned)(number % TICKET_SEG_BITS);
    unsigned word = bit / 64, block = word / BLOCK_WORDS;
    const uint64_t *words = seg->bits->waiting[copy];
    uint32_t count = seg->before[copy] + seg->rank[copy][block];

    for (unsigned i = block * BLOCK_WORDS; i < word; i++) {
        count += (uint32_t)__builtin_popcountll(load_word(&words[i]));
    }

    uint64_t last = be64toh(load_word(&words[word])), shift = 63 - bit % 64;

    *in_line = (int)(last >> shift & 1);

    return count + (uint32_t)__builtin_popcountll(last >> shift >> 1);
}

/* Returns the generation a reader starts from. */
static uint64_t read_begin(const ticket_line_t *line)
{
    return __atomic_load_n(&line->gen, __ATOMIC_ACQUIRE);
}

/* True when what was read since read_begin is of one piece. */
static int read_ok(const ticket_line_t *line, uint64_t gen)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    return __atomic_load_n(&line->gen, __ATOMIC_RELAXED) == gen;
}

void ticket_line_look(const ticket_line_t *line, uint64_t number,
                      uint64_t issued, ticket_place_t *place)
{
    const ticket_view_t *view = &place->view;
    uint64_t gen;
    int copy;

    do {
        gen = read_begin(line);
        copy = (int)(gen & 1);
        place->view = line->view[copy];
        place->ahead = count_below(line, copy, number, &place->in_line);
    } while (!read_ok(line, gen));

    if (issued < number) {
        issued = number;
    }

    uint64_t since = issued > view->issued ? issued - view->issued : 0;

    if (number > view->issued) {
        place->ahead = view->waiting + (uint32_t)(number - view->issued - 1);
    }

    place->waiting = view->waiting + (uint32_t)since;
    if (number <= view->issued && !place->in_line) {
        place->waiting++;
    }

    place->called = number <= view->called && !place->in_line;
}

void ticket_line_view(const ticket_line_t *line, ticket_view_t *view)
{
    uint64_t gen;

    do {
        gen = read_begin(line);
        *view = line->view[gen & 1];
    } while (!read_ok(line, gen));
}

void ticket_line_attach(ticket_line_t *line, size_t index, ticket_seg_t *seg)
{
    seg->before[0] = count_before(line, 0, index);
    seg->before[1] = count_before(line, 1, index);

    __atomic_store_n(&line->seg[index], seg, __ATOMIC_RELEASE);
}

static int spare_copy(const ticket_line_t *line)
{
    return (int)(~line->gen & 1);
}

ticket_view_t *ticket_line_begin(ticket_line_t *line)
{
    int spare = spare_copy(line);

    line->view[spare] = line->view[!spare];

    for (size_t i = 0; i < TICKET_SEGS_MAX; i++) {
        if (line->seg[i] != NULL) {
            ticket_bits_t *bits = line->seg[i]->bits;

            memcpy(bits->waiting[spare], bits->waiting[!spare],
                   TICKET_SEG_BYTES);
        }
    }

    return &line->view[spare];
}

void ticket_line_clear(ticket_line_t *line)
{
    for (size_t i = 0; i < TICKET_SEGS_MAX; i++) {
        if (line->seg[i] != NULL) {
            memset(line->seg[i]->bits->waiting[spare_copy(line)], 0,
                   TICKET_SEG_BYTES);
        }
    }
}

int ticket_line_put(ticket_line_t *line, size_t seg, const void *bytes,
                    size_t len)
{
    if (seg >= TICKET_SEGS_MAX || line->seg[seg] == NULL ||
        len > TICKET_SEG_BYTES) {
        return -1;
    }

    unsigned char *to =
        (unsigned char *)line->seg[seg]->bits->waiting[spare_copy(line)];

    memcpy(to, bytes, len);
    memset(to + len, 0, TICKET_SEG_BYTES - len);

    return 0;
}

/* Counts one segment of a copy; total is what the lower ones hold. */
static uint32_t count_segment(ticket_seg_t *seg, int copy, uint32_t total)
{
    uint32_t count = 0;

    seg->before[copy] = total;

    for (unsigned i = 0; i < TICKET_SEG_WORDS; i++) {
        if (i % BLOCK_WORDS == 0) {
            seg->rank[copy][i / BLOCK_WORDS] = (uint16_t)count;
        }

        count += (uint32_t)__builtin_popcountll(seg->bits->waiting[copy][i]);
    }

    return total + count;
}

void ticket_line_publish(ticket_line_t *line)
{
    int spare = spare_copy(line);
    uint32_t total = 0;

    for (size_t i = 0; i < TICKET_SEGS_MAX; i++) {
        if (line->seg[i] != NULL) {
            total = count_segment(line->seg[i], spare, total);
        }
    }

    line->view[spare].waiting = total;
    __atomic_store_n(&line->gen, line->gen + 1, __ATOMIC_RELEASE);
}

size_t ticket_line_polled(const ticket_line_t *line, size_t seg, int all,
                          unsigned char out[TICKET_SEG_BYTES], size_t *offset)
{
    const ticket_seg_t *s = get_seg(line, seg);
    size_t first = TICKET_SEG_WORDS, last = 0;

    if (s == NULL) {
        return 0;
    }

    for (size_t i = 0; i < TICKET_SEG_WORDS; i++) {
        uint64_t word = load_word(&s->bits->polled[i]);

        if (all) {
            word |= load_word(&s->bits->waiting[line->gen & 1][i]);
        }

        if (word) {
            first = first < i ? first : i;
            last = i + 1;
        }

        memcpy(out + i * sizeof(word), &word, sizeof(word));
    }

    if (last == 0) {
        return 0;
    }

    *offset = first * sizeof(uint64_t);

    return (last - first) * sizeof(uint64_t);
}

void ticket_line_delivered(ticket_line_t *line, size_t seg,
                           const unsigned char *bytes, size_t offset,
                           size_t len)
{
    unsigned char *polled =
        (unsigned char *)line->seg[seg]->bits->polled + offset;

    for (size_t i = 0; i < len; i++) {
        if (bytes[i]) {
            __atomic_fetch_and(&polled[i], (unsigned char)~bytes[i],
                               __ATOMIC_RELAXED);
        }
    }
}

int ticket_eta(uint32_t ahead, uint32_t served, uint64_t served_ms,
               ticket_eta_t *eta)
{
    if (served == 0 || served_ms == 0) {
        return -1;
    }

    double seconds = (double)served_ms / 1000 * ((double)ahead + 1) / served;
    double spread = 2 / sqrt((double)served);
    double max = spread < 0.9 ? seconds / (1 - spread) : seconds * 10;

    eta->min = (uint32_t)fmin(seconds / (1 + spread), UINT32_MAX);
    eta->max = (uint32_t)fmin(ceil(max), UINT32_MAX);

    return 0;
}

uint32_t ticket_poll_after(uint32_t ahead, uint64_t liveness_ms,
                           uint32_t random)
{
    uint64_t after = POLL_NEAR_MS + (uint64_t)POLL_STEP_MS * ahead;

    if (after > POLL_FAR_MS) {
        after = POLL_FAR_MS;
    }

    if (after > liveness_ms / 4) {
        after = liveness_ms / 4;
    }

    return (uint32_t)(after * 3 / 4 + after / 2 * (random % 1024) / 1024);
}
