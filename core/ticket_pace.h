/*
 * How fast a line moves, and what follows from it: how long a visitor still
 * waits, and when to ask again.
 *
 * A line moves because visitors are called, c in a second, and because some
 * ahead leave, d of every head in a second.  A place x then falls by
 * dx/dt = -c - d x and comes to the front after ln(1 + d x / c) / d.  Both
 * are measured over the last ten minutes, between exchanges.
 *
 * The answer is a range.  The calls of a time are as random as what is
 * measured: their variance over longer stretches, where it is more than that
 * of a Poisson count (calls that come in lumps, a rate that was changed,
 * sessions that end together), widens the range, and so does having counted
 * only a few, or looking far ahead from a short time.
 */
#ifndef TICKET_PACE_H
#define TICKET_PACE_H

#include <stdint.h>

#define TICKET_PACE_SAMPLES 40

/* The longest gap that ticket_poll_gap returns. */
#define TICKET_GAP_MAX_MS 11250

/* What an exchange brought; now is the node's monotonic clock. */
typedef struct {
    uint64_t now_ms;
    uint64_t life;        /* of the line; another one: measured anew */
    uint64_t liveness_ms; /* of the room */
    uint64_t issued;      /* highest number issued */
    uint64_t calls;       /* ever made */
    uint32_t waiting;
    int held; /* nobody can be called now: paused, sold out, closed */
} ticket_news_t;

/* Sums since the measuring began, as of one exchange. */
typedef struct {
    uint64_t age_ms;
    uint64_t busy_ms; /* of it, somebody waited and could be called */
    uint64_t calls;   /* in that time */
    double left;      /* who left the line uncalled, less who returned */
    double head_ms;   /* waiting visitors times milliseconds */
} ticket_sums_t;

/* The measuring of one line, all zeros at first; of its one writer. */
typedef struct {
    ticket_news_t last;
    ticket_sums_t sums;
    uint64_t step_ms;                          /* between two samples */
    uint32_t samples;                          /* 0: nothing seen yet */
    ticket_sums_t sample[TICKET_PACE_SAMPLES]; /* oldest first */
} ticket_pace_t;

/* What the measuring says, for polls to read.  calls is 0 when nothing. */
typedef struct {
    float calls;         /* in a second */
    float lump, scatter; /* variance of n calls: lump + scatter * n */
    float seen;          /* calls counted */
    float leave;  /* part of the waiting who leave in a second; < 0: unknown */
    float span_s; /* seconds in which it was counted */
} ticket_speed_t;

/* Both ends in seconds. */
typedef struct {
    uint32_t min;
    uint32_t max;
} ticket_eta_t;

/*
 * Takes in an exchange and says how fast the line moves.  Begins anew when
 * the line did, or when a count went back.
 */
void ticket_pace_sample(ticket_pace_t *pace, const ticket_news_t *news,
                        ticket_speed_t *speed);

/*
 * Time until "ahead" visitors and then this one are called.  Returns -1 when
 * nothing can be said.
 */
int ticket_eta(const ticket_speed_t *speed, uint32_t ahead, ticket_eta_t *eta);

/*
 * Milliseconds until the next poll: grows with the distance from the front,
 * stays well below the liveness time, and is spread by a quarter to either
 * side with the help of any random number.
 */
uint32_t ticket_poll_after(uint32_t ahead, uint64_t liveness_ms,
                           uint32_t random);

/*
 * The least time between two polls that is not too early: half of the least
 * that ticket_poll_after says at this distance.  What that told before is at
 * least twice as much, since the distance only shrinks (those who return are
 * few in that time).
 */
uint32_t ticket_poll_gap(uint32_t ahead, uint64_t liveness_ms);

#endif
