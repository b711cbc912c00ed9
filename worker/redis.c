/*
 * Redis by hiredis, the few commands of it that the worker needs.  An answer
 * that does not come in time costs the connection, since nobody can say to
 * which question a late one would belong.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <hiredis/hiredis.h>

#include "redis.h"

#define KEY_MAX   192     /* "ticket:{…}:stock" */
#define SEATS_MAX "10000" /* events kept in a stream, or somewhat more */

struct redis_s {
    const config_redis_t *config;
    redisContext *context; /* NULL: not connected */
};

static const struct timeval timeout = {.tv_sec = REDIS_TIMEOUT_MS / 1000,
                                       .tv_usec =
                                           REDIS_TIMEOUT_MS % 1000 * 1000L};

redis_t *redis_new(const config_redis_t *config)
{
    redis_t *redis = calloc(1, sizeof(*redis));

    if (redis != NULL) {
        redis->config = config;
    }

    return redis;
}

void redis_free(redis_t *redis)
{
    if (redis != NULL) {
        redis_close(redis);
        free(redis);
    }
}

bool redis_connected(const redis_t *redis)
{
    return redis->context != NULL;
}

int redis_fd(const redis_t *redis)
{
    return redis->context == NULL ? -1 : redis->context->fd;
}

void redis_close(redis_t *redis)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (redis->context == NULL) {
        return;
    }

    /* What TCP has not delivered yet is thrown away: a SET on its way must
     * not arrive after those of the next connection. */
    if (redis->context->fd >= 0) {
        setsockopt(redis->context->fd, SOL_SOCKET, SO_LINGER, &now,
                   sizeof(now));
    }

    redisFree(redis->context);
    redis->context = NULL;
}

/* Writes down why, closes the connection, and returns -1. */
static int fail(redis_t *redis, const char *what, const char *why, char *err,
                size_t err_len)
{
    snprintf(err, err_len, "%s: %s", what, why);
    redis_close(redis);

    return -1;
}

static const char *reason(const redisContext *context)
{
    return context->err == REDIS_ERR_IO &&
                   (errno == EAGAIN || errno == EWOULDBLOCK)
               ? "no answer in time"
               : context->errstr;
}

/* Sends a command; NULL, with the reason in err, when it fails. */
static redisReply *ask_for(redis_t *redis, int n, const char *const *words,
                           char *err, size_t err_len)
{
    redisReply *reply =
        redisCommandArgv(redis->context, n, (const char **)words, NULL);

    if (reply == NULL) {
        fail(redis, words[0], reason(redis->context), err, err_len);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        fail(redis, words[0], reply->str, err, err_len);
        freeReplyObject(reply);
        reply = NULL;
    }

    return reply;
}

/* The same where anything but the answer OK is a failure. */
static int ask(redis_t *redis, int n, const char *const *words, char *err,
               size_t err_len)
{
    redisReply *reply = ask_for(redis, n, words, err, err_len);
    int rc = -1;

    if (reply == NULL) {
        return -1;
    }

    if (reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "OK") == 0) {
        rc = 0;
    } else {
        fail(redis, words[0], "not the answer to it", err, err_len);
    }

    freeReplyObject(reply);

    return rc;
}

static int log_in(redis_t *redis, char *err, size_t err_len)
{
    const config_redis_t *config = redis->config;
    const char *by_password[] = {"AUTH", config->password};
    const char *by_user[] = {"AUTH", config->user, config->password};

    if (*config->password_file == '\0') {
        return 0;
    }

    return *config->user ? ask(redis, 3, by_user, err, err_len)
                         : ask(redis, 2, by_password, err, err_len);
}

static int choose_db(redis_t *redis, char *err, size_t err_len)
{
    char number[16];
    const char *words[] = {"SELECT", number};

    if (redis->config->db == 0) {
        return 0;
    }

    snprintf(number, sizeof(number), "%u", redis->config->db);

    return ask(redis, 2, words, err, err_len);
}

int redis_connect(redis_t *redis, char *err, size_t err_len)
{
    const config_redis_t *config = redis->config;

    redis_close(redis);
    redis->context =
        *config->socket
            ? redisConnectUnixWithTimeout(config->socket, timeout)
            : redisConnectWithTimeout(config->host, (int)config->port, timeout);

    if (redis->context == NULL) {
        return fail(redis, "cannot connect", "no memory", err, err_len);
    }

    if (redis->context->err) {
        return fail(redis, "cannot connect", redis->context->errstr, err,
                    err_len);
    }

    if (redisSetTimeout(redis->context, timeout) != REDIS_OK) {
        return fail(redis, "cannot connect", strerror(errno), err, err_len);
    }

    if (log_in(redis, err, err_len) != 0) {
        return -1;
    }

    return choose_db(redis, err, err_len);
}

int redis_set_stock(redis_t *redis, const char *room, uint64_t seats, char *err,
                    size_t err_len)
{
    char key[KEY_MAX], number[32];
    const char *words[] = {"SET", key, number};

    snprintf(key, sizeof(key), "ticket:{%s}:stock", room);
    snprintf(number, sizeof(number), "%" PRIu64, seats);

    return ask(redis, 3, words, err, err_len);
}

static void stream_key(char key[KEY_MAX], const char *room)
{
    snprintf(key, KEY_MAX, "ticket:{%s}:seats", room);
}

/* Sends, in full or not at all; the answers are fetched one by one. */
static bool append_event(redis_t *redis, const redis_event_t *event)
{
    char key[KEY_MAX];
    const char *words[] = {
        "XADD", key, "MAXLEN",           "~", SEATS_MAX,
        "*",    "p", event->performance, "e", event->payload};

    stream_key(key, event->room);

    return redisAppendCommandArgv(redis->context,
                                  sizeof(words) / sizeof(words[0]), words,
                                  NULL) == REDIS_OK;
}

int redis_add_events(redis_t *redis, redis_event_t *event, unsigned n,
                     char *err, size_t err_len)
{
    int refused = 0;

    *err = '\0';
    for (unsigned i = 0; i < n; i++) {
        event[i].taken = false;
        if (!append_event(redis, &event[i])) {
            return fail(redis, "XADD", "no memory", err, err_len);
        }
    }

    for (unsigned i = 0; i < n; i++) {
        redisReply *reply;

        if (redisGetReply(redis->context, (void **)&reply) != REDIS_OK) {
            return fail(redis, "XADD", reason(redis->context), err, err_len);
        }

        event[i].taken = reply->type == REDIS_REPLY_STRING;
        if (!event[i].taken && refused++ == 0) {
            snprintf(err, err_len, "XADD ticket:{%s}:seats: %s", event[i].room,
                     reply->type == REDIS_REPLY_ERROR ? reply->str
                                                      : "not the answer to it");
        }
        freeReplyObject(reply);
    }

    return refused;
}

/* The array of n elements, or any number if n is 0; NULL: it is none. */
static redisReply **elements(const redisReply *reply, size_t n)
{
    return reply->type == REDIS_REPLY_ARRAY && (n == 0 || reply->elements == n)
               ? reply->element
               : NULL;
}

/* Hands over one event: an id, and a list of names and values. */
static bool hand_over(const redisReply *entry, const char *room,
                      redis_event_fn each, void *ctx)
{
    redisReply **parts = elements(entry, 2);
    const redisReply *performance = NULL, *payload = NULL;

    if (parts == NULL || parts[0]->type != REDIS_REPLY_STRING) {
        return false;
    }

    for (size_t i = 0; elements(parts[1], 0) && i + 1 < parts[1]->elements;
         i += 2) {
        const redisReply *name = parts[1]->element[i];
        const redisReply *value = parts[1]->element[i + 1];

        if (name->type == REDIS_REPLY_STRING &&
            value->type == REDIS_REPLY_STRING) {
            performance = strcmp(name->str, "p") == 0 ? value : performance;
            payload = strcmp(name->str, "e") == 0 ? value : payload;
        }
    }

    each(ctx, room, parts[0]->str, performance ? performance->str : NULL,
         payload ? payload->str : NULL, payload ? payload->len : 0);

    return true;
}

/* Hands over a list of events; returns how many, or -1: it is none. */
static int hand_over_all(const redisReply *list, const char *room,
                         redis_event_fn each, void *ctx)
{
    if (list->type != REDIS_REPLY_ARRAY) {
        return -1;
    }

    for (size_t i = 0; i < list->elements; i++) {
        if (!hand_over(list->element[i], room, each, ctx)) {
            return -1;
        }
    }

    return (int)list->elements;
}

/* Hands over what XREAD answers: for each stream its key and a list. */
static int hand_over_streams(const redisReply *reply,
                             const redis_position_t *position, unsigned n,
                             redis_event_fn each, void *ctx)
{
    char key[KEY_MAX];
    int most = 0;

    if (reply->type == REDIS_REPLY_NIL) {
        return 0;
    }

    if (reply->type != REDIS_REPLY_ARRAY) {
        return -1;
    }

    for (size_t i = 0; i < reply->elements; i++) {
        redisReply **parts = elements(reply->element[i], 2);
        unsigned at = 0;
        int got;

        if (parts == NULL || parts[0]->type != REDIS_REPLY_STRING) {
            return -1;
        }

        for (; at < n; at++) {
            stream_key(key, position[at].room);
            if (strcmp(key, parts[0]->str) == 0) {
                break;
            }
        }

        got = at == n ? -1
                      : hand_over_all(parts[1], position[at].room, each, ctx);
        if (got < 0) {
            return -1;
        }
        most = got > most ? got : most;
    }

    return most;
}

int redis_read_events(redis_t *redis, const redis_position_t *position,
                      unsigned n, unsigned count, unsigned block_ms,
                      redis_event_fn each, void *ctx, char *err, size_t err_len)
{
    const char **words = calloc(6 + 2 * (size_t)n, sizeof(*words));
    char(*key)[KEY_MAX] = calloc(n, sizeof(*key));
    char most[16], wait[16];
    redisReply *reply = NULL;
    int got = -1;

    snprintf(most, sizeof(most), "%u", count);
    snprintf(wait, sizeof(wait), "%u", block_ms);

    if (words == NULL || key == NULL) {
        fail(redis, "XREAD", "no memory", err, err_len);
    } else {
        memcpy(
            words,
            (const char *[]){"XREAD", "COUNT", most, "BLOCK", wait, "STREAMS"},
            6 * sizeof(*words));
        for (unsigned i = 0; i < n; i++) {
            stream_key(key[i], position[i].room);
            words[6 + i] = key[i];
            words[6 + n + i] = position[i].id;
        }
        reply = ask_for(redis, (int)(6 + 2 * n), words, err, err_len);
    }

    if (reply != NULL) {
        got = hand_over_streams(reply, position, n, each, ctx);
        if (got < 0) {
            fail(redis, "XREAD", "not the answer to it", err, err_len);
        }
        freeReplyObject(reply);
    }

    free(words);
    free(key);

    return got;
}

int redis_range(redis_t *redis, const char *room, bool backwards,
                const char *id, unsigned count, redis_event_fn each, void *ctx,
                char *err, size_t err_len)
{
    char key[KEY_MAX], most[16];
    const char *words[] = {backwards ? "XREVRANGE" : "XRANGE",
                           key,
                           id,
                           backwards ? "-" : "+",
                           "COUNT",
                           most};
    redisReply *reply;
    int got;

    stream_key(key, room);
    snprintf(most, sizeof(most), "%u", count);

    reply =
        ask_for(redis, sizeof(words) / sizeof(words[0]), words, err, err_len);
    if (reply == NULL) {
        return -1;
    }

    got = hand_over_all(reply, room, each, ctx);
    freeReplyObject(reply);

    return got < 0 ? fail(redis, words[0], "not the answer to it", err, err_len)
                   : got;
}
