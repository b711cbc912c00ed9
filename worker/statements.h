/*
 * Every SQL statement of the worker, by name.  Each connection prepares one
 * when it first needs it.
 */
#ifndef STATEMENTS_H
#define STATEMENTS_H

typedef enum {
    STATEMENT_PERFORMANCE,
    STATEMENT_SEATS,
    STATEMENT_TAKE_SEAT,
    STATEMENT_SEAT_NOW,
    STATEMENT_LIVE_HOLD,
    STATEMENT_CLEAR_LIVE,
    STATEMENT_MARK_TAKEN_OVER,
    STATEMENT_INSERT_HOLD,
    STATEMENT_INSERT_HOLD_SEAT,
    STATEMENT_HOLD,
    STATEMENT_HOLD_STATE,
    STATEMENT_HOLD_SEATS,
    STATEMENT_FREE_SEAT,
    STATEMENT_MARK_RELEASED,
    STATEMENT_ROOMS,
    STATEMENT_STOCK,
    STATEMENTS
} statement_t;

/* Texts, indexed by statement_t. */
extern const char *const statement_text[STATEMENTS];

#endif
