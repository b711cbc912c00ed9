/*
 * A thread with work of its own in the background: it is woken when there is
 * something to do, and stopped within a bounded time.
 */
#ifndef TASK_H
#define TASK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    pthread_t thread;
    int wake_fd;
    atomic_bool stopping;
    void (*run)(void *ctx);
    void *ctx;
} task_t;

/* Starts run(ctx) in a thread, which ends when task_stopping.  Returns 0, or
 * -1; then nothing is left of it. */
int task_start(task_t *task, void (*run)(void *ctx), void *ctx);

/* Ends the next wait, or the one under way.  From any thread. */
void task_wake(task_t *task);

/* In the thread: whether it is to end. */
bool task_stopping(task_t *task);

typedef struct {
    bool woken;
    bool readable;
} task_event_t;

/* In the thread: waits until then (clock_ms), until it is woken, or until fd
 * can be read; -1: there is none. */
task_event_t task_wait(task_t *task, int64_t until_ms, int fd);

/*
 * Tells the thread to end and waits for that.  False: it hangs and was left as
 * it is; the process is to end without tidying up.
 */
bool task_stop(task_t *task);

#endif
