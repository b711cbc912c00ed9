/*
 * The arithmetic of pace; see ticket_pace.h for what it means.
 */
#include <math.h>
#include <string.h>

#include "ticket_pace.h"

#define POLL_NEAR_MS 1000  /* at the front of the line */
#define POLL_FAR_MS  30000 /* at its end */
#define POLL_STEP_MS 10    /* more for each visitor ahead */

#define STEP_MIN_MS 1000
#define STEP_MAX_MS 16000 /* forty of them are the ten minutes looked back */
#define LATE_MS     60000 /* without an exchange: begin anew */

#define LAGS      4 /* stretches whose calls are compared */
#define SIGMAS    1.65
#define DRIFT     0.20 /* of a time as long as the time looked back */
#define RATE_OFF  3.0  /* logarithm */
#define SPAN_MIN  1.0  /* seconds */
#define LEAVE_OFF 0.25 /* part of those ahead who may leave, if unknown */

static void begin(ticket_pace_t *pace, const ticket_news_t *news)
{
    memset(pace, 0, sizeof(*pace));
    pace->last = *news;
    pace->step_ms = STEP_MIN_MS;
    pace->samples = 1;
}

/* Adds what happened since the last exchange to the sums. */
static void add(ticket_pace_t *pace, const ticket_news_t *news)
{
    const ticket_news_t *last = &pace->last;
    ticket_sums_t *sums = &pace->sums;
    uint64_t passed = news->now_ms - last->now_ms;
    double calls = (double)(news->calls - last->calls);

    sums->age_ms += passed;
    sums->left += (double)(news->issued - last->issued) - calls -
                  ((double)news->waiting - (double)last->waiting);
    sums->head_ms += (double)last->waiting * (double)passed;

    if (last->waiting > 0 && !last->held && !news->held) {
        sums->busy_ms += passed;
        sums->calls += news->calls - last->calls;
    }

    pace->last = *news;
}

/*
 * Keeps the sums as a sample when it is time.  While the ring is young and
 * full, every second sample goes and the step doubles; later the oldest goes.
 */
static void keep(ticket_pace_t *pace)
{
    uint64_t busy_ms = pace->sums.busy_ms;
    ticket_sums_t *sample = pace->sample;

    if (busy_ms - sample[pace->samples - 1].busy_ms < pace->step_ms) {
        return;
    }

    if (pace->samples == TICKET_PACE_SAMPLES) {
        if (pace->step_ms * 2 <= STEP_MAX_MS) {
            for (uint32_t i = 1; i < TICKET_PACE_SAMPLES / 2; i++) {
                sample[i] = sample[2 * i];
            }
            pace->samples = TICKET_PACE_SAMPLES / 2;
            pace->step_ms *= 2;
        } else {
            memmove(sample, sample + 1,
                    (TICKET_PACE_SAMPLES - 1) * sizeof(*sample));
            pace->samples--;
        }
    }

    sample[pace->samples++] = pace->sums;
}

static double seconds(uint64_t ms)
{
    return (double)ms / 1000;
}

/*
 * Mean square of what the calls of so many samples are off the rate.  The
 * rate is of the same few stretches, hence the factor.
 */
static double variance(const ticket_pace_t *pace, uint32_t lag, double rate)
{
    double sum = 0;

    for (uint32_t i = 0; i + lag < pace->samples; i++) {
        const ticket_sums_t *a = &pace->sample[i], *b = a + lag;
        double off = (double)(b->calls - a->calls) -
                     rate * seconds(b->busy_ms - a->busy_ms);

        sum += off * off;
    }

    return sum / (pace->samples - lag) * LAGS / (LAGS - 1);
}

/*
 * How the calls of a stretch scatter: their variance is taken as a straight
 * line over the calls expected, through what stretches of two lengths show.
 * It rises no slower than that of a Poisson count.
 */
static void measure_scatter(const ticket_pace_t *pace, ticket_speed_t *speed)
{
    uint32_t half = pace->samples / LAGS / 2;

    speed->scatter = 1;
    speed->lump = 0;
    if (half == 0) {
        return;
    }

    double rate = speed->calls;
    double step = (double)speed->seen / pace->samples;
    double near = variance(pace, half, rate);
    double far = variance(pace, 2 * half, rate);

    speed->scatter = (float)fmax((far - near) / (half * step), 1);
    speed->lump = (float)fmax(far - speed->scatter * 2 * half * step, 0);
}

/* The sums at an age, between two samples by proportion. */
static ticket_sums_t sums_at(const ticket_pace_t *pace, uint64_t age_ms)
{
    ticket_sums_t a = pace->sample[0], b = pace->sums;

    for (uint32_t i = 0; i < pace->samples; i++) {
        if (pace->sample[i].age_ms > age_ms) {
            b = pace->sample[i];
            break;
        }
        a = pace->sample[i];
    }

    if (b.age_ms > a.age_ms && age_ms > a.age_ms) {
        double part =
            (double)(age_ms - a.age_ms) / (double)(b.age_ms - a.age_ms);

        a.left += part * (b.left - a.left);
        a.head_ms += part * (b.head_ms - a.head_ms);
    }

    return a;
}

/*
 * Who leaves is noticed when presence is counted anew, once in a liveness
 * time: only a whole number of those says how many leave.  The first two have
 * nobody to notice.
 */
static double measure_leave(const ticket_pace_t *pace)
{
    uint64_t turn_ms = pace->last.liveness_ms, age_ms = pace->sums.age_ms;
    uint64_t looked_ms = age_ms - pace->sample[0].age_ms;

    if (turn_ms == 0 || age_ms < 3 * turn_ms || looked_ms < turn_ms) {
        return -1;
    }

    if (looked_ms > age_ms - 2 * turn_ms) {
        looked_ms = age_ms - 2 * turn_ms;
    }

    ticket_sums_t from = sums_at(pace, age_ms - looked_ms / turn_ms * turn_ms);
    double heads = pace->sums.head_ms - from.head_ms;
    double left = pace->sums.left - from.left;

    return heads > 0 && left > 0 ? left * 1000 / heads : 0;
}

static void measure(const ticket_pace_t *pace, ticket_speed_t *speed)
{
    const ticket_sums_t *sums = &pace->sums, *from = &pace->sample[0];
    double span = seconds(sums->busy_ms - from->busy_ms);
    double calls = (double)(sums->calls - from->calls);

    memset(speed, 0, sizeof(*speed));

    if (pace->last.held || calls == 0 || span < SPAN_MIN) {
        return;
    }

    speed->calls = (float)(calls / span);
    speed->seen = (float)calls;
    measure_scatter(pace, speed);
    speed->leave = (float)measure_leave(pace);
    speed->span_s = (float)span;
}

void ticket_pace_sample(ticket_pace_t *pace, const ticket_news_t *news,
                        ticket_speed_t *speed)
{
    const ticket_news_t *last = &pace->last;

    if (pace->samples == 0 || news->life != last->life ||
        news->calls < last->calls || news->issued < last->issued ||
        news->now_ms < last->now_ms || news->now_ms - last->now_ms > LATE_MS) {
        begin(pace, news);
    } else {
        add(pace, news);
        keep(pace);
    }

    measure(pace, speed);
}

/* Seconds until n calls' worth of the line is gone, with those who leave. */
static double time_to(double n, double calls, double leave)
{
    double part = leave * n / calls;

    return part < 1e-6 ? n / calls : log1p(part) / leave;
}

int ticket_eta(const ticket_speed_t *speed, uint32_t ahead, ticket_eta_t *eta)
{
    if (!(speed->calls > 0)) {
        return -1;
    }

    double n = (double)ahead + 1, calls = speed->calls;
    double leave = speed->leave > 0 ? speed->leave : 0;
    double time = time_to(n, calls, leave);
    double off = SIGMAS * sqrt(speed->lump + speed->scatter * n);
    double rate = SIGMAS * sqrt(speed->lump + speed->scatter * speed->seen) /
                      speed->seen +
                  DRIFT * time / (time + speed->span_s);

    rate = fmin(rate, RATE_OFF);

    double min = fmax(0, n - hypot(off, n * (1 - exp(-rate))));
    double max = n + hypot(off, n * (exp(rate) - 1));

    if (speed->leave < 0) {
        min *= 1 - LEAVE_OFF;
    }

    min = time_to(min, calls, leave * 1.5);
    max = time_to(max, calls, leave * 0.5);
    eta->min = (uint32_t)fmin(min, UINT32_MAX);
    eta->max = (uint32_t)fmin(ceil(max), UINT32_MAX);

    return 0;
}

/* The middle of what is told. */
static uint64_t middle(uint32_t ahead, uint64_t liveness_ms)
{
    uint64_t after = POLL_NEAR_MS + (uint64_t)POLL_STEP_MS * ahead;

    after = after < POLL_FAR_MS ? after : POLL_FAR_MS;

    return after < liveness_ms / 4 ? after : liveness_ms / 4;
}

uint32_t ticket_poll_after(uint32_t ahead, uint64_t liveness_ms,
                           uint32_t random)
{
    uint64_t after = middle(ahead, liveness_ms);

    return (uint32_t)(after * 3 / 4 + after / 2 * (random % 1024) / 1024);
}

uint32_t ticket_poll_gap(uint32_t ahead, uint64_t liveness_ms)
{
    return ticket_poll_after(ahead, liveness_ms, 0) / 2;
}
