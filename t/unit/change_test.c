/*
 * What a transaction changed: its text as it is told to others, back again
 * without a loss, and that nothing else is taken.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "seat_rows.h"

#define ID "00112233445566778899aabbccddeeff"

static hold_id_t id_of(const char *text)
{
    hold_id_t id;

    assert_true(hold_id_read(&id, text, strlen(text)));

    return id;
}

static void check_text(const change_t *change, const char *expected)
{
    size_t len;
    char *text = change_to_json(change, &len);

    assert_non_null(text);
    assert_string_equal(text, expected);
    assert_int_equal(len, strlen(expected));
    free(text);
}

static void check_equal(const change_t *a, const change_t *b)
{
    assert_int_equal(a->n_seats, b->n_seats);
    assert_int_equal(a->n_buckets, b->n_buckets);
    assert_int_equal(a->n_holds, b->n_holds);

    for (unsigned i = 0; i < a->n_seats; i++) {
        assert_int_equal(a->seat[i].seat_no, b->seat[i].seat_no);
        assert_int_equal(a->seat[i].state, b->seat[i].state);
        assert_int_equal(a->seat[i].version, b->seat[i].version);
        assert_true(hold_id_equal(&a->seat[i].hold, &b->seat[i].hold));
        assert_true(a->seat[i].expires_ms == b->seat[i].expires_ms);
    }

    for (unsigned i = 0; i < a->n_buckets; i++) {
        assert_memory_equal(&a->bucket[i], &b->bucket[i], sizeof(*a->bucket));
    }

    for (unsigned i = 0; i < a->n_holds; i++) {
        assert_true(hold_id_equal(&a->hold[i], &b->hold[i]));
    }
}

static void check_round_trip(const change_t *change)
{
    change_t back = {.performance = 7};
    size_t len;
    char *text = change_to_json(change, &len);

    assert_non_null(text);
    assert_int_equal(change_from_json(&back, text, len), 0);
    assert_int_equal(back.performance, 7);
    check_equal(change, &back);
    change_clear(&back);
    free(text);
}

static void states_have_names(void **state)
{
    static const char *const names[] = {"free", "held", "sold", "blocked"};

    (void)state;

    for (seat_state_t i = SEAT_FREE; i <= SEAT_BLOCKED; i++) {
        assert_string_equal(seat_state_name(i), names[i]);
        assert_int_equal(seat_state_read(names[i]), i);
    }

    assert_int_equal(seat_state_read("gone"), SEAT_BLOCKED);
    assert_int_equal(seat_state_read(""), SEAT_BLOCKED);
}

static void ids_as_text(void **state)
{
    hold_id_t id = id_of("00112233445566778899AABBccddeeff");
    char text[HOLD_ID_LEN + 1];

    (void)state;

    hold_id_write(&id, text);
    assert_string_equal(text, ID);
    assert_false(hold_id_is_zero(&id));
    assert_false(hold_id_read(&id, ID, HOLD_ID_LEN - 1));
    assert_false(hold_id_read(&id, ID "0", HOLD_ID_LEN + 1));
    assert_false(hold_id_read(&id, "0011223344556677g899aabbccddeeff", 32));
    assert_false(hold_id_read(&id, "", 0));
}

static void nothing(void **state)
{
    change_t change = {0};

    (void)state;

    check_text(&change, "{\"seats\":[],\"buckets\":[],\"holds\":[]}");
    check_round_trip(&change);
}

static void all_kinds(void **state)
{
    change_t change = {.performance = 3};
    hold_id_t id = id_of(ID);
    seat_change_t held = {4, SEAT_HELD, 9, id, 1732200000123};
    seat_change_t sold = {5, SEAT_SOLD, 0, id, 99}; /* of no sold seat */
    bucket_change_t bucket = {1, 2, 500, 3, 4, 5};

    (void)state;

    assert_int_equal(change_add_seat(&change, &held), 0);
    assert_int_equal(change_add_seat(&change, &sold), 0);
    assert_int_equal(change_add_bucket(&change, &bucket), 0);
    assert_int_equal(change_add_bucket(&change, &bucket), 0);
    assert_int_equal(change_add_hold(&change, &id), 0);
    assert_int_equal(change_add_hold(&change, &id), 0);
    check_text(&change,
               "{\"seats\":[[4,1,9,\"" ID "\",1732200000123],[5,2,0,\"\",0]],"
               "\"buckets\":[[1,2,500,3,4,5],[1,2,500,3,4,5]],"
               "\"holds\":[\"" ID "\",\"" ID "\"]}");

    change_clear(&change);
    assert_null(change.seat);
    assert_int_equal(change.n_seats + change.n_buckets + change.n_holds, 0);
}

/* Each number at its ends: also the longest text there is. */
static void extremes(void **state)
{
    change_t change = {0};
    hold_id_t id = id_of("ffffffffffffffffffffffffffffffff");
    seat_change_t seat = {UINT32_MAX, SEAT_HELD, UINT32_MAX, id,
                          253402300799999};
    bucket_change_t bucket = {UINT16_MAX, UINT16_MAX, UINT32_MAX,
                              UINT32_MAX, 0,          UINT32_MAX};

    (void)state;

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(change_add_seat(&change, &seat), 0);
        assert_int_equal(change_add_bucket(&change, &bucket), 0);
        assert_int_equal(change_add_hold(&change, &id), 0);
    }

    check_round_trip(&change);
    change_clear(&change);
}

static void round_trips(void **state)
{
    (void)state;
    srandom(20261202);

    for (int round = 0; round < 200; round++) {
        change_t change = {0};

        for (unsigned n = any_of(70); n > 0; n--) {
            seat_change_t seat =
                heard(any_of(1U << 24), any_of(4), (uint32_t)random(),
                      1 + (int64_t)random() * 1000);

            assert_int_equal(change_add_seat(&change, &seat), 0);
            if (seat.state == SEAT_HELD) {
                assert_int_equal(change_add_hold(&change, &seat.hold), 0);
            }
        }

        for (unsigned n = any_of(20); n > 0; n--) {
            bucket_change_t bucket = {
                (uint16_t)random(), (uint16_t)random(), 2000,
                any_of(1000),       any_of(1000),       any_of(100000)};

            assert_int_equal(change_add_bucket(&change, &bucket), 0);
        }

        check_round_trip(&change);
        change_clear(&change);
    }
}

static void check_refused(const char *text, size_t len)
{
    change_t change = {.performance = 7};

    if (change_from_json(&change, text, len) == 0) {
        fail_msg("taken: %.*s", (int)len, text);
    }

    assert_null(change.seat);
    assert_null(change.bucket);
    assert_null(change.hold);
    assert_int_equal(change.n_seats + change.n_buckets + change.n_holds, 0);
}

#define SEATS_OF(list)   "{\"seats\":[" list "],\"buckets\":[],\"holds\":[]}"
#define BUCKETS_OF(list) "{\"seats\":[],\"buckets\":[" list "],\"holds\":[]}"
#define HOLDS_OF(list)   "{\"seats\":[],\"buckets\":[],\"holds\":[" list "]}"

/* Something good comes first, so that there is something not to keep. */
#define GOOD "[1,0,1,\"\",0],"

static void what_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "null",
        "[]",
        "1",
        "\"seats\"",
        "{}",
        "{\"seats\":[]}",
        "{\"seats\":[],\"buckets\":[]}",
        "{\"buckets\":[],\"holds\":[]}",
        "{\"seats\":[],\"buckets\":[],\"holds\":[],\"more\":[]}",
        "{\"seats\":[],\"seats\":[],\"buckets\":[],\"holds\":[]}",
        "{\"seats\":{},\"buckets\":[],\"holds\":[]}",
        "{\"seats\":null,\"buckets\":[],\"holds\":[]}",
        "{\"seats\":1,\"buckets\":[],\"holds\":[]}",
        "{\"seats\":\"\",\"buckets\":[],\"holds\":[]}",
        "{\"seatss\":[],\"buckets\":[],\"holds\":[]}",
        "{\"seats\":[],\"buckets\":[],\"holds\":[]} 1",
        "{\"seats\":[],\"buckets\":[],\"holds\":[]}{}",

        SEATS_OF(GOOD "[]"),
        SEATS_OF(GOOD "1"),
        SEATS_OF(GOOD "\"\""),
        SEATS_OF(GOOD "null"),
        SEATS_OF(GOOD "{}"),
        SEATS_OF(GOOD "[[]]"),
        SEATS_OF(GOOD "[1,0,1,\"\"]"),
        SEATS_OF(GOOD "[1,0,1,\"\",0,0]"),
        SEATS_OF(GOOD "[1,0,1,0,0]"),
        SEATS_OF(GOOD "[1,0,1,null,0]"),
        SEATS_OF(GOOD "[\"1\",0,1,\"\",0]"),
        SEATS_OF(GOOD "[1,0,1,\"\",\"\"]"),
        SEATS_OF(GOOD "[-1,0,1,\"\",0]"),
        SEATS_OF(GOOD "[1.0,0,1,\"\",0]"),
        SEATS_OF(GOOD "[1e3,0,1,\"\",0]"),
        SEATS_OF(GOOD "[1,4,1,\"\",0]"),
        SEATS_OF(GOOD "[1,true,1,\"\",0]"),
        SEATS_OF(GOOD "[4294967296,0,1,\"\",0]"),
        SEATS_OF(GOOD "[1,0,4294967296,\"\",0]"),
        SEATS_OF(GOOD "[1,0,99999999999999999999,\"\",0]"),
        SEATS_OF(GOOD "[1,1,1,\"\",5]"),
        SEATS_OF(GOOD "[1,1,1,\"" ID "\",0]"),
        SEATS_OF(GOOD "[1,0,1,\"" ID "\",0]"),
        SEATS_OF(GOOD "[1,0,1,\"\",5]"),
        SEATS_OF(GOOD "[1,2,1,\"" ID "\",5]"),
        SEATS_OF(GOOD "[1,1,1,\"" ID "0\",5]"),
        SEATS_OF(GOOD "[1,1,1,\"0\",5]"),
        SEATS_OF(GOOD "[1,1,1,\"" ID "\",253402300800000]"),
        SEATS_OF(GOOD "[1,1,1,\"0011223344556677x899aabbccddeeff\",5]"),

        BUCKETS_OF("[]"),
        BUCKETS_OF("1"),
        BUCKETS_OF("[0,0,5,1,1]"),
        BUCKETS_OF("[0,0,5,1,1,1,1]"),
        BUCKETS_OF("[0,0,5,1,1,\"\"]"),
        BUCKETS_OF("[65536,0,5,1,1,1]"),
        BUCKETS_OF("[0,65536,5,1,1,1]"),
        BUCKETS_OF("[0,0,4294967296,1,1,1]"),
        BUCKETS_OF("[0,0,5,-1,1,1]"),
        BUCKETS_OF("[0,0,5,3,3,1]"),
        BUCKETS_OF("[0,0,5,4294967295,1,1]"),

        HOLDS_OF("\"\""),
        HOLDS_OF("1"),
        HOLDS_OF("[]"),
        HOLDS_OF("{}"),
        HOLDS_OF("null"),
        HOLDS_OF("\"" ID "\",\"0\""),
        HOLDS_OF("[\"" ID "\"]"),
    };

    (void)state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_refused(texts[i], strlen(texts[i]));
    }
}

static void what_is_cut_off(void **state)
{
    static const char text[] =
        "{\"holds\":[\"" ID "\"],\"seats\":[[1,1,2,\"" ID "\",5]],"
        "\"buckets\":[[0,1,5,2,3,9]]}";
    change_t change = {0};

    (void)state;

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        check_refused(text, len);
    }

    assert_int_equal(change_from_json(&change, text, sizeof(text) - 1), 0);
    assert_int_equal(change.n_seats + change.n_buckets + change.n_holds, 3);
    change_clear(&change);
}

/* n of the entry, in the list of that name; all others are empty. */
static char *many(const char *name, const char *entry, unsigned n, size_t *len)
{
    char *text = malloc(100 + n * (strlen(entry) + 1));
    char *p = text;

    assert_non_null(text);
    p += sprintf(p, "{\"%s\":[", name);
    for (unsigned i = 0; i < n; i++) {
        p += sprintf(p, "%s%s", i > 0 ? "," : "", entry);
    }
    *p++ = ']';

    for (const char *const *other =
             (const char *const[]){"seats", "buckets", "holds", NULL};
         *other != NULL; other++) {
        if (strcmp(*other, name) != 0) {
            p += sprintf(p, ",\"%s\":[]", *other);
        }
    }
    *p++ = '}';
    *len = (size_t)(p - text);

    return text;
}

static void so_many_and_no_more(void **state)
{
    static const char *const lists[][2] = {{"seats", "[1,0,1,\"\",0]"},
                                           {"buckets", "[0,1,5,2,3,9]"},
                                           {"holds", "\"" ID "\""}};

    (void)state;

    for (size_t i = 0; i < 3; i++) {
        change_t change = {0};
        size_t len;
        char *text = many(lists[i][0], lists[i][1], 100000, &len);

        assert_int_equal(change_from_json(&change, text, len), 0);
        assert_int_equal(change.n_seats + change.n_buckets + change.n_holds,
                         100000);
        change_clear(&change);
        free(text);

        text = many(lists[i][0], lists[i][1], 100001, &len);
        check_refused(text, len);
        free(text);
    }
}

/* Told, not judged: a batch of 64 with two seats each. */
static void how_long_it_takes(void **state)
{
    change_t change = {0};
    double writing = 0, reading = 0;
    size_t len = 0;

    (void)state;

    for (uint32_t i = 0; i < 128; i++) {
        seat_change_t seat = heard(70000 + i, SEAT_HELD, i, 1732200000123);

        assert_int_equal(change_add_seat(&change, &seat), 0);
        if (i % 2 == 0) {
            assert_int_equal(change_add_hold(&change, &seat.hold), 0);
        }
    }

    for (int i = 0; i < 1000; i++) {
        change_t back = {0};
        double begin = microseconds(), middle;
        char *text = change_to_json(&change, &len);

        assert_non_null(text);
        middle = microseconds();
        assert_int_equal(change_from_json(&back, text, len), 0);
        reading += microseconds() - middle;
        writing += middle - begin;
        change_clear(&back);
        free(text);
    }

    print_message(
        "# a batch of 64, %zu bytes: written in %.1f us, read in %.1f us\n",
        len, writing / 1000, reading / 1000);
    change_clear(&change);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_have_names),
        cmocka_unit_test(ids_as_text),
        cmocka_unit_test(nothing),
        cmocka_unit_test(all_kinds),
        cmocka_unit_test(extremes),
        cmocka_unit_test(round_trips),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(what_is_cut_off),
        cmocka_unit_test(so_many_and_no_more),
        cmocka_unit_test(how_long_it_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
