/*
 * Threads with one database connection each, and the bounded queue of work
 * for them.
 */
#ifndef POOL_H
#define POOL_H

#include "db.h"

typedef struct pool_s pool_t;
typedef struct pool_job_s pool_job_t;

/* Embedded in what the work is about.  The pool owns it until done is called.
 */
struct pool_job_s {
    void (*work)(pool_job_t *job, db_t *db); /* in a thread of the pool */
    void (*done)(pool_job_t *job);           /* there too, right after */
    pool_job_t *next;
};

/* Starts the threads.  The configuration must outlive them.  NULL: failed. */
pool_t *pool_start(const config_t *config);

/* What the pool's connections have counted. */
const db_stats_t *pool_stats(const pool_t *pool);

/* 0, or -1 when the queue is full. */
int pool_submit(pool_t *pool, pool_job_t *job);

/* Jobs that wait for a thread. */
unsigned pool_queued(pool_t *pool);

/* Threads, and connections, that have one. */
unsigned pool_busy(pool_t *pool);

/* Lets the threads finish what they have, and frees all.  Accepts NULL. */
void pool_stop(pool_t *pool);

#endif
