/*
 * Turns.  Signals go out when a thread is worth its transaction, and to no
 * more threads than that.
 */
#include <time.h>

#include "clock.h"
#include "turns.h"

#define HELP_MS 10   /* who waits so long is not for a busy thread alone */
#define SHED_MS 2000 /* nobody waits longer for his turn */

/* Timed waits are by the clock that nobody sets. */
static void init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(wake, &attr);
    pthread_condattr_destroy(&attr);
}

void turns_init(turns_t *turns, unsigned batch, unsigned max)
{
    *turns = (turns_t){.half = (batch + 1) / 2, .max = max};
    pthread_mutex_init(&turns->mutex, NULL);
    init_wake(&turns->wake);
    bids_clear(&turns->queue);
}

void turns_free(turns_t *turns)
{
    pthread_cond_destroy(&turns->wake);
    pthread_mutex_destroy(&turns->mutex);
}

/*
 * Whether a thread is to begin: a transaction costs as much as thirty holds,
 * so while others commit it is better to wait until half a batch has gathered;
 * but not for long, as they may hang.  Under the mutex.
 */
static bool is_worthwhile(const turns_t *turns)
{
    return turns->queued > 0 &&
           (turns->busy == 0 || turns->queued >= turns->half ||
            clock_ms() - turns->queue.first->queued_ms >= HELP_MS);
}

/* Under the mutex. */
static void wake_one(turns_t *turns)
{
    if (is_worthwhile(turns)) {
        pthread_cond_signal(&turns->wake);
    }
}

bool turns_add(turns_t *turns, bid_t *bid)
{
    const bid_t *first;
    bool taken;

    pthread_mutex_lock(&turns->mutex);
    first = turns->queue.first;
    bid->since_ms = bid->queued_ms = clock_ms();
    taken = turns->queued < turns->max &&
            (first == NULL || bid->since_ms - first->queued_ms < SHED_MS);
    if (taken) {
        bids_append(&turns->queue, bid);
        turns->queued++;
    }
    pthread_mutex_unlock(&turns->mutex);

    return taken;
}

void turns_kick(turns_t *turns)
{
    pthread_mutex_lock(&turns->mutex);
    wake_one(turns);
    pthread_mutex_unlock(&turns->mutex);
}

/* Waits for a signal, or, while somebody waits in the queue, a little. */
static void wait_a_little(turns_t *turns)
{
    struct timespec until;

    if (turns->queued == 0) {
        pthread_cond_wait(&turns->wake, &turns->mutex);
        return;
    }

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += HELP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&turns->wake, &turns->mutex, &until);
}

bool turns_wait(turns_t *turns)
{
    bool some;

    pthread_mutex_lock(&turns->mutex);
    while (!is_worthwhile(turns) && !turns->stopping) {
        wait_a_little(turns);
    }
    some = turns->queued > 0;
    turns->busy += some;
    pthread_mutex_unlock(&turns->mutex);

    return some;
}

bid_t *turns_next(turns_t *turns)
{
    bid_t *bid;

    pthread_mutex_lock(&turns->mutex);
    bid = bids_take(&turns->queue);
    turns->queued -= bid != NULL;
    pthread_mutex_unlock(&turns->mutex);

    return bid;
}

/* Puts all of them before the queue.  Under the mutex. */
static void requeue(turns_t *turns, bids_t *bids)
{
    int64_t now_ms = clock_ms();

    for (bid_t *bid = bids->first; bid != NULL; bid = bid->next) {
        bid->queued_ms = now_ms;
        turns->queued++;
    }

    bids_prepend(&turns->queue, bids);
    wake_one(turns);
}

void turns_put_back(turns_t *turns, bids_t *bids)
{
    pthread_mutex_lock(&turns->mutex);
    requeue(turns, bids);
    pthread_mutex_unlock(&turns->mutex);
}

void turns_end(turns_t *turns, bids_t *waiting)
{
    pthread_mutex_lock(&turns->mutex);
    turns->busy--;
    requeue(turns, waiting);
    pthread_mutex_unlock(&turns->mutex);
}

void turns_stop(turns_t *turns)
{
    pthread_mutex_lock(&turns->mutex);
    turns->stopping = true;
    pthread_cond_broadcast(&turns->wake);
    pthread_mutex_unlock(&turns->mutex);
}
