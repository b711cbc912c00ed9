/*
 * Times of a configuration.  The calendar of a time zone is the C library's,
 * which takes UTC without a word for a zone it does not know; hence the look
 * at the zone's file first.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ticket_time.h"

#define ZONES      "/usr/share/zoneinfo/"
#define ZONE_MAX   64 /* characters in a zone's name */
#define TEXT_SHOWN 40 /* characters of a bad text in a message */
#define DAY        86400
/* Minutes; the farthest east are 14 hours ahead. */
#define OFFSET_MAX (14 * 60)

/* A time as written. */
typedef struct {
    struct tm tm;
    int has_offset;
    int offset; /* minutes east of UTC */
} written_t;

/* What is left of the text. */
typedef struct {
    const char *p;
    const char *end;
} rest_t;

static int next_is(rest_t *rest, char c)
{
    if (rest->p == rest->end || *rest->p != c) {
        return 0;
    }

    rest->p++;

    return 1;
}

/* Reads a number of exactly so many digits. */
static int digits(rest_t *rest, int n, int min, int max, int *value)
{
    *value = 0;
    while (n-- > 0) {
        if (rest->p == rest->end || *rest->p < '0' || *rest->p > '9') {
            return 0;
        }

        *value = *value * 10 + (*rest->p++ - '0');
    }

    return *value >= min && *value <= max;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

static int read_offset(rest_t *rest, written_t *written)
{
    int sign, hours, minutes;

    written->has_offset = rest->p != rest->end;
    if (!written->has_offset || next_is(rest, 'Z')) {
        return 1;
    }

    sign = next_is(rest, '-') ? -1 : next_is(rest, '+');
    if (sign == 0 || !digits(rest, 2, 0, 14, &hours) || !next_is(rest, ':') ||
        !digits(rest, 2, 0, 59, &minutes)) {
        return 0;
    }

    written->offset = sign * (hours * 60 + minutes);

    return hours * 60 + minutes <= OFFSET_MAX;
}

static int read_text(rest_t *rest, written_t *written)
{
    struct tm *tm = &written->tm;
    int year, month;

    if (!digits(rest, 4, 1970, 9999, &year) || !next_is(rest, '-') ||
        !digits(rest, 2, 1, 12, &month) || !next_is(rest, '-') ||
        !digits(rest, 2, 1, days_in(year, month), &tm->tm_mday) ||
        !(next_is(rest, 'T') || next_is(rest, ' ')) ||
        !digits(rest, 2, 0, 23, &tm->tm_hour) || !next_is(rest, ':') ||
        !digits(rest, 2, 0, 59, &tm->tm_min) ||
        (next_is(rest, ':') && !digits(rest, 2, 0, 59, &tm->tm_sec))) {
        return 0;
    }

    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;

    return read_offset(rest, written) && rest->p == rest->end;
}

/*
 * Writes the path of a zone's file.  Names have no '.', and so do not lead out
 * of the folder.  Below "right/" are zones that count leap seconds, which Unix
 * time does not.
 */
static int find_zone(const char *zone, char *path, size_t path_len)
{
    size_t len = strspn(zone, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz0123456789_+-/");
    char magic[4];

    if (len > ZONE_MAX || zone[len] != '\0' || *zone == '/' ||
        strncmp(zone, "right/", 6) == 0) {
        return 0;
    }

    snprintf(path, path_len, "%s%s", ZONES, zone);

    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return 0;
    }

    ssize_t n = read(fd, magic, sizeof(magic));
    close(fd);

    return n == sizeof(magic) && memcmp(magic, "TZif", sizeof(magic)) == 0;
}

/* Seconds east of UTC at a time, in the zone that TZ names. */
static long offset_at(time_t when)
{
    struct tm tm;

    return localtime_r(&when, &tm) == NULL ? 0 : tm.tm_gmtoff;
}

/*
 * The first time at which clocks show as many seconds as "shown" is in UTC.
 * The offset is then the one of the day before or of the day after, which
 * differ only when the clocks are changed in between.  Returns 0 when there is
 * no such time.
 */
static int first_shown(time_t shown, time_t *when)
{
    const long offsets[] = {offset_at(shown - DAY), offset_at(shown + DAY)};
    int found = 0;

    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        time_t candidate = shown - offsets[i];

        if (offset_at(candidate) == offsets[i] &&
            (!found || candidate < *when)) {
            *when = candidate;
            found = 1;
        }
    }

    return found;
}

/* Sets TZ, or removes it for NULL.  Returns 0 when there is no memory. */
static int set_zone(const char *value)
{
    int rc = value != NULL ? setenv("TZ", value, 1) : unsetenv("TZ");

    tzset();

    return rc == 0;
}

/* -1 when there is no memory, 0 when there is no such time, 1 when found. */
static int in_zone(time_t shown, const char *path, time_t *when)
{
    const char *was = getenv("TZ");
    char *saved = was != NULL ? strdup(was) : NULL;
    int found = -1;

    if (was != NULL && saved == NULL) {
        return -1;
    }

    if (set_zone(path)) {
        found = first_shown(shown, when);
    }

    if (!set_zone(saved)) {
        found = -1;
    }

    free(saved);

    return found;
}

int ticket_time_parse(const char *text, size_t len, const char *zone,
                      int64_t *ms, char *err, size_t err_len)
{
    const int shown = len < TEXT_SHOWN ? (int)len : TEXT_SHOWN;
    char path[sizeof(ZONES) + ZONE_MAX];
    written_t written = {0};
    rest_t rest = {text, text + len};

    if (!read_text(&rest, &written)) {
        snprintf(err, err_len,
                 "\"%.*s\" is not a time; write \"2026-12-01T10:00:00+09:00\", "
                 "or \"2026-12-01 10:00\" and name a time zone",
                 shown, text);
        return -1;
    }

    time_t when = timegm(&written.tm) - (time_t)written.offset * 60;

    if (written.has_offset) {
        *ms = (int64_t)when * 1000;
        return 0;
    }

    if (zone == NULL || *zone == '\0') {
        snprintf(err, err_len,
                 "\"%.*s\" says no time zone; append \"Z\" or an offset like "
                 "\"+09:00\", or name a time zone",
                 shown, text);
        return -1;
    }

    if (!find_zone(zone, path, sizeof(path))) {
        snprintf(err, err_len,
                 "unknown time zone \"%.*s\": there is no such zone in %s",
                 ZONE_MAX, zone, ZONES);
        return -1;
    }

    int found = in_zone(when, path, &when);

    if (found < 0) {
        snprintf(err, err_len, "no memory");
        return -1;
    }

    if (found == 0) {
        snprintf(err, err_len,
                 "there is no \"%.*s\" in %s: clocks go forward over it", shown,
                 text, zone);
        return -1;
    }

    *ms = (int64_t)when * 1000;

    return 0;
}
