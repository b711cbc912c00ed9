/*
 * The SQL statements that are prepared, by name.  Each connection prepares one
 * when it first needs it.
 */
#ifndef STATEMENTS_H
#define STATEMENTS_H

typedef enum {
    STATEMENT_ROOMS,
    STATEMENT_STOCK,
    STATEMENTS
} statement_t;

/* So often STATEMENT_STOCK wants the room. */
#define STATEMENT_STOCK_ROOMS 3

/* Texts, indexed by statement_t. */
extern const char *const statement_text[STATEMENTS];

#endif
