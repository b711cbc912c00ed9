/*
 * Log lines: one JSON object a line, to stderr, one write each, so that lines
 * of several threads do not mix.
 */
#ifndef LOG_H
#define LOG_H

#include "config.h"

/* Lines above the level are dropped.  Called once, before other threads. */
void log_set_level(log_level_t level);

/* One line with a message.  Cut when longer than a line may be. */
void log_line(log_level_t level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* One line about an answered request; strings may hold any bytes. */
void log_request(const char *request_id, const char *method, const char *path,
                 const char *owner, unsigned status, double ms);

#endif
