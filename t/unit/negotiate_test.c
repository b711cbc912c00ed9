/*
 * Accept and If-None-Match as clients write them, and points in time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "negotiate.h"
#include "rfc3339.h"

#define TYPE "application/vnd.ticket.seats+json"

static void test_accept(void **state)
{
    static const struct {
        const char *accept;
        unsigned quality;
        bool named;
    } cases[] = {
        {NULL, 1000, false},
        {"", 1000, false},
        {" \t", 1000, false},
        {TYPE, 1000, true},
        {"APPLICATION/VND.Ticket.Seats+JSON", 1000, true},
        {"*/*", 1000, false},
        {"application/*", 1000, false},
        {"application/json", 0, false},
        {"text/*", 0, false},
        {"text/html, */*;q=0.1", 100, false},
        {TYPE ";q=0", 0, true},
        {TYPE " ; q=0.0", 0, true},
        {TYPE ";q=0.250 , */*", 250, true},
        {"*/*, " TYPE ";q=0.5", 500, true},
        {"*/*;q=1, application/*;q=0", 0, false},
        {"application/*;q=0.3,*/*;q=0.9", 300, false},
        {TYPE ";v=1;q=0.7;ext=2", 700, true},
        {"text/plain;x=\"a,b;q=0\", " TYPE, 1000, true},
        {"text/plain;x=\"\\\"," TYPE "\"", 0, false},
        {TYPE ";q=2", 1000, true},
        {TYPE ";q=x", 1000, true},
        {TYPE ";Q=0.1", 100, true},
        {",,, " TYPE ",", 1000, true},
        {"application/vnd.ticket.seats+jso", 0, false},
        {TYPE "x", 0, false},
        {"applicationx/*", 0, false},
        {"*", 0, false},
        {";", 0, false},
        {"\"", 0, false},
        {"\\", 0, false},
        {"\"\\", 0, false},
    };

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool named;
        unsigned quality = negotiate_quality(cases[i].accept, TYPE, &named);

        if (quality != cases[i].quality || named != cases[i].named) {
            fail_msg("Accept: %s: %u, %d", cases[i].accept, quality, named);
        }
    }
}

static void test_if_none_match(void **state)
{
    static const struct {
        const char *header;
        bool knows_strong, knows_weak;
    } cases[] = {
        {NULL, false, false},
        {"", false, false},
        {"\"j1\"", true, false},
        {"W/\"j1\"", true, false},
        {"\"c1\"", false, true},
        {"W/\"c1\"", false, true},
        {"*", true, true},
        {" * ", true, true},
        {"\"a\", W/\"c1\" ,\"j1\"", true, true},
        {"\"a,\\\"\"j1\"", false, false},
        {"\"j1", false, false},
        {"j1", false, false},
        {"\"j1\" \"j1\"", false, false},
        {"\"*\"", false, false},
        {"W/", false, false},
    };

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (negotiate_knows(cases[i].header, "\"j1\"") !=
                cases[i].knows_strong ||
            negotiate_knows(cases[i].header, "W/\"c1\"") !=
                cases[i].knows_weak) {
            fail_msg("If-None-Match: %s", cases[i].header);
        }
    }
}

static void test_times(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {-1, "1970-01-01T00:00:00.000Z"},
        {1796151600007, "2026-12-01T19:00:00.007Z"},
        {1709251199999, "2024-02-29T23:59:59.999Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    char text[RFC3339_MAX + 1];

    (void)state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rfc3339_write(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_if_none_match),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
