/*
 * Plans.  A wish is looked through in the order named seats, pools, best
 * available: the last gets around the first.  Whatever is refused is refused
 * as a whole.
 */
#include <stdlib.h>
#include <string.h>

#include "best.h"
#include "plan.h"

static void add_seat(hold_t *hold, const hall_t *hall, uint32_t seat_no)
{
    hold->seat[hold->n_seats].seat_no = seat_no;
    hold->seat[hold->n_seats].version = hall->seat[seat_no].version;
    hold->n_seats++;
}

static plan_result_t plan_seats(plan_t *plan, const hall_t *hall,
                                const wish_t *wish, int64_t now_ms,
                                hold_t *hold)
{
    plan_result_t result = PLAN_GOOD;

    for (unsigned i = 0; i < wish->n_seats; i++) {
        uint32_t seat_no = hall_find_seat(hall, wish->seat[i].name);
        const hall_seat_t *seat;
        seat_state_t shown;

        if (seat_no == HALL_NONE) {
            plan->what = wish->seat[i].name;
            return PLAN_NO_SEAT;
        }

        seat = &hall->seat[seat_no];
        shown = hall_shown(seat, now_ms);
        if (shown == SEAT_HELD && hold_id_equal(&seat->hold, &hold->id)) {
            return PLAN_REPEATED;
        }

        if (shown != SEAT_FREE || (wish->seat[i].wants_version &&
                                   wish->seat[i].version != seat->version)) {
            plan->conflict[plan->n_conflicts++] =
                (plan_conflict_t){seat_no, shown, seat->version,
                                  wish->seat[i].wants_version &&
                                      wish->seat[i].version > seat->version};
            result = PLAN_TAKEN;
        } else if (seat->batch != 0 && result == PLAN_GOOD) {
            plan->batch = seat->batch;
            result = PLAN_WAIT;
        }

        add_seat(hold, hall, seat_no);
    }

    return result;
}

static plan_result_t plan_pools(plan_t *plan, const hall_t *hall,
                                const wish_t *wish, uint8_t batch, hold_t *hold)
{
    for (unsigned i = 0; i < wish->n_pools; i++) {
        uint32_t pool_no = hall_find_pool(hall, wish->pool[i].name);
        unsigned n;

        plan->what = wish->pool[i].name;
        if (pool_no == HALL_NONE) {
            return PLAN_NO_POOL;
        }

        switch (standing_choose(hall, pool_no, wish->pool[i].quantity, batch,
                                hold->part + hold->n_parts,
                                HOLD_PARTS_MAX - hold->n_parts, &n)) {
        case STANDING_FOUND:
            hold->n_parts += n;
            break;
        case STANDING_WAIT:
            return PLAN_WAIT;
        default:
            plan->left = hall_pool_left(&hall->pool[pool_no]);
            return PLAN_FULL;
        }
    }

    return PLAN_GOOD;
}

/* Named seats must not be chosen a second time as the best. */
static void cover(hall_t *hall, const hold_t *hold, uint8_t batch,
                  int64_t now_ms)
{
    for (unsigned i = 0; i < hold->n_seats; i++) {
        hall_set_batch(hall, hold->seat[i].seat_no, batch, now_ms);
    }
}

/* Seats that are in a batch. */
static unsigned count_marked(const hall_t *hall)
{
    unsigned n = 0;

    for (unsigned i = 0; i < hall->n_rows; i++) {
        n += hall->row[i].n_marked;
    }

    return n;
}

static plan_result_t choose_best(hall_t *hall, const best_wish_t *best,
                                 int64_t now_ms, hold_t *hold)
{
    uint32_t seat_no[HOLD_UNITS_MAX];

    switch (best_choose(hall, best, now_ms, seat_no)) {
    case BEST_FOUND:
        break;
    case BEST_WAIT:
        return PLAN_WAIT;
    default:
        return PLAN_NO_BLOCK;
    }

    for (unsigned i = 0; i < best->quantity; i++) {
        add_seat(hold, hall, seat_no[i]);
    }

    return PLAN_GOOD;
}

static plan_result_t plan_best(plan_t *plan, hall_t *hall, const wish_t *wish,
                               int64_t now_ms, hold_t *hold)
{
    best_wish_t best = {.quantity = wish->best.quantity,
                        .n_tiers = wish->best.n_tiers,
                        .together = wish->best.together};
    hold_t named = *hold;
    plan_result_t result;

    for (unsigned i = 0; i < wish->best.n_tiers; i++) {
        uint32_t tier = hall_find_tier(hall, wish->best.tier[i]);

        if (tier == HALL_NONE) {
            plan->what = wish->best.tier[i];
            return PLAN_NO_TIER;
        }
        best.tier[i] = (uint16_t)tier;
    }

    cover(hall, &named, UINT8_MAX, now_ms);
    result = choose_best(hall, &best, now_ms, hold);
    if (result == PLAN_WAIT && count_marked(hall) == named.n_seats) {
        result = PLAN_NO_BLOCK; /* its own seats are all it waits for */
    }
    cover(hall, &named, 0, now_ms);

    return result;
}

static int by_number(const void *a, const void *b)
{
    const uint32_t *first = a, *second = b;

    return (*first > *second) - (*first < *second);
}

void plan_make(plan_t *plan, hall_t *hall, const wish_t *wish, uint8_t batch,
               int64_t now_ms, hold_t *hold)
{
    hold->n_seats = hold->n_parts = 0;
    *plan = (plan_t){.result = PLAN_GOOD};

    if (hall->gone) {
        plan->result = PLAN_NO_PERFORMANCE;
        return;
    }

    if ((hall->sale_opens_ms != 0 && now_ms < hall->sale_opens_ms) ||
        (hall->sale_closes_ms != 0 && now_ms >= hall->sale_closes_ms)) {
        plan->result = PLAN_NOT_ON_SALE;
        return;
    }

    plan->result = plan_seats(plan, hall, wish, now_ms, hold);
    if (plan->result == PLAN_GOOD) {
        plan->result = plan_pools(plan, hall, wish, batch, hold);
    }

    if (plan->result == PLAN_GOOD && wish->best.quantity > 0 && batch != 0) {
        plan->result = plan_best(plan, hall, wish, now_ms, hold);
    }

    qsort(hold->seat, hold->n_seats, sizeof(hold->seat[0]), by_number);
}

void plan_mark(hall_t *hall, const hold_t *hold, uint8_t batch, int64_t now_ms)
{
    cover(hall, hold, batch, now_ms);

    for (unsigned i = 0; i < hold->n_parts; i++) {
        const standing_part_t *part = &hold->part[i];
        hall_bucket_t *bucket = &hall->pool[part->pool_no].bucket[part->bucket];

        if (bucket->batch == 0) {
            bucket->planned = bucket->version;
        }
        bucket->batch = batch;
        bucket->taken += part->quantity;
    }
}

void plan_unmark(hall_t *hall, const hold_t *hold, int64_t now_ms)
{
    cover(hall, hold, 0, now_ms);

    for (unsigned i = 0; i < hold->n_parts; i++) {
        const standing_part_t *part = &hold->part[i];
        hall_bucket_t *bucket = &hall->pool[part->pool_no].bucket[part->bucket];

        bucket->batch = 0;
        bucket->taken = 0;
    }
}
