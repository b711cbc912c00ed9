/*
 * Points in time as text.  Times before 1970 or past 9999, which no row can
 * hold, become the nearest that have the form.
 */
#include <stdio.h>
#include <time.h>

#include "rfc3339.h"

#define LAST_MS 253402300799999LL

void rfc3339_write(int64_t ms, char text[RFC3339_MAX + 1])
{
    char seconds[sizeof("2026-12-01T19:00:00")];
    struct tm tm;
    time_t time;

    ms = ms < 0 ? 0 : ms > LAST_MS ? LAST_MS : ms;
    time = (time_t)(ms / 1000);
    gmtime_r(&time, &tm);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, RFC3339_MAX + 1, "%s.%03uZ", seconds, (unsigned)(ms % 1000));
}
