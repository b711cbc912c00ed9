/*
 * Statements from pieces: nothing that is put in as text or bytes gets out of
 * its quotes, and long ones are whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sql.h"

static void pieces(void **state)
{
    static const unsigned char bytes[] = {0, 0x7f, 0xff};
    sql_t sql = {0};

    (void)state;
    sql_begin(&sql, "try");
    sql_add(&sql, "SELECT %u, ", 7);
    sql_bytes(&sql, bytes, sizeof(bytes));
    sql_add(&sql, ", ");
    sql_time(&sql, INT64_C(1796151600007));
    assert_string_equal(sql.text,
                        "SELECT 7, x'007fff', '2026-12-01 19:00:00.007'");
    assert_int_equal(sql.len, strlen(sql.text));

    sql_begin(&sql, "again");
    sql_add(&sql, "x");
    assert_string_equal(sql.text, "x");
    sql_free(&sql);
}

static void text_stays_in_its_quotes(void **state)
{
    static const char evil[] = "a'; DROP TABLE seat; -- \\' \0 \"";
    sql_t sql = {0};

    (void)state;
    sql_begin(&sql, "try");
    sql_text(&sql, evil, sizeof(evil) - 1);
    /* Backslashes are nothing special: see NO_BACKSLASH_ESCAPES in db.c. */
    assert_int_equal(sql.len, sizeof(evil) - 1 + 2 + 2);
    assert_memory_equal(sql.text, "'a''; DROP TABLE seat; -- \\'' \0 \"'",
                        sql.len);
    sql_free(&sql);
}

static void a_long_one_is_whole(void **state)
{
    static char words[1000];
    sql_t sql = {0};

    (void)state;
    memset(words, 'w', sizeof(words) - 1);
    sql_begin(&sql, "try");
    for (int i = 0; i < 1000; i++) {
        sql_add(&sql, "%s", words);
    }
    assert_int_equal(sql.len, 1000 * (sizeof(words) - 1));
    assert_int_equal(strspn(sql.text, "w"), sql.len);
    sql_free(&sql);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),
        cmocka_unit_test(text_stays_in_its_quotes),
        cmocka_unit_test(a_long_one_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
