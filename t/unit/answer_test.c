/*
 * Answers of the scripts: what is well-formed is read as it stands, and what
 * is not is refused as a whole.  Replies are made by hiredis from what Redis
 * would send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ticket_answer.h"

#define KEY "00112233445566778899aabbccddeeffFEDCBA98765432100123456789abcdef"

/* The values of an exchange's "ok": the head, the line, two segments. */
static const char *const good[] = {"ok",
                                   "#1764633600000",
                                   "#77",
                                   "#5",
                                   "#40",
                                   "#9",
                                   "#1764633500000",
                                   "#12",
                                   "#3",
                                   "#2",
                                   "#11",
                                   "#0",
                                   "#250",
                                   "#8",
                                   "#1",
                                   "#4",
                                   "",
                                   "#6",
                                   "#40",
                                   KEY,
                                   "#0",
                                   "\x50x",
                                   "#1023",
                                   ""};

#define GOOD  (sizeof(good) / sizeof(good[0]))
#define HEAD  6
#define N_SET (HEAD + 10)
#define N_KEY (HEAD + 13)
#define N_SEG (HEAD + 14)

static redisReply *reply;

static int tear_down(void **state)
{
    (void)state;
    freeReplyObject(reply);
    reply = NULL;

    return 0;
}

static void parse(const char *bytes, size_t len)
{
    redisReader *reader = redisReaderCreate();

    freeReplyObject(reply);
    reply = NULL;
    assert_int_equal(redisReaderFeed(reader, bytes, len), REDIS_OK);
    assert_int_equal(redisReaderGetReply(reader, (void **)&reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
}

/* An array of texts; "#" begins a number, "!" is nil, "*" an empty array. */
static void make(const char *const *value, size_t n)
{
    char *bytes;
    size_t len;
    FILE *out = open_memstream(&bytes, &len);

    fprintf(out, "*%zu\r\n", n);
    for (size_t i = 0; i < n; i++) {
        const char *v = value[i];

        if (*v == '#') {
            fprintf(out, ":%s\r\n", v + 1);
        } else if (*v == '!' || *v == '*') {
            fputs(*v == '!' ? "$-1\r\n" : "*0\r\n", out);
        } else {
            fprintf(out, "$%zu\r\n%s\r\n", strlen(v), v);
        }
    }

    fclose(out);
    parse(bytes, len);
    free(bytes);
}

/* The good answer with one value changed; the result of reading its head. */
static int read_with(size_t at, const char *value, ticket_answer_t *answer)
{
    const char *values[GOOD];

    memcpy(values, good, sizeof(good));
    values[at] = value;
    make(values, GOOD);

    return ticket_answer_read(reply, answer);
}

static void read_good(ticket_answer_t *answer)
{
    make(good, GOOD);
    assert_int_equal(ticket_answer_read(reply, answer), 0);
}

static void test_head(void **state)
{
    ticket_answer_t answer;

    (void)state;
    read_good(&answer);
    assert_true(ticket_answer_is(&answer, "ok"));
    assert_false(ticket_answer_is(&answer, "o"));
    assert_false(ticket_answer_is(&answer, "oka"));
    assert_false(ticket_answer_is(&answer, ""));
    assert_int_equal(answer.now, 1764633600000);
    assert_int_equal(answer.epoch, 77);
    assert_int_equal(answer.seq, 5);
    assert_int_equal(answer.issued, 40);
    assert_int_equal(answer.called, 9);
    assert_int_equal(answer.n, GOOD - HEAD);

    make(good, HEAD);
    assert_int_equal(ticket_answer_read(reply, &answer), 0);
    assert_int_equal(answer.n, 0);
    assert_int_equal(read_with(2, "#4294967295", &answer), 0);
    assert_int_equal(answer.epoch, UINT32_MAX);
}

static void test_other_heads(void **state)
{
    static const char *const wrong[] = {"!", "*", "1", "#-1"};
    static const char *const other[] = {
        "-ERR no\r\n",  "+OK\r\n", ":7\r\n",  "$-1\r\n",
        "$2\r\nok\r\n", "*0\r\n",  "*-1\r\n", NULL};
    ticket_answer_t answer;

    (void)state;
    assert_int_equal(ticket_answer_read(NULL, &answer), -1);
    for (size_t i = 0; other[i] != NULL; i++) {
        parse(other[i], strlen(other[i]));
        assert_int_equal(ticket_answer_read(reply, &answer), -1);
    }

    make(good, HEAD - 1);
    assert_int_equal(ticket_answer_read(reply, &answer), -1);
    for (size_t at = 1; at < HEAD; at++) {
        for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
            assert_int_equal(read_with(at, wrong[i], &answer), -1);
        }
    }

    assert_int_equal(read_with(0, "#1", &answer), -1);
    assert_int_equal(read_with(0, "!", &answer), -1);
    assert_int_equal(read_with(2, "#4294967296", &answer), -1);
}

static void test_values(void **state)
{
    ticket_answer_t answer;
    ticket_text_t text;

    (void)state;
    read_good(&answer);
    assert_int_equal(ticket_answer_uint(&answer, 1), 12);
    assert_int_equal(ticket_answer_uint(&answer, 13), 0);
    assert_int_equal(ticket_answer_uint(&answer, answer.n), 0);
    assert_int_equal(ticket_answer_uint(&answer, SIZE_MAX), 0);
    text = ticket_answer_text(&answer, 15);
    assert_int_equal(text.len, 2);
    assert_memory_equal(text.data, "\x50x", 2);
    assert_int_equal(ticket_answer_text(&answer, 0).len, 0);
    assert_int_equal(ticket_answer_text(&answer, answer.n).len, 0);
    assert_int_equal(ticket_answer_text(&answer, SIZE_MAX).len, 0);

    assert_int_equal(read_with(HEAD, "#-5", &answer), 0);
    assert_int_equal(ticket_answer_uint(&answer, 0), 0);
}

static void test_line(void **state)
{
    ticket_answer_t answer;
    ticket_answer_line_t line;

    (void)state;
    assert_int_equal(read_with(N_SET, "rate=5", &answer), 0);
    assert_int_equal(ticket_answer_line(&answer, &line), 0);
    assert_int_equal(line.life, 1764633500000);
    assert_int_equal(line.version, 12);
    assert_int_equal(line.sessions, 3);
    assert_int_equal(line.calls, 2);
    assert_int_equal(line.total, 11);
    assert_int_equal(line.settling, 0);
    assert_int_equal(line.stock, 250);
    assert_int_equal(line.begun, 8);
    assert_int_equal(line.missed, 1);
    assert_int_equal(line.set_version, 4);
    assert_int_equal(line.set.len, 6);
    assert_memory_equal(line.set.data, "rate=5", 6);
    assert_int_equal(line.segments, 2);
    assert_int_equal(ticket_answer_segment(&answer, 0), 0);
    assert_int_equal(ticket_answer_segment(&answer, 1), 1023);

    make(good, N_SEG);
    assert_int_equal(ticket_answer_read(reply, &answer), 0);
    assert_int_equal(ticket_answer_line(&answer, &line), 0);
    assert_int_equal(line.segments, 0);

    assert_int_equal(read_with(HEAD + 6, "#-1", &answer), 0);
    assert_int_equal(ticket_answer_line(&answer, &line), 0);
    assert_int_equal(line.stock, -1);
    assert_int_equal(read_with(HEAD + 5, "#1", &answer), 0);
    assert_int_equal(ticket_answer_line(&answer, &line), 0);
    assert_int_equal(line.settling, 1);
}

static void refuse_line(size_t at, const char *value)
{
    ticket_answer_t answer;
    ticket_answer_line_t line;

    assert_int_equal(read_with(at, value, &answer), 0);
    if (ticket_answer_line(&answer, &line) != -1) {
        fail_msg("value %zu may be \"%.40s\"", at, value);
    }
}

static void test_other_lines(void **state)
{
    char bits[TICKET_SEG_BYTES + 2];
    ticket_answer_t answer;
    ticket_answer_line_t line;

    (void)state;
    for (size_t at = HEAD; at < N_SET; at++) {
        refuse_line(at, "!");
        refuse_line(at, "1");
        refuse_line(at, "*");
        refuse_line(at, at == HEAD + 6 ? "#-2" : "#-1");
    }

    refuse_line(HEAD, "#0");
    refuse_line(HEAD + 2, "#4294967296");
    refuse_line(HEAD + 3, "#4294967296");
    refuse_line(N_SET, "#1");
    refuse_line(N_SET, "!");
    refuse_line(N_SEG, "#1024");
    refuse_line(N_SEG, "#-1");
    refuse_line(N_SEG, "0");
    refuse_line(N_SEG + 3, "#0");
    refuse_line(N_SEG + 3, "!");

    memset(bits, 'x', sizeof(bits));
    bits[TICKET_SEG_BYTES + 1] = '\0';
    refuse_line(N_SEG + 1, bits);
    bits[TICKET_SEG_BYTES] = '\0';
    assert_int_equal(read_with(N_SEG + 1, bits, &answer), 0);
    assert_int_equal(ticket_answer_line(&answer, &line), 0);

    for (size_t n = HEAD; n < GOOD; n++) {
        make(good, n);
        assert_int_equal(ticket_answer_read(reply, &answer), 0);
        assert_int_equal(ticket_answer_line(&answer, &line),
                         n == N_SEG || n == N_SEG + 2 ? 0 : -1);
    }
}

/* Of two segments one has memory. */
static void test_put(void **state)
{
    ticket_line_t *line = calloc(1, sizeof(*line));
    ticket_bits_t *bits = calloc(1, sizeof(*bits));
    ticket_seg_t seg = {.bits = bits};
    ticket_answer_t answer;
    ticket_view_t view;

    (void)state;
    assert_true(line != NULL && bits != NULL);
    ticket_line_attach(line, 0, &seg);
    read_good(&answer);

    (void)ticket_line_begin(line);
    ticket_answer_put(&answer, line);
    ticket_line_publish(line);
    ticket_line_view(line, &view);
    assert_int_equal(view.waiting, 6);

    free(bits);
    free(line);
}

static void test_draw(void **state)
{
    static const char *const keys[] = {
        "!",
        "#1",
        "",
        "00",
        KEY "0",
        "00112233445566778899aabbccddeeffFEDCBA98765432100123456789abcdeg"};
    ticket_answer_t answer;
    ticket_answer_draw_t draw;

    (void)state;
    read_good(&answer);
    assert_int_equal(ticket_answer_draw(&answer, TICKET_ANSWER_OK_DRAW, &draw),
                     0);
    assert_int_equal(draw.held, 6);
    assert_int_equal(draw.entries, 40);
    assert_int_equal(draw.key[1], 0x11);
    assert_int_equal(draw.key[16], 0xfe);
    assert_int_equal(draw.key[31], 0xef);
    assert_int_equal(ticket_answer_draw(&answer, answer.n - 2, &draw), -1);
    assert_int_equal(ticket_answer_draw(&answer, answer.n, &draw), -1);

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_int_equal(read_with(N_KEY, keys[i], &answer), 0);
        assert_int_equal(
            ticket_answer_draw(&answer, TICKET_ANSWER_OK_DRAW, &draw), -1);
    }

    assert_int_equal(read_with(N_KEY - 1, "#33554431", &answer), 0);
    assert_int_equal(ticket_answer_draw(&answer, TICKET_ANSWER_OK_DRAW, &draw),
                     0);
    assert_int_equal(read_with(N_KEY - 1, "#33554432", &answer), 0);
    assert_int_equal(ticket_answer_draw(&answer, TICKET_ANSWER_OK_DRAW, &draw),
                     -1);
    assert_int_equal(read_with(N_KEY - 2, "#-1", &answer), 0);
    assert_int_equal(ticket_answer_draw(&answer, TICKET_ANSWER_OK_DRAW, &draw),
                     -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_head, tear_down),
        cmocka_unit_test_teardown(test_other_heads, tear_down),
        cmocka_unit_test_teardown(test_values, tear_down),
        cmocka_unit_test_teardown(test_line, tear_down),
        cmocka_unit_test_teardown(test_other_lines, tear_down),
        cmocka_unit_test_teardown(test_put, tear_down),
        cmocka_unit_test_teardown(test_draw, tear_down),
    };

    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
