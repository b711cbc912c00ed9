/*
 * Times in a configuration: what is written is what is meant, in any zone and
 * across changes of the clocks, and what could be meant otherwise is refused.
 * Expected values come from other programs' calendars, or are counted here.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ticket_time.h"

/* Copies to the heap, so that a sanitizer sees a read beyond the end. */
static int parse_len(const char *text, size_t len, const char *zone,
                     int64_t *ms, char err[256])
{
    char *exact = malloc(len + (len == 0));

    assert_non_null(exact);
    memcpy(exact, text, len);

    int rc = ticket_time_parse(exact, len, zone, ms, err, 256);

    free(exact);

    return rc;
}

static void good(const char *text, const char *zone, int64_t seconds)
{
    char err[256] = "";
    int64_t ms = -1;

    if (parse_len(text, strlen(text), zone, &ms, err) != 0) {
        fail_msg("%s: %s", text, err);
    }

    if (ms != seconds * 1000) {
        fail_msg("%s in %s is %" PRId64 ", not %" PRId64, text,
                 zone ? zone : "no zone", ms / 1000, seconds);
    }
}

/* Refused, with the text and these words in the message. */
static void bad(const char *text, const char *zone, const char *words)
{
    char err[256] = "";
    int64_t ms = 5;

    if (parse_len(text, strlen(text), zone, &ms, err) != -1) {
        fail_msg("%s is taken", text);
    }

    assert_true(ms == 5);
    if (strstr(err, words) == NULL || strchr(err, '\n') != NULL) {
        fail_msg("%s: %s", text, err);
    }
}

static void test_offsets(void **state)
{
    (void)state;
    good("1970-01-01T00:00:00Z", NULL, 0);
    good("1970-01-01T00:00:00+09:00", NULL, -32400);
    good("2026-12-01T10:00:00+09:00", NULL, 1796086800);
    good("2026-12-01T01:00:00Z", NULL, 1796086800);
    good("2026-12-01 01:00Z", NULL, 1796086800);
    good("2026-12-01T01:00+00:00", NULL, 1796086800);
    good("2026-11-30T19:30:00-05:30", NULL, 1796086800);
    good("2026-12-01T15:00+14:00", NULL, 1796086800);
    good("2026-12-01T10:00:59+09:00", NULL, 1796086859);
    good("2028-02-29T00:00Z", NULL, 1835395200);
    good("2000-02-29T23:59:59Z", NULL, 951868799);
    good("9999-12-31T23:59:59Z", NULL, 253402300799);
    /* an offset wins, whatever the zone */
    good("2026-12-01T10:00:00+09:00", "Europe/Berlin", 1796086800);
    good("2026-12-01T01:00:00Z", "Nowhere/Land", 1796086800);
}

static void test_zones(void **state)
{
    (void)state;
    good("2026-12-01 10:00", "Asia/Seoul", 1796086800);
    good("2026-12-01 10:00:00", "Asia/Seoul", 1796086800);
    good("2026-12-01T10:00:00", "Asia/Seoul", 1796086800);
    good("2026-12-01 01:00", "UTC", 1796086800);
    good("2026-12-01 02:00", "Europe/Berlin", 1796086800);
    good("2026-07-01 03:00", "Europe/Berlin", 1782867600);
    good("2026-12-01 06:45", "Asia/Kathmandu", 1796086800);
    good("2026-11-30 20:00", "America/New_York", 1796086800);
    good("2026-11-30 19:00", "America/Indiana/Knox", 1796086800);
    good("2026-12-01 15:00", "Pacific/Kiritimati", 1796086800);
    good("2026-11-30 13:00", "Etc/GMT+12", 1796086800);
    /* far beyond the changes that a zone's file lists one by one */
    good("2094-07-01 02:00", "Europe/Berlin", 3928780800);
}

static void test_clocks_go_forward(void **state)
{
    (void)state;
    good("2026-03-29 01:59:59", "Europe/Berlin", 1774745999);
    bad("2026-03-29 02:00:00", "Europe/Berlin", "Europe/Berlin");
    bad("2026-03-29 02:30", "Europe/Berlin", "\"2026-03-29 02:30\"");
    bad("2026-03-29 02:59:59", "Europe/Berlin", "clocks go forward");
    good("2026-03-29 03:00:00", "Europe/Berlin", 1774746000);
    /* by half an hour */
    good("2026-10-04 01:59:59", "Australia/Lord_Howe", 1791041399);
    bad("2026-10-04 02:29:59", "Australia/Lord_Howe", "clocks go forward");
    good("2026-10-04 02:30:00", "Australia/Lord_Howe", 1791041400);
    /* a whole day was left out */
    good("2011-12-29 23:59:59", "Pacific/Apia", 1325239199);
    bad("2011-12-30 00:00:00", "Pacific/Apia", "clocks go forward");
    bad("2011-12-30 23:59:59", "Pacific/Apia", "clocks go forward");
    good("2011-12-31 00:00:00", "Pacific/Apia", 1325239200);
}

static void test_clocks_go_back(void **state)
{
    (void)state;
    good("2026-10-25 01:59:59", "Europe/Berlin", 1792886399);
    good("2026-10-25 02:00:00", "Europe/Berlin", 1792886400);
    good("2026-10-25 02:59:59", "Europe/Berlin", 1792889999);
    good("2026-10-25 03:00:00", "Europe/Berlin", 1792893600);
    good("2026-11-01 01:30", "America/New_York", 1793511000);
    good("2026-11-01 02:00", "America/New_York", 1793516400);
    good("2026-04-05 01:30:00", "Australia/Lord_Howe", 1775313000);
}

/* Times all over two years, there and back; of two alike, the first. */
static void test_there_and_back(void **state)
{
    static const char *const zones[] = {
        "Europe/Berlin",     "America/New_York", "Australia/Lord_Howe",
        "Africa/Casablanca", "Asia/Seoul",       "America/Scoresbysund"};
    char err[256], text[32];
    int64_t ms;

    (void)state;
    for (size_t z = 0; z < sizeof(zones) / sizeof(zones[0]); z++) {
        const time_t from = 1767225600, to = from + 2 * 366 * 86400;

        assert_int_equal(setenv("TZ", zones[z], 1), 0);
        for (time_t t = from; t < to; t += 7 * 1800) {
            struct tm tm, again;

            tzset();
            localtime_r(&t, &tm);
            strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
            assert_int_equal(parse_len(text, strlen(text), zones[z], &ms, err),
                             0);

            time_t got = ms / 1000;

            tzset();
            localtime_r(&got, &again);
            assert_true(got <= t && t - got <= 7200);
            assert_int_equal(again.tm_hour, tm.tm_hour);
            assert_int_equal(again.tm_min, tm.tm_min);
            assert_int_equal(again.tm_yday, tm.tm_yday);
        }
    }

    unsetenv("TZ");
    tzset();
}

static void test_bad_texts(void **state)
{
    static const char *const texts[] = {
        "",
        "now",
        "2026",
        "2026-12-01",
        "2026-12-01T",
        "2026-12-01T10",
        "2026-12-01T10:",
        "2026-12-01T10:0",
        "2026-12-01T1:00Z",
        "2026-12-1T10:00Z",
        "2026-2-01T10:00Z",
        "26-12-01T10:00Z",
        "02026-12-01T10:00Z",
        "1969-12-31T23:59Z",
        "0000-01-01T00:00Z",
        "10000-01-01T00:00Z",
        "-026-12-01T10:00Z",
        "+026-12-01T10:00Z",
        " 026-12-01T10:00Z",
        "2026-00-01T10:00Z",
        "2026-13-01T10:00Z",
        "2026-12-00T10:00Z",
        "2026-12-32T10:00Z",
        "2026-11-31T10:00Z",
        "2026-02-29T10:00Z",
        "2100-02-29T10:00Z",
        "2028-02-30T10:00Z",
        "2026-12-01T24:00Z",
        "2026-12-01T10:60Z",
        "2026-12-01T10:00:60Z",
        "2026-12-01T10:00:0Z",
        "2026-12-01T10:00:Z",
        "2026-12-01T10:00:00.5Z",
        "2026-12-01t10:00:00Z",
        "2026-12-01T10:00:00z",
        "2026-12-01  10:00:00Z",
        "2026-12-01_10:00:00Z",
        "2026-12-01T10:00:00 Z",
        "2026-12-01T10:00:00Z ",
        " 2026-12-01T10:00:00Z",
        "2026-12-01T10:00:00ZZ",
        "2026-12-01T10:00:00UTC",
        "2026-12-01T10:00:00+9",
        "2026-12-01T10:00:00+09",
        "2026-12-01T10:00:00+0900",
        "2026-12-01T10:00:00+9:00",
        "2026-12-01T10:00:00+09:0",
        "2026-12-01T10:00:00+09:60",
        "2026-12-01T10:00:00+14:01",
        "2026-12-01T10:00:00+15:00",
        "2026-12-01T10:00:00+-9:00",
        "2026-12-01T10:00:00+09:00Z",
        "2026-12-01T10:00:00*09:00",
        "2026/12/01 10:00:00Z",
        "2026-12-01T10.00Z",
        "01-12-2026T10:00Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char words[64];

        snprintf(words, sizeof(words), "\"%s\" is not a time", texts[i]);
        bad(texts[i], NULL, words);
        bad(texts[i], "Asia/Seoul", words);
    }
}

/* Every byte counts: a good text cut short, or with any one byte changed. */
static void test_strict(void **state)
{
    static const char text[] = "2026-12-01T10:00:00+09:00";
    char err[256], other[sizeof(text)];
    int64_t ms;

    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        /* whole without the offset, and without the seconds */
        int whole = len == 19 || len == 16;

        assert_int_equal(parse_len(text, len, NULL, &ms, err), -1);
        assert_int_equal(parse_len(text, len, "Asia/Seoul", &ms, err),
                         whole ? 0 : -1);
    }

    /* with the zero at the end, which is a byte too much */
    assert_int_equal(parse_len(text, sizeof(text), NULL, &ms, err), -1);

    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        for (int c = 0; c < 256; c++) {
            memcpy(other, text, sizeof(text));
            other[i] = (char)c;
            int rc = parse_len(other, sizeof(text) - 1, NULL, &ms, err);

            assert_true(rc == -1 || ms != 1796086800000 || c == text[i] ||
                        (i == 10 && c == ' '));
        }
    }
}

static void test_long_text(void **state)
{
    char text[5000], err[256], tiny[8] = "1234567";
    int64_t ms;

    (void)state;
    memset(text, '1', sizeof(text));
    assert_int_equal(parse_len(text, sizeof(text), NULL, &ms, err), -1);
    assert_in_range(strlen(err), 1, 200);
    assert_int_equal(
        ticket_time_parse("x", 1, NULL, &ms, tiny, sizeof(tiny) - 2), -1);
    assert_string_equal(tiny, "\"x\" i");
}

static void test_bad_zones(void **state)
{
    static const char *const zones[] = {
        "Asia/Soul",
        "asia/seoul/",
        "KST",
        "Asia",
        "Asia/",
        "/Asia/Seoul",
        "../zoneinfo/Asia/Seoul",
        "Asia/../Asia/Seoul",
        "./Asia/Seoul",
        "/usr/share/zoneinfo/Asia/Seoul",
        ":Asia/Seoul",
        "Asia/Seoul ",
        " ",
        "KST-9",
        "EST5EDT,M3.2.0,M11.1.0",
        "<+09>-9",
        "+09:00",
        "right/Asia/Seoul",
        "zone.tab",
        "tzdata.zi",
        "leapseconds",
        /* cut to the longest name allowed, this would be Asia/Seoul */
        "Asia///////////////////////////////////////////////////////Seoulx",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++) {
        bad("2026-12-01 10:00", zones[i], "unknown time zone \"");
    }

    bad("2026-12-01 10:00", "Asia/Soul", "\"Asia/Soul\"");
    bad("2026-12-01 10:00", NULL, "\"2026-12-01 10:00\" says no time zone");
    bad("2026-12-01 10:00", "", "name a time zone");
}

/* TZ is as before, whatever it was and however it went. */
static void test_environment(void **state)
{
    static const char *const before[] = {NULL, "", "Asia/Tokyo",
                                         "America/New_York", "Nowhere"};
    time_t when = 1796086800;
    char err[256];
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
        struct tm tm, again;

        if (before[i] != NULL) {
            assert_int_equal(setenv("TZ", before[i], 1), 0);
        } else {
            unsetenv("TZ");
        }

        tzset();
        localtime_r(&when, &tm);
        good("2026-12-01 10:00", "Asia/Seoul", when);
        bad("2026-03-29 02:30", "Europe/Berlin", "clocks");
        assert_int_equal(parse_len("2026-12-01 10:00", 16, "Nowhere", &ms, err),
                         -1);
        localtime_r(&when, &again);
        assert_int_equal(tm.tm_gmtoff, again.tm_gmtoff);

        if (before[i] != NULL) {
            assert_string_equal(getenv("TZ"), before[i]);
        } else {
            assert_null(getenv("TZ"));
        }
    }

    unsetenv("TZ");
    tzset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_clocks_go_forward),
        cmocka_unit_test(test_clocks_go_back),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_bad_texts),
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_bad_zones),
        cmocka_unit_test(test_environment),
    };

    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
