/*
 * HTTP server.  libmicrohttpd does the protocol in this one thread, driven by
 * a poll() of our own over its epoll descriptor: its own epoll loop stalls in
 * 0.9.75 when exactly 128 events are ready.  A request that needs the database
 * is suspended and lent to the pool; the pool's thread puts it on the list of
 * the finished and wakes us through an eventfd.
 *
 * The library accepts requests that a proxy may read differently (two lengths,
 * a length and chunks); they are refused here.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <microhttpd.h>

#include "answer.h"
#include "handlers.h"
#include "http.h"
#include "listen.h"
#include "listeners.h"
#include "log.h"
#include "report.h"
#include "request.h"
#include "routes.h"
#include "sequencer.h"

#define IDLE_TIMEOUT_S 120
#define QUIET_MS       100
#define SPARE_FDS      64
#define STREAM_RETRY_S 5
#define LIST_MAX       4096 /* bytes of a list that comes in several lines */

struct http_s {
    const config_t *config;
    const worker_t *worker;
    ticket_keys_t *keys;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    listen_socket_t listener;
    unsigned in_flight;
    bool stopping;
    bool idle;
    metrics_t metrics;
    seatmaps_t *maps;
    listeners_t *listeners;

    int news_fd; /* the stream's, that there is something new for listeners */
    int wake_fd;
    pthread_mutex_t mutex; /* guards finished, which the pool adds to */
    request_t *finished;
};

/* The headers of a request; NULL: absent. */
typedef struct {
    const char *length;
    const char *transfer_encoding;
    const char *request_id;
    request_headers_t *seen;
    bool repeated;  /* one that may not */
    bool no_memory; /* for one that may */
} heads_t;

/* Where the value of a header belongs. */
typedef struct {
    const char *name;
    const char **value;
    char **joined; /* a list: what its lines are together; NULL: it is none */
} slot_t;

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Puts a line of the request where it belongs, behind those of a list. */
static void take_line(heads_t *heads, const slot_t *slot, const char *value)
{
    char *joined;
    size_t len;

    if (*slot->value == NULL) {
        *slot->value = value;
        return;
    }

    len = strlen(*slot->value) + strlen(", ") + strlen(value);
    if (slot->joined == NULL || len > LIST_MAX) {
        heads->repeated = true;
        return;
    }

    joined = malloc(len + 1);
    if (joined == NULL) {
        heads->no_memory = true;
        return;
    }

    stpcpy(stpcpy(stpcpy(joined, *slot->value), ", "), value);
    free(*slot->joined);
    *slot->value = *slot->joined = joined;
}

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind,
                                 const char *name, const char *value)
{
    heads_t *heads = ctx;
    request_headers_t *seen = heads->seen;
    const slot_t slots[] = {
        {"Content-Length", &heads->length, NULL},
        {"Transfer-Encoding", &heads->transfer_encoding, NULL},
        {"X-Request-Id", &heads->request_id, NULL},
        {"X-Ticket-Room", &seen->room, NULL},
        {"X-Ticket-Pass", &seen->pass, NULL},
        {"X-Ticket-Bind", &seen->bind, NULL},
        {"X-Ticket-Identity", &seen->identity, NULL},
        {"Content-Type", &seen->content_type, NULL},
        {"Accept", &seen->accept, &seen->joined[0]},
        {"If-Match", &seen->if_match, &seen->joined[1]},
        {"If-None-Match", &seen->if_none_match, &seen->joined[2]},
        {"Idempotency-Key", &seen->idempotency_key, NULL},
        {"Last-Event-ID", &seen->last_event_id, NULL},
        {"Authorization", &seen->authorization, NULL},
    };

    (void)kind;

    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        if (strcasecmp(name, slots[i].name) == 0) {
            take_line(heads, &slots[i], value ? value : "");
            break;
        }
    }

    return MHD_YES;
}

/* A body that nobody wants is still read, so that the connection lives on. */
static size_t body_max(const request_t *request)
{
    const route_t *route = request->route;

    return route != NULL && route->body_max > REQUEST_BODY_MAX
               ? route->body_max
               : REQUEST_BODY_MAX;
}

/* Refuses what must not be read any further; the connection ends with it. */
static void check_framing(request_t *request, const heads_t *heads)
{
    reply_t *reply = &request->reply;
    char why[64];

    if (heads->repeated) {
        reply_problem(reply, 400, "malformed",
                      "a header that is single appears twice, or the lines of "
                      "one are longer than 4096 bytes together");
    } else if (heads->length && heads->transfer_encoding) {
        reply_problem(reply, 400, "malformed",
                      "the body has a length and an encoding");
    } else if (heads->transfer_encoding) {
        reply_problem(reply, 411, "length_required",
                      "send the body with a Content-Length");
    } else if (request->body_size > body_max(request)) {
        snprintf(why, sizeof(why), "the body is longer than %zu bytes",
                 body_max(request));
        reply_problem(reply, 413, "too_large", why);
    }

    reply->close = reply->status != 0;
}

static void free_request(request_t *request)
{
    reply_free(&request->reply);
    for (unsigned i = 0; i < REQUEST_LISTS; i++) {
        free(request->headers.joined[i]);
    }
    free(request->body);
    free(request->method);
    free(request->path);
    free(request);
}

/* NULL without memory. */
static request_t *new_request(http_t *http, struct MHD_Connection *connection,
                              const char *method, const char *path)
{
    request_t *request = calloc(1, sizeof(*request));
    heads_t heads = {0};

    if (request == NULL) {
        return NULL;
    }

    heads.seen = &request->headers;
    MHD_get_connection_values(connection, MHD_HEADER_KIND, on_header, &heads);
    request->http = http;
    request->connection = connection;
    request->worker = http->worker;
    request->maps = http->maps;
    request->started_us = now_us();
    request->method = strdup(method);
    request->path = strdup(path);
    request->body_size = heads.length ? strtoull(heads.length, NULL, 10) : 0;
    snprintf(request->request_id, sizeof(request->request_id), "%s",
             heads.request_id ? heads.request_id : "");

    if (request->method == NULL || request->path == NULL || heads.no_memory) {
        free_request(request);
        return NULL;
    }

    routes_find(request);
    if (request->reply.status == 0) {
        check_framing(request, &heads);
    }

    if (request->reply.status == 0) {
        routes_judge_head(request);
    }

    return request;
}

/* Keeps a piece of the body; -1 ends the connection. */
static int add_body(request_t *request, const char *piece, size_t len)
{
    if (request->body == NULL) {
        request->body = malloc(request->body_size);
    }

    if (request->body == NULL || len > request->body_size - request->body_len) {
        return -1;
    }

    memcpy(request->body + request->body_len, piece, len);
    request->body_len += len;

    return 0;
}

/*
 * Sends the answer; its body goes over to the library.  A stream's is what
 * the listener is told until it ends.
 */
static enum MHD_Result send_reply(http_t *http, request_t *request)
{
    struct MHD_Connection *connection = request->connection;
    reply_t *reply = &request->reply;
    struct MHD_Response *response;
    enum MHD_Result result;

    if (reply->stream && listeners_full(http->listeners)) {
        reply->stream = false;
        reply_problem(reply, 503, "unavailable",
                      "too many listen already; ask for the seats again and "
                      "again, or try again later");
        reply->retry_after_s = STREAM_RETRY_S;
    }

    if (reply->stream) {
        request->listener = listeners_add(
            http->listeners, connection, request->number,
            request->headers.last_event_id, request->pass_ends_ms, &response);
    } else {
        response = answer_make(reply, http->stopping);
    }

    if (response == NULL) {
        return MHD_NO;
    }

    result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);

    return result;
}

static void answer_metrics(http_t *http, reply_t *reply)
{
    unsigned n = listeners_count(http->listeners);
    report_http_t report = {.metrics = &http->metrics,
                            .in_flight = http->in_flight - n,
                            .listeners = n,
                            .stream_messages =
                                listeners_messages(http->listeners)};

    report_reply(http->worker, &report, reply);
}

/* In a thread of the pool. */
static void work(pool_job_t *job, db_t *db)
{
    request_t *request = (request_t *)job;

    request->route->handle(request, db);
}

static void done(pool_job_t *job)
{
    request_finish((request_t *)job);
}

void request_finish(request_t *request)
{
    http_t *http = request->http;
    bool first;

    pthread_mutex_lock(&http->mutex);
    first = http->finished == NULL;
    request->next = http->finished;
    http->finished = request;
    pthread_mutex_unlock(&http->mutex);

    if (first) {
        eventfd_write(http->wake_fd, 1);
    }
}

/* Has it answered at once or by others, and says which. */
static request_fate_t look(http_t *http, request_t *request)
{
    const route_t *route = request->route;

    if (route->id == ROUTE_METRICS) {
        answer_metrics(http, &request->reply);
        return REQUEST_ANSWERED;
    }

    return route->look == NULL ? REQUEST_TO_POOL : route->look(request);
}

/*
 * A request that has been read: answers it, or lends it to others.  These may
 * be done with it before it is suspended: only this thread resumes it.
 */
static enum MHD_Result dispatch(http_t *http, request_t *request)
{
    reply_t *reply = &request->reply;
    request_fate_t fate = REQUEST_ANSWERED;

    routes_judge(request, http->keys);
    if (reply->status == 0) {
        fate = look(http, request);
    }

    if (fate == REQUEST_TO_POOL) {
        request->job.work = work;
        request->job.done = done;
        if (pool_submit(http->worker->pool, &request->job) != 0) {
            answer_unavailable(reply, "too many requests wait; try again");
            fate = REQUEST_ANSWERED;
        }
    }

    if (fate == REQUEST_ANSWERED) {
        return send_reply(http, request);
    }

    MHD_suspend_connection(request->connection);

    return MHD_YES;
}

/*
 * The library's handler: called with the head, with each piece of the body,
 * at the end of the request, and again after a suspended one is resumed.
 */
static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *piece,
                                  size_t *len, void **state)
{
    http_t *http = ctx;
    request_t *request = *state;

    (void)version;

    if (request == NULL) {
        request = new_request(http, connection, method, path);
        if (request == NULL) {
            return MHD_NO;
        }
        *state = request;
        http->in_flight++;
        return request->reply.status ? send_reply(http, request) : MHD_YES;
    }

    if (*len > 0) {
        if (add_body(request, piece, *len) != 0) {
            return MHD_NO;
        }
        *len = 0;
        return MHD_YES;
    }

    return request->reply.status ? send_reply(http, request)
                                 : dispatch(http, request);
}

/* The library's end of a request, answered or broken off. */
static void on_completed(void *ctx, struct MHD_Connection *connection,
                         void **state, enum MHD_RequestTerminationCode code)
{
    http_t *http = ctx;
    request_t *request = *state;
    double seconds;

    (void)connection;
    (void)code;

    if (request == NULL) {
        return;
    }

    seconds = (double)(now_us() - request->started_us) / 1e6;
    metrics_count(&http->metrics,
                  request->route == NULL ? ROUTE_NONE : request->route->id,
                  request->reply.status, seconds);
    log_request(request->request_id, request->method, request->path,
                request->owner, request->reply.status, seconds * 1e3);
    listeners_remove(http->listeners, request->listener);
    free_request(request);
    *state = NULL;
    http->in_flight--;
}

/* The library's unescaping of addresses: none. */
static size_t on_unescape(void *ctx, struct MHD_Connection *connection,
                          char *text)
{
    (void)ctx;
    (void)connection;

    return strlen(text);
}

static void on_log(void *ctx, const char *fmt, va_list args)
{
    char message[512];

    (void)ctx;
    vsnprintf(message, sizeof(message), fmt, args);
    message[strcspn(message, "\r\n")] = '\0';
    log_line(LOG_LEVEL_WARN, "http: %s", message);
}

/* Room for all connections among the descriptors of this process. */
static int raise_fd_limit(const config_t *config, char *err, size_t err_len)
{
    rlim_t want = config->connections + config->db_connections + SPARE_FDS;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= want) {
        return 0;
    }

    limit.rlim_cur = want;
    if (limit.rlim_max < want || setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        snprintf(err, err_len,
                 "connections = %u needs %lu file descriptors, the limit is "
                 "%lu: lower it, or raise the limit (ulimit -n)",
                 config->connections, (unsigned long)want,
                 (unsigned long)limit.rlim_max);
        return -1;
    }

    return 0;
}

static struct MHD_Daemon *start_daemon(http_t *http)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log,
        NULL, MHD_OPTION_LISTEN_SOCKET, http->listener.fd,
        MHD_OPTION_CONNECTION_LIMIT, http->config->connections,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
        on_unescape, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
        MHD_OPTION_END);
}

http_t *http_start(const worker_t *worker, ticket_keys_t *keys, char *err,
                   size_t err_len)
{
    const config_t *config = worker->config;
    http_t *http;

    if (raise_fd_limit(config, err, err_len) != 0) {
        return NULL;
    }

    http = calloc(1, sizeof(*http));
    if (http == NULL) {
        snprintf(err, err_len, "no memory");
        return NULL;
    }

    http->config = config;
    http->worker = worker;
    pthread_mutex_init(&http->mutex, NULL);
    http->listener.fd = -1;
    http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    http->news_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    http->maps = seatmaps_new();
    http->listeners = listeners_new(worker->stream, config->listeners);

    if (http->wake_fd < 0 || http->news_fd < 0 || http->maps == NULL ||
        http->listeners == NULL) {
        snprintf(err, err_len, "no memory or no descriptors");
    } else if (listen_open(&http->listener, config, err, err_len) == 0) {
        http->daemon = start_daemon(http);
        if (http->daemon == NULL) {
            snprintf(err, err_len, "the HTTP library does not start");
        }
    }

    if (http->daemon == NULL) {
        http_free(http);
        return NULL;
    }

    if (worker->stream != NULL) {
        stream_notify(worker->stream, http->news_fd);
    }

    http->keys = keys;
    http->epoll_fd =
        MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;

    return http;
}

/* Takes the requests the pool has finished, and lets them go on. */
static void resume_finished(http_t *http)
{
    request_t *request;
    eventfd_t ignored;

    eventfd_read(http->wake_fd, &ignored);
    pthread_mutex_lock(&http->mutex);
    request = http->finished;
    http->finished = NULL;
    pthread_mutex_unlock(&http->mutex);

    while (request != NULL) {
        request_t *next = request->next;

        MHD_resume_connection(request->connection);
        request = next;
    }
}

/* The sooner of two, of which -1 is never. */
static int sooner(int a, int b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* Milliseconds everything may be left alone; -1: until something happens. */
static int wait_ms(const http_t *http)
{
    int ms = listeners_wait_ms(http->listeners, now_us());
    MHD_UNSIGNED_LONG_LONG timeout;

    if (MHD_get_timeout(http->daemon, &timeout) == MHD_YES) {
        ms = sooner(ms, timeout > 60000 ? 60000 : (int)timeout);
    }

    return http->stopping ? sooner(ms, QUIET_MS) : ms;
}

bool http_turn(http_t *http, int fd)
{
    struct pollfd fds[] = {
        {.fd = http->epoll_fd, .events = POLLIN},
        {.fd = http->wake_fd, .events = POLLIN},
        {.fd = http->news_fd, .events = POLLIN},
        {.fd = listeners_fd(http->listeners), .events = POLLIN},
        {.fd = fd, .events = POLLIN}};
    int ms = wait_ms(http);
    int ready = poll(fds, 5, ms);
    eventfd_t ignored;

    http->idle =
        http->stopping && http->in_flight == 0 && ready == 0 && ms == QUIET_MS;

    if (ready > 0 && fds[1].revents) {
        resume_finished(http);
    }

    if (ready > 0 && fds[2].revents) {
        eventfd_read(http->news_fd, &ignored);
        listeners_news(http->listeners);
    }

    if (ready > 0 && fds[3].revents) {
        listeners_gone(http->listeners);
    }

    listeners_run(http->listeners, now_us());
    MHD_run(http->daemon);
    sequencer_kick(http->worker->sequencer);

    return ready > 0 && fds[4].revents != 0;
}

void http_set_keys(http_t *http, ticket_keys_t *keys)
{
    ticket_keys_free(http->keys);
    http->keys = keys;
}

void http_quiesce(http_t *http)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof(addr);
    int fd;

    if (http->stopping) {
        return;
    }

    http->stopping = true;
    listeners_end(http->listeners, now_us());
    listen_hide(&http->listener);
    MHD_quiesce_daemon(http->daemon);

    while ((fd = accept4(http->listener.fd, (struct sockaddr *)&addr, &len,
                         SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        MHD_add_connection(http->daemon, fd, (struct sockaddr *)&addr, len);
        len = sizeof(addr);
    }

    close(http->listener.fd);
    http->listener.fd = -1;
}

bool http_idle(const http_t *http)
{
    return http->idle;
}

void http_free(http_t *http)
{
    if (http->daemon != NULL) {
        http_quiesce(http);
        MHD_stop_daemon(http->daemon);
    }

    if (http->listener.fd >= 0) {
        close(http->listener.fd);
    }

    if (http->wake_fd >= 0) {
        close(http->wake_fd);
    }

    if (http->news_fd >= 0) {
        close(http->news_fd);
    }

    listeners_free(http->listeners);
    seatmaps_free(http->maps);

    pthread_mutex_destroy(&http->mutex);
    ticket_keys_free(http->keys);
    free(http);
}
