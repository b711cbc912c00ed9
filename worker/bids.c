/*
 * Lists of bids, linked through the bids themselves: nothing is allocated.
 */
#include "bids.h"

void bids_clear(bids_t *bids)
{
    bids->first = NULL;
    bids->last = &bids->first;
}

void bids_append(bids_t *bids, bid_t *bid)
{
    bid->next = NULL;
    *bids->last = bid;
    bids->last = &bid->next;
}

bid_t *bids_take(bids_t *bids)
{
    bid_t *bid = bids->first;

    if (bid != NULL) {
        bids->first = bid->next;
        if (bids->first == NULL) {
            bids->last = &bids->first;
        }
    }

    return bid;
}

void bids_prepend(bids_t *bids, bids_t *front)
{
    if (front->first == NULL) {
        return;
    }

    *front->last = bids->first;
    if (bids->first == NULL) {
        bids->last = front->last;
    }
    bids->first = front->first;
    bids_clear(front);
}
