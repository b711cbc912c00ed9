/*
 * A request for a hold on its way through the sequencer.
 */
#ifndef BID_H
#define BID_H

#include "plan.h"
#include "request.h"
#include "wish.h"

typedef enum {
    BID_OPEN,
    BID_WON,      /* the hold is committed */
    BID_REFUSED,  /* plan says why */
    BID_REPEATED, /* the hold was made before: answer what it was */
    BID_LIMITED,  /* the visitor would have more than the performance allows */
    BID_BUSY,     /* tried too often */
    BID_SHED,     /* too many wait */
    BID_AWAY,     /* the database is away */
    BID_FAILED
} bid_result_t;

typedef struct bid_s bid_t;

struct bid_s {
    request_t *request;
    hall_t *hall;
    wish_t wish;
    hold_t hold;
    plan_t plan;
    uint32_t ttl_ms;    /* of its hold, as it was when it was planned */
    uint32_t max_units; /* that one visitor may have; with hold.limited */
    bid_result_t result;
    unsigned tries;
    bool alone;        /* it gets a batch of its own: one with it failed */
    bool read;         /* what it is refused by was read since it came */
    int64_t since_ms;  /* clock_ms when it was submitted */
    int64_t queued_ms; /* and when it was last put into the queue */
    bid_t *next;
};

#endif
