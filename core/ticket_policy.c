/*
 * The policy of a room as text, and its hours; see ticket_policy.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ticket_policy.h"

#define RATE_MAX   10000000
#define PER_MIN_MS 100
#define DAY_MS     86400000

const char *const ticket_mode_names[TICKET_MODES] = {"fifo", "passthrough",
                                                     "reject"};

/* Those with a range can be changed at run time. */
static const struct field {
    const char *name;
    size_t offset;
    uint64_t min;
    uint64_t max;
} fields[] = {
    {"slots", offsetof(ticket_policy_t, slots), 0, RATE_MAX},
    {"rate", offsetof(ticket_policy_t, rate), 0, RATE_MAX},
    {"per", offsetof(ticket_policy_t, per), PER_MIN_MS, DAY_MS},
    {"mode", offsetof(ticket_policy_t, mode), 0, TICKET_MODE_REJECT},
    {"paused", offsetof(ticket_policy_t, paused), 0, 1},
    {"queue_all", offsetof(ticket_policy_t, queue_all), 0, 1},
    {"session", offsetof(ticket_policy_t, session), 0, 0},
    {"max", offsetof(ticket_policy_t, max), 0, 0},
    {"claim", offsetof(ticket_policy_t, claim), 0, 0},
    {"liveness", offsetof(ticket_policy_t, liveness), 0, 0},
    {"draw", offsetof(ticket_policy_t, draw), 0, 0},
    {"per_seat", offsetof(ticket_policy_t, per_seat), 0, 0},
    {"prequeue", offsetof(ticket_policy_t, prequeue), 0, 0},
    {"opens", offsetof(ticket_policy_t, opens), 0, 0},
    {"closes", offsetof(ticket_policy_t, closes), 0, 0},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static uint64_t *value_of(ticket_policy_t *policy, const struct field *field)
{
    return (uint64_t *)((char *)policy + field->offset);
}

size_t ticket_policy_write(const ticket_policy_t *policy,
                           char text[TICKET_POLICY_TEXT_MAX])
{
    size_t len = 0;

    for (size_t i = 0; i < FIELDS; i++) {
        uint64_t value;

        memcpy(&value, (const char *)policy + fields[i].offset, sizeof(value));
        len += (size_t)snprintf(text + len, TICKET_POLICY_TEXT_MAX - len,
                                "%s%s=%" PRIu64, i ? " " : "", fields[i].name,
                                value);
    }

    return len;
}

static const struct field *find(const char *name, size_t len)
{
    for (size_t i = 0; i < FIELDS; i++) {
        if (fields[i].max > 0 && strlen(fields[i].name) == len &&
            memcmp(fields[i].name, name, len) == 0) {
            return &fields[i];
        }
    }

    return NULL;
}

int ticket_policy_range(const char *name, size_t len, uint64_t *min,
                        uint64_t *max)
{
    const struct field *field = find(name, len);

    if (field == NULL) {
        return -1;
    }

    *min = field->min;
    *max = field->max;

    return 0;
}

/* Reads digits up to last; no setting has more than 9 of them. */
static int read_number(const char *p, const char *last, uint64_t *number)
{
    if (p == last || last - p > 9) {
        return -1;
    }

    for (*number = 0; p < last; p++) {
        if (*p < '0' || *p > '9') {
            return -1;
        }

        *number = *number * 10 + (uint64_t)(*p - '0');
    }

    return 0;
}

/* Applies one "name=value". */
static int apply_one(ticket_policy_t *policy, const char *p, const char *last)
{
    const char *equals = memchr(p, '=', (size_t)(last - p));
    uint64_t number;

    if (equals == NULL) {
        return -1;
    }

    const struct field *field = find(p, (size_t)(equals - p));

    if (field == NULL) {
        return -1;
    }

    if (equals + 1 == last) {
        return 0;
    }

    if (read_number(equals + 1, last, &number) != 0 || number < field->min ||
        number > field->max) {
        return -1;
    }

    *value_of(policy, field) = number;

    return 0;
}

int ticket_policy_apply(ticket_policy_t *policy, const char *text, size_t len)
{
    ticket_policy_t changed = *policy;
    const char *p = text, *last = text + len;

    if (len > TICKET_SETTINGS_TEXT_MAX) {
        return -1;
    }

    while (p < last) {
        const char *end = memchr(p, ' ', (size_t)(last - p));

        if (end == NULL) {
            end = last;
        }

        if (apply_one(&changed, p, end) != 0) {
            return -1;
        }

        p = end < last ? end + 1 : last;
    }

    *policy = changed;

    return 0;
}

ticket_phase_t ticket_policy_phase(const ticket_policy_t *policy,
                                   uint64_t now_ms)
{
    if (policy->closes != 0 && now_ms >= policy->closes) {
        return TICKET_PHASE_OVER;
    }

    if (now_ms >= policy->opens) {
        return TICKET_PHASE_OPEN;
    }

    if (policy->prequeue != 0 && now_ms >= policy->prequeue) {
        return TICKET_PHASE_PREQUEUE;
    }

    return TICKET_PHASE_EARLY;
}
