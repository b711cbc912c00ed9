/* The key of an identity is the beginning of its SHA-256. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ticket_identity.h"

static void test_known_values(void **state)
{
    char key[TICKET_IDENTITY_KEY_LEN];

    (void)state;

    /* the examples of FIPS 180-4 */
    ticket_identity_key("abc", 3, key);
    assert_memory_equal(key, "ba7816bf8f01cfea414140de5dae2223", sizeof(key));

    ticket_identity_key("", 0, key);
    assert_memory_equal(key, "e3b0c44298fc1c149afbf4c8996fb924", sizeof(key));
}

static void test_covers_all_bytes(void **state)
{
    char one[TICKET_IDENTITY_KEY_LEN], other[TICKET_IDENTITY_KEY_LEN];

    (void)state;

    ticket_identity_key("a\0b", 3, one);
    ticket_identity_key("a\0c", 3, other);
    assert_memory_not_equal(one, other, sizeof(one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_values),
        cmocka_unit_test(test_covers_all_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
