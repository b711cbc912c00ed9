/*
 * Memory of requests under way and of refusals (repeats), and the set of holds
 * that are known (known): what is asked again gets the same answer, and
 * neither grows without bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "known.h"
#include "repeats.h"

#define REFUSALS 8192 /* as repeats.c keeps */

/* Like those of holds: a number, and eight bytes that are as good as random. */
static hold_id_t id_of(unsigned n)
{
    uint64_t mixed = (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    hold_id_t id = {{0}};

    mixed ^= mixed >> 29;
    memcpy(id.byte + 4, &n, sizeof(n));
    memcpy(id.byte + 8, &mixed, sizeof(mixed));

    return id;
}

static void refuse(repeats_t *repeats, const hold_id_t *id, unsigned status,
                   const char *body)
{
    reply_t reply = {0};

    reply_text(&reply, status, "application/problem+json", strdup(body),
               strlen(body));
    repeats_end(repeats, id, &reply);
    reply_free(&reply);
}

static void a_request_runs_once(void **state)
{
    static const unsigned char one[FINGERPRINT_BYTES] = "1", two[] = "2";
    unsigned char other[FINGERPRINT_BYTES] = {0};
    repeats_t *repeats = repeats_new();
    hold_id_t id = id_of(1), next = id_of(2);
    reply_t reply = {0};

    (void)state;
    memcpy(other, two, sizeof(two));
    assert_int_equal(repeats_begin(repeats, &id, one, &reply), REPEATS_NEW);
    assert_int_equal(repeats_begin(repeats, &id, one, &reply), REPEATS_RUNNING);
    assert_int_equal(repeats_begin(repeats, &id, other, &reply), REPEATS_OTHER);
    assert_int_equal(repeats_begin(repeats, &next, one, &reply), REPEATS_NEW);
    repeats_end(repeats, &id, &reply);
    assert_int_equal(repeats_begin(repeats, &id, other, &reply), REPEATS_NEW);
    assert_int_equal(reply.status, 0);
    repeats_free(repeats);
}

static void a_refusal_is_kept_and_a_failure_is_not(void **state)
{
    static const unsigned char one[FINGERPRINT_BYTES] = "1";
    repeats_t *repeats = repeats_new();
    hold_id_t id = id_of(1), failed = id_of(2);
    reply_t reply = {0};

    (void)state;
    repeats_begin(repeats, &id, one, &reply);
    refuse(repeats, &id, 409, "taken");
    assert_int_equal(repeats_begin(repeats, &id, one, &reply), REPEATS_REFUSED);
    assert_int_equal(reply.status, 409);
    assert_true(reply.replayed);
    assert_int_equal(reply.len, 5);
    assert_memory_equal(reply.body, "taken", 5);
    reply_free(&reply);

    reply = (reply_t){0};
    repeats_begin(repeats, &failed, one, &reply);
    refuse(repeats, &failed, 503, "away");
    assert_int_equal(repeats_begin(repeats, &failed, one, &reply), REPEATS_NEW);
    repeats_free(repeats);
}

static void the_oldest_refusal_goes_first(void **state)
{
    static const unsigned char one[FINGERPRINT_BYTES] = "1";
    repeats_t *repeats = repeats_new();
    reply_t reply = {0};

    (void)state;
    for (unsigned n = 0; n < REFUSALS + 10; n++) {
        hold_id_t id = id_of(n);

        assert_int_equal(repeats_begin(repeats, &id, one, &reply), REPEATS_NEW);
        refuse(repeats, &id, 409, "taken");
    }

    for (unsigned n = 10; n < REFUSALS + 10; n++) {
        hold_id_t id = id_of(n);

        assert_int_equal(repeats_begin(repeats, &id, one, &reply),
                         REPEATS_REFUSED);
        reply_free(&reply);
        reply = (reply_t){0};
    }

    for (unsigned n = 0; n < 10; n++) {
        hold_id_t id = id_of(n);

        assert_int_equal(repeats_begin(repeats, &id, one, &reply), REPEATS_NEW);
        repeats_end(repeats, &id, &reply);
    }
    repeats_free(repeats);
}

static void what_is_known_stays_known(void **state)
{
    known_t known = {0};
    hold_id_t zero = {{0}};

    (void)state;
    assert_false(known_has(&known, &zero));
    for (unsigned n = 0; n < 300000; n += 2) {
        hold_id_t id = id_of(n);

        assert_int_equal(known_add(&known, &id), 0);
        assert_int_equal(known_add(&known, &id), 0);
    }

    for (unsigned n = 0; n < 300000; n++) {
        hold_id_t id = id_of(n);

        assert_int_equal(known_has(&known, &id), n % 2 == 0);
    }

    assert_int_equal(known.young.n, 150000);
    known_free(&known);
}

static void the_last_million_is_known(void **state)
{
    known_t known = {0};
    unsigned forgotten = 0;

    (void)state;
    for (unsigned n = 0; n < 3 * KNOWN_MAX; n++) {
        hold_id_t id = id_of(n);

        assert_int_equal(known_add(&known, &id), 0);
        assert_true(known.young.n <= KNOWN_MAX && known.old.n <= KNOWN_MAX);
    }

    for (unsigned n = 0; n < 3 * KNOWN_MAX; n++) {
        hold_id_t id = id_of(n);

        if (n >= 2 * KNOWN_MAX) {
            assert_true(known_has(&known, &id));
        } else {
            forgotten += !known_has(&known, &id);
        }
    }

    assert_true(forgotten > 0);
    known_free(&known);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_runs_once),
        cmocka_unit_test(a_refusal_is_kept_and_a_failure_is_not),
        cmocka_unit_test(the_oldest_refusal_goes_first),
        cmocka_unit_test(what_is_known_stays_known),
        cmocka_unit_test(the_last_million_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
