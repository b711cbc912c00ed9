/*
 * Proof of work: a challenge is what ticket_proof.h says, and no proof is
 * taken but one that was worked for, for this visitor, in this room, now.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "key_file.h"
#include "ticket_proof.h"
#include "ticket_token.h"

#define NOW  1764633612345
#define ROOM "concert:20261201"
#define WHO  "\x7f\0\0\1"

/* A header has no terminating zero; here it has one, for the texts' sake. */
typedef char proof_text_t[TICKET_PROOF_MAX + 64];

static ticket_keys_t *keys;

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

static void change_keys(const char *content)
{
    ticket_keys_free(keys);
    keys = good_keys(content);
    assert_non_null(keys);
}

static void print(proof_text_t text, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void print(proof_text_t text, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(proof_text_t), fmt, args);
    va_end(args);

    assert_in_range(n, 0, sizeof(proof_text_t) - 1);
}

static void challenge(uint64_t now_ms, proof_text_t text)
{
    size_t len =
        ticket_proof_challenge(keys, ROOM, strlen(ROOM), WHO, 4, now_ms, text);

    assert_in_range(len, 1, TICKET_CHALLENGE_MAX);
    text[len] = '\0';
}

/* Copies to the heap, so that a sanitizer sees a read beyond the end. */
static ticket_proof_verdict_t check_at(uint64_t now_ms, unsigned difficulty,
                                       const char *proof, size_t len)
{
    char *exact = malloc(len + (len == 0));

    assert_non_null(exact);
    memcpy(exact, proof, len);

    ticket_proof_verdict_t verdict = ticket_proof_check(
        keys, ROOM, strlen(ROOM), WHO, 4, now_ms, difficulty, exact, len);

    free(exact);

    return verdict;
}

static ticket_proof_verdict_t check(unsigned difficulty, const char *proof)
{
    return check_at(NOW, difficulty, proof, strlen(proof));
}

static unsigned zero_bits(const char *proof)
{
    unsigned char digest[32];
    unsigned n = 0;

    SHA256((const unsigned char *)proof, strlen(proof), digest);
    while (n < 256 && !(digest[n / 8] >> (7 - n % 8) & 1)) {
        n++;
    }

    return n;
}

/* Appends the first nonce that gives exactly so many zero bits. */
static void solve(proof_text_t text, unsigned bits)
{
    size_t len = strlen(text);
    uint64_t nonce = 0;

    do {
        sprintf(text + len, ".%" PRIu64, nonce++);
    } while (zero_bits(text) != bits);
}

static void test_layout(void **state)
{
    static const char covered[] =
        "ticket-proof\x10" ROOM "\0\4" WHO "\0\0\0\0\x01\xc0\xcb\xfe";
    unsigned char key[32], mac[32];
    unsigned mac_len = 0;
    proof_text_t text, expected;

    (void)state;
    for (size_t i = 0; i < sizeof(key); i++) {
        assert_int_equal(sscanf(SECRET_A + 2 * i, "%2hhx", key + i), 1);
    }

    assert_non_null(HMAC(EVP_sha256(), key, sizeof(key),
                         (const unsigned char *)covered, sizeof(covered) - 1,
                         mac, &mac_len));
    challenge((uint64_t)0x01c0cbfe * 60000, text);
    print(expected, "%d-7-", 0x01c0cbfe);
    for (size_t i = 0; i < 16; i++) {
        sprintf(expected + strlen(expected), "%02x", mac[i]);
    }
    assert_string_equal(text, expected);
    assert_int_equal(strspn(text, "0123456789-abcdefghijklmnopqrstuvwxyz"),
                     strlen(text));

    /* the longest there is */
    change_keys("65535 " SECRET_A "\n");
    challenge(UINT64_MAX, text);
    assert_int_equal(strlen(text), TICKET_CHALLENGE_MAX);
}

static void test_difficulty(void **state)
{
    proof_text_t text;

    (void)state;
    for (unsigned bits = 0; bits <= 12; bits++) {
        challenge(NOW, text);
        solve(text, bits);
        for (unsigned difficulty = 0; difficulty <= 40; difficulty++) {
            assert_int_equal(check(difficulty, text),
                             difficulty <= bits ? TICKET_PROOF_OK
                                                : TICKET_PROOF_TOO_EASY);
        }
    }
}

static void test_time(void **state)
{
    const uint64_t step = NOW / 60000 * 60000;
    const uint64_t made[] = {step, step + 12345, step + 59999};
    proof_text_t text;

    (void)state;
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        challenge(made[i], text);
        strcat(text, ".0");
        size_t len = strlen(text);

        assert_int_equal(check_at(step, 0, text, len), TICKET_PROOF_OK);
        assert_int_equal(check_at(step + 119999, 0, text, len),
                         TICKET_PROOF_OK);
        assert_int_equal(check_at(step + 120000, 0, text, len),
                         TICKET_PROOF_STALE);
        assert_int_equal(check_at(step - 1, 0, text, len), TICKET_PROOF_STALE);
        assert_int_equal(check_at(0, 0, text, len), TICKET_PROOF_STALE);
        assert_int_equal(check_at(UINT64_MAX, 0, text, len),
                         TICKET_PROOF_STALE);
    }

    /* another time on an old MAC */
    uint64_t number;
    char rest[TICKET_PROOF_MAX];

    challenge(step - 600000, text);
    assert_int_equal(sscanf(text, "%" SCNu64 "%60s", &number, rest), 2);
    print(text, "%" PRIu64 "%s.0", number + 10, rest);
    assert_int_equal(check(0, text), TICKET_PROOF_FORGED);
}

/* A challenge is good for the room and visitor it was made for only. */
static void test_audience(void **state)
{
    static char longest[TICKET_PROOF_WHO_MAX + 1];
    static const struct {
        const char *room;
        const char *who;
        size_t who_len;
    } all[] = {
        {"a", "", 0},
        {"a", "b", 1},
        {"a", "c", 1},
        {"a", "bc", 2},
        {"ab", "", 0},
        {"ab", "c", 1},
        {"abc", "", 0},
        {"a", longest, 4},
        {"a", longest, 16},
        {"a", longest, TICKET_PROOF_WHO_MAX},
        {"a", longest, TICKET_PROOF_WHO_MAX - 1},
        /* reads like room "a" with two bytes, but for the lengths */
        {"a\1", "", 0},
    };
    const size_t n = sizeof(all) / sizeof(all[0]);
    char room[TICKET_ROOM_MAX + 1] = "r";
    proof_text_t text;

    (void)state;
    for (size_t i = 0; i < n; i++) {
        size_t len =
            ticket_proof_challenge(keys, all[i].room, strlen(all[i].room),
                                   all[i].who, all[i].who_len, NOW, text);

        assert_int_not_equal(len, 0);
        memcpy(text + len, ".0", 2);
        for (size_t j = 0; j < n; j++) {
            assert_int_equal(ticket_proof_check(keys, all[j].room,
                                                strlen(all[j].room), all[j].who,
                                                all[j].who_len, NOW, 0, text,
                                                len + 2),
                             i == j ? TICKET_PROOF_OK : TICKET_PROOF_FORGED);
        }
    }

    challenge(NOW, text);
    strcat(text, ".0");
    for (size_t wrong = 0; wrong < 3; wrong++) {
        size_t room_len = wrong == 0 ? 0 : wrong == 1 ? sizeof(room) : 1;
        size_t who_len = wrong == 2 ? sizeof(longest) : 4;
        proof_text_t none;

        assert_int_equal(ticket_proof_challenge(keys, room, room_len, longest,
                                                who_len, NOW, none),
                         0);
        assert_int_equal(ticket_proof_check(keys, room, room_len, longest,
                                            who_len, NOW, 0, text,
                                            strlen(text)),
                         TICKET_PROOF_FORGED);
    }
}

/* Whatever byte is changed to whatever else, the proof is refused. */
static void test_each_byte(void **state)
{
    proof_text_t text;

    (void)state;
    challenge(NOW, text);

    const size_t signed_len = strlen(text);

    solve(text, 10);
    assert_int_equal(check(10, text), TICKET_PROOF_OK);
    for (size_t i = 0; i < signed_len; i++) {
        char was = text[i];

        for (int c = 0; c < 256; c++) {
            text[i] = (char)c;
            if (text[i] != was) {
                assert_int_not_equal(check_at(NOW, 0, text, signed_len + 2),
                                     TICKET_PROOF_OK);
            }
        }

        text[i] = was;
    }
}

static void test_form(void **state)
{
    static const char *const bad_ends[] = {
        "",     ".",    "0",  ".-1",  ".+1", ". 1", ".1 ",
        ".1\n", ".0x1", ".a", ".1.1", "..1", "-.1", ".123456789012345678901",
    };
    static const char *const bad[] = {
        "",
        ".",
        "-",
        "--",
        "--.",
        "1",
        "1-",
        "1-1",
        "1-1-",
        "-7-00112233445566778899aabbccddeeff.1",
        "29410560--00112233445566778899aabbccddeeff.1",
        "29410560-7-00112233445566778899aabbccddeef.1",
        "29410560-7-00112233445566778899aabbccddeeff0.1",
        "29410560-65536-00112233445566778899aabbccddeeff.1",
        "29410560-100007-00112233445566778899aabbccddeeff.1",
        "0000000029410560-7-00112233445566778899aabbccddeeff.1",
    };
    proof_text_t text, made;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(check(0, bad[i]), TICKET_PROOF_MALFORMED);
    }

    challenge(NOW, made);
    for (size_t i = 0; i < sizeof(bad_ends) / sizeof(bad_ends[0]); i++) {
        print(text, "%s%s", made, bad_ends[i]);
        assert_int_equal(check(0, text), TICKET_PROOF_MALFORMED);
    }

    print(text, "%s.99999999999999999999", made);
    assert_int_equal(check(0, text), TICKET_PROOF_OK);
    /* every shorter piece of it, until only the nonce is shorter */
    for (size_t len = 0; len <= strlen(made) + 1; len++) {
        assert_int_equal(check_at(NOW, 0, text, len), TICKET_PROOF_MALFORMED);
    }

    /* a zero is a byte like any other, and ends nothing */
    print(text, "%s.1", made);
    assert_int_equal(check_at(NOW, 0, text, strlen(text) + 1),
                     TICKET_PROOF_MALFORMED);
    assert_int_equal(check_at(NOW, 0, text, sizeof(text)),
                     TICKET_PROOF_MALFORMED);
}

/* Other ways to write the same challenge are not the same challenge. */
static void test_one_spelling(void **state)
{
    proof_text_t text, made;

    (void)state;
    challenge(NOW, made);
    print(text, "0%s.1", made);
    assert_int_equal(check(0, text), TICKET_PROOF_FORGED);

    char *mac = strrchr(made, '-') + 1;

    print(text, "%.*s0007-%s.1", (int)(strchr(made, '-') + 1 - made), made,
          mac);
    assert_int_equal(check(0, text), TICKET_PROOF_FORGED);

    int upper = 0;

    print(text, "%s.1", made);
    for (char *p = text; *p != '\0'; p++) {
        if (*p >= 'a' && *p <= 'f') {
            *p = (char)(*p - 'a' + 'A');
            upper++;
        }
    }
    assert_true(upper > 0);
    assert_int_equal(check(0, text), TICKET_PROOF_FORGED);
}

static void test_rotation(void **state)
{
    proof_text_t old, new;

    (void)state;
    challenge(NOW, old);
    strcat(old, ".0");
    change_keys("8 " SECRET_B "\n7 " SECRET_A "\n");
    challenge(NOW, new);
    strcat(new, ".0");
    assert_int_equal(check(0, old), TICKET_PROOF_OK);
    assert_int_equal(check(0, new), TICKET_PROOF_OK);

    change_keys("8 " SECRET_B "\n");
    assert_int_equal(check(0, old), TICKET_PROOF_FORGED);
    assert_int_equal(check(0, new), TICKET_PROOF_OK);
    change_keys("7 " SECRET_B "\n");
    assert_int_equal(check(0, old), TICKET_PROOF_FORGED);
}

static void test_id(void **state)
{
    enum {
        N = 300
    };

    uint64_t ids[N];
    proof_text_t text, made;

    (void)state;
    challenge(NOW, made);
    for (size_t i = 0; i < N; i++) {
        print(text, "%s.%zu", made, i);
        ids[i] = ticket_proof_id(text, strlen(text));
        assert_true(ids[i] != 0);
        assert_true(ids[i] == ticket_proof_id(text, strlen(text)));
        for (size_t j = 0; j < i; j++) {
            assert_true(ids[i] != ids[j]);
        }
    }

    /* an accepted proof has an id like any other, in all its bits */
    uint64_t any = 0;

    for (int i = 0; i < 40; i++) {
        challenge(NOW + (uint64_t)i * 60000, text);
        solve(text, 10);
        any |= ticket_proof_id(text, strlen(text));
    }
    assert_true(any == UINT64_MAX);
}

/* Any bytes at all, and good proofs with some of them spoiled. */
static void test_random_bytes(void **state)
{
    proof_text_t good, text = "";

    (void)state;
    challenge(NOW, good);
    strcat(good, ".12345");

    const size_t len = strlen(good);

    for (int i = 0; i < 100000; i++) {
        size_t n = (size_t)random() % sizeof(text);
        size_t at = (size_t)random() % len;

        for (size_t j = 0; j < n; j++) {
            text[j] = (char)random();
        }
        assert_int_equal(check_at(NOW, 0, text, n), TICKET_PROOF_MALFORMED);

        memcpy(text, good, len);
        text[at] = "0123456789abcdef-."[random() % 18];
        if (at < strcspn(good, ".") && text[at] != good[at]) {
            assert_int_not_equal(check_at(NOW, 0, text, len), TICKET_PROOF_OK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layout, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_difficulty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_audience, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_spelling, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_id, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random_bytes, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("proof", tests, NULL, NULL);
}
