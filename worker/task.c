/*
 * Background threads.  What hangs in a system call cannot be ended from
 * outside, so stopping gives up after a while and says so.
 */
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "task.h"

#define STOP_S 3

static void *begin(void *arg)
{
    task_t *task = arg;

    task->run(task->ctx);

    return NULL;
}

int task_start(task_t *task, void (*run)(void *ctx), void *ctx)
{
    task->run = run;
    task->ctx = ctx;
    atomic_init(&task->stopping, false);
    task->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (task->wake_fd < 0) {
        return -1;
    }

    if (pthread_create(&task->thread, NULL, begin, task) != 0) {
        close(task->wake_fd);
        return -1;
    }

    return 0;
}

void task_wake(task_t *task)
{
    eventfd_write(task->wake_fd, 1);
}

bool task_stopping(task_t *task)
{
    return task->stopping;
}

task_event_t task_wait(task_t *task, int64_t until_ms, int fd)
{
    struct pollfd fds[] = {{.fd = task->wake_fd, .events = POLLIN},
                           {.fd = fd, .events = POLLIN}};
    int64_t left = until_ms - clock_ms();
    task_event_t event = {false, false};
    eventfd_t ignored;

    if (poll(fds, 2, left > 0 ? (int)left : 0) <= 0) {
        return event;
    }

    if (fds[0].revents) {
        eventfd_read(task->wake_fd, &ignored);
        event.woken = true;
    }
    event.readable = fds[1].revents != 0;

    return event;
}

bool task_stop(task_t *task)
{
    struct timespec deadline;

    task->stopping = true;
    task_wake(task);

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += STOP_S;
    if (pthread_timedjoin_np(task->thread, NULL, &deadline) != 0) {
        return false;
    }

    close(task->wake_fd);

    return true;
}
