/*
 * Trying again what failed: after pauses that double, and with a line in the
 * log only when things change.  Belongs to one thread.
 */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

/* Begins as {0}. */
typedef struct {
    int64_t until_ms; /* by clock_ms: not to be tried before */
    int64_t pause_ms; /* the last one; 0: it works */
    bool told;        /* its failure is in the log, its success not yet */
} backoff_t;

/* It failed: sets until_ms. */
void backoff_failed(backoff_t *backoff);

/* It works. */
void backoff_succeeded(backoff_t *backoff);

/* The same; true when the log is to be told. */
bool backoff_failed_anew(backoff_t *backoff);
bool backoff_succeeded_again(backoff_t *backoff);

#endif
