/*
 * An operator's orders: what is taken and what becomes of it, and what is said
 * of what is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ticket_line.h"
#include "ticket_order.h"
#include "ticket_policy.h"

#define SETTINGS   "slots, rate, per_ms, mode, paused and queue_all."
#define NO_SETTING " is no setting: there are " SETTINGS
#define NO_MEMBER                                                              \
    " is no member of a command: there are command, count and number."
#define OBJECT "The body must be one JSON object, {...}."
#define SLOTS                                                                  \
    "slots takes a whole number from 0 to 10000000 (0: no limit), or null "    \
    "for what nginx.conf says."
#define PER                                                                    \
    "per_ms takes a whole number from 100 to 86400000, or null for what "      \
    "nginx.conf says."
#define MODE                                                                   \
    "mode takes \"fifo\", \"passthrough\", \"reject\", or null for what "      \
    "nginx.conf says."
#define PAUSED  "paused takes true, false, or null for what nginx.conf says."
#define COMMAND "command takes \"reset\", \"call\" or \"revoke\"."
#define COUNT   "count takes a whole number from 1 to 10000."
#define NUMBER  "number takes a whole number from 1 to 33554431."
#define SYNTAX  "The body is not JSON: byte "

/* A text with its length: bodies and answers may have zeros within. */
#define T(text)                                                                \
    {                                                                          \
        sizeof(text) - 1, text                                                 \
    }

typedef struct {
    size_t len;
    const char *data;
} bytes_t;

typedef struct {
    bytes_t body;
    bytes_t text;
    ticket_order_what_t what;
    uint64_t n;
} good_t;

typedef struct {
    bytes_t body;
    bytes_t text;
} bad_t;

/* The body lies in memory of exactly its size. */
static ticket_order_t read_order(ticket_order_form_t form, const char *body,
                                 size_t len)
{
    ticket_order_t order;
    char *copy = malloc(len);

    assert_true(copy != NULL || len == 0);
    if (len > 0) {
        memcpy(copy, body, len);
    }

    memset(&order, 0xff, sizeof(order));
    assert_int_equal(ticket_order_read(&order, form, copy, len), 0);
    assert_in_range(order.len, 0, TICKET_ORDER_TEXT_MAX - 1);
    free(copy);

    return order;
}

static void check_good(ticket_order_form_t form, const good_t *good, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ticket_order_t order =
            read_order(form, good[i].body.data, good[i].body.len);

        if (order.what != good[i].what || order.n != good[i].n ||
            order.len != good[i].text.len ||
            memcmp(order.text, good[i].text.data, order.len) != 0) {
            fail_msg("%s: %d, %.*s", good[i].body.data, (int)order.what,
                     (int)order.len, order.text);
        }
    }
}

/* The text begins so: where a parser found its error is the parser's own. */
static void check_bad(ticket_order_form_t form, const bad_t *bad, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ticket_order_t order =
            read_order(form, bad[i].body.data, bad[i].body.len);
        int is_syntax = strcmp(bad[i].text.data, SYNTAX) == 0;

        if (order.what != TICKET_ORDER_WRONG || order.n != 0 ||
            order.len < bad[i].text.len ||
            (order.len > bad[i].text.len && !is_syntax) ||
            memcmp(order.text, bad[i].text.data, bad[i].text.len) != 0) {
            fail_msg("%s: %d, %.*s", bad[i].body.data, (int)order.what,
                     (int)order.len, order.text);
        }
    }
}

static void test_settings(void **state)
{
    (void)state;

    static const good_t good[] = {
        {T("{\"slots\":7}"), T("slots=7"), TICKET_ORDER_SET, 0},
        {T(" {\n\"slots\" :\t0 } \r\n"), T("slots=0"), TICKET_ORDER_SET, 0},
        {T("{\"slots\":10000000}"), T("slots=10000000"), TICKET_ORDER_SET, 0},
        {T("{\"rate\":null}"), T("rate="), TICKET_ORDER_SET, 0},
        {T("{\"mode\":\"reject\",\"per_ms\":100}"), T("per=100 mode=2"),
         TICKET_ORDER_SET, 0},
        {T("{\"mode\":\"fifo\"}"), T("mode=0"), TICKET_ORDER_SET, 0},
        {T("{\"m\\u006fde\":\"pas\\u0073through\"}"), T("mode=1"),
         TICKET_ORDER_SET, 0},
        {T("{\"queue_all\":false,\"paused\":true}"), T("paused=1 queue_all=0"),
         TICKET_ORDER_SET, 0},
    };

    check_good(TICKET_ORDER_PATCH, good, sizeof(good) / sizeof(good[0]));
}

/* What is read is what ticket_policy_apply takes, in its longest form too. */
static void test_settings_apply(void **state)
{
    (void)state;

    static const char body[] =
        "{\"slots\":10000000,\"rate\":10000000,\"per_ms\":86400000,"
        "\"mode\":\"reject\",\"paused\":true,\"queue_all\":true}";
    ticket_policy_t policy = {0};
    ticket_order_t order =
        read_order(TICKET_ORDER_PATCH, body, sizeof(body) - 1);

    assert_int_equal(order.what, TICKET_ORDER_SET);
    assert_int_equal(ticket_policy_apply(&policy, order.text, order.len), 0);

    for (size_t i = 0; i < TICKET_SETTINGS; i++) {
        uint64_t value, min, max;

        assert_int_equal(ticket_policy_range(ticket_settings[i].setting,
                                             strlen(ticket_settings[i].setting),
                                             &min, &max),
                         0);
        memcpy(&value, (char *)&policy + ticket_settings[i].offset,
               sizeof(value));
        assert_int_equal(value, max);
    }
}

static void test_commands(void **state)
{
    (void)state;

    static const good_t good[] = {
        {T("{\"command\":\"reset\"}"), T(""), TICKET_ORDER_RESET, 0},
        {T("{\"command\":\"call\",\"count\":1}"), T(""), TICKET_ORDER_CALL, 1},
        {T("{\"count\":10000,\"command\":\"call\"}"), T(""), TICKET_ORDER_CALL,
         10000},
        {T("{\"command\":\"revoke\",\"number\":33554431}"), T(""),
         TICKET_ORDER_REVOKE, TICKET_NUMBER_MAX},
    };

    check_good(TICKET_ORDER_POST, good, sizeof(good) / sizeof(good[0]));
}

static void test_wrong_settings(void **state)
{
    (void)state;

    static const bad_t bad[] = {
        {T("{}"), T("The body names nothing to change: there are " SETTINGS)},
        {T("{\"slots\":-1}"), T(SLOTS)},
        {T("{\"slots\":-0}"), T(SLOTS)},
        {T("{\"slots\":10000001}"), T(SLOTS)},
        {T("{\"slots\":999999999}"), T(SLOTS)},
        {T("{\"slots\":18446744073709551617}"), T(SLOTS)},
        {T("{\"slots\":99999999999999999999999999999999}"), T(SLOTS)},
        {T("{\"slots\":1.0}"), T(SLOTS)},
        {T("{\"slots\":1e3}"), T(SLOTS)},
        {T("{\"slots\":1E999}"), T(SLOTS)},
        {T("{\"slots\":\"7\"}"), T(SLOTS)},
        {T("{\"slots\":true}"), T(SLOTS)},
        {T("{\"slots\":{\"slots\":1}}"), T(SLOTS)},
        {T("{\"slots\":[7]}"), T(SLOTS)},
        {T("{\"slots\":7,\"slots\":99999999}"), T("slots stands there twice.")},
        {T("{\"slots\":null,\"slots\":7}"), T("slots stands there twice.")},
        {T("{\"per_ms\":99}"), T(PER)},
        {T("{\"per_ms\":86400001}"), T(PER)},
        {T("{\"mode\":\"\"}"), T(MODE)},
        {T("{\"mode\":\"fif\"}"), T(MODE)},
        {T("{\"mode\":\"fifo\\u0000\"}"), T(MODE)},
        {T("{\"mode\":2}"), T(MODE)},
        {T("{\"paused\":1}"), T(PAUSED)},
        {T("{\"paused\":\"true\"}"), T(PAUSED)},
        {T("{\"slots\":7,\"per\":1000}"), T("per" NO_SETTING)},
        {T("{\"command\":\"reset\"}"), T("command" NO_SETTING)},
    };

    check_bad(TICKET_ORDER_PATCH, bad, sizeof(bad) / sizeof(bad[0]));
}

static void test_wrong_commands(void **state)
{
    (void)state;

    static const bad_t bad[] = {
        {T("{}"), T(COMMAND)},
        {T("{\"count\":3}"), T(COMMAND)},
        {T("{\"command\":\"\"}"), T(COMMAND)},
        {T("{\"command\":\"close\"}"), T(COMMAND)},
        {T("{\"command\":\"reset\\u0000\"}"), T(COMMAND)},
        {T("{\"command\":null}"), T(COMMAND)},
        {T("{\"command\":0}"), T(COMMAND)},
        {T("{\"command\":[\"reset\"]}"), T(COMMAND)},
        {T("{\"command\":\"reset\",\"command\":\"reset\"}"),
         T("command stands there twice.")},
        {T("{\"command\":\"reset\",\"count\":1}"),
         T("The command reset does not take count.")},
        {T("{\"number\":1,\"command\":\"call\",\"count\":1}"),
         T("The command call does not take number.")},
        {T("{\"command\":\"call\"}"), T(COUNT)},
        {T("{\"command\":\"call\",\"count\":0}"), T(COUNT)},
        {T("{\"command\":\"call\",\"count\":10001}"), T(COUNT)},
        {T("{\"command\":\"call\",\"count\":null}"), T(COUNT)},
        {T("{\"command\":\"call\",\"count\":{}}"), T(COUNT)},
        {T("{\"command\":\"revoke\"}"), T(NUMBER)},
        {T("{\"command\":\"revoke\",\"number\":0}"), T(NUMBER)},
        {T("{\"command\":\"revoke\",\"number\":33554432}"), T(NUMBER)},
        {T("{\"command\":\"revoke\",\"number\":4294967297}"), T(NUMBER)},
        {T("{\"slots\":7}"), T("slots" NO_MEMBER)},
    };

    check_bad(TICKET_ORDER_POST, bad, sizeof(bad) / sizeof(bad[0]));
}

static void test_no_object(void **state)
{
    (void)state;

    static const bad_t bad[] = {
        {T(""), T(SYNTAX)},
        {T(" "), T(SYNTAX)},
        {T("{"), T(SYNTAX)},
        {T("{\"slots\":7"), T(SYNTAX)},
        {T("{\"slots\"}"), T(SYNTAX)},
        {T("{\"slots\":7,}"), T(SYNTAX)},
        {T("{\"slots\":07}"), T(SYNTAX)},
        {T("{\"slots\":+7}"), T(SYNTAX)},
        {T("{\"slots\":NaN}"), T(SYNTAX)},
        {T("{slots:7}"), T(SYNTAX)},
        {T("{\"slots\":7} x"), T(SYNTAX)},
        {T("{\"slots\":7}{\"rate\":7}"), T(SYNTAX)},
        {T("{\"slots\":7}\0"), T(SYNTAX)},
        {T("{\"slo\0ts\":7}"), T(SYNTAX)},
        {T("\0{\"slots\":7}"), T(SYNTAX)},
        {T("\xef\xbb\xbf{\"slots\":7}"), T(SYNTAX)},
        {T("{\"slots\":7/**/}"), T(SYNTAX)},
        {T("{\"\xff\":7}"), T(SYNTAX)},
        {T("{\"mode\":\"\xc3\"}"), T(SYNTAX)},
        {T("[{\"slots\":7}]"), T(OBJECT)},
        {T("7"), T(OBJECT)},
        {T("null"), T(OBJECT)},
        {T("true"), T(OBJECT)},
        {T("\"slots\""), T(OBJECT)},
    };

    check_bad(TICKET_ORDER_PATCH, bad, sizeof(bad) / sizeof(bad[0]));
}

/* They are told, if they can stand in any text. */
static void test_strange_names(void **state)
{
    (void)state;

    static const bad_t bad[] = {
        {T("{\"\":7}"), T("" NO_SETTING)},
        {T("{\"slot\":7}"), T("slot" NO_SETTING)},
        {T("{\"slots\\u0000\":7}"), T("slots\0" NO_SETTING)},
        {T("{\"%s%n\":7}"), T("%s%n" NO_SETTING)},
        {T("{\"a\\\"\\u0007\":7}"), T("a\"\x07" NO_SETTING)},
        {T("{\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\":7}"),
         T("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" NO_SETTING)},
        {T("{\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\":7}"),
         T("A long name" NO_SETTING)},
        {T("{\"gr\xc3\xb6\xc3\x9f"
           "e\":7}"),
         T("A name beyond ASCII" NO_SETTING)},
        {T("{\"\\udc00\":7}"), T("A name beyond ASCII" NO_SETTING)},
        {T("{\"\xc0\x80\":7}"), T("A name beyond ASCII" NO_SETTING)},
    };

    check_bad(TICKET_ORDER_PATCH, bad, sizeof(bad) / sizeof(bad[0]));
}

static void check_large(const char *body, size_t len, const char *wrong)
{
    ticket_order_t order = read_order(TICKET_ORDER_PATCH, body, len);

    assert_int_equal(order.what, TICKET_ORDER_WRONG);
    assert_int_equal(order.len, strlen(wrong));
    assert_memory_equal(order.text, wrong, order.len);
}

static void test_large(void **state)
{
    (void)state;

    static const char start[] = "{\"slots\":";
    static const char last[] = "{\"slots\":7}";
    char body[TICKET_ORDER_BODY_MAX + 1];
    ticket_order_t order;

    memset(body, '[', sizeof(body));
    check_large(body, TICKET_ORDER_BODY_MAX, OBJECT);

    memcpy(body, start, sizeof(start) - 1);
    check_large(body, TICKET_ORDER_BODY_MAX, SLOTS);

    memset(body + sizeof(start) - 1, '9', sizeof(body) - sizeof(start) + 1);
    body[TICKET_ORDER_BODY_MAX - 1] = '}';
    check_large(body, TICKET_ORDER_BODY_MAX, SLOTS);

    memset(body, ' ', sizeof(body));
    memcpy(body + TICKET_ORDER_BODY_MAX - sizeof(last) + 1, last,
           sizeof(last) - 1);
    order = read_order(TICKET_ORDER_PATCH, body, TICKET_ORDER_BODY_MAX);
    assert_int_equal(order.what, TICKET_ORDER_SET);

    check_large(body, sizeof(body), "The body is longer than 4096 bytes.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_settings_apply),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_wrong_settings),
        cmocka_unit_test(test_wrong_commands),
        cmocka_unit_test(test_no_object),
        cmocka_unit_test(test_strange_names),
        cmocka_unit_test(test_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
