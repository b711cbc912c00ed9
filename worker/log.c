/*
 * Log lines.  Whatever a client sent is written as JSON with everything but
 * printable ASCII escaped, so that no header can forge a line.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#define LINE_MAX_LEN 2048

typedef struct {
    char text[LINE_MAX_LEN];
    size_t len;
} line_t;

static log_level_t max_level = LOG_LEVEL_INFO;

static void add_text(line_t *line, const char *text)
{
    size_t len = strlen(text);

    if (len < sizeof(line->text) - line->len) {
        memcpy(line->text + line->len, text, len + 1);
        line->len += len;
    }
}

static void add_string(line_t *line, const char *name, const char *value)
{
    char escaped[8];

    add_text(line, ",\"");
    add_text(line, name);
    add_text(line, "\":\"");

    /* Keeps room for the end of the line. */
    for (const char *p = value; *p && line->len < LINE_MAX_LEN - 64; p++) {
        unsigned char c = (unsigned char)*p;

        snprintf(escaped, sizeof(escaped),
                 c < 0x20 || c >= 0x7f   ? "\\u%04x"
                 : c == '"' || c == '\\' ? "\\%c"
                                         : "%c",
                 c);
        add_text(line, escaped);
    }

    add_text(line, "\"");
}

static void begin(line_t *line, log_level_t level)
{
    static const char *const names[] = {"error", "warn", "info"};
    char stamp[64];
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(stamp, sizeof(stamp), "{\"time\":\"%Y-%m-%dT%H:%M:%S", &tm);

    line->len = 0;
    add_text(line, stamp);
    snprintf(stamp, sizeof(stamp), ".%03ldZ\",\"level\":\"%s\"",
             now.tv_nsec / 1000000, names[level]);
    add_text(line, stamp);
}

static void end(line_t *line)
{
    add_text(line, "}\n");

    /* There is nobody to tell when stderr is gone. */
    if (write(STDERR_FILENO, line->text, line->len) < 0) {
        return;
    }
}

void log_set_level(log_level_t level)
{
    max_level = level;
}

void log_line(log_level_t level, const char *fmt, ...)
{
    char message[LINE_MAX_LEN / 2];
    line_t line;
    va_list args;

    if (level > max_level) {
        return;
    }

    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);

    begin(&line, level);
    add_string(&line, "message", message);
    end(&line);
}

void log_request(const char *request_id, const char *method, const char *path,
                 const char *owner, unsigned status, double ms)
{
    char numbers[64];
    line_t line;

    if (max_level < LOG_LEVEL_INFO) {
        return;
    }

    begin(&line, LOG_LEVEL_INFO);
    add_text(&line, ",\"message\":\"request\"");
    add_string(&line, "request_id", request_id);
    add_string(&line, "method", method);
    add_string(&line, "path", path);
    add_string(&line, "owner", owner);
    snprintf(numbers, sizeof(numbers), ",\"status\":%u,\"ms\":%.3f", status,
             ms);
    add_text(&line, numbers);
    end(&line);
}
