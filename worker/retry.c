/*
 * Attempts and their pauses.  Two that met once shall not meet again: so there
 * is a pause, and a short one, since locks are held for milliseconds.
 */
#include <time.h>

#include "clock.h"
#include "retry.h"

#define ATTEMPTS 8
#define TIME_MS  3000

int64_t retry_spent_ms(const retry_t *retry)
{
    return clock_ms() - retry->started_ms;
}

bool retry_next(retry_t *retry)
{
    struct timespec pause = {.tv_nsec = retry->attempts * 1000000L};

    if (retry->attempts == 0) {
        retry->started_ms = clock_ms();
    } else if (retry->attempts == ATTEMPTS ||
               retry_spent_ms(retry) >= TIME_MS) {
        return false;
    } else {
        nanosleep(&pause, NULL);
    }

    retry->attempts++;

    return true;
}
