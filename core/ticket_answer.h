/*
 * What the scripts of the line answer (ngx_ticket_module/lua), as hiredis
 * hands it over.  Redis is believed when it tells who stands where, but not
 * about the form: each value is there, of its type and in its range, or the
 * answer is none.  Nothing is copied but numbers: texts stay in the reply.
 */
#ifndef TICKET_ANSWER_H
#define TICKET_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include "ticket_draw.h"
#include "ticket_line.h"

/* Bytes in the reply, which need not end in a zero. */
typedef struct {
    size_t len;
    const char *data;
} ticket_text_t;

/* What every answer begins with, and the script's own values. */
typedef struct {
    ticket_text_t word;
    uint64_t now; /* Unix ms, by Redis's clock */
    uint32_t epoch;
    uint64_t seq;
    uint64_t issued;
    uint64_t called;
    size_t n;
    redisReply **value; /* n of them */
} ticket_answer_t;

/* The line as an exchange brings it; lua/exchange.lua says what is what. */
typedef struct {
    uint64_t life;
    uint64_t version;
    uint32_t sessions;
    uint32_t calls; /* outstanding */
    uint64_t total; /* calls ever made */
    int settling;
    int64_t stock; /* seats left; -1: unknown */
    uint64_t begun;
    uint64_t missed;
    uint64_t set_version;
    ticket_text_t set; /* settings, yet to be judged: ticket_policy_apply */
    size_t segments;   /* how many have changed */
} ticket_answer_line_t;

typedef struct {
    uint64_t held; /* Unix ms; 0: not yet */
    uint64_t entries;
    unsigned char key[TICKET_DRAW_KEY_LEN];
} ticket_answer_draw_t;

/* Where the draw stands among the values of an "ok" and of a "resend". */
#define TICKET_ANSWER_OK_DRAW     11
#define TICKET_ANSWER_RESEND_DRAW 1

/*
 * Reads what every answer begins with.  Returns -1 when the reply is not of
 * this form, which includes errors.
 */
int ticket_answer_read(const redisReply *reply, ticket_answer_t *answer);

/* Whether the answer's word is this one. */
int ticket_answer_is(const ticket_answer_t *answer, const char *word);

/* Number i of the script's own values: 0 where there is none, or less. */
uint64_t ticket_answer_uint(const ticket_answer_t *answer, size_t i);

/* Text i of the script's own values, empty where there is none. */
ticket_text_t ticket_answer_text(const ticket_answer_t *answer, size_t i);

/* Reads an exchange's "ok", segments included.  Returns -1 as above. */
int ticket_answer_line(const ticket_answer_t *answer,
                       ticket_answer_line_t *line);

/* Index of segment i of those that an exchange's "ok" brought. */
size_t ticket_answer_segment(const ticket_answer_t *answer, size_t i);

/*
 * Puts these segments into the line; of ticket_line_begin's writer.  Segments
 * without memory are left out.  The answer is one that ticket_answer_line has
 * read.
 */
void ticket_answer_put(const ticket_answer_t *answer, ticket_line_t *line);

/* Reads the draw, of which value i is the first.  Returns -1 as above. */
int ticket_answer_draw(const ticket_answer_t *answer, size_t i,
                       ticket_answer_draw_t *draw);

#endif
