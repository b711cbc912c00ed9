/*
 * The arithmetic of the line, held against a model that counts one by one:
 * ranks on random bitmaps, positions that never rise (rule L6), polls that
 * are never lost, and readers that see one exchange or the next and nothing
 * in between.
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

#define SEGS 6 /* segments of the model; not all have memory */
#define LAST (TICKET_NUMBER_MAX - 5)

/* Segments with memory, sparse and at both ends. */
static const size_t attached[] = {0, 1, 3, 5, 700, TICKET_SEGS_MAX - 1};
#define ATTACHED (sizeof(attached) / sizeof(attached[0]))

static ticket_line_t line;
static ticket_seg_t segs[TICKET_SEGS_MAX];

/* What the waiting bits of each attached segment should be. */
static unsigned char model[ATTACHED][TICKET_SEG_BYTES];

static void attach(size_t index)
{
    memset(&segs[index], 0, sizeof(segs[index]));
    segs[index].bits = calloc(1, sizeof(ticket_bits_t));
    assert_non_null(segs[index].bits);
    ticket_line_attach(&line, index, &segs[index]);
}

static int set_up_empty(void **state)
{
    (void)state;
    memset(&line, 0, sizeof(line));
    memset(model, 0, sizeof(model));
    srandom(20261201);

    return 0;
}

static int set_up(void **state)
{
    set_up_empty(state);
    for (size_t i = 0; i < ATTACHED; i++) {
        attach(attached[i]);
    }

    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < TICKET_SEGS_MAX; i++) {
        if (line.seg[i] != NULL) {
            free(line.seg[i]->bits);
        }
    }

    return 0;
}

static int bit_of(const unsigned char *bits, size_t bit)
{
    return bits[bit / 8] >> (7 - bit % 8) & 1;
}

static void set_bit(unsigned char *bits, size_t bit)
{
    bits[bit / 8] |= (unsigned char)(0x80 >> bit % 8);
}

/* Waiting with a number below this one, counted one by one. */
static uint32_t model_below(uint64_t number)
{
    uint32_t count = 0;

    for (size_t i = 0; i < ATTACHED; i++) {
        uint64_t first = (uint64_t)attached[i] * TICKET_SEG_BITS;

        for (size_t bit = 0; bit < TICKET_SEG_BITS && first + bit < number;
             bit++) {
            count += (uint32_t)bit_of(model[i], bit);
        }
    }

    return count;
}

static int model_waits(uint64_t number)
{
    for (size_t i = 0; i < ATTACHED; i++) {
        if (attached[i] == number / TICKET_SEG_BITS) {
            return bit_of(model[i], number % TICKET_SEG_BITS);
        }
    }

    return 0;
}

/* The line's answer about a number that was issued long ago. */
static void check_number(uint64_t number)
{
    uint32_t all = model_below(UINT64_MAX);
    ticket_place_t place;

    ticket_line_look(&line, number, 0, &place);
    assert_int_equal(place.ahead, model_below(number));
    assert_int_equal(place.in_line, model_waits(number));
    assert_int_equal(place.waiting, all + !place.in_line);
    assert_int_equal(place.called,
                     number <= place.view.called && !place.in_line);
    assert_int_equal(place.view.waiting, all);
}

static void check_numbers(void)
{
    static const uint64_t edges[] = {0,      1,      63,     64,       511,
                                     512,    513,    32767,  32768,    32769,
                                     65535,  65536,  98303,  98304,    131071,
                                     131072, 163839, 163840, 22937600, LAST};

    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        check_number(edges[i]);
    }

    for (int i = 0; i < 100; i++) {
        check_number((uint64_t)random() % (SEGS * TICKET_SEG_BITS));
    }
}

/* Puts random bits into one segment, at times only a few, or a short piece. */
static void put_random(size_t i, long one_in)
{
    size_t len =
        random() % 3 ? TICKET_SEG_BYTES : (size_t)random() % TICKET_SEG_BYTES;

    memset(model[i], 0, TICKET_SEG_BYTES);
    for (size_t bit = 0; bit < len * 8; bit++) {
        if (random() % one_in == 0) {
            set_bit(model[i], bit);
        }
    }

    assert_int_equal(ticket_line_put(&line, attached[i], model[i], len), 0);
}

static void test_rank(void **state)
{
    static const long density[] = {1, 2, 7, 100, 5000, 1000000};

    (void)state;
    for (int round = 0; round < 24; round++) {
        ticket_view_t *view = ticket_line_begin(&line);

        view->life = 1;
        view->issued = LAST;
        view->called = (uint64_t)random() % (SEGS * TICKET_SEG_BITS);
        for (size_t i = 0; i < ATTACHED; i++) {
            /* what is not put stays as it was in the other copy */
            if (round == 0 || random() % 2) {
                put_random(i, density[(size_t)round % 6]);
            }
        }

        ticket_line_publish(&line);
        check_numbers();
    }
}

static void test_clear(void **state)
{
    (void)state;
    ticket_line_begin(&line)->issued = LAST;
    for (size_t i = 0; i < ATTACHED; i++) {
        put_random(i, 3);
    }
    ticket_line_publish(&line);
    check_numbers();

    ticket_line_begin(&line);
    ticket_line_clear(&line);
    memset(model, 0, sizeof(model));
    put_random(2, 3);
    ticket_line_publish(&line);
    check_numbers();
}

/* Nothing is seen before it is published, and never without publishing. */
static void test_unpublished(void **state)
{
    ticket_view_t view;

    (void)state;
    ticket_line_view(&line, &view);
    assert_int_equal(view.life, 0);

    ticket_line_begin(&line)->issued = LAST;
    put_random(0, 2);
    ticket_line_publish(&line);
    check_numbers();

    /* a writer that dies here, and the next one, who puts something else */
    ticket_line_begin(&line)->called = 7;
    ticket_line_clear(&line);
    check_numbers();
    ticket_line_begin(&line);
    check_numbers();
    ticket_line_publish(&line);
    check_numbers();
    ticket_line_view(&line, &view);
    assert_int_equal(view.called, 0);
}

/* A segment that comes later counts those below it, in both copies. */
static void test_attach_later(void **state)
{
    (void)state;
    ticket_line_begin(&line)->issued = LAST;
    ticket_line_publish(&line);
    for (size_t i = 0; i < ATTACHED; i++) {
        size_t at = i % 2 ? ATTACHED - 1 - i / 2 : i / 2;

        attach(attached[at]);
        check_numbers();
        ticket_line_begin(&line)->issued = LAST;
        put_random(at, 4);
        ticket_line_publish(&line);
        check_numbers();
    }
}

static void test_put_refuses(void **state)
{
    static unsigned char bytes[TICKET_SEG_BYTES + 1];

    (void)state;
    ticket_line_begin(&line);
    assert_int_equal(ticket_line_put(&line, 2, bytes, 1), -1);
    assert_int_equal(ticket_line_put(&line, TICKET_SEGS_MAX, bytes, 1), -1);
    assert_int_equal(ticket_line_put(&line, SIZE_MAX, bytes, 1), -1);
    assert_int_equal(ticket_line_put(&line, 0, bytes, sizeof(bytes)), -1);
    assert_int_equal(ticket_line_put(&line, 0, bytes, TICKET_SEG_BYTES), 0);
    assert_int_equal(ticket_line_put(&line, 0, bytes, 0), 0);
}

/* A number above what the view knows stands behind everybody it knows. */
static void test_issued_since(void **state)
{
    ticket_place_t place;

    (void)state;
    ticket_view_t *view = ticket_line_begin(&line);
    view->life = 1;
    view->issued = 1000;
    view->called = 10;
    put_random(0, 1);
    memset(model[0] + 1000 / 8 + 1, 0, TICKET_SEG_BYTES - 1000 / 8 - 1);
    model[0][1000 / 8] = 0x80; /* 1000 waits, 1001 to 1007 do not exist */
    assert_int_equal(ticket_line_put(&line, 0, model[0], TICKET_SEG_BYTES), 0);
    ticket_line_publish(&line);

    uint32_t waiting = model_below(UINT64_MAX);

    ticket_line_look(&line, 1001, 1001, &place);
    assert_int_equal(place.ahead, waiting);
    assert_int_equal(place.waiting, waiting + 1);
    assert_false(place.called);
    ticket_line_look(&line, 1005, 1020, &place);
    assert_int_equal(place.ahead, waiting + 4);
    assert_int_equal(place.waiting, waiting + 20);
    /* one that the node has not heard of either */
    ticket_line_look(&line, 1030, 1020, &place);
    assert_int_equal(place.ahead, waiting + 29);
    assert_int_equal(place.waiting, waiting + 30);
    /* known to wait; those that came since count as waiting behind */
    ticket_line_look(&line, 1000, 1020, &place);
    assert_int_equal(place.ahead, waiting - 1);
    assert_int_equal(place.waiting, waiting + 20);
    /* out of range: behind everybody, and no memory is touched */
    ticket_line_look(&line, TICKET_NUMBER_MAX + 1, 0, &place);
    assert_false(place.in_line);
    ticket_line_look(&line, UINT64_MAX, 0, &place);
    assert_false(place.in_line || place.called);
}

/*
 * One step of a line in which nobody returns: some leave, some are called
 * from the front, some of the newly issued arrive.
 */
static void step(uint64_t *issued, uint64_t *called, uint64_t known)
{
    ticket_view_t *view = ticket_line_begin(&line);

    for (uint64_t n = 1; n <= *issued; n++) {
        size_t bit = n % TICKET_SEG_BITS, seg = n / TICKET_SEG_BITS;

        if (bit_of(model[seg], bit) && random() % 500 == 0) {
            model[seg][bit / 8] &= (unsigned char)~(0x80 >> bit % 8);
        }
    }

    for (uint64_t n = *issued + 1; n <= known; n++) {
        if (random() % 20) {
            set_bit(model[n / TICKET_SEG_BITS], n % TICKET_SEG_BITS);
        }
    }

    *issued = known;
    uint64_t until = *called + (uint64_t)random() % 40;
    for (; *called < until && *called < *issued; ++*called) {
        size_t bit = (*called + 1) % TICKET_SEG_BITS;

        model[(*called + 1) / TICKET_SEG_BITS][bit / 8] &=
            (unsigned char)~(0x80 >> bit % 8);
    }

    view->life = 1;
    view->issued = *issued;
    view->called = *called;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(ticket_line_put(&line, i, model[i], TICKET_SEG_BYTES),
                         0);
    }
    ticket_line_publish(&line);
}

/* L6: while nobody returns, a waiting visitor's position never rises. */
static void test_position_never_rises(void **state)
{
    static uint32_t told[2 * TICKET_SEG_BITS];
    uint64_t issued = 0, called = 0, known = 31000;
    ticket_place_t place;
    unsigned checked = 0;

    (void)state;
    memset(told, 0xff, sizeof(told));
    for (int round = 0; round < 60; round++) {
        step(&issued, &called, known);
        /* numbers go on being issued between two exchanges */
        for (int i = 0; i < 3; i++) {
            known += (uint64_t)random() % 60;
            for (uint64_t n = called + 1; n <= known; n++) {
                ticket_line_look(&line, n, known, &place);
                if (n <= issued && !place.in_line) {
                    continue;
                }
                if (place.ahead > told[n]) {
                    fail_msg("number %u rose from %u to %u", (unsigned)n,
                             told[n], place.ahead);
                }
                told[n] = place.ahead;
                checked++;
            }
        }
    }
    assert_true(known > TICKET_SEG_BITS && checked > 100000);
}

static void test_mark(void **state)
{
    unsigned char out[TICKET_SEG_BYTES];
    size_t offset = 0;

    (void)state;
    assert_int_equal(ticket_line_mark(&line, TICKET_NUMBER_MAX + 1), -1);
    assert_int_equal(ticket_line_mark(&line, UINT64_MAX), -1);
    assert_int_equal(ticket_line_mark(&line, 2 * TICKET_SEG_BITS), -1);
    assert_int_equal(ticket_line_polled(&line, 2, 0, out, &offset), 0);
    assert_int_equal(ticket_line_polled(&line, 0, 0, out, &offset), 0);

    for (int i = 0; i < 2; i++) { /* twice is once */
        assert_int_equal(ticket_line_mark(&line, 0), 0);
        assert_int_equal(ticket_line_mark(&line, 32767), 0);
        assert_int_equal(ticket_line_mark(&line, 32768 + 777), 0);
        assert_int_equal(ticket_line_mark(&line, TICKET_NUMBER_MAX), 0);
    }

    assert_int_equal(ticket_line_polled(&line, 0, 0, out, &offset),
                     TICKET_SEG_BYTES);
    assert_int_equal(offset, 0);
    assert_int_equal(out[0], 0x80);
    assert_int_equal(out[TICKET_SEG_BYTES - 1], 0x01);

    size_t len = ticket_line_polled(&line, 1, 0, out, &offset);
    assert_int_equal(len, 8);
    assert_int_equal(offset, 777 / 64 * 8);
    assert_true(bit_of(out, 777));
    assert_int_equal(
        ticket_line_polled(&line, TICKET_SEGS_MAX - 1, 0, out, &offset), 8);
    assert_int_equal(offset, TICKET_SEG_BYTES - 8);
    assert_int_equal(out[TICKET_SEG_BYTES - 1], 0x01);
}

/* Random marks come out as they went in, with the zeros around cut off. */
static void test_polled(void **state)
{
    static unsigned char expected[TICKET_SEG_BYTES], out[TICKET_SEG_BYTES];
    size_t offset = 0;

    (void)state;
    for (int round = 0; round < 200; round++) {
        size_t from = (size_t)random() % TICKET_SEG_BITS;
        size_t width = 1 + (size_t)random() % (TICKET_SEG_BITS - from);

        memset(expected, 0, sizeof(expected));
        for (int i = 0; i < 20; i++) {
            size_t bit = from + (size_t)random() % width;

            set_bit(expected, bit);
            assert_int_equal(ticket_line_mark(&line, 3 * TICKET_SEG_BITS + bit),
                             0);
        }

        size_t len = ticket_line_polled(&line, 3, 0, out, &offset);
        assert_true(len > 0 && offset + len <= TICKET_SEG_BYTES);
        for (size_t i = 0; i < TICKET_SEG_BYTES; i++) {
            int inside = i >= offset && i < offset + len;

            assert_int_equal(inside ? out[i] : 0, expected[i]);
        }

        ticket_line_delivered(&line, 3, out + offset, offset, len);
        assert_int_equal(ticket_line_polled(&line, 3, 0, out, &offset), 0);
    }
}

/* A poll between collecting and forgetting is delivered the next time. */
static void test_poll_in_between(void **state)
{
    unsigned char out[TICKET_SEG_BYTES], later[TICKET_SEG_BYTES];
    size_t offset = 0, at = 0;

    (void)state;
    ticket_line_mark(&line, 1001);
    size_t len = ticket_line_polled(&line, 0, 0, out, &offset);

    ticket_line_mark(&line, 1002); /* the same byte */
    ticket_line_mark(&line, 1020); /* the same word */
    ticket_line_mark(&line, 9);    /* elsewhere */
    ticket_line_mark(&line, 1001); /* the same bit: known to be present */
    ticket_line_delivered(&line, 0, out + offset, offset, len);

    assert_true(ticket_line_polled(&line, 0, 0, later, &at) > 0);
    assert_false(bit_of(later, 1001));
    assert_true(bit_of(later, 1002) && bit_of(later, 1020));
    assert_true(bit_of(later, 9));
}

/* With all, those who wait are given out too, but only polls forgotten. */
static void test_polled_all(void **state)
{
    unsigned char out[TICKET_SEG_BYTES];
    ticket_place_t place;
    size_t offset = 0;

    (void)state;
    for (int copy = 0; copy < 2; copy++) {
        ticket_line_begin(&line)->issued = 5000;
        set_bit(model[0], 4000 + (size_t)copy);
        ticket_line_put(&line, 0, model[0], TICKET_SEG_BYTES);
        ticket_line_publish(&line);
        ticket_line_mark(&line, 100);

        size_t len = ticket_line_polled(&line, 0, 1, out, &offset);
        assert_true(bit_of(out, 100) && bit_of(out, 4000 + (size_t)copy));
        assert_int_equal(offset, 100 / 64 * 8);
        ticket_line_delivered(&line, 0, out + offset, offset, len);
        assert_int_equal(ticket_line_polled(&line, 0, 0, out, &offset), 0);
        ticket_line_look(&line, 4000 + (uint64_t)copy, 5000, &place);
        assert_true(place.in_line);
    }
}

#define READERS 3
#define WRITES  20000

static int writer_done;

/* In version v the first f(v) numbers of two segments wait. */
static uint32_t waiting_of(uint64_t version)
{
    return (uint32_t)(version * 37 % 2000);
}

static void *write_versions(void *data)
{
    static unsigned char bytes[TICKET_SEG_BYTES];

    (void)data;
    for (uint64_t v = 1; v <= WRITES; v++) {
        ticket_view_t *view = ticket_line_begin(&line);
        uint32_t n = waiting_of(v);

        memset(bytes, 0, sizeof(bytes));
        memset(bytes, 0xff, n / 8);
        bytes[n / 8] = (unsigned char)(0xff00 >> n % 8);
        ticket_line_put(&line, 0, bytes, sizeof(bytes));
        ticket_line_put(&line, 3, bytes, n / 8 + 1);
        view->version = v;
        view->issued = 10 * v;
        view->called = 3 * v;
        view->life = 7 * v;
        ticket_line_publish(&line);
    }

    __atomic_store_n(&writer_done, 1, __ATOMIC_RELEASE);

    return NULL;
}

/* Returns what is wrong with one look, or NULL. */
static const char *look_once(uint64_t *version)
{
    ticket_place_t place;
    ticket_view_t view;

    ticket_line_look(&line, 3 * TICKET_SEG_BITS + 5000, 0, &place);
    if (place.view.version < *version) {
        return "went back";
    }

    *version = place.view.version;
    if (place.view.issued != 10 * *version ||
        place.view.called != 3 * *version || place.view.life != 7 * *version) {
        return "a view of two exchanges";
    }

    if (place.view.waiting != 2 * waiting_of(*version)) {
        return "a count of another exchange";
    }

    /* what is issued counts by the view: only known numbers have a rank */
    if (place.view.issued >= 3 * TICKET_SEG_BITS + 5000 &&
        place.ahead != place.view.waiting) {
        return "a rank of another exchange";
    }

    ticket_line_view(&line, &view);
    if (view.issued != 10 * view.version || view.life != 7 * view.version) {
        return "ticket_line_view of two exchanges";
    }

    return NULL;
}

static void *read_versions(void *data)
{
    const char **wrong = data;
    uint64_t version = 0;

    while (*wrong == NULL && !__atomic_load_n(&writer_done, __ATOMIC_ACQUIRE)) {
        *wrong = look_once(&version);
    }

    return NULL;
}

static void test_readers_while_writing(void **state)
{
    const char *wrong[READERS] = {NULL};
    pthread_t writer, reader[READERS];
    uint64_t version = 0;

    (void)state;
    writer_done = 0;
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(
            pthread_create(&reader[i], NULL, read_versions, &wrong[i]), 0);
    }
    assert_int_equal(pthread_create(&writer, NULL, write_versions, NULL), 0);
    pthread_join(writer, NULL);

    for (int i = 0; i < READERS; i++) {
        pthread_join(reader[i], NULL);
        if (wrong[i] != NULL) {
            fail_msg("%s", wrong[i]);
        }
    }

    assert_null(look_once(&version));
    assert_int_equal(version, WRITES);
}

/* Another process may have fetched it in what is the future here. */
static void test_age(void **state)
{
    ticket_view_t view = {.fetched_ms = 5000};

    (void)state;
    assert_int_equal(ticket_view_age(&view, 5250), 250);
    assert_int_equal(ticket_view_age(&view, 5000), 0);
    assert_int_equal(ticket_view_age(&view, 4999), 0);
}

#define MARKERS   3
#define MARKS     20000
#define MARK_STEP 7 /* a neighbour in nearly every byte */

static void *mark_some(void *data)
{
    uint64_t first = *(uint64_t *)data;

    for (uint64_t i = 0; i < MARKS / MARKERS; i++) {
        ticket_line_mark(&line, first + i * MARKERS);
    }

    return NULL;
}

/* Marks of several threads, collected meanwhile: each comes out. */
static void test_marks_while_collecting(void **state)
{
    static unsigned char got[TICKET_SEG_BYTES], out[TICKET_SEG_BYTES];
    pthread_t marker[MARKERS];
    uint64_t first[MARKERS];
    size_t offset = 0, last = MARKS / MARKERS * MARKERS;

    (void)state;
    memset(got, 0, sizeof(got));
    for (int i = 0; i < MARKERS; i++) {
        first[i] = (uint64_t)i + MARK_STEP;
        assert_int_equal(pthread_create(&marker[i], NULL, mark_some, &first[i]),
                         0);
    }

    for (int round = 0; round < 2000; round++) {
        if (round == 1999) {
            for (int i = 0; i < MARKERS; i++) {
                pthread_join(marker[i], NULL);
            }
        }

        size_t len = ticket_line_polled(&line, 0, 0, out, &offset);
        for (size_t i = offset; len && i < offset + len; i++) {
            got[i] |= out[i];
        }
        if (len) {
            ticket_line_delivered(&line, 0, out + offset, offset, len);
        }
    }

    for (size_t bit = 0; bit < TICKET_SEG_BITS; bit++) {
        assert_int_equal(bit_of(got, bit),
                         bit >= MARK_STEP && bit < MARK_STEP + last);
    }
}

#define line_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        line_test(test_rank),
        line_test(test_clear),
        line_test(test_unpublished),
        cmocka_unit_test_setup_teardown(test_attach_later, set_up_empty,
                                        tear_down),
        line_test(test_put_refuses),
        line_test(test_issued_since),
        cmocka_unit_test(test_age),
        line_test(test_position_never_rises),
        line_test(test_mark),
        line_test(test_polled),
        line_test(test_poll_in_between),
        line_test(test_polled_all),
        line_test(test_readers_while_writing),
        line_test(test_marks_while_collecting),
    };

    return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
