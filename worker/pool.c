/*
 * Thread pool.  The queue is bounded because a request that waits longer than
 * its client does is only load: past the bound the answer is 503 at once.
 */
#include <pthread.h>
#include <stdlib.h>

#include <mysql.h>

#include "log.h"
#include "pool.h"

typedef struct {
    pthread_t id;
    pool_t *pool;
    db_t *db;
} thread_t;

struct pool_s {
    pthread_mutex_t mutex; /* guards all down to stopping */
    pthread_cond_t wake;
    pool_job_t *first, **last;
    unsigned queued;
    unsigned busy; /* threads with a job */
    bool stopping;

    db_stats_t stats;
    unsigned limit;
    unsigned threads;
    thread_t thread[];
};

/* The next job, waiting for it; NULL when it is time to end.  done: the thread
 * had one before. */
static pool_job_t *take(pool_t *pool, bool done)
{
    pool_job_t *job;

    pthread_mutex_lock(&pool->mutex);
    pool->busy -= done;

    while (pool->first == NULL && !pool->stopping) {
        pthread_cond_wait(&pool->wake, &pool->mutex);
    }

    job = pool->first;
    if (job != NULL) {
        pool->first = job->next;
        pool->queued--;
        pool->busy++;
        if (pool->first == NULL) {
            pool->last = &pool->first;
        }
    }

    pthread_mutex_unlock(&pool->mutex);

    return job;
}

static void *run(void *arg)
{
    thread_t *thread = arg;
    pool_job_t *job;
    bool done = false;

    mysql_thread_init();

    for (; (job = take(thread->pool, done)) != NULL; done = true) {
        job->work(job, thread->db);
        job->done(job);
    }

    db_free(thread->db);
    mysql_thread_end();

    return NULL;
}

pool_t *pool_start(const config_t *config)
{
    unsigned n = config->db_connections;
    pool_t *pool = calloc(1, sizeof(*pool) + n * sizeof(pool->thread[0]));

    if (pool == NULL || mysql_library_init(0, NULL, NULL) != 0) {
        free(pool);
        return NULL;
    }

    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->last = &pool->first;
    pool->limit = config->queue;

    for (unsigned i = 0; i < n; i++) {
        thread_t *thread = &pool->thread[i];

        thread->pool = pool;
        thread->db = db_new(config, &pool->stats);
        if (thread->db == NULL ||
            pthread_create(&thread->id, NULL, run, thread) != 0) {
            db_free(thread->db);
            pool_stop(pool);
            return NULL;
        }
        pool->threads++;
    }

    return pool;
}

const db_stats_t *pool_stats(const pool_t *pool)
{
    return &pool->stats;
}

int pool_submit(pool_t *pool, pool_job_t *job)
{
    int rc = -1;

    job->next = NULL;
    pthread_mutex_lock(&pool->mutex);

    if (pool->queued < pool->limit) {
        *pool->last = job;
        pool->last = &job->next;
        pool->queued++;
        rc = 0;
        pthread_cond_signal(&pool->wake);
    }

    pthread_mutex_unlock(&pool->mutex);

    return rc;
}

unsigned pool_queued(pool_t *pool)
{
    unsigned queued;

    pthread_mutex_lock(&pool->mutex);
    queued = pool->queued;
    pthread_mutex_unlock(&pool->mutex);

    return queued;
}

unsigned pool_busy(pool_t *pool)
{
    unsigned busy;

    pthread_mutex_lock(&pool->mutex);
    busy = pool->busy;
    pthread_mutex_unlock(&pool->mutex);

    return busy;
}

void pool_stop(pool_t *pool)
{
    if (pool == NULL) {
        return;
    }

    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);

    for (unsigned i = 0; i < pool->threads; i++) {
        pthread_join(pool->thread[i].id, NULL);
    }

    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->mutex);
    mysql_library_end();
    free(pool);
}
