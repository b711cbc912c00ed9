/*
 * The parts of a running worker: what main.c started, for those who serve
 * requests.  All of them outlive every request.
 */
#ifndef WORKER_H
#define WORKER_H

#include "config.h"
#include "halls.h"
#include "pool.h"
#include "stock.h"

typedef struct sequencer_s sequencer_t; /* sequencer.h */
typedef struct keeper_s keeper_t;       /* keeper.h */
typedef struct stream_s stream_t;       /* stream.h */

typedef struct {
    const config_t *config;
    halls_t *halls;
    pool_t *pool;
    sequencer_t *sequencer;
    stock_t *stock;   /* NULL: nobody is told of the stock */
    keeper_t *keeper; /* moves the outbox on, and sweeps */
    stream_t *stream; /* NULL: there is no Redis */
} worker_t;

#endif
