/*
 * Reading answers; see ticket_answer.h.
 */
#include <string.h>

#include "ticket_answer.h"
#include "ticket_bytes.h"

#define HEAD 6 /* values every answer begins with */

/* An exchange's own values; lua/exchange.lua lists them. */
enum {
    V_LIFE,
    V_VERSION,
    V_SESSIONS,
    V_CALLS,
    V_TOTAL,
    V_SETTLING,
    V_STOCK,
    V_BEGUN,
    V_MISSED,
    V_SET_VERSION,
    V_SET,
    V_HELD,
    V_ENTRIES,
    V_KEY,
    V_SEGMENTS
};

_Static_assert(V_HELD == TICKET_ANSWER_OK_DRAW, "the draw stands elsewhere");

static int is_number(const redisReply *value, int64_t min, int64_t max)
{
    return value->type == REDIS_REPLY_INTEGER && value->integer >= min &&
           value->integer <= max;
}

static int is_text(const redisReply *value, size_t max)
{
    return value->type == REDIS_REPLY_STRING && value->len <= max;
}

int ticket_answer_read(const redisReply *reply, ticket_answer_t *answer)
{
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY ||
        reply->elements < HEAD || !is_text(reply->element[0], SIZE_MAX)) {
        return -1;
    }

    for (size_t i = 1; i < HEAD; i++) {
        if (!is_number(reply->element[i], 0, i == 2 ? UINT32_MAX : INT64_MAX)) {
            return -1;
        }
    }

    answer->word.data = reply->element[0]->str;
    answer->word.len = reply->element[0]->len;
    answer->now = (uint64_t)reply->element[1]->integer;
    answer->epoch = (uint32_t)reply->element[2]->integer;
    answer->seq = (uint64_t)reply->element[3]->integer;
    answer->issued = (uint64_t)reply->element[4]->integer;
    answer->called = (uint64_t)reply->element[5]->integer;
    answer->n = reply->elements - HEAD;
    answer->value = reply->element + HEAD;

    return 0;
}

int ticket_answer_is(const ticket_answer_t *answer, const char *word)
{
    return answer->word.len == strlen(word) &&
           memcmp(answer->word.data, word, answer->word.len) == 0;
}

uint64_t ticket_answer_uint(const ticket_answer_t *answer, size_t i)
{
    return i < answer->n && is_number(answer->value[i], 0, INT64_MAX)
               ? (uint64_t)answer->value[i]->integer
               : 0;
}

ticket_text_t ticket_answer_text(const ticket_answer_t *answer, size_t i)
{
    ticket_text_t text = {0, NULL};

    if (i < answer->n && is_text(answer->value[i], SIZE_MAX)) {
        text.len = answer->value[i]->len;
        text.data = answer->value[i]->str;
    }

    return text;
}

/* Values that have no other place to be judged are judged here. */
static int has_line(const ticket_answer_t *answer)
{
    if (answer->n < V_SEGMENTS || (answer->n - V_SEGMENTS) % 2 != 0) {
        return 0;
    }

    for (size_t i = V_LIFE; i < V_SET; i++) {
        int64_t min = i == V_LIFE ? 1 : i == V_STOCK ? -1 : 0;
        int64_t max = i == V_SESSIONS || i == V_CALLS ? UINT32_MAX : INT64_MAX;

        if (!is_number(answer->value[i], min, max)) {
            return 0;
        }
    }

    for (size_t i = V_SEGMENTS; i < answer->n; i += 2) {
        if (!is_number(answer->value[i], 0, TICKET_SEGS_MAX - 1) ||
            !is_text(answer->value[i + 1], TICKET_SEG_BYTES)) {
            return 0;
        }
    }

    return is_text(answer->value[V_SET], SIZE_MAX);
}

int ticket_answer_line(const ticket_answer_t *answer,
                       ticket_answer_line_t *line)
{
    if (!has_line(answer)) {
        return -1;
    }

    line->life = ticket_answer_uint(answer, V_LIFE);
    line->version = ticket_answer_uint(answer, V_VERSION);
    line->sessions = (uint32_t)ticket_answer_uint(answer, V_SESSIONS);
    line->calls = (uint32_t)ticket_answer_uint(answer, V_CALLS);
    line->total = ticket_answer_uint(answer, V_TOTAL);
    line->settling = ticket_answer_uint(answer, V_SETTLING) != 0;
    line->stock = answer->value[V_STOCK]->integer;
    line->begun = ticket_answer_uint(answer, V_BEGUN);
    line->missed = ticket_answer_uint(answer, V_MISSED);
    line->set_version = ticket_answer_uint(answer, V_SET_VERSION);
    line->set = ticket_answer_text(answer, V_SET);
    line->segments = (answer->n - V_SEGMENTS) / 2;

    return 0;
}

size_t ticket_answer_segment(const ticket_answer_t *answer, size_t i)
{
    return (size_t)ticket_answer_uint(answer, V_SEGMENTS + 2 * i);
}

void ticket_answer_put(const ticket_answer_t *answer, ticket_line_t *line)
{
    for (size_t i = 0; V_SEGMENTS + 2 * i + 1 < answer->n; i++) {
        ticket_text_t bits = ticket_answer_text(answer, V_SEGMENTS + 2 * i + 1);

        (void)ticket_line_put(line, ticket_answer_segment(answer, i), bits.data,
                              bits.len);
    }
}

int ticket_answer_draw(const ticket_answer_t *answer, size_t i,
                       ticket_answer_draw_t *draw)
{
    if (i + 2 >= answer->n || !is_number(answer->value[i], 0, INT64_MAX) ||
        !is_number(answer->value[i + 1], 0, TICKET_NUMBER_MAX)) {
        return -1;
    }

    ticket_text_t key = ticket_answer_text(answer, i + 2);

    draw->held = ticket_answer_uint(answer, i);
    draw->entries = ticket_answer_uint(answer, i + 1);

    return key.len == 2 * TICKET_DRAW_KEY_LEN
               ? ticket_get_hex(draw->key, key.data, TICKET_DRAW_KEY_LEN)
               : -1;
}
