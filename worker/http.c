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

#include "handlers.h"
#include "http.h"
#include "listen.h"
#include "log.h"
#include "request.h"
#include "routes.h"

#define IDLE_TIMEOUT_S 120
#define QUIET_MS       100
#define SPARE_FDS      64

struct http_s {
    const config_t *config;
    pool_t *pool;
    stock_t *stock; /* NULL: not published */
    ticket_keys_t *keys;
    struct MHD_Daemon *daemon;
    int epoll_fd;
    listener_t listener;
    unsigned in_flight;
    bool stopping;
    bool idle;
    metrics_t metrics;

    int wake_fd;
    pthread_mutex_t mutex; /* guards finished, which the pool adds to */
    request_t *finished;
};

/* The headers of a request, of which none may repeat; NULL: absent. */
typedef struct {
    const char *length;
    const char *transfer_encoding;
    const char *request_id;
    request_headers_t seen;
    bool repeated;
} heads_t;

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static enum MHD_Result on_header(void *ctx, enum MHD_ValueKind kind,
                                 const char *name, const char *value)
{
    heads_t *heads = ctx;
    const char **slot = NULL;

    (void)kind;

    if (strcasecmp(name, "Content-Length") == 0) {
        slot = &heads->length;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        slot = &heads->transfer_encoding;
    } else if (strcasecmp(name, "X-Ticket-Room") == 0) {
        slot = &heads->seen.room;
    } else if (strcasecmp(name, "X-Ticket-Pass") == 0) {
        slot = &heads->seen.pass;
    } else if (strcasecmp(name, "X-Ticket-Bind") == 0) {
        slot = &heads->seen.bind;
    } else if (strcasecmp(name, "Content-Type") == 0) {
        slot = &heads->seen.content_type;
    } else if (strcasecmp(name, "X-Request-Id") == 0) {
        slot = &heads->request_id;
    }

    if (slot != NULL) {
        heads->repeated = heads->repeated || *slot != NULL;
        *slot = value ? value : "";
    }

    return MHD_YES;
}

static void read_heads(struct MHD_Connection *connection, heads_t *heads)
{
    *heads = (heads_t){0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, on_header, heads);
}

/* Refuses what must not be read any further; the connection ends with it. */
static void check_framing(request_t *request, const heads_t *heads)
{
    reply_t *reply = &request->reply;

    if (heads->repeated) {
        reply_problem(reply, 400, "malformed",
                      "a header that is single appears twice");
    } else if (heads->length && heads->transfer_encoding) {
        reply_problem(reply, 400, "malformed",
                      "the body has a length and an encoding");
    } else if (heads->transfer_encoding) {
        reply_problem(reply, 411, "length_required",
                      "send the body with a Content-Length");
    } else if (request->body_size > REQUEST_BODY_MAX) {
        reply_problem(reply, 413, "too_large",
                      "the body is longer than 16384 bytes");
    }

    reply->close = reply->status != 0;
}

static void free_request(request_t *request)
{
    reply_free(&request->reply);
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
    heads_t heads;

    if (request == NULL) {
        return NULL;
    }

    read_heads(connection, &heads);
    request->http = http;
    request->connection = connection;
    request->stock = http->stock;
    request->started_us = now_us();
    request->route = ROUTE_NONE;
    request->method = strdup(method);
    request->path = strdup(path);
    request->body_size = heads.length ? strtoull(heads.length, NULL, 10) : 0;
    snprintf(request->request_id, sizeof(request->request_id), "%s",
             heads.request_id ? heads.request_id : "");

    if (request->method == NULL || request->path == NULL) {
        free_request(request);
        return NULL;
    }

    check_framing(request, &heads);

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

static void add_headers(const http_t *http, struct MHD_Response *response,
                        const reply_t *reply)
{
    char seconds[16];

    MHD_add_response_header(response, "Cache-Control", "no-store");

    if (reply->content_type) {
        MHD_add_response_header(response, "Content-Type", reply->content_type);
    }

    if (*reply->location) {
        MHD_add_response_header(response, "Location", reply->location);
    }

    if (reply->allow) {
        MHD_add_response_header(response, "Allow", reply->allow);
    }

    if (reply->retry_after_s) {
        snprintf(seconds, sizeof(seconds), "%u", reply->retry_after_s);
        MHD_add_response_header(response, "Retry-After", seconds);
    }

    if (reply->close || http->stopping) {
        MHD_add_response_header(response, "Connection", "close");
    }
}

/* Sends the answer; its body goes over to the library. */
static enum MHD_Result
send_reply(http_t *http, struct MHD_Connection *connection, reply_t *reply)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->len, reply->body,
        reply->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    enum MHD_Result result;

    if (response == NULL) {
        return MHD_NO;
    }

    reply->body = NULL;
    add_headers(http, response, reply);
    result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);

    return result;
}

static void answer_metrics(http_t *http, reply_t *reply)
{
    const db_stats_t *stats = pool_stats(http->pool);
    metrics_gauges_t gauges = {.queued = pool_queued(http->pool),
                               .in_flight = http->in_flight,
                               .db_errors = stats->errors,
                               .db_retries = stats->retries,
                               .db_connects = stats->connects};
    stock_stats_t stock;

    if (http->stock != NULL) {
        stock_stats(http->stock, &stock);
        gauges.stock = &stock;
    }

    metrics_reply(&http->metrics, &gauges, reply);
}

/* In a thread of the pool. */
static void work(pool_job_t *job, db_t *db)
{
    request_t *request = (request_t *)job;

    request->handle(request, db);
}

/* In a thread of the pool: gives the request back. */
static void done(pool_job_t *job)
{
    request_t *request = (request_t *)job;
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

/* A request that has been read: answers it, or lends it to the pool. */
static enum MHD_Result dispatch(http_t *http, request_t *request)
{
    reply_t *reply = &request->reply;
    heads_t heads;

    read_heads(request->connection, &heads);
    routes_judge(request, &heads.seen, http->keys);

    if (reply->status == 0 && request->route == ROUTE_METRICS) {
        answer_metrics(http, reply);
    }

    if (reply->status == 0) {
        request->job.work = work;
        request->job.done = done;
        if (pool_submit(http->pool, &request->job) == 0) {
            MHD_suspend_connection(request->connection);
            return MHD_YES;
        }
        answer_unavailable(reply, "too many requests wait; try again");
    }

    return send_reply(http, request->connection, reply);
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
        return request->reply.status
                   ? send_reply(http, connection, &request->reply)
                   : MHD_YES;
    }

    if (*len > 0) {
        if (add_body(request, piece, *len) != 0) {
            return MHD_NO;
        }
        *len = 0;
        return MHD_YES;
    }

    return request->reply.status ? send_reply(http, connection, &request->reply)
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
    metrics_count(&http->metrics, request->route, request->reply.status,
                  seconds);
    log_request(request->request_id, request->method, request->path,
                request->hold.owner, request->reply.status, seconds * 1e3);
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

http_t *http_start(const config_t *config, pool_t *pool, stock_t *stock,
                   ticket_keys_t *keys, char *err, size_t err_len)
{
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
    http->pool = pool;
    http->stock = stock;
    pthread_mutex_init(&http->mutex, NULL);
    http->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (listen_open(&http->listener, config, err, err_len) == 0) {
        http->daemon = start_daemon(http);
        if (http->daemon == NULL) {
            snprintf(err, err_len, "the HTTP library does not start");
        }
    }

    if (http->daemon == NULL || http->wake_fd < 0) {
        http_free(http);
        return NULL;
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

/* Milliseconds the library may be left alone; -1: until something happens. */
static int wait_ms(const http_t *http)
{
    MHD_UNSIGNED_LONG_LONG timeout;
    int ms = -1;

    if (MHD_get_timeout(http->daemon, &timeout) == MHD_YES) {
        ms = timeout > 60000 ? 60000 : (int)timeout;
    }

    return http->stopping && (ms < 0 || ms > QUIET_MS) ? QUIET_MS : ms;
}

bool http_turn(http_t *http, int fd)
{
    struct pollfd fds[] = {{.fd = http->epoll_fd, .events = POLLIN},
                           {.fd = http->wake_fd, .events = POLLIN},
                           {.fd = fd, .events = POLLIN}};
    int ms = wait_ms(http);
    int ready = poll(fds, 3, ms);

    http->idle =
        http->stopping && http->in_flight == 0 && ready == 0 && ms == QUIET_MS;

    if (ready > 0 && fds[1].revents) {
        resume_finished(http);
    }

    MHD_run(http->daemon);

    return ready > 0 && fds[2].revents != 0;
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

    pthread_mutex_destroy(&http->mutex);
    ticket_keys_free(http->keys);
    free(http);
}
