/*
 * Histograms of times; see ticket_histogram.h.
 */
#include "ticket_histogram.h"

const ticket_bounds_t ticket_wait_bounds = {
    13,
    {500, 1000, 2000, 5000, 10000, 30000, 60000, 120000, 300000, 600000,
     1800000, 3600000, 7200000}};

const ticket_bounds_t ticket_round_trip_bounds = {11,
                                                  {1000, 2500, 5000, 10000,
                                                   25000, 50000, 100000, 250000,
                                                   500000, 1000000, 2500000}};

void ticket_histogram_add(ticket_histogram_t *histogram,
                          const ticket_bounds_t *bounds, uint64_t value)
{
    size_t i = 0;

    while (i < bounds->n && value > bounds->bound[i]) {
        i++;
    }

    __atomic_fetch_add(&histogram->sum, value, __ATOMIC_RELAXED);
    __atomic_fetch_add(&histogram->bin[i], 1, __ATOMIC_RELAXED);
}

void ticket_histogram_read(const ticket_histogram_t *histogram,
                           ticket_histogram_t *copy)
{
    for (size_t i = 0; i <= TICKET_BOUNDS_MAX; i++) {
        copy->bin[i] = __atomic_load_n(&histogram->bin[i], __ATOMIC_RELAXED);
    }

    copy->sum = __atomic_load_n(&histogram->sum, __ATOMIC_RELAXED);
}

void ticket_histogram_since(ticket_histogram_t *copy,
                            const ticket_histogram_t *before)
{
    for (size_t i = 0; i <= TICKET_BOUNDS_MAX; i++) {
        copy->bin[i] -= before->bin[i];
    }

    copy->sum -= before->sum;
}

uint64_t ticket_histogram_count(const ticket_histogram_t *copy)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= TICKET_BOUNDS_MAX; i++) {
        count += copy->bin[i];
    }

    return count;
}

int64_t ticket_histogram_quantile(const ticket_histogram_t *copy,
                                  const ticket_bounds_t *bounds,
                                  unsigned of_1000)
{
    double rank = (double)ticket_histogram_count(copy) * of_1000 / 1000;
    double below = 0;
    uint64_t low = 0;

    if (ticket_histogram_count(copy) == 0) {
        return -1;
    }

    for (size_t i = 0; i < bounds->n; i++) {
        uint64_t in = copy->bin[i];

        if (in > 0 && below + (double)in >= rank) {
            return (int64_t)((double)low + (double)(bounds->bound[i] - low) *
                                               (rank - below) / (double)in);
        }

        below += (double)in;
        low = bounds->bound[i];
    }

    return (int64_t)bounds->bound[bounds->n - 1];
}
