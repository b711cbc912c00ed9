/*
 * Standing places against every way to choose buckets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "seat_rows.h"
#include "standing.h"

#define PARTS_MAX 10

/* One pool; pool 1 is not to be touched. */
static hall_t *new_pool(unsigned buckets)
{
    hall_t *hall = seat_rows(0, 0, 0, 2);

    assert_int_equal(hall_set_buckets(hall, 0, buckets), 0);
    assert_int_equal(hall_set_buckets(hall, 1, 1), 0);
    assert_int_equal(hall_finish(hall), 0);
    hall->pool[1].bucket[0].capacity = 1000;

    return hall;
}

static uint32_t available(const hall_bucket_t *bucket, uint8_t batch)
{
    uint32_t left = bucket->capacity - bucket->held - bucket->sold;

    if (bucket->batch == 0) {
        return left;
    }

    return bucket->batch == batch ? left - bucket->taken : 0;
}

/* Places in those buckets that the bits of set name. */
static uint32_t sum_of(const hall_pool_t *pool, unsigned set, uint8_t batch,
                       bool whatever)
{
    uint32_t sum = 0;

    for (unsigned i = 0; i < pool->n_buckets; i++) {
        const hall_bucket_t *bucket = &pool->bucket[i];

        if (set >> i & 1) {
            sum += whatever ? bucket->capacity - bucket->held - bucket->sold
                            : available(bucket, batch);
        }
    }

    return sum;
}

/* How few buckets have the quantity together; more than there are: none. */
static unsigned fewest(const hall_pool_t *pool, unsigned quantity,
                       uint8_t batch, bool whatever)
{
    unsigned least = pool->n_buckets + 1;

    for (unsigned set = 0; set < 1U << pool->n_buckets; set++) {
        unsigned n = (unsigned)__builtin_popcount(set);

        if (n < least && sum_of(pool, set, batch, whatever) >= quantity) {
            least = n;
        }
    }

    return least;
}

static void check_parts(const hall_t *hall, unsigned quantity, uint8_t batch,
                        const standing_part_t *part, unsigned n)
{
    const hall_pool_t *pool = &hall->pool[0];
    unsigned seen = 0, sum = 0;

    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(part[i].pool_no, 0);
        assert_in_range(part[i].bucket, 0, pool->n_buckets - 1);
        assert_false(seen >> part[i].bucket & 1);
        assert_in_range(part[i].quantity, 1,
                        available(&pool->bucket[part[i].bucket], batch));
        seen |= 1U << part[i].bucket;
        sum += part[i].quantity;
    }

    assert_int_equal(sum, quantity);
}

static hall_t *random_pool(void)
{
    hall_t *hall = new_pool(1 + any_of(8));
    unsigned most = 1 + any_of(8);

    for (unsigned i = 0; i < hall->pool[0].n_buckets; i++) {
        hall_bucket_t *bucket = &hall->pool[0].bucket[i];
        unsigned left = any_of(most);

        bucket->held = any_of(5);
        bucket->sold = any_of(5);
        bucket->capacity = bucket->held + bucket->sold + left;
        bucket->batch = (uint8_t)(any_of(2) * any_of(4));
        bucket->taken = bucket->batch > 0 ? any_of(left + 1) : 0;
    }

    return hall;
}

static void against_all_ways(void **state)
{
    unsigned count[3] = {0};

    (void)state;
    srandom(20261209);

    for (int round = 0; round < 20000; round++) {
        hall_t *hall = random_pool();
        const hall_pool_t *pool = &hall->pool[0];
        standing_part_t part[PARTS_MAX];
        uint8_t batch = (uint8_t)any_of(4);
        unsigned quantity = 1 + any_of(PARTS_MAX);
        unsigned parts_max = any_of(4) > 0 ? PARTS_MAX : 1 + any_of(3), n = 99;
        unsigned least = fewest(pool, quantity, batch, false);
        standing_result_t result =
            standing_choose(hall, 0, quantity, batch, part, parts_max, &n);

        count[result]++;
        if (least <= pool->n_buckets && least <= parts_max) {
            assert_int_equal(result, STANDING_FOUND);
            assert_int_equal(n, least);
            check_parts(hall, quantity, batch, part, n);
        } else {
            least = fewest(pool, quantity, batch, true);
            assert_int_equal(n, 0);
            assert_int_equal(result,
                             least <= pool->n_buckets && least <= parts_max
                                 ? STANDING_WAIT
                                 : STANDING_NONE);
        }

        hall_free(hall);
    }

    assert_true(count[STANDING_FOUND] > 1000 && count[STANDING_WAIT] > 1000 &&
                count[STANDING_NONE] > 1000);
}

static void check_first(const hall_t *hall, unsigned quantity, uint8_t batch,
                        unsigned bucket, unsigned of_it)
{
    standing_part_t part[PARTS_MAX];
    unsigned n;

    assert_int_equal(
        standing_choose(hall, 0, quantity, batch, part, PARTS_MAX, &n),
        STANDING_FOUND);
    assert_int_equal(part[0].bucket, bucket);
    assert_int_equal(part[0].quantity, of_it);
}

static void own_first_then_in_turn(void **state)
{
    hall_t *hall = new_pool(4);
    hall_bucket_t *bucket = hall->pool[0].bucket;

    (void)state;

    for (unsigned i = 0; i < 4; i++) {
        bucket[i].capacity = 10;
    }

    check_first(hall, 2, 0, 0, 2);
    check_first(hall, 2, 1, 1, 2);
    check_first(hall, 2, 7, 3, 2);

    bucket[2].batch = 5;
    bucket[2].taken = 7;
    check_first(hall, 3, 5, 2, 3); /* its own, though 1 is its turn */
    check_first(hall, 4, 5, 1, 4); /* not enough of its own */
    check_first(hall, 3, 2, 3, 3); /* another's is passed over */

    bucket[1].held = 9;
    bucket[3].sold = 8;
    bucket[0].capacity = 0;
    check_first(hall, 4, 5, 2, 3); /* the fullest, since none has all */

    hall_free(hall);
}

static void places_that_may_come_back(void **state)
{
    hall_t *hall = new_pool(2);
    standing_part_t part[PARTS_MAX];
    unsigned n;

    (void)state;

    hall->pool[0].bucket[0] =
        (hall_bucket_t){.capacity = 4, .held = 1, .batch = 1, .taken = 3};
    assert_int_equal(standing_choose(hall, 0, 3, 2, part, PARTS_MAX, &n),
                     STANDING_WAIT);
    assert_int_equal(standing_choose(hall, 0, 3, 1, part, PARTS_MAX, &n),
                     STANDING_WAIT);
    assert_int_equal(standing_choose(hall, 0, 4, 1, part, PARTS_MAX, &n),
                     STANDING_NONE);

    hall_free(hall);

    hall = new_pool(0);
    assert_int_equal(standing_choose(hall, 0, 1, 1, part, PARTS_MAX, &n),
                     STANDING_NONE);
    hall_free(hall);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_all_ways),
        cmocka_unit_test(own_first_then_in_turn),
        cmocka_unit_test(places_that_may_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
