/*
 * Halls for tests: sections side by side, each of rows of seats that are 100
 * units apart, numbered as a map's are.  A test may change the map before it
 * calls hall_finish.
 */
#ifndef SEAT_ROWS_H
#define SEAT_ROWS_H

#include <stdio.h>
#include <time.h>

#include "hall.h"

#define TIERS 3

/* Without memory the test is over. */
static inline hall_t *seat_rows(unsigned sections, unsigned rows,
                                unsigned seats, unsigned pools)
{
    hall_t *hall = hall_new(TIERS, sections, sections * rows * seats, pools);
    uint32_t n = 0;

    assert_non_null(hall);

    for (unsigned t = 0; t < TIERS; t++) {
        snprintf(hall->tier[t], sizeof(hall->tier[t]), "tier-%u", t);
    }

    for (unsigned s = 0; s < sections; s++) {
        int32_t left = (int32_t)(s * (seats + 5) * 100);

        hall->section[s].focal_x = left + (int32_t)(seats - 1) * 50;

        for (unsigned i = 0; i < rows * seats; i++) {
            hall_seat_t *seat = &hall->seat[n++];

            seat->section = (uint16_t)s;
            seat->row_no = (uint16_t)(i / seats + 1);
            seat->pos = (uint16_t)(i % seats + 1);
            seat->x = left + (int32_t)(i % seats) * 100;
            seat->y = (int32_t)(i / seats) * 100;
            snprintf(seat->name, sizeof(seat->name), "%u-%u-%u", s,
                     seat->row_no, seat->pos);
        }
    }

    return hall;
}

/* What is heard of a seat; a held one's hold is of its number and version. */
static inline seat_change_t heard(uint32_t seat_no, seat_state_t state,
                                  uint32_t version, int64_t expires_ms)
{
    seat_change_t change = {
        .seat_no = seat_no, .state = state, .version = version};

    if (state == SEAT_HELD) {
        memcpy(change.hold.byte, &seat_no, sizeof(seat_no));
        memcpy(change.hold.byte + 8, &version, sizeof(version));
        change.expires_ms = expires_ms;
    }

    return change;
}

static inline void hear(hall_t *hall, uint32_t seat_no, seat_state_t state,
                        uint32_t version, int64_t expires_ms)
{
    seat_change_t change = heard(seat_no, state, version, expires_ms);

    (void)hall_apply_seat(hall, &change, 0);
}

/* Every seat is free. */
static inline void open_all(hall_t *hall)
{
    for (uint32_t i = 0; i < hall->n_seats; i++) {
        hear(hall, i, SEAT_FREE, 0, 0);
    }
}

static inline unsigned any_of(unsigned n)
{
    return (unsigned)random() % n;
}

static inline double microseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

#endif
