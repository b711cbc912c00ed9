/*
 * How much a line polls, from what ticket_poll_after says to each place in it
 * and every jitter.
 */
#ifndef POLL_RATE_H
#define POLL_RATE_H

#include <stdint.h>

#include "ticket_pace.h"

#define JITTERS 1024

/* Mean milliseconds between two polls of one visitor. */
static double poll_mean(uint32_t ahead, uint64_t liveness_ms)
{
    double sum = 0;

    for (uint32_t i = 0; i < JITTERS; i++) {
        sum += ticket_poll_after(ahead, liveness_ms, i);
    }

    return sum / JITTERS;
}

/* Polls in a second of so many in line. */
static double poll_rate(uint32_t waiting, uint64_t liveness_ms)
{
    double rate = 0, mean = 0;

    for (uint32_t ahead = 0; ahead < waiting; ahead++) {
        /* beyond 10,000 all are told the same */
        if (ahead <= 10000) {
            mean = poll_mean(ahead, liveness_ms);
        }
        rate += 1000 / mean;
    }

    return rate;
}

#endif
