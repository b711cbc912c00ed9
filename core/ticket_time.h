/*
 * Points in time as they stand in a configuration: when a sale opens, when it
 * closes.
 */
#ifndef TICKET_TIME_H
#define TICKET_TIME_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads a time of len characters: "2026-12-01T10:00:00+09:00", with a 'Z' for
 * UTC in place of the offset, or without either in the named time zone
 * ("Asia/Seoul"; NULL or "" when there is none), by the files below
 * /usr/share/zoneinfo.  A space may stand in place of the 'T', and seconds may
 * be left out.  Years are 1970 to 9999.  With an offset the zone is not
 * looked at.
 *
 * A local time that the zone leaves out (when clocks go forward) is an error;
 * of one that comes twice (when they go back) the first is meant.
 *
 * Sets *ms to Unix time in milliseconds and returns 0, or -1 with one line
 * about what is wrong in err.
 *
 * With a zone it may change the environment variable TZ and set it back, and
 * may then only be called while no other thread runs: nginx reads its
 * configuration so.  Without a zone any thread may call it.
 */
int ticket_time_parse(const char *text, size_t len, const char *zone,
                      int64_t *ms, char *err, size_t err_len);

#endif
