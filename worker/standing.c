/*
 * Standing places.  The fewest buckets are had by taking from the fullest
 * first; a pool has few of them, so each part looks at all.
 */
#include "standing.h"

typedef struct {
    const hall_pool_t *pool;
    unsigned pool_no;
    uint8_t batch;
    bool wait; /* as if all batches under way, this one too, had failed */
    standing_part_t *part;
    unsigned n, parts_max;
} choice_t;

static bool has_part(const choice_t *choice, unsigned bucket_no)
{
    for (unsigned i = 0; i < choice->n; i++) {
        if (choice->part[i].bucket == bucket_no) {
            return true;
        }
    }

    return false;
}

/* Places of the bucket that can be taken now. */
static uint32_t available(const choice_t *choice, unsigned bucket_no)
{
    const hall_bucket_t *bucket = &choice->pool->bucket[bucket_no];
    uint32_t left = hall_bucket_left(bucket);

    if (has_part(choice, bucket_no)) {
        return 0;
    }

    if (bucket->batch == 0 || choice->wait) {
        return left;
    }

    return bucket->batch == choice->batch && bucket->taken < left
               ? left - bucket->taken
               : 0;
}

/*
 * The first bucket that has as many, this batch's own before others; or else
 * the first of those that have most, with *most of them.
 */
static unsigned pick(const choice_t *choice, unsigned quantity, uint32_t *most)
{
    const hall_pool_t *pool = choice->pool;
    unsigned fullest = 0;

    *most = 0;

    for (unsigned i = 0; i < 2 * pool->n_buckets; i++) {
        unsigned bucket_no = (choice->batch + i) % pool->n_buckets;
        bool own = choice->batch != 0 &&
                   pool->bucket[bucket_no].batch == choice->batch;
        uint32_t n =
            own == (i < pool->n_buckets) ? available(choice, bucket_no) : 0;

        if (n > *most) {
            *most = n < quantity ? n : quantity;
            fullest = bucket_no;
        }

        if (*most == quantity) {
            break;
        }
    }

    return fullest;
}

/* Fills the parts in; false: there are not so many places. */
static bool fill(choice_t *choice, unsigned quantity)
{
    choice->n = 0;

    while (quantity > 0) {
        uint32_t most;
        unsigned bucket_no = pick(choice, quantity, &most);

        if (most == 0 || choice->n == choice->parts_max) {
            return false;
        }

        choice->part[choice->n++] =
            (standing_part_t){.pool_no = (uint16_t)choice->pool_no,
                              .bucket = (uint16_t)bucket_no,
                              .quantity = (uint16_t)most};
        quantity -= most;
    }

    return true;
}

standing_result_t standing_choose(const hall_t *hall, unsigned pool_no,
                                  unsigned quantity, uint8_t batch,
                                  standing_part_t *part, unsigned parts_max,
                                  unsigned *n)
{
    choice_t choice = {.pool = &hall->pool[pool_no],
                       .pool_no = pool_no,
                       .batch = batch,
                       .part = part,
                       .parts_max = parts_max};

    if (fill(&choice, quantity)) {
        *n = choice.n;
        return STANDING_FOUND;
    }

    *n = 0;
    choice.wait = true;

    return fill(&choice, quantity) ? STANDING_WAIT : STANDING_NONE;
}
