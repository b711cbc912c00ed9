/*
 * Histograms of times in the way of Prometheus: how many values lie in each
 * bin, and their sum.  All zeros is an empty one, so that it can lie in
 * memory that processes share; each adds to it without a lock.  What is read
 * out is a copy, and its count is the sum of the copy's bins: it agrees with
 * itself even while others go on counting.
 */
#ifndef TICKET_HISTOGRAM_H
#define TICKET_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

#define TICKET_BOUNDS_MAX 13

/* Upper bounds of the bins, rising; one more bin holds what is above them. */
typedef struct {
    size_t n;
    uint64_t bound[TICKET_BOUNDS_MAX];
} ticket_bounds_t;

typedef struct {
    uint64_t bin[TICKET_BOUNDS_MAX + 1];
    uint64_t sum;
} ticket_histogram_t;

/* From the number to the admission, in milliseconds: 0.5 s to 2 h. */
extern const ticket_bounds_t ticket_wait_bounds;

/* Question and answer of Redis, in microseconds: 1 ms to 2.5 s. */
extern const ticket_bounds_t ticket_round_trip_bounds;

/* Counts a value; one that equals a bound lies below it. */
void ticket_histogram_add(ticket_histogram_t *histogram,
                          const ticket_bounds_t *bounds, uint64_t value);

/* Copies one that others may be adding to. */
void ticket_histogram_read(const ticket_histogram_t *histogram,
                           ticket_histogram_t *copy);

/* Takes away what an earlier copy of the same histogram held. */
void ticket_histogram_since(ticket_histogram_t *copy,
                            const ticket_histogram_t *before);

uint64_t ticket_histogram_count(const ticket_histogram_t *copy);

/*
 * The value that so many of 1000 do not exceed, as if those of a bin were
 * spread evenly over it (what Prometheus's histogram_quantile does); the
 * highest bound for what lies above it, -1 when there are no values.
 */
int64_t ticket_histogram_quantile(const ticket_histogram_t *copy,
                                  const ticket_bounds_t *bounds,
                                  unsigned of_1000);

#endif
