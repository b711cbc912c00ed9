/*
 * Best available against the plainest way to choose: every place in a random
 * hall is looked at.  Then a herd that takes a hall full.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "best.h"
#include "seat_rows.h"

#define NOW 1000

/* Whether somebody may have the seat; with any, also if a batch has it. */
static bool is_open(const hall_t *hall, uint32_t i, bool any)
{
    return hall_shown(&hall->seat[i], NOW) == SEAT_FREE &&
           (any || hall->seat[i].batch == 0);
}

static bool are_neighbours(const hall_t *hall, uint32_t i)
{
    const hall_seat_t *a = &hall->seat[i];

    return i + 1 < hall->n_seats && a->section == a[1].section &&
           a->row_no == a[1].row_no && a->pos + 1 == a[1].pos;
}

static bool is_wanted(const best_wish_t *wish, uint16_t tier)
{
    bool wanted = wish->n_tiers == 0;

    for (unsigned i = 0; i < wish->n_tiers; i++) {
        wanted |= wish->tier[i] == tier;
    }

    return wanted;
}

/* Whether the wish fits at first. */
static bool fits(const hall_t *hall, const best_wish_t *wish, uint32_t first,
                 bool any)
{
    for (uint32_t i = first; i < first + wish->quantity; i++) {
        if (i >= hall->n_seats || !is_open(hall, i, any) ||
            !is_wanted(wish, hall->seat[i].tier) ||
            (i > first && !are_neighbours(hall, i - 1))) {
            return false;
        }
    }

    return true;
}

/* Whether there is a single open seat beyond i, going that way. */
static bool leaves_one(const hall_t *hall, uint32_t i, int way)
{
    uint32_t next = i + (uint32_t)way, after = next + (uint32_t)way;

    if ((way < 0 && i == 0) || !are_neighbours(hall, way < 0 ? next : i) ||
        !is_open(hall, next, false)) {
        return false;
    }

    return (way < 0 && next == 0) ||
           !are_neighbours(hall, way < 0 ? after : next) ||
           !is_open(hall, after, false);
}

static uint64_t distance_of(const hall_t *hall, uint32_t first, unsigned n)
{
    uint64_t sum = 0;

    for (uint32_t i = first; i < first + n; i++) {
        const hall_seat_t *seat = &hall->seat[i];
        const hall_section_t *section = &hall->section[seat->section];
        int64_t x = seat->x - section->focal_x, y = seat->y - section->focal_y;

        sum += (uint64_t)(x * x + y * y);
    }

    return sum;
}

/* The first seat of the best place, or HALL_NONE. */
static uint32_t plain_best(const hall_t *hall, const best_wish_t *wish)
{
    uint32_t best = HALL_NONE;
    uint64_t least = 0;
    bool best_orphans = true;

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        bool orphans;
        uint64_t distance;

        if (!fits(hall, wish, i, false)) {
            continue;
        }

        orphans = leaves_one(hall, i, -1) ||
                  leaves_one(hall, i + wish->quantity - 1, 1);
        distance = distance_of(hall, i, wish->quantity);
        if (best == HALL_NONE || (best_orphans && !orphans) ||
            (best_orphans == orphans && distance < least)) {
            best = i;
            least = distance;
            best_orphans = orphans;
        }
    }

    return best;
}

static bool fits_somewhere(const hall_t *hall, const best_wish_t *wish,
                           bool any)
{
    for (uint32_t i = 0; i < hall->n_seats; i++) {
        if (fits(hall, wish, i, any)) {
            return true;
        }
    }

    return false;
}

static unsigned count_open(const hall_t *hall, const best_wish_t *wish,
                           bool any)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        n += is_open(hall, i, any) && is_wanted(wish, hall->seat[i].tier);
    }

    return n;
}

/* The fewest pieces that there can be: always the longest that is left. */
static unsigned fewest_pieces(const hall_t *hall, const best_wish_t *wish)
{
    unsigned length[BEST_QUANTITY_MAX + 1] = {0}, n = 0, pieces = 0;
    unsigned missing = wish->quantity;

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        if (is_open(hall, i, false) && is_wanted(wish, hall->seat[i].tier)) {
            n++;
        }

        if (n > 0 &&
            (!are_neighbours(hall, i) || !is_open(hall, i + 1, false) ||
             !is_wanted(wish, hall->seat[i + 1].tier) ||
             !is_open(hall, i, false))) {
            length[n < BEST_QUANTITY_MAX ? n : BEST_QUANTITY_MAX]++;
            n = 0;
        }
    }

    for (unsigned l = BEST_QUANTITY_MAX; l > 0 && missing > 0; l--) {
        for (; length[l] > 0 && missing > 0; length[l]--) {
            missing -= l < missing ? l : missing;
            pieces++;
        }
    }

    return pieces;
}

/* A hall of which the test does not know what is in it. */
static hall_t *random_hall(void)
{
    unsigned sections = 1 + any_of(3), dense = any_of(4);
    hall_t *hall =
        seat_rows(sections, 1 + any_of(5), 1 + any_of(90 / (1 + any_of(9))), 0);
    uint16_t tier = 0;
    int shift = 0;

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        hall_seat_t *seat = &hall->seat[i];

        shift = seat->pos == 1 ? 0 : shift + (any_of(12) == 0);
        seat->pos = (uint16_t)(seat->pos + shift);
        tier = any_of(15) == 0 ? (uint16_t)any_of(TIERS) : tier;
        seat->tier = tier;
        seat->x += (int32_t)any_of(60) - 30;
        seat->y += (int32_t)any_of(60) - 30;
    }
    hall->section[any_of(sections)].focal_y = (int32_t)any_of(2000) - 500;
    assert_int_equal(hall_finish(hall), 0);

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        bool is_free = any_of(4) <= dense;

        /* held: half of them until some time that has come */
        hear(hall, i, is_free ? SEAT_FREE : any_of(4), 1,
             NOW - 50 + any_of(99));
        if (any_of(8) == 0) {
            hall_set_batch(hall, i, (uint8_t)(1 + any_of(3)), 0);
        }
    }

    return hall;
}

/* Other seats are sold, come back, and are marked. */
static void disturb(hall_t *hall, uint32_t version)
{
    for (unsigned i = 0; i < 1 + hall->n_seats / 8; i++) {
        uint32_t seat_no = any_of(hall->n_seats);

        hear(hall, seat_no, any_of(4), version, NOW - 50 + any_of(99));
        hall_set_batch(hall, seat_no, (uint8_t)(any_of(5) == 0), NOW);
    }
}

static best_wish_t random_wish(bool together)
{
    best_wish_t wish = {
        .quantity = 1 + any_of(BEST_QUANTITY_MAX),
        .n_tiers = any_of(2) * any_of(3),
        .tier = {(uint16_t)any_of(TIERS), (uint16_t)any_of(TIERS)},
        .together = together};

    return wish;
}

static void check_block(const best_wish_t *wish, uint32_t first,
                        const uint32_t *seat_no)
{
    for (unsigned i = 0; i < wish->quantity; i++) {
        assert_int_equal(seat_no[i], first + i);
    }
}

static best_result_t check_together(hall_t *hall, const best_wish_t *wish)
{
    uint32_t seat_no[BEST_QUANTITY_MAX];
    uint32_t expected = plain_best(hall, wish);
    best_result_t result = best_choose(hall, wish, NOW, seat_no);

    if (expected != HALL_NONE) {
        assert_int_equal(result, BEST_FOUND);
        check_block(wish, expected, seat_no);
    } else {
        assert_int_equal(result, fits_somewhere(hall, wish, true) ? BEST_WAIT
                                                                  : BEST_NONE);
    }

    return result;
}

static void together_is_the_best_there_is(void **state)
{
    unsigned n[3] = {0};

    (void)state;
    srandom(20261205);

    for (int round = 0; round < 2000; round++) {
        hall_t *hall = random_hall();

        for (uint32_t turn = 0; turn < 4; turn++) {
            best_wish_t wish = random_wish(true);

            n[check_together(hall, &wish)]++;
            disturb(hall, 2 + turn);
        }

        hall_free(hall);
    }

    print_message("# %u found, %u to wait for, %u not to be had\n",
                  n[BEST_FOUND], n[BEST_WAIT], n[BEST_NONE]);
    assert_true(n[BEST_FOUND] > 1000 && n[BEST_WAIT] > 100 &&
                n[BEST_NONE] > 100);
}

/* Returns of how many pieces they are. */
static unsigned check_seats(const hall_t *hall, const best_wish_t *wish,
                            const uint32_t *seat_no)
{
    unsigned pieces = 0;

    for (unsigned i = 0; i < wish->quantity; i++) {
        assert_true(seat_no[i] < hall->n_seats);
        assert_true(i == 0 || seat_no[i] > seat_no[i - 1]);
        assert_true(is_open(hall, seat_no[i], false));
        assert_true(is_wanted(wish, hall->seat[seat_no[i]].tier));
        pieces += i == 0 || seat_no[i] != seat_no[i - 1] + 1 ||
                  !are_neighbours(hall, seat_no[i - 1]);
    }

    return pieces;
}

static best_result_t check_apart(hall_t *hall, const best_wish_t *wish,
                                 unsigned *in_pieces)
{
    uint32_t seat_no[BEST_QUANTITY_MAX];
    uint32_t expected = plain_best(hall, wish);
    best_result_t result = best_choose(hall, wish, NOW, seat_no);

    if (expected != HALL_NONE) {
        assert_int_equal(result, BEST_FOUND);
        check_block(wish, expected, seat_no);
    } else if (count_open(hall, wish, false) >= wish->quantity) {
        assert_int_equal(result, BEST_FOUND);
        assert_int_equal(check_seats(hall, wish, seat_no),
                         fewest_pieces(hall, wish));
        ++*in_pieces;
    } else {
        assert_int_equal(result, count_open(hall, wish, true) >= wish->quantity
                                     ? BEST_WAIT
                                     : BEST_NONE);
    }

    return result;
}

static void apart_if_it_must_be(void **state)
{
    unsigned n[3] = {0}, in_pieces = 0;

    (void)state;
    srandom(20261206);

    for (int round = 0; round < 2000; round++) {
        hall_t *hall = random_hall();

        for (uint32_t turn = 0; turn < 4; turn++) {
            best_wish_t wish = random_wish(false);

            n[check_apart(hall, &wish, &in_pieces)]++;
            disturb(hall, 2 + turn);
        }

        hall_free(hall);
    }

    print_message("# %u found, %u of them in pieces, %u to wait for, %u not to "
                  "be had\n",
                  n[BEST_FOUND], in_pieces, n[BEST_WAIT], n[BEST_NONE]);
    assert_true(in_pieces > 300 && n[BEST_WAIT] > 50 && n[BEST_NONE] > 50);
}

/* A finished hall in which all seats of the text's '.' are free. */
static hall_t *drawn(unsigned rows, unsigned seats, const char *text)
{
    hall_t *hall = seat_rows(1, rows, seats, 0);

    assert_int_equal(strlen(text), hall->n_seats);
    assert_int_equal(hall_finish(hall), 0);
    for (uint32_t i = 0; i < hall->n_seats; i++) {
        hear(hall, i, text[i] == '.' ? SEAT_FREE : SEAT_SOLD, 1, 0);
    }

    return hall;
}

static void check_choice(hall_t *hall, unsigned quantity, bool together,
                         const char *expected)
{
    best_wish_t wish = {.quantity = quantity, .together = together};
    uint32_t seat_no[BEST_QUANTITY_MAX];
    char text[100] = "";

    assert_int_equal(best_choose(hall, &wish, NOW, seat_no), BEST_FOUND);
    for (unsigned i = 0; i < quantity; i++) {
        sprintf(text + strlen(text), "%s%u", i > 0 ? " " : "", seat_no[i]);
    }
    assert_string_equal(text, expected);
    hall_free(hall);
}

static void by_hand(void **state)
{
    (void)state;

    /* the middle of the first row; of two that are as near, the lower */
    check_choice(drawn(2, 9, ".................."), 3, true, "3 4 5");
    check_choice(drawn(2, 8, "................"), 3, true, "2 3 4");

    /* 2 of 3 leave one alone, so the next row, or else the two anyway */
    check_choice(drawn(2, 5, "#...#....."), 2, true, "5 6");
    check_choice(drawn(2, 5, "#...#....."), 3, true, "1 2 3");
    check_choice(drawn(2, 5, "#...#.#.#."), 2, true, "1 2");

    /* one alone is best for who comes alone */
    check_choice(drawn(2, 5, "..#.######"), 1, true, "3");
    check_choice(drawn(2, 5, "...#.#####"), 1, true, "2");

    /* the longest piece first, the others near to it */
    check_choice(drawn(3, 6, "#.###.#.###.####.."), 3, false, "11 16 17");
    check_choice(drawn(3, 6, ".####.#.###.#..#.#"), 3, false, "7 13 14");
}

static void wrong_quantities(void **state)
{
    hall_t *hall = drawn(2, 9, "..................");
    uint32_t seat_no[BEST_QUANTITY_MAX];
    best_wish_t wish = {.quantity = 0, .together = true};

    (void)state;

    assert_int_equal(best_choose(hall, &wish, NOW, seat_no), BEST_NONE);
    wish.quantity = BEST_QUANTITY_MAX + 1;
    assert_int_equal(best_choose(hall, &wish, NOW, seat_no), BEST_NONE);

    hall_free(hall);
}

static unsigned count_singles(const hall_t *hall)
{
    unsigned n = 0;

    for (uint32_t i = 0; i < hall->n_seats; i++) {
        bool left =
            i > 0 && are_neighbours(hall, i - 1) && is_open(hall, i - 1, true);
        bool right = are_neighbours(hall, i) && is_open(hall, i + 1, true);

        n += is_open(hall, i, true) && !left && !right;
    }

    return n;
}

/*
 * Parties of 1 to 8, one after another, until none of any size finds seats:
 * whoever is refused really could not sit, and nobody leaves a seat alone who
 * could avoid it.
 */
static void a_herd_fills_the_hall(void **state)
{
    hall_t *hall = seat_rows(1, 80, 100, 0);
    best_wish_t wish = {.together = true};
    unsigned parties = 0, refused = 0, made_single = 0, left;

    (void)state;
    srandom(20261207);
    assert_int_equal(hall_finish(hall), 0);
    open_all(hall);

    while (refused < 100) {
        uint32_t seat_no[BEST_QUANTITY_MAX];
        unsigned singles = count_singles(hall);
        uint32_t expected;
        best_result_t result;

        wish.quantity = 1 + any_of(8);
        expected = plain_best(hall, &wish);
        result = best_choose(hall, &wish, NOW, seat_no);
        assert_int_equal(result,
                         expected == HALL_NONE ? BEST_NONE : BEST_FOUND);
        if (result == BEST_NONE) {
            refused++;
            continue;
        }

        check_block(&wish, expected, seat_no);
        for (unsigned i = 0; i < wish.quantity; i++) {
            hall_set_batch(hall, seat_no[i], 1, NOW);
            hear(hall, seat_no[i], SEAT_HELD, 1, NOW + 1000);
            hall_set_batch(hall, seat_no[i], 0, NOW);
        }
        parties++;
        made_single += count_singles(hall) > singles;
    }

    wish.n_tiers = 0;
    left = count_open(hall, &wish, true);
    print_message("# %u parties sat, %u of them left a seat alone; %u of 8,000 "
                  "seats remained\n",
                  parties, made_single, left);
    assert_true(left < 80);
    hall_free(hall);
}

/* The time of one choice, in a hall of which so many in 100 are gone. */
static double time_of(unsigned sections, unsigned gone, bool together)
{
    hall_t *hall = seat_rows(sections, 80, 100, 0);
    best_wish_t wish = {.together = together};
    uint32_t seat_no[BEST_QUANTITY_MAX];
    double took = 0;

    assert_int_equal(hall_finish(hall), 0);
    open_all(hall);

    /* parties that go where they are sent, then some that do not */
    for (uint32_t n = 0; n * 100 < hall->n_seats * gone; n += wish.quantity) {
        wish.quantity = 1 + any_of(8);
        assert_int_equal(best_choose(hall, &wish, NOW, seat_no), BEST_FOUND);
        for (unsigned i = 0; i < wish.quantity; i++) {
            hear(hall, seat_no[i], SEAT_SOLD, 1, 0);
        }
    }
    for (uint32_t i = 0; i < hall->n_seats / 50; i++) {
        hear(hall, any_of(hall->n_seats), any_of(2) * SEAT_SOLD, 2, 0);
    }

    for (int i = 0; i < 200; i++) {
        double begin = microseconds();

        wish.quantity = 1 + any_of(8);
        (void)best_choose(hall, &wish, NOW, seat_no);
        took += microseconds() - begin;
    }

    hall_free(hall);

    return took / 200;
}

/* The worst there is: nothing but single seats, of which many are wanted; for
 * the first who asks, and for those after him. */
static void tell_singles(unsigned sections, bool together)
{
    double took[2];
    hall_t *hall = seat_rows(sections, 80, 100, 0);
    best_wish_t wish = {.quantity = 10, .together = together};
    uint32_t seat_no[BEST_QUANTITY_MAX];
    double begin;

    assert_int_equal(hall_finish(hall), 0);
    for (uint32_t i = 0; i < hall->n_seats; i++) {
        hear(hall, i, i % 2 == 0 ? SEAT_FREE : SEAT_SOLD, 1, 0);
    }

    for (int i = 0; i < 2; i++) {
        begin = microseconds();
        assert_int_equal(best_choose(hall, &wish, NOW, seat_no),
                         together ? BEST_NONE : BEST_FOUND);
        took[i] = microseconds() - begin;
    }

    print_message("# %u seats, every second gone, ten wanted %s: %.1f us, then "
                  "%.1f us\n",
                  hall->n_seats, together ? "together" : "apart", took[0],
                  took[1]);
    hall_free(hall);
}

/* Told, not judged. */
static void how_long_it_takes(void **state)
{
    static const unsigned gone[] = {0, 50, 90, 99};

    (void)state;
    srandom(20261208);

    for (unsigned sections = 1; sections <= 10; sections += 9) {
        for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
            print_message("# %u seats, %u %% gone: %.2f us together, %.2f us "
                          "apart\n",
                          sections * 8000, gone[i],
                          time_of(sections, gone[i], true),
                          time_of(sections, gone[i], false));
        }

        tell_singles(sections, true);
        tell_singles(sections, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(together_is_the_best_there_is),
        cmocka_unit_test(apart_if_it_must_be),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(wrong_quantities),
        cmocka_unit_test(a_herd_fills_the_hall),
        cmocka_unit_test(how_long_it_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
