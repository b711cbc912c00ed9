/*
 * Points in time as they stand in answers: RFC 3339, UTC, milliseconds.
 */
#ifndef RFC3339_H
#define RFC3339_H

#include <stdint.h>

#define RFC3339_MAX 24 /* "2026-12-01T19:00:00.000Z" */

/* Milliseconds since 1970 as text; up to the end of the year 9999. */
void rfc3339_write(int64_t ms, char text[RFC3339_MAX + 1]);

#endif
