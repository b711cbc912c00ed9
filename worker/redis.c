/*
 * Redis by hiredis, three commands of it: AUTH, SELECT and SET.  An answer
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

#define KEY_MAX   192 /* "ticket:{…}:stock" */
#define WORDS_MAX 3

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

/* Sends a command; anything but the answer OK is a failure. */
static int ask(redis_t *redis, int n, const char *const *words, char *err,
               size_t err_len)
{
    const char *args[WORDS_MAX];
    size_t len[WORDS_MAX];
    redisReply *reply;
    int rc = 0;

    for (int i = 0; i < n; i++) {
        args[i] = words[i];
        len[i] = strlen(words[i]);
    }

    reply = redisCommandArgv(redis->context, n, args, len);
    if (reply == NULL) {
        return fail(redis, words[0], reason(redis->context), err, err_len);
    }

    if (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "OK") != 0) {
        rc = fail(redis, words[0],
                  reply->type == REDIS_REPLY_ERROR ? reply->str
                                                   : "not the answer to it",
                  err, err_len);
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
