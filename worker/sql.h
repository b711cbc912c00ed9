/*
 * A statement put together from pieces: for those with a row for each of many
 * seats, which no prepared statement fits.  Nothing that came from outside
 * goes in but through sql_text, sql_bytes and the numbers of sql_add.
 */
#ifndef SQL_H
#define SQL_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *what; /* what it does, for the log: "take the seats" */
    char *text;       /* NULL: nothing yet, or no memory (then failed) */
    size_t len, size;
    int failed;
} sql_t;

/* Begins a statement anew, keeping the memory.  what must outlive it. */
void sql_begin(sql_t *sql, const char *what);

/* Adds printf's format of numbers and of this program's own words. */
void sql_add(sql_t *sql, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds a quoted string: 'it''s'. */
void sql_text(sql_t *sql, const char *text, size_t len);

/* Adds bytes in hexadecimal: x'00ff'. */
void sql_bytes(sql_t *sql, const unsigned char *bytes, size_t len);

/* Adds the digits alone: 00ff. */
void sql_hex(sql_t *sql, const unsigned char *bytes, size_t len);

/* Adds milliseconds since 1970 as a DATETIME(3): '2026-12-01 19:00:00.000'. */
void sql_time(sql_t *sql, int64_t ms);

void sql_free(sql_t *sql);

#endif
