/*
 * Statements from pieces.  A lack of memory is remembered and found out when
 * the statement is run (sql->text is NULL then), so that nobody has to check
 * every piece.
 *
 * Strings are quoted without backslashes in mind: the session's sql_mode has
 * NO_BACKSLASH_ESCAPES (db.c), so that a doubled quote is all there is.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sql.h"

#define SQL_SIZE_MIN 4096

/* Room for so many more bytes and a zero; NULL: there is none. */
static char *room_for(sql_t *sql, size_t more)
{
    size_t size = sql->size ? sql->size : SQL_SIZE_MIN;
    char *text;

    if (sql->failed) {
        return NULL;
    }

    while (size < sql->len + more + 1) {
        size *= 2;
    }

    if (size != sql->size) {
        text = realloc(sql->text, size);
        if (text == NULL) {
            sql_free(sql);
            sql->failed = 1;
            return NULL;
        }
        sql->text = text;
        sql->size = size;
    }

    return sql->text + sql->len;
}

void sql_begin(sql_t *sql, const char *what)
{
    sql->what = what;
    sql->len = 0;
    sql->failed = 0;
}

void sql_add(sql_t *sql, const char *fmt, ...)
{
    va_list args;
    char *to = room_for(sql, 256);
    int n;

    if (to == NULL) {
        return;
    }

    va_start(args, fmt);
    n = vsnprintf(to, 256, fmt, args);
    va_end(args);

    if (n >= 256) {
        to = room_for(sql, (size_t)n);
        if (to == NULL) {
            return;
        }
        va_start(args, fmt);
        vsnprintf(to, (size_t)n + 1, fmt, args);
        va_end(args);
    }

    sql->len += n > 0 ? (size_t)n : 0;
}

void sql_text(sql_t *sql, const char *text, size_t len)
{
    char *to = room_for(sql, len * 2 + 2);

    if (to == NULL) {
        return;
    }

    *to++ = '\'';
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\'') {
            *to++ = '\'';
        }
        *to++ = text[i];
    }
    *to++ = '\'';
    *to = '\0';
    sql->len = (size_t)(to - sql->text);
}

void sql_hex(sql_t *sql, const unsigned char *bytes, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    char *to = room_for(sql, len * 2);

    if (to == NULL) {
        return;
    }

    for (size_t i = 0; i < len; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = '\0';
    sql->len += len * 2;
}

void sql_bytes(sql_t *sql, const unsigned char *bytes, size_t len)
{
    sql_add(sql, "x'");
    sql_hex(sql, bytes, len);
    sql_add(sql, "'");
}

void sql_time(sql_t *sql, int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    sql_add(sql, "'%04d-%02d-%02d %02d:%02d:%02d.%03d'", tm.tm_year + 1900,
            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
            (int)(ms % 1000));
}

void sql_free(sql_t *sql)
{
    free(sql->text);
    sql->text = NULL;
    sql->len = sql->size = 0;
}
