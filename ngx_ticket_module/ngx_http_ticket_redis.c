
/*
 * The connection to Redis: hiredis's asynchronous interface on nginx's
 * events.  Kept for the life of the process and made anew when it breaks,
 * with growing pauses until a PING is answered.  Writes are gathered until
 * the end of the event cycle, so that all commands of a cycle share one
 * system call.  hiredis 0.14 has no timeouts: the oldest command's age is
 * looked at in every tick.
 */


#include "ngx_http_ticket_redis.h"


#define NGX_HTTP_TICKET_REDIS_PAUSE_MIN  100
#define NGX_HTTP_TICKET_REDIS_PAUSE_MAX  2000


struct ngx_http_ticket_redis_s {
    ngx_http_ticket_redis_conf_t  *conf;
    ngx_http_ticket_hello_pt       hello;
    ngx_atomic_t                  *errors;
    ngx_log_t                     *log;

    /* both belong to the connection that stands, or are NULL */
    redisAsyncContext             *ac;
    ngx_connection_t              *connection;

    ngx_event_t                    flush;
    ngx_queue_t                    pending;   /* commands, oldest first */

    ngx_msec_t                     pause;
    ngx_msec_t                     retry_at;

    unsigned                       writing:1;
    unsigned                       closing:1;
};


typedef struct {
    ngx_queue_t                    queue;
    ngx_http_ticket_redis_t       *redis;
    ngx_http_ticket_reply_pt       handler;
    void                          *data;
    ngx_msec_t                     sent;
} ngx_http_ticket_command_t;


static void ngx_http_ticket_redis_connect(ngx_http_ticket_redis_t *redis);
static ngx_int_t ngx_http_ticket_redis_attach(ngx_http_ticket_redis_t *redis,
    redisAsyncContext *ac);
static void ngx_http_ticket_redis_greet(ngx_http_ticket_redis_t *redis);
static void ngx_http_ticket_redis_greeted(redisReply *reply, void *data);
static void ngx_http_ticket_redis_ponged(redisReply *reply, void *data);
static void ngx_http_ticket_redis_reply(redisAsyncContext *ac, void *reply,
    void *data);
static void ngx_http_ticket_redis_read_handler(ngx_event_t *ev);
static void ngx_http_ticket_redis_write_handler(ngx_event_t *ev);
static void ngx_http_ticket_redis_flush_handler(ngx_event_t *ev);
static void ngx_http_ticket_redis_write(ngx_http_ticket_redis_t *redis);
static void ngx_http_ticket_redis_add_read(void *data);
static void ngx_http_ticket_redis_del_read(void *data);
static void ngx_http_ticket_redis_add_write(void *data);
static void ngx_http_ticket_redis_del_write(void *data);
static void ngx_http_ticket_redis_cleanup(void *data);


ngx_http_ticket_redis_t *
ngx_http_ticket_redis_create(ngx_cycle_t *cycle,
    ngx_http_ticket_redis_conf_t *conf, ngx_http_ticket_hello_pt hello,
    ngx_atomic_t *errors)
{
    ngx_http_ticket_redis_t  *redis;

    redis = ngx_pcalloc(cycle->pool, sizeof(ngx_http_ticket_redis_t));
    if (redis == NULL) {
        return NULL;
    }

    redis->conf = conf;
    redis->hello = hello;
    redis->errors = errors;
    redis->log = cycle->log;
    redis->pause = NGX_HTTP_TICKET_REDIS_PAUSE_MIN;

    redis->flush.handler = ngx_http_ticket_redis_flush_handler;
    redis->flush.data = redis;
    redis->flush.log = cycle->log;

    ngx_queue_init(&redis->pending);

    ngx_http_ticket_redis_connect(redis);

    return redis;
}


ngx_int_t
ngx_http_ticket_redis_command(ngx_http_ticket_redis_t *redis,
    ngx_http_ticket_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *len)
{
    ngx_http_ticket_command_t  *command;

    if (redis->ac == NULL) {
        return NGX_ERROR;
    }

    command = ngx_alloc(sizeof(ngx_http_ticket_command_t), redis->log);
    if (command == NULL) {
        return NGX_ERROR;
    }

    command->redis = redis;
    command->handler = handler;
    command->data = data;
    command->sent = ngx_current_msec;

    if (redisAsyncCommandArgv(redis->ac, ngx_http_ticket_redis_reply, command,
                              (int) argc, argv, len)
        != REDIS_OK)
    {
        ngx_free(command);
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&redis->pending, &command->queue);

    return NGX_OK;
}


void
ngx_http_ticket_redis_tick(ngx_http_ticket_redis_t *redis)
{
    ngx_queue_t                *q;
    ngx_http_ticket_command_t  *command;

    if (redis->ac == NULL) {
        if ((ngx_msec_int_t) (ngx_current_msec - redis->retry_at) >= 0) {
            ngx_http_ticket_redis_connect(redis);
        }

        return;
    }

    if (ngx_queue_empty(&redis->pending)) {
        return;
    }

    q = ngx_queue_head(&redis->pending);
    command = ngx_queue_data(q, ngx_http_ticket_command_t, queue);

    if (ngx_current_msec - command->sent > redis->conf->timeout) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "ticket: no answer from Redis \"%V\" for %M ms, "
                      "connecting anew", &redis->conf->name,
                      ngx_current_msec - command->sent);

        redisAsyncFree(redis->ac);
    }
}


void
ngx_http_ticket_redis_close(ngx_http_ticket_redis_t *redis)
{
    redis->closing = 1;

    if (redis->ac) {
        redisAsyncFree(redis->ac);
    }

    if (redis->flush.posted) {
        ngx_delete_posted_event(&redis->flush);
    }
}


static void
ngx_http_ticket_redis_connect(ngx_http_ticket_redis_t *redis)
{
    redisAsyncContext             *ac;
    ngx_http_ticket_redis_conf_t  *conf;

    conf = redis->conf;

    redis->retry_at = ngx_current_msec + redis->pause;
    redis->pause = ngx_min(redis->pause * 2, NGX_HTTP_TICKET_REDIS_PAUSE_MAX);

    if (conf->path.len) {
        ac = redisAsyncConnectUnix((char *) conf->path.data);

    } else {
        ac = redisAsyncConnect((char *) conf->host.data, conf->port);
    }

    if (ac == NULL) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "ticket: no memory to connect to Redis \"%V\"",
                      &conf->name);
        return;
    }

    if (ac->err) {
        (void) ngx_atomic_fetch_add(redis->errors, 1);

        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "ticket: cannot connect to Redis \"%V\": %s",
                      &conf->name, ac->errstr);

        redisAsyncFree(ac);
        return;
    }

    if (ngx_http_ticket_redis_attach(redis, ac) != NGX_OK) {
        redisAsyncFree(ac);
        return;
    }

    ngx_http_ticket_redis_greet(redis);
}


static ngx_int_t
ngx_http_ticket_redis_attach(ngx_http_ticket_redis_t *redis,
    redisAsyncContext *ac)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(ac->c.fd, redis->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = redis;
    c->log = redis->log;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    c->read->log = c->log;
    c->read->handler = ngx_http_ticket_redis_read_handler;
    c->write->log = c->log;
    c->write->handler = ngx_http_ticket_redis_write_handler;

    ac->ev.data = redis;
    ac->ev.addRead = ngx_http_ticket_redis_add_read;
    ac->ev.delRead = ngx_http_ticket_redis_del_read;
    ac->ev.addWrite = ngx_http_ticket_redis_add_write;
    ac->ev.delWrite = ngx_http_ticket_redis_del_write;
    ac->ev.cleanup = ngx_http_ticket_redis_cleanup;

    redis->ac = ac;
    redis->connection = c;

    return NGX_OK;
}


/* Everything given later waits behind these in hiredis's buffer. */

static void
ngx_http_ticket_redis_greet(ngx_http_ticket_redis_t *redis)
{
    u_char                        *p, db[NGX_INT_T_LEN];
    size_t                         len[3];
    ngx_uint_t                     n;
    const char                    *argv[3];
    ngx_http_ticket_redis_conf_t  *conf;

    conf = redis->conf;

    if (conf->password.len) {
        n = 0;
        argv[n] = "AUTH";
        len[n++] = 4;

        if (conf->user.len) {
            argv[n] = (char *) conf->user.data;
            len[n++] = conf->user.len;
        }

        argv[n] = (char *) conf->password.data;
        len[n++] = conf->password.len;

        (void) ngx_http_ticket_redis_command(redis,
                                             ngx_http_ticket_redis_greeted,
                                             redis, n, argv, len);
    }

    if (conf->db) {
        p = ngx_sprintf(db, "%ui", conf->db);

        argv[0] = "SELECT";
        len[0] = 6;
        argv[1] = (char *) db;
        len[1] = p - db;

        (void) ngx_http_ticket_redis_command(redis,
                                             ngx_http_ticket_redis_greeted,
                                             redis, 2, argv, len);
    }

    redis->hello(redis);

    argv[0] = "PING";
    len[0] = 4;

    (void) ngx_http_ticket_redis_command(redis, ngx_http_ticket_redis_ponged,
                                         redis, 1, argv, len);
}


/* As another user, or in another database, we must not go on. */

static void
ngx_http_ticket_redis_greeted(redisReply *reply, void *data)
{
    ngx_http_ticket_redis_t  *redis = data;

    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "ticket: Redis \"%V\" refused AUTH or SELECT: %s",
                      &redis->conf->name, reply->str);

        redisAsyncFree(redis->ac);
    }
}


/* Only now is the connection known to be of use. */

static void
ngx_http_ticket_redis_ponged(redisReply *reply, void *data)
{
    ngx_http_ticket_redis_t  *redis = data;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        (void) ngx_atomic_fetch_add(redis->errors, 1);

        ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                      "ticket: Redis \"%V\" is not ready: %s",
                      &redis->conf->name, reply->str);
        return;
    }

    redis->pause = NGX_HTTP_TICKET_REDIS_PAUSE_MIN;

    ngx_log_error(NGX_LOG_INFO, redis->log, 0,
                  "ticket: connected to Redis \"%V\"", &redis->conf->name);
}


static void
ngx_http_ticket_redis_reply(redisAsyncContext *ac, void *reply, void *data)
{
    ngx_http_ticket_command_t  *command = data;

    ngx_queue_remove(&command->queue);

    command->handler(reply, command->data);

    ngx_free(command);
}


static void
ngx_http_ticket_redis_read_handler(ngx_event_t *ev)
{
    ngx_connection_t         *c;
    ngx_http_ticket_redis_t  *redis;

    c = ev->data;
    redis = c->data;

    if (c->close) {
        ngx_http_ticket_redis_close(redis);
        return;
    }

    /* may free the context */
    redisAsyncHandleRead(redis->ac);
}


static void
ngx_http_ticket_redis_write_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_http_ticket_redis_write(c->data);
}


static void
ngx_http_ticket_redis_flush_handler(ngx_event_t *ev)
{
    ngx_http_ticket_redis_write(ev->data);
}


static void
ngx_http_ticket_redis_write(ngx_http_ticket_redis_t *redis)
{
    if (redis->ac == NULL) {
        return;
    }

    redis->writing = 1;

    /* may free the context */
    redisAsyncHandleWrite(redis->ac);

    redis->writing = 0;
}


/* Level-triggered, since hiredis may leave data in the socket. */

static void
ngx_http_ticket_redis_add_read(void *data)
{
    ngx_event_t              *rev;
    ngx_http_ticket_redis_t  *redis = data;

    rev = redis->connection->read;

    if (!rev->active) {
        (void) ngx_add_event(rev, NGX_READ_EVENT, NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_ticket_redis_del_read(void *data)
{
    ngx_event_t              *rev;
    ngx_http_ticket_redis_t  *redis = data;

    rev = redis->connection->read;

    if (rev->active) {
        (void) ngx_del_event(rev, NGX_READ_EVENT, NGX_LEVEL_EVENT);
    }
}


/*
 * The socket is watched only while it connects, or when hiredis could not
 * write everything; otherwise the write is put off to the end of the cycle.
 */

static void
ngx_http_ticket_redis_add_write(void *data)
{
    ngx_event_t              *wev;
    ngx_http_ticket_redis_t  *redis = data;

    if (!redis->writing && (redis->ac->c.flags & REDIS_CONNECTED)) {
        if (!redis->flush.posted) {
            ngx_post_event(&redis->flush, &ngx_posted_events);
        }

        return;
    }

    wev = redis->connection->write;

    if (!wev->active) {
        (void) ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_ticket_redis_del_write(void *data)
{
    ngx_event_t              *wev;
    ngx_http_ticket_redis_t  *redis = data;

    wev = redis->connection->write;

    if (wev->active) {
        (void) ngx_del_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
    }
}


/*
 * The one way every connection ends.  ngx_close_connection() closes the
 * descriptor, so it is taken away from hiredis.
 */

static void
ngx_http_ticket_redis_cleanup(void *data)
{
    ngx_connection_t         *c;
    redisAsyncContext        *ac;
    ngx_http_ticket_redis_t  *redis = data;

    ac = redis->ac;
    c = redis->connection;

    if (ac == NULL) {
        return;
    }

    redis->ac = NULL;
    redis->connection = NULL;
    redis->retry_at = ngx_current_msec + redis->pause;

    ngx_close_connection(c);
    ac->c.fd = -1;

    if (redis->closing) {
        return;
    }

    (void) ngx_atomic_fetch_add(redis->errors, 1);

    ngx_log_error(NGX_LOG_ERR, redis->log, 0,
                  "ticket: lost Redis \"%V\": %s", &redis->conf->name,
                  ac->c.err ? ac->c.errstr : "connection dropped");
}
