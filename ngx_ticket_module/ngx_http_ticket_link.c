
/*
 * One connection: hiredis's asynchronous interface on nginx's events.  When
 * it breaks, it is made anew with growing pauses until a PING is answered,
 * and takes no commands meanwhile: after a failure a server that only accepts
 * connections would keep every visitor waiting.  Writes are gathered until
 * the end of the event cycle, so that all commands of a cycle share one
 * system call.  hiredis 0.14 has no timeouts: the oldest command's age is
 * looked at in every tick.
 */


#include "ngx_http_ticket_link.h"


#define NGX_HTTP_TICKET_LINK_PAUSE_MIN  100


static ngx_int_t ngx_http_ticket_link_attach(ngx_http_ticket_link_t *link,
    redisAsyncContext *ac);
static void ngx_http_ticket_link_greet(ngx_http_ticket_link_t *link);
static void ngx_http_ticket_link_auth(ngx_http_ticket_link_t *link);
static void ngx_http_ticket_link_greeted(redisReply *reply, void *data);
static void ngx_http_ticket_link_role(redisReply *reply, void *data);
static void ngx_http_ticket_link_ponged(redisReply *reply, void *data);
static void ngx_http_ticket_link_answered(ngx_http_ticket_command_t *command,
    redisReply *reply);
static void ngx_http_ticket_link_reply(redisAsyncContext *ac, void *reply,
    void *data);
static void ngx_http_ticket_link_read_handler(ngx_event_t *ev);
static void ngx_http_ticket_link_write_handler(ngx_event_t *ev);
static void ngx_http_ticket_link_flush_handler(ngx_event_t *ev);
static void ngx_http_ticket_link_write(ngx_http_ticket_link_t *link);
static void ngx_http_ticket_link_add_read(void *data);
static void ngx_http_ticket_link_del_read(void *data);
static void ngx_http_ticket_link_add_write(void *data);
static void ngx_http_ticket_link_del_write(void *data);
static void ngx_http_ticket_link_cleanup(void *data);


void
ngx_http_ticket_link_init(ngx_http_ticket_link_t *link,
    ngx_http_ticket_link_kind_t *kind)
{
    ngx_memzero(link, sizeof(ngx_http_ticket_link_t));

    link->kind = kind;
    link->pause = NGX_HTTP_TICKET_LINK_PAUSE_MIN;
    link->retry_at = ngx_current_msec;

    link->flush.handler = ngx_http_ticket_link_flush_handler;
    link->flush.data = link;
    link->flush.log = kind->log;

    ngx_queue_init(&link->pending);
}


ngx_int_t
ngx_http_ticket_link_connect(ngx_http_ticket_link_t *link)
{
    ngx_log_t          *log;
    redisAsyncContext  *ac;

    log = link->kind->log;

    link->used = ngx_current_msec;
    link->retry_at = ngx_current_msec + link->pause;
    link->pause = ngx_min(link->pause * 2, link->kind->pause_max);

    if (link->addr.path) {
        ac = redisAsyncConnectUnix((char *) link->addr.path);

    } else {
        ac = redisAsyncConnect((char *) link->addr.host, link->addr.port);
    }

    if (ac == NULL) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "ticket: no memory to connect to Redis \"%s\"",
                      link->addr.name);
        return NGX_ERROR;
    }

    if (ac->err) {
        (void) ngx_atomic_fetch_add(link->kind->errors, 1);

        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "ticket: cannot connect to Redis \"%s\": %s",
                      link->addr.name, ac->errstr);

        link->suspect = 1;

        redisAsyncFree(ac);
        return NGX_ERROR;
    }

    if (ngx_http_ticket_link_attach(link, ac) != NGX_OK) {
        redisAsyncFree(ac);
        return NGX_ERROR;
    }

    ngx_http_ticket_link_greet(link);

    return NGX_OK;
}


ngx_uint_t
ngx_http_ticket_link_open(ngx_http_ticket_link_t *link)
{
    return link->ac != NULL
           && !link->suspect
           && (link->ac->c.flags & (REDIS_DISCONNECTING|REDIS_FREEING)) == 0;
}


ngx_uint_t
ngx_http_ticket_link_due(ngx_http_ticket_link_t *link)
{
    return link->ac == NULL
           && (ngx_msec_int_t) (ngx_current_msec - link->retry_at) >= 0;
}


void
ngx_http_ticket_link_load(ngx_http_ticket_link_t *link)
{
    link->loads++;
    link->kind->hello(link);
}


ngx_int_t
ngx_http_ticket_link_send(ngx_http_ticket_link_t *link,
    ngx_http_ticket_command_t *command)
{
    if (link->ac == NULL
        || redisAsyncFormattedCommand(link->ac, ngx_http_ticket_link_reply,
                                      command, command->text, command->len)
           != REDIS_OK)
    {
        return NGX_ERROR;
    }

    command->link = link;
    command->loads = link->loads;
    command->sent = ngx_current_msec;
    link->used = ngx_current_msec;

    ngx_queue_insert_tail(&link->pending, &command->queue);

    return NGX_OK;
}


ngx_int_t
ngx_http_ticket_link_command(ngx_http_ticket_link_t *link,
    ngx_http_ticket_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *len)
{
    ngx_http_ticket_command_t  *command;

    command = ngx_http_ticket_create_command(ngx_http_ticket_link_answered,
                                             handler, data, argc, argv, len,
                                             link->kind->log);
    if (command == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_ticket_link_send(link, command) != NGX_OK) {
        ngx_http_ticket_free_command(command);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_http_ticket_link_tick(ngx_http_ticket_link_t *link)
{
    ngx_queue_t                *q;
    ngx_http_ticket_command_t  *command;

    if (link->ac == NULL || ngx_queue_empty(&link->pending)) {
        return;
    }

    q = ngx_queue_head(&link->pending);
    command = ngx_queue_data(q, ngx_http_ticket_command_t, queue);

    if (ngx_current_msec - command->sent > link->kind->timeout) {
        ngx_log_error(NGX_LOG_ERR, link->kind->log, 0,
                      "ticket: no answer from Redis \"%s\" for %M ms, "
                      "connecting anew", link->addr.name,
                      ngx_current_msec - command->sent);

        redisAsyncFree(link->ac);
    }
}


void
ngx_http_ticket_link_drop(ngx_http_ticket_link_t *link)
{
    if (link->ac) {
        redisAsyncFree(link->ac);
    }
}


void
ngx_http_ticket_link_close(ngx_http_ticket_link_t *link)
{
    link->closing = 1;

    ngx_http_ticket_link_drop(link);
}


static ngx_int_t
ngx_http_ticket_link_attach(ngx_http_ticket_link_t *link,
    redisAsyncContext *ac)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(ac->c.fd, link->kind->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = link;
    c->log = link->kind->log;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    c->read->log = c->log;
    c->read->handler = ngx_http_ticket_link_read_handler;
    c->write->log = c->log;
    c->write->handler = ngx_http_ticket_link_write_handler;

    ac->ev.data = link;
    ac->ev.addRead = ngx_http_ticket_link_add_read;
    ac->ev.delRead = ngx_http_ticket_link_del_read;
    ac->ev.addWrite = ngx_http_ticket_link_add_write;
    ac->ev.delWrite = ngx_http_ticket_link_del_write;
    ac->ev.cleanup = ngx_http_ticket_link_cleanup;

    link->ac = ac;
    link->connection = c;
    link->closing = 0;

    return NGX_OK;
}


/* Everything given later waits behind these in hiredis's buffer. */

static void
ngx_http_ticket_link_greet(ngx_http_ticket_link_t *link)
{
    u_char       *p, db[NGX_INT_T_LEN];
    size_t        len[2];
    const char   *argv[2];

    if (link->kind->login->password.len) {
        ngx_http_ticket_link_auth(link);
    }

    if (link->kind->db) {
        p = ngx_sprintf(db, "%ui", link->kind->db);

        argv[0] = "SELECT";
        len[0] = 6;
        argv[1] = (char *) db;
        len[1] = p - db;

        (void) ngx_http_ticket_link_command(link, ngx_http_ticket_link_greeted,
                                            link, 2, argv, len);
    }

    if (link->kind->master_only) {
        argv[0] = "ROLE";
        len[0] = 4;

        (void) ngx_http_ticket_link_command(link, ngx_http_ticket_link_role,
                                            link, 1, argv, len);
    }

    ngx_http_ticket_link_load(link);

    argv[0] = "PING";
    len[0] = 4;

    (void) ngx_http_ticket_link_command(link, ngx_http_ticket_link_ponged,
                                        link, 1, argv, len);
}


static void
ngx_http_ticket_link_auth(ngx_http_ticket_link_t *link)
{
    size_t                    len[3];
    ngx_uint_t                n;
    const char               *argv[3];
    ngx_http_ticket_login_t  *login;

    login = link->kind->login;

    n = 0;
    argv[n] = "AUTH";
    len[n++] = 4;

    if (login->user.len) {
        argv[n] = (char *) login->user.data;
        len[n++] = login->user.len;
    }

    argv[n] = (char *) login->password.data;
    len[n++] = login->password.len;

    (void) ngx_http_ticket_link_command(link, ngx_http_ticket_link_greeted,
                                        link, n, argv, len);
}


/* As another user, or in another database, we must not go on. */

static void
ngx_http_ticket_link_greeted(redisReply *reply, void *data)
{
    ngx_http_ticket_link_t  *link = data;

    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, link->kind->log, 0,
                      "ticket: Redis \"%s\" refused AUTH or SELECT: %s",
                      link->addr.name, reply->str);

        ngx_http_ticket_link_drop(link);
    }
}


/*
 * Sentinels may name a server that is about to be demoted.  What was sent
 * behind this question is lost with the connection; a replica has not carried
 * it out.
 */

static void
ngx_http_ticket_link_role(redisReply *reply, void *data)
{
    ngx_http_ticket_link_t  *link = data;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0
        && reply->element[0]->type == REDIS_REPLY_STRING
        && ngx_strcmp(reply->element[0]->str, "master") == 0)
    {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, link->kind->log, 0,
                  "ticket: Redis \"%s\" is no master: %s", link->addr.name,
                  reply->type == REDIS_REPLY_ERROR ? reply->str
                                                   : "by its ROLE");

    ngx_http_ticket_link_drop(link);
}


/*
 * Only now is the connection known to be of use.  LOADING and the like end
 * it: the next attempt will tell.
 */

static void
ngx_http_ticket_link_ponged(redisReply *reply, void *data)
{
    ngx_http_ticket_link_t  *link = data;

    if (reply == NULL) {
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, link->kind->log, 0,
                      "ticket: Redis \"%s\" is not ready: %s",
                      link->addr.name, reply->str);

        ngx_http_ticket_link_drop(link);
        return;
    }

    link->pause = NGX_HTTP_TICKET_LINK_PAUSE_MIN;
    link->suspect = 0;

    if (!link->ready) {
        link->ready = 1;
        link->kind->ready++;

        if (link->kind->connections) {
            (void) ngx_atomic_fetch_add(link->kind->connections, 1);
        }
    }

    ngx_log_error(NGX_LOG_INFO, link->kind->log, 0,
                  "ticket: connected to Redis \"%s\"", link->addr.name);
}


/* The end of a command that no one but the link gave. */

static void
ngx_http_ticket_link_answered(ngx_http_ticket_command_t *command,
    redisReply *reply)
{
    command->handler(reply, command->data);

    ngx_http_ticket_free_command(command);
}


static void
ngx_http_ticket_link_reply(redisAsyncContext *ac, void *reply, void *data)
{
    ngx_http_ticket_command_t  *command = data;

    ngx_queue_remove(&command->queue);

    command->answered(command, reply);
}


static void
ngx_http_ticket_link_read_handler(ngx_event_t *ev)
{
    ngx_connection_t        *c;
    ngx_http_ticket_link_t  *link;

    c = ev->data;
    link = c->data;

    if (c->close) {
        ngx_http_ticket_link_close(link);
        return;
    }

    /* may free the context */
    redisAsyncHandleRead(link->ac);
}


static void
ngx_http_ticket_link_write_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_http_ticket_link_write(c->data);
}


static void
ngx_http_ticket_link_flush_handler(ngx_event_t *ev)
{
    ngx_http_ticket_link_write(ev->data);
}


static void
ngx_http_ticket_link_write(ngx_http_ticket_link_t *link)
{
    if (link->ac == NULL) {
        return;
    }

    link->writing = 1;

    /* may free the context */
    redisAsyncHandleWrite(link->ac);

    link->writing = 0;
}


/* Level-triggered, since hiredis may leave data in the socket. */

static void
ngx_http_ticket_link_add_read(void *data)
{
    ngx_event_t             *rev;
    ngx_http_ticket_link_t  *link = data;

    rev = link->connection->read;

    if (!rev->active) {
        (void) ngx_add_event(rev, NGX_READ_EVENT, NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_ticket_link_del_read(void *data)
{
    ngx_event_t             *rev;
    ngx_http_ticket_link_t  *link = data;

    rev = link->connection->read;

    if (rev->active) {
        (void) ngx_del_event(rev, NGX_READ_EVENT, NGX_LEVEL_EVENT);
    }
}


/*
 * The socket is watched only while it connects, or when hiredis could not
 * write everything; otherwise the write is put off to the end of the cycle.
 */

static void
ngx_http_ticket_link_add_write(void *data)
{
    ngx_event_t             *wev;
    ngx_http_ticket_link_t  *link = data;

    if (!link->writing && (link->ac->c.flags & REDIS_CONNECTED)) {
        if (!link->flush.posted) {
            ngx_post_event(&link->flush, &ngx_posted_events);
        }

        return;
    }

    wev = link->connection->write;

    if (!wev->active) {
        (void) ngx_add_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
    }
}


static void
ngx_http_ticket_link_del_write(void *data)
{
    ngx_event_t             *wev;
    ngx_http_ticket_link_t  *link = data;

    wev = link->connection->write;

    if (wev->active) {
        (void) ngx_del_event(wev, NGX_WRITE_EVENT, NGX_LEVEL_EVENT);
    }
}


/*
 * The one way every connection ends.  ngx_close_connection() closes the
 * descriptor, so it is taken away from hiredis.
 */

static void
ngx_http_ticket_link_cleanup(void *data)
{
    ngx_connection_t        *c;
    redisAsyncContext       *ac;
    ngx_http_ticket_link_t  *link = data;

    ac = link->ac;
    c = link->connection;

    if (ac == NULL) {
        return;
    }

    link->ac = NULL;
    link->connection = NULL;
    link->retry_at = ngx_current_msec + link->pause;

    if (link->ready) {
        link->ready = 0;
        link->kind->ready--;
    }

    ngx_close_connection(c);
    ac->c.fd = -1;

    if (link->flush.posted) {
        ngx_delete_posted_event(&link->flush);
    }

    if (link->closing) {
        link->retry_at = ngx_current_msec;
        return;
    }

    link->suspect = 1;

    (void) ngx_atomic_fetch_add(link->kind->errors, 1);

    ngx_log_error(NGX_LOG_ERR, link->kind->log, 0,
                  "ticket: lost Redis \"%s\": %s", link->addr.name,
                  ac->c.err ? ac->c.errstr : "connection dropped");

    if (link->kind->lost) {
        link->kind->lost(link);
    }
}


ngx_http_ticket_command_t *
ngx_http_ticket_create_command(ngx_http_ticket_answered_pt answered,
    ngx_http_ticket_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *len, ngx_log_t *log)
{
    int                         n;
    ngx_http_ticket_command_t  *command;

    command = ngx_calloc(sizeof(ngx_http_ticket_command_t), log);
    if (command == NULL) {
        return NULL;
    }

    n = redisFormatCommandArgv(&command->text, (int) argc, argv, len);

    if (n < 0) {
        ngx_free(command);
        return NULL;
    }

    command->len = n;
    command->answered = answered;
    command->handler = handler;
    command->data = data;

    return command;
}


void
ngx_http_ticket_free_command(ngx_http_ticket_command_t *command)
{
    redisFreeCommand(command->text);
    ngx_free(command);
}


ngx_int_t
ngx_http_ticket_read_addr(ngx_http_ticket_addr_t *addr, u_char *host,
    size_t host_len, u_char *port, size_t port_len)
{
    u_char     ip6[16];
    ngx_int_t  n;

    n = ngx_atoi(port, port_len);

    if (n < 1 || n > 65535 || host_len > NGX_INET6_ADDRSTRLEN) {
        return NGX_ERROR;
    }

    if (ngx_inet_addr(host, host_len) == INADDR_NONE
        && ngx_inet6_addr(host, host_len, ip6) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_memzero(addr, sizeof(ngx_http_ticket_addr_t));
    ngx_memcpy(addr->host, host, host_len);
    addr->port = (in_port_t) n;

    (void) ngx_snprintf(addr->name, sizeof(addr->name) - 1, "%*s:%i", host_len,
                        host, n);

    return NGX_OK;
}
