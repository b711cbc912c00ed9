/*
 * Key files: a good one gives its keys, and each way to be a bad one has its
 * message, in which no part of a secret appears.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "key_file.h"

#define SECRET_32 "0123456789abcdef0123456789abcdef" /* 16 bytes: too few */

typedef struct {
    const char *content;
    const char *message;
} bad_file_t;

static const bad_file_t bad_files[] = {
    {"", "it holds no key"},
    {"\n  \n\t\r\n", "it holds no key"},
    {"# 1 " SECRET_A "\n", "it holds no key"},
    {"0 " SECRET_A "\n", "line 1: a key id is a number, 1 to 65535"},
    {"65536 " SECRET_A "\n", "line 1: a key id is a number, 1 to 65535"},
    {"99999999999999999999 " SECRET_A "\n", "line 1: a key id is a number"},
    {"-1 " SECRET_A "\n", "line 1: a key id is a number"},
    {"+1 " SECRET_A "\n", "line 1: a key id is a number"},
    {"0x1 " SECRET_A "\n", "line 1: a key id is a number"},
    {"1a " SECRET_A "\n", "line 1: a key id is a number"},
    {"first " SECRET_A "\n", "line 1: a key id is a number"},
    {SECRET_A " 1\n", "line 1: a key id is a number"},
    {SECRET_A "\n", "line 1: a key id is a number"},
    {"\n# comment\n1\n", "line 3: after the id comes one secret of 64 to 128"},
    {"1 " SECRET_32 "\n", "line 1: after the id comes one secret"},
    {"1 " SECRET_A "0\n", "line 1: after the id comes one secret"},
    {"1 0" SECRET_A "\n", "line 1: after the id comes one secret"},
    {"1 " SECRET_A SECRET_A "00\n", "line 1: after the id comes one secret"},
    {"1 " SECRET_A "zz\n", "line 1: after the id comes one secret"},
    {"1 g0" SECRET_A "\n", "line 1: after the id comes one secret"},
    {"1 " SECRET_A " # new\n", "line 1: after the id comes one secret"},
    {"1 " SECRET_A " " SECRET_B "\n", "line 1: after the id comes one secret"},
    {"1 " SECRET_A "\n2 " SECRET_A "\n1 " SECRET_B "\n",
     "line 3: key id 1 appears twice"},
    {"1 " SECRET_A "\n01 " SECRET_B "\n", "line 2: key id 1 appears twice"},
};

/* True when eight characters in a row of the secret are in the message. */
static int reveals(const char *message, const char *secret)
{
    char piece[9] = "";

    for (size_t i = 0; i + 8 <= strlen(secret); i++) {
        memcpy(piece, secret + i, 8);
        if (strstr(message, piece) != NULL) {
            return 1;
        }
    }

    return 0;
}

static void check_refused(const char *content, size_t len, mode_t mode,
                          const char *message)
{
    char err[256] = "";

    assert_null(load_keys(content, len, mode, err, sizeof(err)));
    if (strncmp(err, message, strlen(message)) != 0) {
        fail_msg("\"%s\" instead of \"%s\"", err, message);
    }

    assert_null(strchr(err, '\n'));
    assert_false(reveals(err, SECRET_A));
    assert_false(reveals(err, SECRET_B));
}

static void test_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++) {
        check_refused(bad_files[i].content, strlen(bad_files[i].content), 0600,
                      bad_files[i].message);
    }
}

static void test_too_many(void **state)
{
    char content[(TICKET_KEYS_MAX + 1) * 80];
    size_t len = 0;

    (void)state;
    for (int id = 1; id <= TICKET_KEYS_MAX; id++) {
        len += (size_t)sprintf(content + len, "%d " SECRET_A "\n", id);
    }

    ticket_keys_t *keys = good_keys(content);
    assert_non_null(keys);
    assert_int_equal(ticket_keys_signing_id(keys), 1);
    ticket_keys_free(keys);

    len += (size_t)sprintf(content + len, "99 " SECRET_A "\n");
    check_refused(content, len, 0600, "line 17: more than 16 keys");
}

static void test_long_line(void **state)
{
    char content[2000];

    (void)state;
    memset(content, '0', sizeof(content));
    memcpy(content, "1 ", 2);
    for (size_t len = 512; len <= sizeof(content); len += 31) {
        content[len - 1] = '\n';
        check_refused(content, len, 0600, "line 1 is too long");
        content[len - 1] = '0';
    }
}

static void test_random_bytes(void **state)
{
    char content[300], err[256];

    (void)state;
    srandom(1);
    for (int round = 0; round < 3000; round++) {
        for (size_t i = 0; i < sizeof(content); i++) {
            content[i] = (char)random();
        }

        err[0] = '\0';
        assert_null(
            load_keys(content, (size_t)(round % 300), 0600, err, sizeof(err)));
        assert_true(err[0] != '\0');
    }
}

static void test_who_may_read(void **state)
{
    const char *content = "1 " SECRET_A "\n";
    const mode_t good[] = {0400, 0600, 0640, 0660, 0440};
    const mode_t bad[] = {0644, 0604, 0444, 0666, 0777};
    char err[256];

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ticket_keys_t *keys =
            load_keys(content, strlen(content), good[i], err, sizeof(err));

        assert_non_null(keys);
        ticket_keys_free(keys);
    }

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        check_refused(content, strlen(content), bad[i],
                      "everybody may read it; run \"chmod o-rwx\" on it");
    }
}

static void test_no_file(void **state)
{
    char err[256] = "";

    (void)state;
    assert_null(ticket_keys_load("/nonexistent/ticket.keys", err, sizeof(err)));
    assert_string_equal(err, strerror(ENOENT));
    assert_null(ticket_keys_load("/tmp", err, sizeof(err)));
    assert_string_equal(err, "not a regular file");
    assert_null(ticket_keys_load("/dev/null", err, sizeof(err)));
    assert_string_equal(err, "not a regular file");
}

/* Nobody ever writes to it: opening it must not wait for that. */
static void test_fifo(void **state)
{
    char dir[] = "/tmp/ticket-keys-XXXXXX", path[64], err[256];

    (void)state;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(ticket_keys_load(path, err, sizeof(err)));
    assert_string_equal(err, "not a regular file");
    unlink(path);
    rmdir(dir);
}

/* A message that does not fit is cut, and written nowhere else. */
static void test_short_buffer(void **state)
{
    char err[12];

    (void)state;
    memset(err, 'x', sizeof(err));
    assert_null(load_keys("0 x\n", 4, 0600, err, 8));
    assert_string_equal(err, "line 1:");
    assert_memory_equal(err + 8, "xxxx", 4);
}

/* The MAC of two texts one after the other. */
static int mac_of(const ticket_keys_t *keys, uint16_t id, const char *a,
                  const char *b, unsigned char mac[TICKET_MAC_LEN])
{
    const ticket_part_t parts[] = {{a, strlen(a)}, {NULL, 0}, {b, strlen(b)}};

    return ticket_keys_mac(keys, id, parts, 3, mac);
}

static void test_good_file(void **state)
{
    unsigned char one[TICKET_MAC_LEN], two[TICKET_MAC_LEN];
    ticket_keys_t *keys = good_keys("# rotated\r\n\r\n"
                                    "\t65535\t" SECRET_B SECRET_B " \r\n"
                                    "  # the old one\n"
                                    "1 " SECRET_A);

    (void)state;
    assert_non_null(keys);
    assert_int_equal(ticket_keys_signing_id(keys), 65535);

    assert_int_equal(mac_of(keys, 1, "ab", "c", one), 0);
    assert_int_equal(mac_of(keys, 1, "a", "bc", two), 0);
    assert_memory_equal(one, two, sizeof(one));
    assert_int_equal(mac_of(keys, 65535, "a", "bc", two), 0);
    assert_memory_not_equal(one, two, sizeof(one));
    assert_int_equal(mac_of(keys, 2, "a", "bc", two), -1);
    assert_int_equal(mac_of(keys, 0, "a", "bc", two), -1);

    ticket_keys_free(keys);
    ticket_keys_free(NULL);
}

/* Upper and lower case digits are the same secret. */
static void test_case_of_digits(void **state)
{
    unsigned char one[TICKET_MAC_LEN], two[TICKET_MAC_LEN];
    char content[] = "1 " SECRET_A "\n2 " SECRET_A "\n";

    (void)state;
    for (char *p = strchr(content, '\n'); *p != '\0'; p++) {
        if (*p >= 'a' && *p <= 'f') {
            *p = (char)(*p - 'a' + 'A');
        }
    }

    ticket_keys_t *keys = good_keys(content);
    assert_non_null(keys);
    assert_int_equal(mac_of(keys, 1, "a", "b", one), 0);
    assert_int_equal(mac_of(keys, 2, "a", "b", two), 0);
    assert_memory_equal(one, two, sizeof(one));
    ticket_keys_free(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_who_may_read),
        cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_short_buffer),
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_case_of_digits),
    };

    return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
