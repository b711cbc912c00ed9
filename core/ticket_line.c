/*
 * The arithmetic of the line; see ticket_line.h for how it is kept.
 */
#include <endian.h>
#include <string.h>

#include "ticket_line.h"

#define BLOCK_WORDS (TICKET_SEG_WORDS / TICKET_SEG_BLOCKS)

/*
 * A stamp is the time of a poll in sixteenths of a second, modulo 256; 0 is
 * none.  Of its age, 0 to 255, the ages up to STALE are told apart; from there
 * to AHEAD is what a sweep must not miss, so that none comes round unswept;
 * the last few are those of processes whose clock is a little ahead.
 */
#define STAMPS_PER_S 16
#define STALE        (TICKET_GAP_MAX_MS * STAMPS_PER_S / 1000)
#define AHEAD        252

#define SWEEP_EVERY_MS (TICKET_SWEEP_MS / 2)
#define SWEEP_LATE_MS  (TICKET_SWEEP_MS + 250)
#define SWEEP_WORDS    8
#define STAMP_WORDS    (TICKET_SEG_BITS / sizeof(uint64_t))
#define SWEPT_S        60 /* without a poll: a segment has no stamp left */

_Static_assert(STALE * 1000 == TICKET_GAP_MAX_MS * STAMPS_PER_S &&
                   (AHEAD - STALE) * 1000 / STAMPS_PER_S > SWEEP_LATE_MS,
               "a stamp may come round before it is swept");

static ticket_seg_t *get_seg(const ticket_line_t *line, size_t seg)
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

uint64_t ticket_view_age(const ticket_view_t *view, uint64_t now_ms)
{
    return now_ms > view->fetched_ms ? now_ms - view->fetched_ms : 0;
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

    line->counted = 0;
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
    line->counted = 0;

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

    line->counted = 0;
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

uint32_t ticket_line_count(ticket_line_t *line)
{
    int spare = spare_copy(line);
    uint32_t total = 0;

    for (size_t i = 0; i < TICKET_SEGS_MAX; i++) {
        if (line->seg[i] != NULL) {
            total = count_segment(line->seg[i], spare, total);
        }
    }

    line->view[spare].waiting = total;
    line->counted = 1;

    return total;
}

void ticket_line_publish(ticket_line_t *line)
{
    if (!line->counted) {
        ticket_line_count(line);
    }

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

static unsigned char units(uint64_t now_ms)
{
    return (unsigned char)(now_ms * STAMPS_PER_S / 1000);
}

/* Never 0; a sixteenth of a second too old where it would be. */
static unsigned char stamp_of(uint64_t now_ms)
{
    return units(now_ms) ? units(now_ms) : 255;
}

static unsigned age_of(unsigned char stamp, uint64_t now_ms)
{
    unsigned char age = (unsigned char)(units(now_ms) - stamp);

    return age < AHEAD ? age : 0;
}

static int sweep_is_late(const ticket_line_t *line, uint64_t now_ms)
{
    uint64_t swept = __atomic_load_n(&line->swept_ms, __ATOMIC_RELAXED);

    return swept == 0 || (now_ms > swept && now_ms - swept > SWEEP_LATE_MS);
}

/*
 * Stamps are single bytes, read and written whole and each for itself, so
 * that no order among them is needed.  Two polls of a number at once may both
 * pass: each then stamps the same time.  A sweep that meets a poll may remove
 * the stamp just made: the next poll passes, too.  A race so lets a poll pass,
 * and never refuses one that is not too early.
 */
uint32_t ticket_line_early(ticket_line_t *line, uint64_t number,
                           uint64_t now_ms, uint32_t gap_ms)
{
    if (number > TICKET_NUMBER_MAX || sweep_is_late(line, now_ms)) {
        return 0;
    }

    ticket_seg_t *seg = get_seg(line, ticket_seg_of(number));
    if (seg == NULL) {
        return 0;
    }

    unsigned char *stamp =
        (unsigned char *)seg->bits->stamp + number % TICKET_SEG_BITS;
    unsigned char last = __atomic_load_n(stamp, __ATOMIC_RELAXED);

    if (last != 0) {
        uint32_t passed = age_of(last, now_ms) * 1000 / STAMPS_PER_S;
        uint32_t step = 1000 / STAMPS_PER_S + 1;

        if (passed + step <= gap_ms) {
            return gap_ms - passed + step;
        }
    }

    __atomic_store_n(stamp, stamp_of(now_ms), __ATOMIC_RELAXED);

    uint64_t second = now_ms / 1000 + 1;
    if (__atomic_load_n(&seg->stamped_s, __ATOMIC_RELAXED) != second) {
        __atomic_store_n(&seg->stamped_s, second, __ATOMIC_RELAXED);
    }

    return 0;
}

/*
 * Removes the stale ones among the stamps of eight words, byte by byte: a word
 * written back could bring back a neighbour's old stamp.
 */
static void sweep_block(uint64_t *words, unsigned char now)
{
    unsigned char stale[SWEEP_WORDS * sizeof(uint64_t)], any = 0;

    for (size_t i = 0; i < SWEEP_WORDS; i++) {
        uint64_t word = load_word(&words[i]);

        memcpy(stale + i * sizeof(word), &word, sizeof(word));
    }

    for (size_t i = 0; i < sizeof(stale); i++) {
        unsigned char age = (unsigned char)(now - stale[i]);

        stale[i] = (stale[i] != 0) & (age >= STALE) & (age < AHEAD);
        any |= stale[i];
    }

    for (size_t i = 0; any && i < sizeof(stale); i++) {
        if (stale[i]) {
            __atomic_store_n((unsigned char *)words + i, 0, __ATOMIC_RELAXED);
        }
    }
}

/* Sweeps that came too late cannot tell old from new, and forget all. */
void ticket_line_sweep(ticket_line_t *line, uint64_t now_ms)
{
    int late = sweep_is_late(line, now_ms);
    uint64_t second = now_ms / 1000 + 1;

    if (!late && now_ms < line->swept_ms + SWEEP_EVERY_MS) {
        return;
    }

    for (size_t i = 0; i < TICKET_SEGS_MAX; i++) {
        ticket_seg_t *seg = line->seg[i];

        if (seg == NULL) {
            continue;
        }

        uint64_t last = __atomic_load_n(&seg->stamped_s, __ATOMIC_RELAXED);

        if (last == 0 || (!late && last + SWEPT_S < second)) {
            continue;
        }

        if (late) {
            memset(seg->bits->stamp, 0, sizeof(seg->bits->stamp));
            continue;
        }

        for (size_t j = 0; j < STAMP_WORDS; j += SWEEP_WORDS) {
            sweep_block(&seg->bits->stamp[j], units(now_ms));
        }
    }

    __atomic_store_n(&line->swept_ms, now_ms, __ATOMIC_RELEASE);
}
