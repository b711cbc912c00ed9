/*
 * Listeners of a stream of events, thousands in one process: connects them
 * all, waits until each has been greeted, then runs a command that makes
 * something happen and measures how long it takes until everybody has heard.
 *
 *   listen_load --socket PATH --path PATH --listeners N --rounds N
 *               --headers FILE --command COMMAND
 *
 * The file holds the header lines of the requests.  Prints a JSON object a
 * round: when the first, the median and the last heard, in milliseconds since
 * the command was begun and since it had ended.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench.h"

#define HEAD_MAX   8192
#define WAIT_S     60
#define EVENTS_MAX 512

typedef struct {
    int fd;
    bool greeted;
    bool heard; /* in this round */
} ear_t;

typedef struct {
    const char *socket, *path, *headers, *command;
    uint64_t n, rounds;
    int epoll_fd;
    ear_t *ear;
    bench_times_t times;
    double began;
    size_t left; /* who have not been greeted, or not heard */
} crowd_t;

static size_t read_head(const crowd_t *crowd, char *head)
{
    FILE *file = fopen(crowd->headers, "re");
    size_t len =
        (size_t)snprintf(head, HEAD_MAX / 2,
                         "GET %s HTTP/1.1\r\nHost: localhost\r\n", crowd->path);

    if (file == NULL) {
        bench_fail("%s: %s", crowd->headers, strerror(errno));
    }

    len += fread(head + len, 1, HEAD_MAX - len - 3, file);
    fclose(file);
    memcpy(head + len, "\r\n", 3);

    return len + 2;
}

static void connect_ear(crowd_t *crowd, ear_t *ear, const char *head,
                        size_t len)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = ear};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", crowd->socket);
    ear->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (ear->fd < 0 ||
        connect(ear->fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 ||
        write(ear->fd, head, len) != (ssize_t)len ||
        epoll_ctl(crowd->epoll_fd, EPOLL_CTL_ADD, ear->fd, &event) != 0) {
        bench_fail("cannot connect: %s", strerror(errno));
    }
}

/* Reads what there is: a message is small and comes as a whole. */
static void hear(crowd_t *crowd, ear_t *ear)
{
    char text[65536];
    ssize_t n = read(ear->fd, text, sizeof(text) - 1);

    if (n <= 0) {
        bench_fail("a listener was cut off");
    }

    text[n] = '\0';
    if (!ear->greeted) {
        if (strncmp(text, "HTTP/1.1 200", 12) != 0) {
            bench_fail("a listener was refused: %.60s", text);
        }
        ear->greeted = true;
        crowd->left--;
    } else if (!ear->heard && strstr(text, "event: seats") != NULL) {
        ear->heard = true;
        crowd->left--;
        bench_times_add(&crowd->times, bench_now() - crowd->began);
    }
}

static void listen_on(crowd_t *crowd)
{
    double until = bench_now() + WAIT_S;
    struct epoll_event event[EVENTS_MAX];

    while (crowd->left > 0) {
        int n = epoll_wait(crowd->epoll_fd, event, EVENTS_MAX, 1000);

        for (int i = 0; i < n; i++) {
            hear(crowd, event[i].data.ptr);
        }

        if (bench_now() > until) {
            bench_fail("%zu of %lu heard nothing", crowd->left,
                       (unsigned long)crowd->n);
        }
    }
}

static void take_round(crowd_t *crowd)
{
    crowd->left = crowd->n;
    for (size_t i = 0; i < crowd->n; i++) {
        crowd->ear[i].heard = false;
    }

    crowd->times.n = 0;
    crowd->began = bench_now();
    if (system(crowd->command) != 0) {
        bench_fail("the command has failed");
    }

    printf("{\"command_ms\":%.1f,", (bench_now() - crowd->began) * 1e3);
    listen_on(crowd);
    bench_times_print(&crowd->times);
    printf("}\n");
    fflush(stdout);
    sleep(1);
}

int main(int argc, char **argv)
{
    crowd_t crowd = {.n = 1000, .rounds = 5};
    const bench_option_t options[] = {
        {.name = "--socket", .text = &crowd.socket},
        {.name = "--path", .text = &crowd.path},
        {.name = "--headers", .text = &crowd.headers},
        {.name = "--command", .text = &crowd.command},
        {.name = "--listeners", .number = &crowd.n},
        {.name = "--rounds", .number = &crowd.rounds},
        {0}};
    char head[HEAD_MAX];
    size_t len;

    bench_options(argc, argv, options,
                  "listen_load --socket PATH --path PATH --headers FILE "
                  "--command COMMAND [--listeners N] [--rounds N]");
    if (!crowd.socket || !crowd.path || !crowd.headers || !crowd.command) {
        bench_fail("socket, path, headers and command are needed");
    }

    crowd.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    crowd.ear = bench_alloc(crowd.n, sizeof(*crowd.ear));
    len = read_head(&crowd, head);
    crowd.left = crowd.n;
    for (size_t i = 0; i < crowd.n; i++) {
        connect_ear(&crowd, &crowd.ear[i], head, len);
    }
    listen_on(&crowd);
    sleep(2);

    for (uint64_t i = 0; i < crowd.rounds; i++) {
        take_round(&crowd);
    }

    return 0;
}
