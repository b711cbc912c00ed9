/*
 * How often, and for how long, a transaction is tried again that lost a lock
 * or its connection:
 *
 *   retry_t retry = {0};
 *   while (retry_next(&retry)) { … }
 */
#ifndef RETRY_H
#define RETRY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    unsigned attempts;
    int64_t started_ms;
} retry_t;

/* Whether there is one more attempt; all but the first after a pause, which
 * grows with them. */
bool retry_next(retry_t *retry);

/* Milliseconds since the first attempt began. */
int64_t retry_spent_ms(const retry_t *retry);

#endif
