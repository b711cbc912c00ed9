/*
 * CSV (RFC 4180) as spreadsheets write it, record by record: commas, fields in
 * double quotes where they need it, lines ended by LF or CRLF, with or without
 * a byte order mark.
 */
#ifndef CSV_H
#define CSV_H

#include <stddef.h>

#define CSV_FIELDS_MAX 32
#define CSV_RECORD_MAX 4096 /* bytes */

typedef enum {
    CSV_RECORD, /* field[0] to field[n - 1] are the next record, n > 0 */
    CSV_END,
    CSV_WRONG /* this is no CSV: wrong says why; there is nothing after it */
} csv_result_t;

typedef struct {
    const char *at, *end; /* what is yet to be read; the caller's */
    unsigned next_line;

    unsigned line; /* on which the record begins, from 1 */
    unsigned n;
    char *field[CSV_FIELDS_MAX]; /* in text; without the spaces around them,
                                    but with those within quotes */
    char text[CSV_RECORD_MAX + CSV_FIELDS_MAX];
    const char *wrong;
} csv_t;

/* Begins to read a text, which must outlive it. */
void csv_begin(csv_t *csv, const char *text, size_t len);

/* Reads the next record that has anything in it. */
csv_result_t csv_next(csv_t *csv);

#endif
