/*
 * Visitors who hold seats over HTTP, as many at once as there are
 * connections, each with its next request when the last is answered.  One
 * thread, a few microseconds a request, so that what it shares the machine
 * with keeps the rest of it.  Run by scripts/bench-seats; ends with one line
 * of JSON.  What a request has from the visitor is made before the clock
 * starts: passes by the keys, or read from a file where Redis must know them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "ticket_token.h"

#define USAGE                                                                  \
    "usage: seat_load --target unix:/path|a.b.c.d:port --keys FILE\n"          \
    "  --path /v1/performances/1/holds  --room bench  --epoch 1\n"             \
    "  --mode random|best|pool|one  --names FILE (random, one)  --skip N\n"    \
    "  --pool NAME  --connections 64  --seconds 5  --requests N (no limit)\n"  \
    "  --visitors 100000  --passes FILE (instead of --keys)\n"                 \
    "  --gate (cookies for nginx's gate instead of headers)  --sticky (a\n"    \
    "  visitor keeps a connection)"
#define EVENTS        256
#define HEAD_MAX      1024
#define INPUT_MAX     65536
#define ANSWER_S      20
#define STATUSES      600
#define SEAT_NAME_MAX 64

typedef struct {
    int fd;
    bool waiting; /* for an answer */
    double since;
    size_t len; /* of what has come of the answer */
    char input[INPUT_MAX];
} conn_t;

typedef struct {
    /* Options. */
    const char *target, *path, *room, *mode, *names, *keys, *passes, *pool;
    uint64_t connections, seconds, requests, visitors, skip, gate, sticky;
    uint64_t epoch;

    /* Every visitor's pass, TICKET_TOKEN_TEXT_LEN characters each. */
    char *pass;
    char **name; /* of each seat */
    uint32_t *order;
    size_t n_names;

    char head[HEAD_MAX]; /* up to the key, which comes next */
    size_t head_len;
    char run[17]; /* begins the keys of this run */
    int epoll_fd;
    conn_t *conn;

    bool closing; /* no more requests */
    uint64_t sent, answered, in_flight;
    uint64_t reconnects, broken;
    uint64_t status[STATUSES];
    bench_times_t times;
} load_t;

/* The file's lines, in memory that stays; *n is how many. */
static char **read_lines(const char *path, size_t *n)
{
    FILE *file = path == NULL ? NULL : fopen(path, "r");
    char **lines = NULL, *line = NULL;
    size_t max = 0, size = 0;
    ssize_t len;

    if (file == NULL) {
        bench_fail("cannot read %s\n%s", path == NULL ? "no file" : path,
                   USAGE);
    }
    *n = 0;
    while ((len = getline(&line, &size, file)) > 0) {
        line[len - (line[len - 1] == '\n')] = '\0';
        if (*n == max) {
            max = max * 2 + 1024;
            lines = bench_grow(lines, max, sizeof(*lines));
        }
        lines[*n] = strdup(line);
        if (lines[*n] == NULL) {
            bench_fail("out of memory");
        }
        ++*n;
    }
    free(line);
    fclose(file);
    if (*n == 0) {
        bench_fail("%s is empty", path);
    }

    return lines;
}

static void read_passes(load_t *load)
{
    size_t n;
    char **lines = read_lines(load->passes, &n);

    load->visitors = n;
    load->pass = bench_alloc(n, TICKET_TOKEN_TEXT_LEN);
    for (size_t i = 0; i < n; i++) {
        if (strlen(lines[i]) != TICKET_TOKEN_TEXT_LEN) {
            bench_fail("%s: line %zu is no pass", load->passes, i + 1);
        }
        memcpy(load->pass + i * TICKET_TOKEN_TEXT_LEN, lines[i],
               TICKET_TOKEN_TEXT_LEN);
        free(lines[i]);
    }
    free(lines);
}

/* A pass of every visitor's, good for an hour. */
static void make_passes(load_t *load)
{
    char err[256];
    ticket_keys_t *keys;
    ticket_token_t token = {.kind = TICKET_TOKEN_PASS,
                            .epoch = (uint32_t)load->epoch,
                            .time_ms = ((uint64_t)time(NULL) + 3600) * 1000};

    if (load->keys == NULL || load->visitors == 0) {
        bench_fail("%s", USAGE);
    }
    keys = ticket_keys_load(load->keys, err, sizeof(err));
    if (keys == NULL) {
        bench_fail("%s", err);
    }
    load->pass = bench_alloc(load->visitors, TICKET_TOKEN_TEXT_LEN);
    for (uint64_t i = 0; i < load->visitors; i++) {
        token.number = i + 1;
        token.id = i;
        if (ticket_token_seal(keys, &token, load->room, strlen(load->room),
                              NULL, 0,
                              load->pass + i * TICKET_TOKEN_TEXT_LEN) != 0) {
            bench_fail("no room can be called \"%s\"", load->room);
        }
    }
    ticket_keys_free(keys);
}

/* A run's keys begin with what no other run's do. */
static void prepare_requests(load_t *load)
{
    struct timespec now;
    uint64_t state;
    int n;

    clock_gettime(CLOCK_REALTIME, &now);
    state = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec +
            ((uint64_t)getpid() << 48);
    snprintf(load->run, sizeof(load->run), "%016" PRIx64, bench_random(&state));

    n = snprintf(load->head, sizeof(load->head),
                 "POST %s HTTP/1.1\r\nHost: bench\r\n"
                 "Content-Type: application/json\r\n"
                 "Idempotency-Key: \"%s-",
                 load->path, load->run);
    if (n < 0 || (size_t)n >= sizeof(load->head)) {
        bench_fail("the path is too long");
    }
    load->head_len = (size_t)n;

    if (strcmp(load->mode, "random") == 0 || strcmp(load->mode, "one") == 0) {
        load->name = read_lines(load->names, &load->n_names);
        load->order = bench_order(load->n_names, 1);
        for (size_t i = 0; i < load->n_names; i++) {
            if (strlen(load->name[i]) > SEAT_NAME_MAX) {
                bench_fail("%s: line %zu is no seat", load->names, i + 1);
            }
        }
    } else if (strcmp(load->mode, "best") != 0 &&
               strcmp(load->mode, "pool") != 0) {
        bench_fail("there is no mode \"%s\"\n%s", load->mode, USAGE);
    }
}

/* As many descriptors as this process may have. */
static void raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* Opens a connection and watches it. */
static void open_connection(load_t *load, conn_t *conn)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct sockaddr_in inet = {.sin_family = AF_INET};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = conn};
    bool is_local = strncmp(load->target, "unix:", 5) == 0;
    const char *port = strrchr(load->target, ':');
    char host[64] = "";
    int rc, one = 1;

    conn->fd = socket(is_local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    if (conn->fd < 0) {
        bench_fail("socket: %s", strerror(errno));
    }
    if (is_local) {
        strncpy(local.sun_path, load->target + 5, sizeof(local.sun_path) - 1);
        rc = connect(conn->fd, (struct sockaddr *)&local, sizeof(local));
    } else {
        if (port == NULL || port - load->target >= (ptrdiff_t)sizeof(host)) {
            bench_fail("%s is no target\n%s", load->target, USAGE);
        }
        memcpy(host, load->target, (size_t)(port - load->target));
        inet.sin_port = htons((uint16_t)atoi(port + 1));
        if (inet_pton(AF_INET, host, &inet.sin_addr) != 1) {
            bench_fail("%s is no numeric address", host);
        }
        rc = connect(conn->fd, (struct sockaddr *)&inet, sizeof(inet));
        setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    if (rc != 0) {
        bench_fail("connect %s: %s", load->target, strerror(errno));
    }
    fcntl(conn->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0) {
        bench_fail("epoll_ctl: %s", strerror(errno));
    }
    conn->len = 0;
    conn->waiting = false;
}

/* What the next request asks for; NULL when every seat was asked for. */
static char *put_wanted(const load_t *load, char *p)
{
    uint64_t seat = load->skip + load->sent;

    switch (load->mode[0]) {
    case 'b':
        return bench_put(p, "{\"best\":{\"quantity\":2}}");
    case 'p':
        p = bench_put(p, "{\"pools\":[{\"pool\":\"");
        p = bench_put(p, load->pool);
        return bench_put(p, "\",\"quantity\":1}]}");
    case 'o':
        seat = load->skip % load->n_names;
        break;
    default:
        if (seat >= load->n_names) {
            return NULL;
        }
    }
    p = bench_put(p, "{\"seats\":[\"");
    p = bench_put(p, load->name[load->order[seat]]);

    return bench_put(p, "\"]}");
}

/* Sends the next request, if there is one. */
static void send_next(load_t *load, conn_t *conn)
{
    char text[HEAD_MAX * 2], body[HEAD_MAX], *p = text;
    char *end = load->sent < load->requests ? put_wanted(load, body) : NULL;
    uint64_t visitor =
        load->sticky ? (uint64_t)(conn - load->conn) : load->skip + load->sent;

    if (end == NULL || load->closing) {
        load->closing = true;
        return;
    }

    memcpy(p, load->head, load->head_len);
    p = bench_put_number(p + load->head_len, load->sent);
    p = bench_put(p, "\"\r\n");
    if (load->gate) {
        p = bench_put(p, "Cookie: ticket-pass-");
        p = bench_put(p, load->room);
        *p++ = '=';
    } else {
        p = bench_put(p, "X-Ticket-Room: ");
        p = bench_put(p, load->room);
        p = bench_put(p, "\r\nX-Ticket-Pass: ");
    }
    memcpy(p, load->pass + visitor % load->visitors * TICKET_TOKEN_TEXT_LEN,
           TICKET_TOKEN_TEXT_LEN);
    p = bench_put(p + TICKET_TOKEN_TEXT_LEN, "\r\nContent-Length: ");
    p = bench_put_number(p, (uint64_t)(end - body));
    p = bench_put(p, "\r\n\r\n");
    memcpy(p, body, (size_t)(end - body));
    p += end - body;

    conn->since = bench_now();
    conn->waiting = true;
    load->sent++;
    load->in_flight++;
    /* So little that it always fits, on a connection with nothing under way. */
    if (send(conn->fd, text, (size_t)(p - text), MSG_NOSIGNAL) != p - text) {
        bench_fail("a request could not be sent: %s", strerror(errno));
    }
}

/*
 * The length of the whole answer when its head has come, 0 before, -1 when it
 * is not one that can be read; *closes: the server ends the connection.
 */
static ssize_t answer_len(conn_t *conn, bool *closes)
{
    char *end, *line;
    size_t body = 0;
    bool known = false;

    conn->input[conn->len] = '\0';
    end = strstr(conn->input, "\r\n\r\n");
    if (end == NULL) {
        return conn->len + 1 < INPUT_MAX ? 0 : -1;
    }
    if (strncmp(conn->input, "HTTP/1.1 ", 9) != 0) {
        return -1;
    }

    *closes = false;
    for (line = strstr(conn->input, "\r\n"); line < end;
         line = strstr(line + 2, "\r\n")) {
        char first = line[2] | 0x20;

        if (first != 'c') {
            continue;
        }
        if (strncasecmp(line + 2, "Content-Length:", 15) == 0) {
            body = strtoul(line + 17, NULL, 10);
            known = true;
        } else if (strncasecmp(line + 2, "Connection: close", 17) == 0) {
            *closes = true;
        }
    }
    known = known || strncmp(conn->input + 9, "204", 3) == 0;

    return known && body < INPUT_MAX / 2 ? end + 4 - conn->input + (ssize_t)body
                                         : -1;
}

/* An answer that never came, or came in pieces that make none. */
static void lose(load_t *load, conn_t *conn)
{
    if (conn->waiting) {
        load->broken++;
        load->in_flight--;
    }
    close(conn->fd);
    load->reconnects++;
    open_connection(load, conn);
    send_next(load, conn);
}

static void on_readable(load_t *load, conn_t *conn)
{
    bool closes = false;
    ssize_t n, whole;

    n = recv(conn->fd, conn->input + conn->len, INPUT_MAX - 1 - conn->len, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        lose(load, conn);
        return;
    }

    conn->len += (size_t)n;
    whole = answer_len(conn, &closes);
    if (whole == 0 || (whole > 0 && (size_t)whole > conn->len)) {
        return;
    }
    if (whole < 0 || (size_t)whole != conn->len || !conn->waiting) {
        lose(load, conn);
        return;
    }

    bench_times_add(&load->times, bench_now() - conn->since);
    load->status[(unsigned)atoi(conn->input + 9) % STATUSES]++;
    load->answered++;
    load->in_flight--;
    conn->len = 0;
    conn->waiting = false;
    if (closes) {
        close(conn->fd);
        load->reconnects++;
        open_connection(load, conn);
    }
    send_next(load, conn);
}

/* Goes on until every request is answered; returns the seconds it took. */
static double run(load_t *load)
{
    struct epoll_event event[EVENTS];
    double begin = bench_now(), now = begin;

    for (uint64_t i = 0; i < load->connections; i++) {
        send_next(load, &load->conn[i]);
    }
    while (load->in_flight > 0) {
        int n = epoll_wait(load->epoll_fd, event, EVENTS, 1000);

        now = bench_now();
        if (now - begin >= (double)load->seconds) {
            load->closing = true;
        }
        if (now - begin >= (double)load->seconds + ANSWER_S) {
            load->broken += load->in_flight;
            break;
        }
        for (int i = 0; i < n; i++) {
            on_readable(load, event[i].data.ptr);
        }
    }

    return bench_now() - begin;
}

static void report(load_t *load, double seconds, double cpu)
{
    const char *comma = "";
    uint64_t good = load->status[201] +
                    (strcmp(load->mode, "one") == 0 ? load->status[409] : 0);

    printf("{\"requests\":%" PRIu64 ",\"seconds\":%.3f,\"per_second\":%.0f,"
           "\"made_per_second\":%.0f,\"statuses\":{",
           load->answered, seconds, (double)load->answered / seconds,
           (double)load->status[201] / seconds);
    for (int i = 0; i < STATUSES; i++) {
        if (load->status[i] > 0) {
            printf("%s\"%d\":%" PRIu64, comma, i, load->status[i]);
            comma = ",";
        }
    }
    printf("},\"unexpected\":%" PRIu64 ",\"reconnects\":%" PRIu64 ",",
           load->answered - good + load->broken, load->reconnects);
    bench_times_print(&load->times);
    printf(",\"cpu_us\":%.2f}\n",
           load->answered > 0 ? cpu * 1e6 / (double)load->answered : 0);
}

int main(int argc, char **argv)
{
    static load_t load = {.path = "/v1/performances/1/holds",
                          .room = "bench",
                          .mode = "random",
                          .pool = "floor",
                          .epoch = 1,
                          .connections = 64,
                          .seconds = 5,
                          .requests = UINT64_MAX,
                          .visitors = 100000};
    const bench_option_t options[] = {
        {"--target", .text = &load.target},
        {"--path", .text = &load.path},
        {"--room", .text = &load.room},
        {"--mode", .text = &load.mode},
        {"--names", .text = &load.names},
        {"--keys", .text = &load.keys},
        {"--passes", .text = &load.passes},
        {"--pool", .text = &load.pool},
        {"--epoch", .number = &load.epoch},
        {"--connections", .number = &load.connections},
        {"--seconds", .number = &load.seconds},
        {"--requests", .number = &load.requests},
        {"--visitors", .number = &load.visitors},
        {"--skip", .number = &load.skip},
        {"--gate", .flag = &load.gate},
        {"--sticky", .flag = &load.sticky},
        {.name = NULL}};
    double cpu, seconds;

    bench_options(argc, argv, options, USAGE);
    if (load.target == NULL || load.connections < 1 ||
        strlen(load.pool) > SEAT_NAME_MAX ||
        strlen(load.room) > TICKET_ROOM_MAX) {
        bench_fail("%s", USAGE);
    }
    load.passes != NULL ? read_passes(&load) : make_passes(&load);
    prepare_requests(&load);
    raise_limit();
    load.epoll_fd = epoll_create1(0);
    load.conn = bench_alloc(load.connections, sizeof(*load.conn));
    for (uint64_t i = 0; i < load.connections; i++) {
        open_connection(&load, &load.conn[i]);
    }

    cpu = bench_cpu();
    seconds = run(&load);
    cpu = bench_cpu() - cpu;
    report(&load, seconds, cpu);

    return 0;
}
