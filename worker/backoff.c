/*
 * Pauses after failures: short at first, since most are over at once, and
 * never longer than somebody would wait for things to come back.
 */
#include "clock.h"
#include "backoff.h"

#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 2000

void backoff_failed(backoff_t *backoff)
{
    backoff->pause_ms =
        backoff->pause_ms ? backoff->pause_ms * 2 : PAUSE_MIN_MS;
    if (backoff->pause_ms > PAUSE_MAX_MS) {
        backoff->pause_ms = PAUSE_MAX_MS;
    }

    backoff->until_ms = clock_ms() + backoff->pause_ms;
}

void backoff_succeeded(backoff_t *backoff)
{
    backoff->pause_ms = 0;
}

bool backoff_failed_anew(backoff_t *backoff)
{
    bool anew = !backoff->told;

    backoff_failed(backoff);
    backoff->told = true;

    return anew;
}

bool backoff_succeeded_again(backoff_t *backoff)
{
    bool again = backoff->told;

    backoff_succeeded(backoff);
    backoff->told = false;

    return again;
}
