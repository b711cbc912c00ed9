/*
 * The policy of a room: what nginx.conf says, and what an operator has changed
 * since.  It travels to Redis as text, "slots=100 rate=0 ...", of which every
 * value is a whole number, and settings changed at run time come back in the
 * same form and are laid over it.
 */
#ifndef TICKET_POLICY_H
#define TICKET_POLICY_H

#include <stddef.h>
#include <stdint.h>

/* Enough for the longest text that ticket_policy_write makes. */
#define TICKET_POLICY_TEXT_MAX 512
/* Longest text of settings that can be changed at run time. */
#define TICKET_SETTINGS_TEXT_MAX 128

typedef enum {
    TICKET_MODE_FIFO = 0,
    TICKET_MODE_PASSTHROUGH, /* no limits: everybody is admitted */
    TICKET_MODE_REJECT,      /* nobody is */
    TICKET_MODES
} ticket_mode_t;

/* As they stand in nginx.conf and in JSON. */
extern const char *const ticket_mode_names[TICKET_MODES];

/* Times are milliseconds; 0 means "no such limit" where that makes sense. */
typedef struct {
    uint64_t slots;
    uint64_t rate;
    uint64_t per;
    uint64_t session;
    uint64_t max; /* a session is renewed for so long at most; 0: never */
    uint64_t claim;
    uint64_t liveness;
    uint64_t mode; /* ticket_mode_t */
    uint64_t paused;
    uint64_t queue_all;
    uint64_t draw;
    uint64_t per_seat; /* admitted per 1000 seats left */
    uint64_t prequeue; /* Unix milliseconds, as the next two */
    uint64_t opens;
    uint64_t closes;
} ticket_policy_t;

typedef enum {
    TICKET_PHASE_EARLY = 0, /* takes nobody yet */
    TICKET_PHASE_PREQUEUE,  /* issues numbers, calls nobody */
    TICKET_PHASE_OPEN,
    TICKET_PHASE_OVER
} ticket_phase_t;

/* Writes the text and returns its length, less than TICKET_POLICY_TEXT_MAX. */
size_t ticket_policy_write(const ticket_policy_t *policy,
                           char text[TICKET_POLICY_TEXT_MAX]);

/*
 * Lays settings over a policy.  All of them or none: returns -1 when the text
 * is malformed, or names what cannot be changed at run time, or a value is
 * out of range.  A name without a value ("rate=") is left as the policy has
 * it.
 */
int ticket_policy_apply(ticket_policy_t *policy, const char *text, size_t len);

/*
 * The range of a setting that can be changed at run time; returns -1 when
 * there is none of this name.
 */
int ticket_policy_range(const char *name, size_t len, uint64_t *min,
                        uint64_t *max);

/* What a room does at this time; mode is not looked at. */
ticket_phase_t ticket_policy_phase(const ticket_policy_t *policy,
                                   uint64_t now_ms);

#endif
