/*
 * A hall as CSV: what operators' spreadsheets write is understood, and what
 * is wrong is told by line, column and what to do about it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "csv.h"
#include "map_csv.h"
#include "precondition.h"

#define HEAD "section,row,seat,tier\n"

/* Reads from the heap, so that a sanitizer sees a read beyond the end. */
static map_csv_t *read_len(const char *text, size_t len)
{
    char *exact = malloc(len + (len == 0));

    assert_non_null(exact);
    memcpy(exact, text, len);

    map_csv_t *map = map_csv_read(exact, len);

    free(exact);
    assert_non_null(map);

    return map;
}

static map_csv_t *good(const char *text)
{
    map_csv_t *map = read_len(text, strlen(text));

    if (map->n_errors > 0) {
        fail_msg("%s\nline %u, %s: %s", text, map->error[0].line,
                 map->error[0].column, map->error[0].text);
    }

    return map;
}

/* One mistake, there, with these words. */
static void bad_len(const char *text, size_t len, unsigned line,
                    const char *column, const char *words)
{
    map_csv_t *map = read_len(text, len);

    assert_int_equal(map->n_errors, 1);
    if (map->error[0].line != line || strcmp(map->error[0].column, column) ||
        strstr(map->error[0].text, words) == NULL) {
        fail_msg("%s\nline %u, \"%s\": %s", text, map->error[0].line,
                 map->error[0].column, map->error[0].text);
    }

    map_csv_free(map);
}

static void bad(const char *text, unsigned line, const char *column,
                const char *words)
{
    bad_len(text, strlen(text), line, column, words);
}

/* "NAME SECTION ROW POS TIER X Y|…" of all seats. */
static void seats_are(const char *text, const char *expected)
{
    map_csv_t *map = good(text);
    char told[2000] = "";
    size_t len = 0;

    for (uint32_t i = 0; i < map->n_seats; i++) {
        const map_csv_seat_t *seat = &map->seat[i];

        len += (size_t)snprintf(
            told + len, sizeof(told) - len, "%s%s %u %u %u %s %d %d",
            i ? "|" : "", seat->name, seat->section, seat->row_no, seat->pos,
            map->tier[seat->tier], seat->x, seat->y);
    }

    assert_string_equal(told, expected);
    map_csv_free(map);
}

static void test_seats(void **state)
{
    (void)state;
    seats_are(HEAD "Hall,A,1,gold\nHall,A,2,gold\nHall,B,1,standard\n",
              "A-1 0 1 1 gold 100 100|A-2 0 1 2 gold 200 100|"
              "B-1 0 2 1 standard 100 200");
    /* columns and lines in any order; rows in the order of the file */
    seats_are("tier,seat,row,section\ns,2,9,X\ns,1,9,X\ns,7,2,X\ns,3,9,X\n",
              "9-1 0 1 1 s 100 100|9-2 0 1 2 s 200 100|9-3 0 1 3 s 300 100|"
              "2-7 0 2 7 s 700 200");
    /* names and places of the file's own */
    seats_are(
        "section,row,seat,name,tier,x,y\nH,A,1,Loge.1,s,-5,\nH,A,2,,s,,7\n",
        "Loge.1 0 1 1 s -5 100|A-2 0 1 2 s 200 7");
    /* several sections: their names, made fit, are in front */
    seats_are(HEAD
              "Left Side,A,1,s\nRight,A,1,s\n\xea\xb0\x80\xeb\x82\x98,A,1,s\n",
              "Left_Side-A-1 0 1 1 s 100 100|Right-A-1 1 1 1 s 100 100|"
              "_-A-1 2 1 1 s 100 100");
    seats_are(HEAD "H,65535,65535,s", "65535-65535 0 1 65535 s 6553500 100");
}

static void test_spreadsheets(void **state)
{
    const char *one = "A-1 0 1 1 s 100 100";

    (void)state;
    seats_are(HEAD "H,A,1,s", one);
    seats_are("\xef\xbb\xbf" HEAD "H,A,1,s\n", one);
    seats_are("section,row,seat,tier\r\nH,A,1,s\r\n", one);
    seats_are(HEAD "H,A,1,s\r", one);
    seats_are("Section, ROW ,\tseat,\"tier\"\n H , A ,1 , s\t\n", one);
    seats_are("section,row,seat,tier,,\nH,A,1,s,,\n", one);
    seats_are("\n\n" HEAD "\n,,,\n\"\",,\nH,A,1,s\n,,,,,,\n\n", one);
    seats_are(HEAD "\"H\",\"A\",\"1\",\"s\"\n", one);
    seats_are(HEAD "\"H\" ,\"A\", \"1\",\"s\"\r\n", one);
    seats_are("type," HEAD ",H,A,1,s\nSeat,H,A,2,s",
              "A-1 0 1 1 s 100 100|A-2 0 1 2 s 200 100");

    map_csv_t *map = good(HEAD "\"Balcony, \"\"left\"\"\",A,1,s\n");
    assert_string_equal(map->section[0].name, "Balcony, \"left\"");
    map_csv_free(map);
}

static void test_focal_points(void **state)
{
    (void)state;
    map_csv_t *map = good(HEAD "H,A,1,s\nH,A,4,s\nH,B,9,s\nI,A,3,s\n");
    assert_int_equal(map->n_sections, 2);
    assert_int_equal(map->section[0].focal_x, 250);
    assert_int_equal(map->section[0].focal_y, 100);
    assert_int_equal(map->section[1].focal_x, 300);
    map_csv_free(map);

    map = good("type,section,row,seat,tier,focal_x,focal_y\n"
               "seat,H,A,1,s,,\nsection,H,,,,-70,80\n");
    assert_int_equal(map->section[0].focal_x, -70);
    assert_int_equal(map->section[0].focal_y, 80);
    map_csv_free(map);
}

static void test_pools(void **state)
{
    (void)state;
    map_csv_t *map = good("type,pool,capacity,tier\npool,floor,500,standing\n"
                          "POOL,pit,1,standing\n");
    assert_int_equal(map->n_seats, 0);
    assert_int_equal(map->n_pools, 2);
    assert_int_equal(map->n_tiers, 1);
    assert_string_equal(map->pool[0].name, "floor");
    assert_int_equal(map->pool[0].capacity, 500);
    assert_string_equal(map->pool[1].name, "pit");
    map_csv_free(map);

    const char *head = "type,pool,capacity,tier\n";
    const struct {
        const char *line, *column, *words;
    } wrong[] = {
        {"pool,,5,s", "pool", "a pool needs a pool"},
        {"pool,f,,s", "capacity", "a pool needs a capacity"},
        {"pool,f,5,", "tier", "a pool needs a tier"},
        {"pool,f,0,s", "capacity", "\"0\" is not a whole number from 1 to"},
        {"pool,f,1000001,s", "capacity", "from 1 to 1000000"},
        {"pool,f g,5,s", "pool", "\"f g\" is not 1 to 32 of"},
        {"chair,f,5,s", "type", "\"chair\" is not seat, section or pool"},
        {",f,5,s", "section", "a seat needs a section"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[200];

        snprintf(text, sizeof(text), "%s%s\n", head, wrong[i].line);
        bad(text, 2, wrong[i].column, wrong[i].words);
    }
    bad("type,pool,capacity,tier\npool,f,5,s\npool,f,6,s\n", 3, "pool",
        "there is a pool of this name already");
}

static void test_header(void **state)
{
    (void)state;
    bad("", 0, "", "there is no seat and no pool");
    bad("\n\n,,\n", 0, "", "there is no seat and no pool");
    bad(HEAD, 0, "", "there is no seat and no pool");
    bad("section,row,seat\nH,A,1\n", 1, "tier", "the column is missing");
    bad("section,row,seat,tier,price\nH,A,1,s,5\n", 1, "price",
        "there is no such column");
    bad("section,row,seat,tier,ROW\nH,A,1,s,A\n", 1, "ROW", "appears twice");
    bad("\n\nsection,,row,seat,tier\n", 3, "", "there is no such column");

    map_csv_t *map = read_len("section;row;seat;tier\n", 22);
    assert_string_equal(map->error[0].column, "section;row;seat;tier");
    assert_non_null(strstr(map->error[0].text, "with commas between them"));
    map_csv_free(map);
}

static void test_wrong_lines(void **state)
{
    const struct {
        const char *line, *column, *words;
    } wrong[] = {
        {",A,1,s", "section", "a seat needs a section here"},
        {"H,,1,s", "row", "a seat needs a row here"},
        {"H,A,,s", "seat", "a seat needs a seat here"},
        {"H,A,1,", "tier", "a seat needs a tier here"},
        {"H,A", "seat", "a seat needs a seat here"},
        {"H,A,0,s", "seat", "\"0\" is not a whole number from 1 to 65535"},
        {"H,A,65536,s", "seat", "from 1 to 65535"},
        {"H,A,-1,s", "seat", "\"-1\" is not"},
        {"H,A,1.5,s", "seat", "\"1.5\" is not"},
        {"H,A,1e3,s", "seat", "\"1e3\" is not"},
        {"H,A,99999999999999999999,s", "seat", "is not a whole number"},
        {"H,A,1a,s", "seat", "\"1a\" is not"},
        {"H,A,1,s t", "tier", "\"s t\" is not 1 to 32 of A-Z"},
        {"H,A,1,s,", "name", NULL},
        {"H,A,1,s,5", "", "more columns than the first line names"},
        {"\"H\nI\",A,1,s", "section", "on one line"},
        {"H,\"A\tB\",1,s", "row", "on one line"},
        {"\" H\",A,1,s", "section", "without a space at either end"},
        {"H,\"A \",1,s", "row", "without a space at either end"},
        {"\" \",A,1,s", "section", "without a space at either end"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char text[300];

        snprintf(text, sizeof(text), HEAD "%s\n", wrong[i].line);
        if (wrong[i].words != NULL) {
            bad(text, 2, wrong[i].column, wrong[i].words);
        } else {
            map_csv_free(good(text));
        }
    }

    bad("section,row,seat,tier,name\nH,A,1,s,A 1\n", 2, "name",
        "\"A 1\" is not 1 to 32");
    bad("section,row,seat,tier,x\nH,A,1,s,1000001\n", 2, "x",
        "from -1000000 to 1000000");
    bad("type,section,row,seat,tier,focal_x\n,H,A,1,s,5\n", 2, "focal_x",
        "a seat has no focal_x");
    bad("type,section,row,seat,tier,focal_x,focal_y\nsection,H,,,,1,2\n"
        "section,H,,,,1,2\nseat,H,A,1,s,,\n",
        3, "", "two lines of type");
    bad("type,section,row,seat,tier,focal_x,focal_y\nsection,Hal,,,,1,2\n"
        "seat,H,A,1,s,,\n",
        2, "section", "the section has no seats");
}

static void test_twice(void **state)
{
    (void)state;
    bad("section,row,seat,tier,name\nH,A,1,s,a\nH,B,1,s,b\nH,A,1,s,c\n", 4,
        "seat", "the row has a seat 1 already, on line 2");
    bad("section,row,seat,tier,name\nH,A,1,s,a\nH,B,1,s,\nH,A,2,s,B-1\n", 4,
        "name", "\"B-1\" is the name of the seat on line 3");
    /* names are told apart by their letters' case, as in the database */
    map_csv_free(good("section,row,seat,tier,name\nH,A,1,s,a\nH,A,2,s,A\n"));
    bad(HEAD "\xea\xb0\x80,A,1,s\n\xeb\x82\x98,A,1,s\n", 3, "name",
        "\"_-A-1\" is the name of the seat on line 2");
    bad(HEAD "H,Row-number-twenty-seven-abcdefg,1,s\n", 2, "name",
        "longer than 32 characters");
    bad(HEAD "A-section-of-many-words-in-its-name,A,1,s\nH,A,1,s\n", 2, "name",
        "longer than 32 characters");
}

static void test_no_csv(void **state)
{
    char text[6000];

    (void)state;
    bad(HEAD "\"H,A,1,s\nH,A,2,s\n", 2, "", "opened and never closed");
    bad(HEAD "H\"x,A,1,s\n", 2, "", "a quote stands within a field");
    bad(HEAD "\"H\"x,A,1,s\n", 2, "", "follows the closing quote");
    bad(HEAD "H,A,1,\xff\n", 2, "", "not UTF-8");
    bad(HEAD "H,A,1,\xed\xa0\x80\n", 2, "", "not UTF-8");
    bad(HEAD "H,A,1,\xc0\xaf\n", 2, "", "not UTF-8");
    bad_len(HEAD "H,A,1,s\0\n", strlen(HEAD) + 9, 2, "", "a zero byte");
    bad("\xff\xfes\n", 1, "", "not UTF-8");

    memset(text, ',', 40);
    strcpy(text + 40, "\n");
    bad(text, 1, "", "more than 32 columns");

    strcpy(text, HEAD "\"");
    memset(text + strlen(HEAD) + 1, 'x', 5000);
    strcpy(text + strlen(HEAD) + 5001, "\",A,1,s\n");
    bad(text, 2, "", "more than 4096 bytes");
}

static void test_many_mistakes(void **state)
{
    char text[4000] = HEAD;

    (void)state;
    for (int i = 0; i < 50; i++) {
        strcat(text, i % 2 ? "H,A,x,s\n" : "H,A,,s\n");
    }

    map_csv_t *map = read_len(text, strlen(text));
    assert_int_equal(map->n_errors, 20);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(map->error[i].line, i + 2);
    }
    map_csv_free(map);

    /* a long text is shown by its beginning, whole characters of it */
    strcpy(text, HEAD "H,A,");
    for (int i = 0; i < 100; i++) {
        strcat(text, "\xea\xb0\x80");
    }
    strcat(text, ",s\n");
    map = read_len(text, strlen(text));
    assert_non_null(strstr(map->error[0].text, "\xea\xb0\x80\" is not"));
    map_csv_free(map);
}

/* n lines by a format of two numbers: i / wide and i % wide + 1. */
static char *lines(unsigned n, unsigned wide, const char *fmt)
{
    size_t size = (size_t)n * 40 + 100, len;
    char *text = malloc(size);

    assert_non_null(text);
    len = (size_t)snprintf(text, size, "type,pool,capacity," HEAD);
    for (unsigned i = 0; i < n; i++) {
        len += (size_t)snprintf(text + len, size - len, fmt, i / wide,
                                i % wide + 1);
    }

    return text;
}

static void test_limits(void **state)
{
    const struct {
        unsigned most, wide;
        const char *fmt, *column, *words;
    } limit[] = {
        {MAP_SEATS_MAX, 500, ",,,H,%u,%u,s\n", "", "more than 200000 seats"},
        {MAP_SECTIONS_MAX, 1, ",,,S%u,A,%u,s\n", "section",
         "more than 1000 sections"},
        {MAP_ROWS_MAX, 1, ",,,H,%u,%u,s\n", "row", "more than 65535 rows"},
        {MAP_TIERS_MAX, 1, ",,,H,A%1$u,%2$u,t%1$u\n", "tier",
         "more than 100 tiers"},
        {MAP_POOLS_MAX, 1, "pool,p%u,%u,,,,s\n", "", "more than 100 pools"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(limit) / sizeof(limit[0]); i++) {
        char *text = lines(limit[i].most, limit[i].wide, limit[i].fmt);

        map_csv_free(good(text));
        free(text);
        text = lines(limit[i].most + 1, limit[i].wide, limit[i].fmt);
        bad(text, limit[i].most + 2, limit[i].column, limit[i].words);
        free(text);
    }
}

static void test_records(void **state)
{
    static const char text[] = "a,\"b \"\"c\"\"\r\nd\"\r\n\r\n e ,,\"\"";
    csv_t csv;

    (void)state;
    csv_begin(&csv, text, strlen(text));
    assert_int_equal(csv_next(&csv), CSV_RECORD);
    assert_int_equal(csv.line, 1);
    assert_int_equal(csv.n, 2);
    assert_string_equal(csv.field[1], "b \"c\"\r\nd");
    assert_int_equal(csv_next(&csv), CSV_RECORD);
    assert_int_equal(csv.line, 4);
    assert_int_equal(csv.n, 3);
    assert_string_equal(csv.field[0], "e");
    assert_int_equal(csv_next(&csv), CSV_END);
    assert_int_equal(csv_next(&csv), CSV_END);
}

static void test_preconditions(void **state)
{
    static const char *const wrong[] = {
        "",
        "v1",
        "\"v1",
        "\"v1\" \"v2\"",
        "\"v1\",",
        ",\"v1\"",
        "* , \"v1\"",
        "W/v1",
        "w/\"v1\"",
        "W/",
        "W",
        "\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
        "\"\",\"\",\"\",\"\""};
    precondition_t precondition;

    (void)state;
    assert_int_equal(precondition_read(&precondition, "\"v7\""), 0);
    assert_true(precondition_holds(&precondition, 7));
    assert_false(precondition_holds(&precondition, 6));
    assert_false(precondition_holds(&precondition, 0));

    assert_int_equal(
        precondition_read(&precondition,
                          " \"v1\" ,W/\"v2\",\t\"x\",\"v03\",\"v\",\"\","
                          "\"v4294967295\",\"v4294967296\",\"v99999999999\""),
        0);
    assert_int_equal(precondition.n, 2);
    assert_true(precondition_holds(&precondition, 1));
    assert_true(precondition_holds(&precondition, UINT32_MAX));
    assert_false(precondition_holds(&precondition, 2));
    assert_false(precondition_holds(&precondition, 3));
    assert_false(precondition_holds(&precondition, 0));

    assert_int_equal(precondition_read(&precondition, " * "), 0);
    assert_true(precondition_holds(&precondition, 12));

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (precondition_read(&precondition, wrong[i]) == 0) {
            fail_msg("%s is taken", wrong[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seats),
        cmocka_unit_test(test_spreadsheets),
        cmocka_unit_test(test_focal_points),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_wrong_lines),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_no_csv),
        cmocka_unit_test(test_many_mistakes),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_preconditions),
    };

    return cmocka_run_group_tests_name("csv", tests, NULL, NULL);
}
