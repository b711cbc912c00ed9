/*
 * Answers of Redis, from the bytes on the connection to the line that is
 * shown: hiredis, the module's reading, the segments, the settings, the draw.
 */
#include "fuzz.h"
#include "ticket_answer.h"
#include "ticket_policy.h"

#define SEGMENTS 2 /* of the line, that have memory */

/* Every value is read as what it may be. */
static void check_values(const ticket_answer_t *answer)
{
    size_t bytes = answer->word.len;

    for (size_t i = 0; i < answer->n + 1; i++) {
        ticket_text_t text = ticket_answer_text(answer, i);

        bytes += text.len;
        for (size_t j = 0; j < text.len; j++) {
            bytes += text.data[j] == 'x';
        }

        REQUIRE(ticket_answer_uint(answer, i) <= INT64_MAX);
    }

    REQUIRE(ticket_answer_uint(answer, answer->n) == 0);
    REQUIRE(!ticket_answer_is(answer, "no such word") || bytes >= 12);
}

static void check_settings(const ticket_text_t *set)
{
    ticket_policy_t policy = {.per = 1000};
    char kept[TICKET_SETTINGS_TEXT_MAX];

    if (ticket_policy_apply(&policy, set->data, set->len) == 0) {
        REQUIRE(set->len <= sizeof(kept));
        memcpy(kept, set->data, set->len);
    }
}

/* What is shown is what can be counted, and nobody is where no memory is. */
static void check_line(const ticket_answer_t *answer)
{
    static ticket_line_t line;
    static ticket_bits_t bits[SEGMENTS];
    static ticket_seg_t seg[SEGMENTS];
    unsigned char polled[TICKET_SEG_BYTES];
    ticket_answer_line_t told;
    ticket_place_t place;
    ticket_view_t view;
    size_t offset;

    for (size_t i = 0; i < SEGMENTS && seg[i].bits == NULL; i++) {
        seg[i].bits = &bits[i];
        ticket_line_attach(&line, i, &seg[i]);
    }

    if (ticket_answer_line(answer, &told) != 0) {
        return;
    }

    REQUIRE(told.life > 0 && told.stock >= -1);
    check_settings(&told.set);
    for (size_t i = 0; i < told.segments; i++) {
        REQUIRE(ticket_answer_segment(answer, i) < TICKET_SEGS_MAX);
    }

    ticket_line_begin(&line)->issued = answer->issued;
    ticket_line_clear(&line);
    ticket_answer_put(answer, &line);
    ticket_line_publish(&line);

    ticket_line_view(&line, &view);
    ticket_line_look(&line, SEGMENTS * TICKET_SEG_BITS, answer->called, &place);
    REQUIRE(view.waiting <= SEGMENTS * TICKET_SEG_BITS);
    REQUIRE(told.segments > 0 || view.waiting == 0);
    REQUIRE(view.waiting == 0 ||
            ticket_line_polled(&line, 0, 1, polled, &offset) > 0 ||
            ticket_line_polled(&line, 1, 1, polled, &offset) > 0);
}

static void check_draw(const ticket_answer_t *answer, size_t i)
{
    ticket_answer_draw_t draw;

    if (ticket_answer_draw(answer, i, &draw) == 0) {
        REQUIRE(draw.entries <= TICKET_NUMBER_MAX);
        REQUIRE(ticket_draw_place(draw.key, draw.entries, draw.entries) <=
                draw.entries);
    }
}

/*
 * Whether it announces an array of millions: hiredis makes room for them all,
 * which the fuzzer's limit of memory takes for an error.
 */
static int is_huge(const uint8_t *data, size_t size)
{
    size_t digits = 0;

    for (size_t i = 0; i < size; i++) {
        digits = data[i] == '*'                               ? 1
                 : digits && data[i] >= '0' && data[i] <= '9' ? digits + 1
                                                              : 0;
        if (digits > 6) {
            return 1;
        }
    }

    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ticket_answer_t answer;
    void *reply = NULL;

    if (is_huge(data, size)) {
        return 0;
    }

    redisReader *reader = redisReaderCreate();

    REQUIRE(reader != NULL);
    redisReaderFeed(reader, (const char *)data, size);
    if (redisReaderGetReply(reader, &reply) == REDIS_OK &&
        ticket_answer_read(reply, &answer) == 0) {
        check_values(&answer);
        check_line(&answer);
        check_draw(&answer, TICKET_ANSWER_OK_DRAW);
        check_draw(&answer, TICKET_ANSWER_RESEND_DRAW);
        check_draw(&answer, answer.n);
    }

    if (reply != NULL) {
        freeReplyObject(reply);
    }

    redisReaderFree(reader);

    return 0;
}
