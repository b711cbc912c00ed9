/*
 * Tokens: what was sealed opens again with the same values, is laid out as
 * ticket_token.h says, and nothing that differs from it in any way opens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "key_file.h"
#include "ticket_token.h"

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const char room[] = "concert:20261201";

static ticket_keys_t *keys;

static const ticket_token_t sample = {
    .kind = TICKET_TOKEN_QUEUE,
    .epoch = 1764633600,
    .number = 81234,
    .time_ms = 1764633612345,
    .id = 0x0123456789abcdef,
};

static int set_up(void **state)
{
    (void)state;
    keys = good_keys("7 " SECRET_A "\n");

    return keys == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    ticket_keys_free(keys);

    return 0;
}

static void seal(const ticket_token_t *token, const char *name,
                 char text[TICKET_TOKEN_TEXT_LEN])
{
    assert_int_equal(
        ticket_token_seal(keys, token, name, strlen(name), NULL, 0, text), 0);
}

/* Opens the text, and sees to it that a refused one fills nothing in. */
static ticket_token_verdict_t open_as(ticket_token_kind_t kind,
                                      const char *text, size_t len,
                                      const char *name, size_t name_len)
{
    ticket_token_t token, untouched;

    memset(&token, 0x5a, sizeof(token));
    untouched = token;

    ticket_token_verdict_t verdict = ticket_token_open(
        keys, kind, text, len, name, name_len, NULL, 0, &token);

    if (verdict != TICKET_TOKEN_OK) {
        assert_memory_equal(&token, &untouched, sizeof(token));
    }

    return verdict;
}

static ticket_token_verdict_t open_text(const char *text)
{
    return open_as(TICKET_TOKEN_QUEUE, text, TICKET_TOKEN_TEXT_LEN, room,
                   strlen(room));
}

static void check_round_trip(const ticket_token_t *token, const char *name,
                             size_t name_len)
{
    char text[TICKET_TOKEN_TEXT_LEN];
    ticket_token_t got = {0};

    assert_int_equal(
        ticket_token_seal(keys, token, name, name_len, NULL, 0, text), 0);
    for (size_t i = 0; i < sizeof(text); i++) {
        assert_non_null(memchr(alphabet, text[i], 64));
    }

    assert_int_equal(ticket_token_open(keys, token->kind, text, sizeof(text),
                                       name, name_len, NULL, 0, &got),
                     TICKET_TOKEN_OK);
    assert_int_equal(got.kind, token->kind);
    assert_true(got.epoch == token->epoch && got.number == token->number);
    assert_true(got.time_ms == token->time_ms && got.id == token->id);
}

static void test_round_trip(void **state)
{
    const uint64_t values[] = {0,
                               1,
                               255,
                               256,
                               UINT32_MAX,
                               (uint64_t)UINT32_MAX + 1,
                               INT64_MAX,
                               (uint64_t)INT64_MAX + 1,
                               UINT64_MAX - 1,
                               UINT64_MAX};
    const size_t n = sizeof(values) / sizeof(values[0]);
    char longest[TICKET_ROOM_MAX];

    (void)state;
    memset(longest, 'r', sizeof(longest));

    for (size_t i = 0; i < n * n; i++) {
        ticket_token_t token = {
            .kind = i % 2 ? TICKET_TOKEN_PASS : TICKET_TOKEN_QUEUE,
            .epoch = (uint32_t)values[i % n],
            .number = values[i / n],
            .time_ms = values[(i + 3) % n],
            .id = values[(i / n + 5) % n],
        };

        check_round_trip(&token, room, strlen(room));
        check_round_trip(&token, "r", 1);
        check_round_trip(&token, longest, sizeof(longest));
    }
}

/* The layout in ticket_token.h, made by other means. */
static void check_layout(const char *bind, size_t bind_len)
{
    unsigned char signed_part[256] = {
        1, 1, 0, 7, 0x69, 0x2e, 0x2c, 0x80, 0, 0, 0, 0, 0, 1, 0x3d, 0x52, 0, 0,
        1, 0x9a, 0xdc, 0x7d, 0x54, 0x39, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
        0xcd, 0xef,
        /* what the MAC covers besides: the room's length and name */
        16, 'c', 'o', 'n', 'c', 'e', 'r', 't', ':', '2', '0', '2', '6', '1',
        '2', '0', '1'};
    unsigned char key[32], raw[48], mac[32], expected[65];
    char text[TICKET_TOKEN_TEXT_LEN];
    unsigned mac_len = 0;
    size_t signed_len = 49;

    if (bind_len != 0) {
        signed_part[signed_len++] = (unsigned char)(bind_len >> 8);
        signed_part[signed_len++] = (unsigned char)bind_len;
        memcpy(signed_part + signed_len, bind, bind_len);
        signed_len += bind_len;
    }

    for (size_t i = 0; i < sizeof(key); i++) {
        char digits[3] = {SECRET_A[2 * i], SECRET_A[2 * i + 1], 0};
        key[i] = (unsigned char)strtoul(digits, NULL, 16);
    }

    assert_non_null(HMAC(EVP_sha256(), key, sizeof(key), signed_part,
                         signed_len, mac, &mac_len));
    memcpy(raw, signed_part, 32);
    memcpy(raw + 32, mac, 16);
    EVP_EncodeBlock(expected, raw, sizeof(raw));
    for (size_t i = 0; i < 64; i++) {
        expected[i] = expected[i] == '+'   ? '-'
                      : expected[i] == '/' ? '_'
                                           : expected[i];
    }

    ticket_token_t token = sample;
    token.epoch = 0x692e2c80;
    token.number = 0x13d52;
    token.time_ms = 0x19adc7d5439;
    assert_int_equal(ticket_token_seal(keys, &token, room, strlen(room), bind,
                                       bind_len, text),
                     0);
    assert_memory_equal(text, expected, sizeof(text));
}

static void test_layout(void **state)
{
    (void)state;
    check_layout(NULL, 0);
    check_layout("", 0);
    check_layout("user 17", 7);
}

static void test_each_bit(void **state)
{
    char text[TICKET_TOKEN_TEXT_LEN];

    (void)state;
    seal(&sample, room, text);
    assert_int_equal(open_text(text), TICKET_TOKEN_OK);

    for (size_t i = 0; i < sizeof(text); i++) {
        char was = text[i];
        long value = strchr(alphabet, was) - alphabet;

        for (int bit = 0; bit < 6; bit++) {
            text[i] = alphabet[value ^ 1 << bit];
            assert_int_not_equal(open_text(text), TICKET_TOKEN_OK);
        }

        text[i] = was;
    }

    assert_int_equal(open_text(text), TICKET_TOKEN_OK);
}

static void test_each_byte(void **state)
{
    char text[TICKET_TOKEN_TEXT_LEN];

    (void)state;
    seal(&sample, room, text);

    for (size_t i = 0; i < sizeof(text); i++) {
        char was = text[i];

        for (int c = 0; c < 256; c++) {
            text[i] = (char)c;
            if (text[i] == was) {
                continue;
            }

            ticket_token_verdict_t verdict = open_text(text);

            assert_int_not_equal(verdict, TICKET_TOKEN_OK);
            if (memchr(alphabet, c, 64) == NULL) {
                assert_int_equal(verdict, TICKET_TOKEN_MALFORMED);
            }
        }

        text[i] = was;
    }
}

static void test_length(void **state)
{
    char text[3 * TICKET_TOKEN_TEXT_LEN];

    (void)state;
    seal(&sample, room, text);
    seal(&sample, room, text + TICKET_TOKEN_TEXT_LEN);
    memset(text + 2 * TICKET_TOKEN_TEXT_LEN, '=', TICKET_TOKEN_TEXT_LEN);

    for (size_t len = 0; len <= sizeof(text); len++) {
        assert_int_equal(
            open_as(TICKET_TOKEN_QUEUE, text, len, room, strlen(room)),
            len == TICKET_TOKEN_TEXT_LEN ? TICKET_TOKEN_OK
                                         : TICKET_TOKEN_MALFORMED);
    }
}

/* Pieces of two good tokens put together are not a token. */
static void test_splices(void **state)
{
    ticket_token_t other = sample;
    char a[TICKET_TOKEN_TEXT_LEN], b[TICKET_TOKEN_TEXT_LEN];
    int spliced = 0;

    (void)state;
    other.epoch ^= 0xffffffff;
    other.number = 1;
    other.time_ms++;
    other.id = ~other.id;
    seal(&sample, room, a);
    seal(&other, room, b);

    for (size_t from = 0; from < sizeof(a); from++) {
        for (size_t to = from + 1; to <= sizeof(a); to++) {
            char text[TICKET_TOKEN_TEXT_LEN];

            memcpy(text, a, sizeof(a));
            memcpy(text + from, b + from, to - from);
            if (memcmp(text, a, sizeof(a)) == 0 ||
                memcmp(text, b, sizeof(b)) == 0) {
                continue;
            }

            assert_int_not_equal(open_text(text), TICKET_TOKEN_OK);
            spliced++;
        }
    }

    assert_true(spliced > 1500);
}

/* The MAC of one token does not fit another epoch, number, time or id. */
static void test_each_field(void **state)
{
    char good[TICKET_TOKEN_TEXT_LEN], text[TICKET_TOKEN_TEXT_LEN];
    const size_t mac_at = 43; /* the MAC begins within character 42 */

    (void)state;
    seal(&sample, room, good);

    for (int field = 0; field < 4; field++) {
        ticket_token_t other = sample;

        other.epoch += field == 0;
        other.number += field == 1;
        other.time_ms += field == 2;
        other.id += field == 3;
        seal(&other, room, text);
        assert_memory_not_equal(text, good, mac_at);
        memcpy(text + mac_at, good + mac_at, sizeof(text) - mac_at);
        assert_int_equal(open_text(text), TICKET_TOKEN_FORGED);
    }
}

static void test_other_room(void **state)
{
    static const char *const others[] = {
        "a",    "b",    ":b:c",  "a:b",   "a:b:",    "a:b:cc", "aa:b:c",
        "a:bc", "ab:c", "A:b:c", "a~b:c", "a:b:c\n", "a.b.c",
    };
    char text[TICKET_TOKEN_TEXT_LEN];
    char wide[TICKET_ROOM_MAX + 1];

    (void)state;
    seal(&sample, "a:b:c", text);
    assert_int_equal(
        open_as(TICKET_TOKEN_QUEUE, text, sizeof(text), "a:b:c", 5),
        TICKET_TOKEN_OK);

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        assert_int_equal(open_as(TICKET_TOKEN_QUEUE, text, sizeof(text),
                                 others[i], strlen(others[i])),
                         TICKET_TOKEN_FORGED);
    }

    /* a terminating zero is a byte like any other */
    assert_int_equal(
        open_as(TICKET_TOKEN_QUEUE, text, sizeof(text), "a:b:c", 6),
        TICKET_TOKEN_FORGED);

    memset(wide, 'r', sizeof(wide));
    assert_int_equal(
        ticket_token_seal(keys, &sample, wide, sizeof(wide), NULL, 0, text),
        -1);
    assert_int_equal(ticket_token_seal(keys, &sample, wide, 0, NULL, 0, text),
                     -1);
    assert_int_equal(
        open_as(TICKET_TOKEN_QUEUE, text, sizeof(text), wide, sizeof(wide)),
        TICKET_TOKEN_FORGED);
    assert_int_equal(open_as(TICKET_TOKEN_QUEUE, text, sizeof(text), wide, 0),
                     TICKET_TOKEN_FORGED);
}

/* A token and where it is bound to, as it is opened there. */
static ticket_token_verdict_t open_bound(const char *text, const char *name,
                                         const void *bind, size_t bind_len)
{
    ticket_token_t token;

    return ticket_token_open(keys, TICKET_TOKEN_QUEUE, text,
                             TICKET_TOKEN_TEXT_LEN, name, strlen(name), bind,
                             bind_len, &token);
}

/* Each opens where it was bound to, and nowhere else. */
static void test_bound(void **state)
{
    static char zeros[TICKET_BIND_MAX];
    static const struct {
        const char *room;
        const char *bind;
        size_t len;
    } all[] = {
        {"a", NULL, 0},
        {"a", "b", 1},
        {"a", "c", 1},
        {"a", "bc", 2},
        {"ab", NULL, 0},
        {"ab", "c", 1},
        {"a", "b\0", 2},
        {"a", "\0\1c", 3},
        {"a", zeros, 1},
        {"a", zeros, 255},
        {"a", zeros, 256},
        {"a", zeros, TICKET_BIND_MAX - 1},
        {"a", zeros, TICKET_BIND_MAX},
        /* reads like room "a" bound to "c", but for the length of the name */
        {"a\1", NULL, 0},
        {"a\1c", NULL, 0},
    };
    const size_t n = sizeof(all) / sizeof(all[0]);
    char text[TICKET_TOKEN_TEXT_LEN];

    (void)state;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(ticket_token_seal(keys, &sample, all[i].room,
                                           strlen(all[i].room), all[i].bind,
                                           all[i].len, text),
                         0);
        for (size_t j = 0; j < n; j++) {
            assert_int_equal(
                open_bound(text, all[j].room, all[j].bind, all[j].len),
                i == j ? TICKET_TOKEN_OK : TICKET_TOKEN_FORGED);
        }
    }
}

/* Every byte of the longest value counts, and a longer one is refused. */
static void test_long_bound(void **state)
{
    unsigned char bind[TICKET_BIND_MAX + 1] = {0};
    char text[TICKET_TOKEN_TEXT_LEN];

    (void)state;
    assert_int_equal(ticket_token_seal(keys, &sample, room, strlen(room), bind,
                                       TICKET_BIND_MAX, text),
                     0);
    for (size_t i = 0; i < TICKET_BIND_MAX; i++) {
        bind[i] ^= 1;
        assert_int_equal(open_bound(text, room, bind, TICKET_BIND_MAX),
                         TICKET_TOKEN_FORGED);
        bind[i] ^= 1;
    }

    assert_int_equal(open_bound(text, room, bind, TICKET_BIND_MAX),
                     TICKET_TOKEN_OK);
    assert_int_equal(open_bound(text, room, bind, sizeof(bind)),
                     TICKET_TOKEN_FORGED);
    assert_int_equal(open_bound(text, room, bind, SIZE_MAX),
                     TICKET_TOKEN_FORGED);
    assert_int_equal(ticket_token_seal(keys, &sample, room, strlen(room), bind,
                                       sizeof(bind), text),
                     -1);
}

static void test_other_kind(void **state)
{
    const ticket_token_kind_t kinds[] = {TICKET_TOKEN_QUEUE, TICKET_TOKEN_PASS};
    char text[TICKET_TOKEN_TEXT_LEN];

    (void)state;
    for (int i = 0; i < 2; i++) {
        ticket_token_t token = sample;

        token.kind = kinds[i];
        seal(&token, room, text);
        assert_int_equal(
            open_as(kinds[i], text, sizeof(text), room, strlen(room)),
            TICKET_TOKEN_OK);
        assert_int_equal(
            open_as(kinds[!i], text, sizeof(text), room, strlen(room)),
            TICKET_TOKEN_KIND);
    }
}

/* Loads other keys in place of the present ones. */
static void change_keys(const char *content)
{
    ticket_keys_free(keys);
    keys = good_keys(content);
    assert_non_null(keys);
}

static void test_rotation(void **state)
{
    char old[TICKET_TOKEN_TEXT_LEN], new[TICKET_TOKEN_TEXT_LEN];

    (void)state;
    seal(&sample, room, old);

    change_keys("8 " SECRET_B "\n7 " SECRET_A "\n");
    seal(&sample, room, new);
    assert_memory_not_equal(old, new, sizeof(old));
    assert_int_equal(open_text(old), TICKET_TOKEN_OK);
    assert_int_equal(open_text(new), TICKET_TOKEN_OK);

    change_keys("7 " SECRET_A "\n");
    assert_int_equal(open_text(old), TICKET_TOKEN_OK);
    assert_int_equal(open_text(new), TICKET_TOKEN_FORGED);

    change_keys("8 " SECRET_B "\n");
    assert_int_equal(open_text(old), TICKET_TOKEN_FORGED);
    assert_int_equal(open_text(new), TICKET_TOKEN_OK);

    /* the same id with another secret, and the same secret as another id */
    change_keys("7 " SECRET_B "\n9 " SECRET_A "\n");
    assert_int_equal(open_text(old), TICKET_TOKEN_FORGED);
    assert_int_equal(open_text(new), TICKET_TOKEN_FORGED);
}

/* A key that refused a token is as good as before for the next. */
static void test_refusals_leave_no_trace(void **state)
{
    char text[TICKET_TOKEN_TEXT_LEN], bad[TICKET_TOKEN_TEXT_LEN];

    (void)state;
    seal(&sample, room, text);
    memcpy(bad, text, sizeof(bad));
    bad[50] = bad[50] == 'A' ? 'B' : 'A';

    for (int i = 0; i < 1000; i++) {
        assert_int_equal(open_text(bad), TICKET_TOKEN_FORGED);
        assert_int_equal(open_text(text), TICKET_TOKEN_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_layout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_bit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_length, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_splices, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_field, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_kind, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals_leave_no_trace, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
