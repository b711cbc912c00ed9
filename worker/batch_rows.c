/*
 * Rows of a batch.  Sorted, because two transactions that lock in the same
 * order never wait for each other in a circle; merged, because a row is changed
 * once.
 */
#include <stdlib.h>
#include <string.h>

#include "batch_rows.h"

static int by_seat(const void *a, const void *b)
{
    const seat_row_t *first = a, *second = b;

    return first->performance != second->performance
               ? (first->performance > second->performance ? 1 : -1)
               : (first->seat_no > second->seat_no) -
                     (first->seat_no < second->seat_no);
}

unsigned batch_seats(const batch_t *batch, seat_row_t *row)
{
    unsigned n = 0;

    for (unsigned i = 0; i < batch->n; i++) {
        const hold_t *hold = &batch->bid[i]->hold;

        for (unsigned k = 0; k < hold->n_seats; k++) {
            row[n++] = (seat_row_t){hold->performance, hold->seat[k].seat_no,
                                    hold->seat[k].version, hold};
        }
    }

    qsort(row, n, sizeof(*row), by_seat);

    return n;
}

static int by_bucket(const void *a, const void *b)
{
    const bucket_row_t *first = a, *second = b;

    if (first->performance != second->performance) {
        return first->performance > second->performance ? 1 : -1;
    }

    if (first->part.pool_no != second->part.pool_no) {
        return first->part.pool_no > second->part.pool_no ? 1 : -1;
    }

    return (int)first->part.bucket - (int)second->part.bucket;
}

unsigned batch_buckets(const batch_t *batch, bucket_row_t *row)
{
    unsigned n = 0, merged = 0;

    for (unsigned i = 0; i < batch->n; i++) {
        const bid_t *bid = batch->bid[i];

        for (unsigned k = 0; k < bid->hold.n_parts; k++) {
            const standing_part_t *part = &bid->hold.part[k];

            row[n++] = (bucket_row_t){
                bid->hold.performance, *part,
                &bid->hall->pool[part->pool_no].bucket[part->bucket]};
        }
    }

    qsort(row, n, sizeof(*row), by_bucket);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0 && by_bucket(&row[merged - 1], &row[i]) == 0) {
            row[merged - 1].part.quantity += row[i].part.quantity;
        } else {
            row[merged++] = row[i];
        }
    }

    return merged;
}

static int by_visitor(const void *a, const void *b)
{
    const limit_row_t *first = a, *second = b;

    return first->performance != second->performance
               ? (first->performance > second->performance ? 1 : -1)
               : memcmp(first->visitor, second->visitor, VISITOR_BYTES);
}

unsigned batch_limits(const batch_t *batch, limit_row_t *row)
{
    unsigned n = 0, merged = 0;

    for (unsigned i = 0; i < batch->n; i++) {
        const bid_t *bid = batch->bid[i];

        if (bid->hold.limited && bid->result == BID_OPEN) {
            row[n] = (limit_row_t){.performance = bid->hold.performance,
                                   .units = hold_units(&bid->hold),
                                   .max = bid->max_units};
            memcpy(row[n++].visitor, bid->hold.visitor, VISITOR_BYTES);
        }
    }

    qsort(row, n, sizeof(*row), by_visitor);
    for (unsigned i = 0; i < n; i++) {
        if (i > 0 && by_visitor(&row[merged - 1], &row[i]) == 0) {
            row[merged - 1].units += row[i].units;
        } else {
            row[merged++] = row[i];
        }
    }

    return merged;
}
