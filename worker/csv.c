/*
 * Records of CSV.  Each is copied into a buffer of its own, so that the text
 * stays as it came and fields are strings; one that does not fit is refused,
 * as a quote that is never closed would otherwise swallow the whole file.
 */
#include <string.h>

#include "csv.h"

#define BYTE_ORDER_MARK "\xef\xbb\xbf"

/* Where the copy of the record stands. */
typedef struct {
    csv_t *csv;
    char *to;
    const char *first; /* of the record, as it came */
} copy_t;

void csv_begin(csv_t *csv, const char *text, size_t len)
{
    const size_t mark = sizeof(BYTE_ORDER_MARK) - 1;

    csv->at = text;
    csv->end = text + len;
    csv->next_line = 1;
    csv->wrong = NULL;

    if (len >= mark && memcmp(text, BYTE_ORDER_MARK, mark) == 0) {
        csv->at += mark;
    }
}

/* 0, or -1 and the first complaint. */
static int refuse(csv_t *csv, const char *wrong)
{
    csv->wrong = wrong;
    return -1;
}

/* Takes the next byte of the file into the record. */
static int copy_byte(copy_t *copy)
{
    csv_t *csv = copy->csv;

    if (csv->at - copy->first >= CSV_RECORD_MAX) {
        return refuse(csv, "the line has more than 4096 bytes; a quote may not "
                           "be closed");
    }

    if (*csv->at == '\0') {
        return refuse(csv, "there is a zero byte; save the file as CSV in "
                           "UTF-8");
    }

    if (*csv->at == '\n') {
        csv->next_line++;
    }

    *copy->to++ = *csv->at++;

    return 0;
}

static int is_space(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_spaces(csv_t *csv)
{
    while (csv->at < csv->end && is_space(*csv->at)) {
        csv->at++;
    }
}

/* Behind the opening quote, up to and past the closing one. */
static int copy_quoted(copy_t *copy)
{
    csv_t *csv = copy->csv;

    while (csv->at < csv->end) {
        if (*csv->at != '"') {
            if (copy_byte(copy) != 0) {
                return -1;
            }
            continue;
        }

        csv->at++;
        if (csv->at == csv->end || *csv->at != '"') {
            skip_spaces(csv);
            return 0;
        }

        if (copy_byte(copy) != 0) {
            return -1;
        }
    }

    return refuse(csv, "a quote is opened and never closed");
}

static int is_end_of_field(const csv_t *csv)
{
    return csv->at == csv->end || *csv->at == ',' || *csv->at == '\n' ||
           (*csv->at == '\r' &&
            (csv->at + 1 == csv->end || csv->at[1] == '\n'));
}

static int copy_plain(copy_t *copy, const char *begin)
{
    while (!is_end_of_field(copy->csv)) {
        if (*copy->csv->at == '"') {
            return refuse(copy->csv, "a quote stands within a field; put the "
                                     "field in quotes, and write \"\" for a "
                                     "quote in it");
        }

        if (copy_byte(copy) != 0) {
            return -1;
        }
    }

    while (copy->to > begin && is_space(copy->to[-1])) {
        copy->to--;
    }

    return 0;
}

/* Copies a field and makes a string of it. */
static int copy_field(copy_t *copy)
{
    csv_t *csv = copy->csv;
    char *begin = copy->to;

    if (csv->n == CSV_FIELDS_MAX) {
        return refuse(csv, "the line has more than 32 columns");
    }

    skip_spaces(csv);
    if (csv->at < csv->end && *csv->at == '"') {
        csv->at++;
        if (copy_quoted(copy) != 0) {
            return -1;
        }
        if (!is_end_of_field(csv)) {
            return refuse(csv, "something follows the closing quote of a "
                               "field; write \"\" for a quote in it");
        }
    } else if (copy_plain(copy, begin) != 0) {
        return -1;
    }

    *copy->to++ = '\0';
    csv->field[csv->n++] = begin;

    return 0;
}

static int read_record(csv_t *csv)
{
    copy_t copy = {.csv = csv, .to = csv->text, .first = csv->at};

    csv->line = csv->next_line;
    csv->n = 0;

    for (;;) {
        if (copy_field(&copy) != 0) {
            return -1;
        }

        if (csv->at == csv->end || *csv->at != ',') {
            break;
        }
        csv->at++;
    }

    if (csv->at < csv->end && *csv->at == '\r') {
        csv->at++;
    }

    if (csv->at < csv->end) {
        csv->at++;
        csv->next_line++;
    }

    return 0;
}

/* Spreadsheets write a line of commas for one in which nothing stands. */
static int is_empty(const csv_t *csv)
{
    for (unsigned i = 0; i < csv->n; i++) {
        if (*csv->field[i] != '\0') {
            return 0;
        }
    }

    return 1;
}

csv_result_t csv_next(csv_t *csv)
{
    while (csv->at < csv->end && csv->wrong == NULL) {
        if (read_record(csv) != 0) {
            return CSV_WRONG;
        }

        if (!is_empty(csv)) {
            return CSV_RECORD;
        }
    }

    return csv->wrong != NULL ? CSV_WRONG : CSV_END;
}
