
/*
 * Asks the sentinels for the master, one after the other, until one names an
 * address.  Then the master is connected to, and says by its ROLE whether it
 * is one.  After each loss the question is put anew, to another sentinel
 * first and with a pause that stays short, so that a fail-over is seen soon
 * after the sentinels have agreed on it.
 */


#include "ngx_http_ticket_sentinel.h"


#define NGX_HTTP_TICKET_SENTINEL_TIMEOUT  500  /* ms for one to answer */


struct ngx_http_ticket_sentinel_s {
    ngx_http_ticket_redis_conf_t  *conf;
    ngx_http_ticket_link_kind_t    kind;      /* of sentinels */
    ngx_http_ticket_link_t         link;      /* to the one being asked */
    ngx_http_ticket_link_t        *server;
    ngx_queue_t                    waiting;   /* commands, oldest first */
    ngx_event_t                    next;      /* posted: ask the next */
    ngx_uint_t                     current;   /* index of the one to ask */
    ngx_uint_t                     asked;     /* in this round; 0: nobody */
};


static void ngx_http_ticket_sentinel_ask(ngx_http_ticket_sentinel_t *sentinel);
static void ngx_http_ticket_sentinel_question(ngx_http_ticket_link_t *link);
static void ngx_http_ticket_sentinel_told(redisReply *reply, void *data);
static ngx_int_t ngx_http_ticket_sentinel_read(
    ngx_http_ticket_sentinel_t *sentinel, redisReply *reply);
static void ngx_http_ticket_sentinel_lost(ngx_http_ticket_link_t *link);
static void ngx_http_ticket_sentinel_server_lost(ngx_http_ticket_link_t *link);
static void ngx_http_ticket_sentinel_failed(
    ngx_http_ticket_sentinel_t *sentinel);
static void ngx_http_ticket_sentinel_next_handler(ngx_event_t *ev);
static void ngx_http_ticket_sentinel_connect(
    ngx_http_ticket_sentinel_t *sentinel);
static void ngx_http_ticket_sentinel_give_up(
    ngx_http_ticket_sentinel_t *sentinel);


ngx_http_ticket_sentinel_t *
ngx_http_ticket_sentinel_create(ngx_cycle_t *cycle,
    ngx_http_ticket_redis_conf_t *conf, ngx_http_ticket_link_t *server)
{
    ngx_http_ticket_sentinel_t  *sentinel;

    sentinel = ngx_pcalloc(cycle->pool, sizeof(ngx_http_ticket_sentinel_t));
    if (sentinel == NULL) {
        return NULL;
    }

    sentinel->conf = conf;
    sentinel->server = server;

    server->kind->lost = ngx_http_ticket_sentinel_server_lost;
    server->kind->data = sentinel;

    sentinel->kind.login = &conf->sentinel_login;
    sentinel->kind.hello = ngx_http_ticket_sentinel_question;
    sentinel->kind.lost = ngx_http_ticket_sentinel_lost;
    sentinel->kind.data = sentinel;
    sentinel->kind.errors = server->kind->errors;
    sentinel->kind.log = cycle->log;
    sentinel->kind.timeout = ngx_min(conf->timeout,
                                     NGX_HTTP_TICKET_SENTINEL_TIMEOUT);
    sentinel->kind.pause_max = server->kind->pause_max;

    sentinel->next.handler = ngx_http_ticket_sentinel_next_handler;
    sentinel->next.data = sentinel;
    sentinel->next.log = cycle->log;

    ngx_queue_init(&sentinel->waiting);
    ngx_http_ticket_link_init(&sentinel->link, &sentinel->kind);

    ngx_http_ticket_sentinel_ask(sentinel);

    return sentinel;
}


ngx_int_t
ngx_http_ticket_sentinel_send(ngx_http_ticket_sentinel_t *sentinel,
    ngx_http_ticket_command_t *command)
{
    if (ngx_http_ticket_link_open(sentinel->server)) {
        return ngx_http_ticket_link_send(sentinel->server, command);
    }

    if (sentinel->asked == 0 || sentinel->server->suspect) {
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&sentinel->waiting, &command->queue);

    return NGX_OK;
}


void
ngx_http_ticket_sentinel_tick(ngx_http_ticket_sentinel_t *sentinel)
{
    ngx_http_ticket_link_tick(&sentinel->link);

    if (sentinel->asked == 0 && ngx_http_ticket_link_due(sentinel->server)) {
        ngx_http_ticket_sentinel_ask(sentinel);
    }
}


void
ngx_http_ticket_sentinel_close(ngx_http_ticket_sentinel_t *sentinel)
{
    if (sentinel->next.posted) {
        ngx_delete_posted_event(&sentinel->next);
    }

    ngx_http_ticket_link_close(&sentinel->link);
    ngx_http_ticket_sentinel_give_up(sentinel);
}


/* Goes on with the round, or begins one. */

static void
ngx_http_ticket_sentinel_ask(ngx_http_ticket_sentinel_t *sentinel)
{
    ngx_http_ticket_addr_t  *addr;

    addr = sentinel->conf->addrs.elts;

    while (sentinel->asked < sentinel->conf->addrs.nelts) {
        sentinel->asked++;
        sentinel->link.addr = addr[sentinel->current];

        if (ngx_http_ticket_link_connect(&sentinel->link) == NGX_OK) {
            return;
        }

        sentinel->current = (sentinel->current + 1)
                            % sentinel->conf->addrs.nelts;
    }

    ngx_log_error(NGX_LOG_ERR, sentinel->kind.log, 0,
                  "ticket: no sentinel names a master of \"%V\"",
                  &sentinel->conf->master);

    sentinel->server->suspect = 1;
    sentinel->server->retry_at = ngx_current_msec
                                 + sentinel->server->kind->pause_max;

    ngx_http_ticket_sentinel_give_up(sentinel);
}


/* What is said on a new connection to a sentinel. */

static void
ngx_http_ticket_sentinel_question(ngx_http_ticket_link_t *link)
{
    size_t                       len[3];
    const char                  *argv[3];
    ngx_http_ticket_sentinel_t  *sentinel;

    sentinel = link->kind->data;

    argv[0] = "SENTINEL";
    len[0] = 8;
    argv[1] = "GET-MASTER-ADDR-BY-NAME";
    len[1] = 23;
    argv[2] = (char *) sentinel->conf->master.data;
    len[2] = sentinel->conf->master.len;

    (void) ngx_http_ticket_link_command(link, ngx_http_ticket_sentinel_told,
                                        sentinel, 3, argv, len);
}


static void
ngx_http_ticket_sentinel_told(redisReply *reply, void *data)
{
    ngx_http_ticket_sentinel_t  *sentinel = data;

    if (reply == NULL) {
        return;
    }

    if (ngx_http_ticket_sentinel_read(sentinel, reply) != NGX_OK) {
        ngx_http_ticket_sentinel_failed(sentinel);

    } else {
        ngx_http_ticket_sentinel_connect(sentinel);
    }

    ngx_http_ticket_link_close(&sentinel->link);
}


static ngx_int_t
ngx_http_ticket_sentinel_read(ngx_http_ticket_sentinel_t *sentinel,
    redisReply *reply)
{
    redisReply              **part;
    ngx_http_ticket_addr_t    addr;

    if (reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, sentinel->kind.log, 0,
                      "ticket: sentinel \"%s\" refused to name a master: %s",
                      sentinel->link.addr.name, reply->str);
        return NGX_ERROR;
    }

    part = reply->element;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2
        || part[0]->type != REDIS_REPLY_STRING
        || part[1]->type != REDIS_REPLY_STRING)
    {
        ngx_log_error(NGX_LOG_ERR, sentinel->kind.log, 0,
                      "ticket: sentinel \"%s\" knows no master \"%V\"",
                      sentinel->link.addr.name, &sentinel->conf->master);
        return NGX_ERROR;
    }

    if (ngx_http_ticket_read_addr(&addr, (u_char *) part[0]->str, part[0]->len,
                                  (u_char *) part[1]->str, part[1]->len)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, sentinel->kind.log, 0,
                      "ticket: sentinel \"%s\" names a master that is no "
                      "numeric address: let sentinels announce addresses, "
                      "not host names", sentinel->link.addr.name);
        return NGX_ERROR;
    }

    sentinel->server->addr = addr;

    return NGX_OK;
}


static void
ngx_http_ticket_sentinel_lost(ngx_http_ticket_link_t *link)
{
    ngx_http_ticket_sentinel_failed(link->kind->data);
}


/* A sentinel that is cut off from the others may go on naming it. */

static void
ngx_http_ticket_sentinel_server_lost(ngx_http_ticket_link_t *link)
{
    ngx_http_ticket_sentinel_t  *sentinel;

    sentinel = link->kind->data;

    sentinel->current = (sentinel->current + 1)
                        % sentinel->conf->addrs.nelts;
}


/* The next is asked when this connection has been done with. */

static void
ngx_http_ticket_sentinel_failed(ngx_http_ticket_sentinel_t *sentinel)
{
    sentinel->current = (sentinel->current + 1)
                        % sentinel->conf->addrs.nelts;

    ngx_post_event(&sentinel->next, &ngx_posted_events);
}


static void
ngx_http_ticket_sentinel_next_handler(ngx_event_t *ev)
{
    ngx_http_ticket_sentinel_ask(ev->data);
}


static void
ngx_http_ticket_sentinel_connect(ngx_http_ticket_sentinel_t *sentinel)
{
    ngx_queue_t                *q;
    ngx_http_ticket_command_t  *command;

    sentinel->asked = 0;

    if (ngx_http_ticket_link_connect(sentinel->server) != NGX_OK) {
        ngx_http_ticket_sentinel_give_up(sentinel);
        return;
    }

    while (!ngx_queue_empty(&sentinel->waiting)) {
        q = ngx_queue_head(&sentinel->waiting);
        command = ngx_queue_data(q, ngx_http_ticket_command_t, queue);

        ngx_queue_remove(q);

        if (ngx_http_ticket_link_send(sentinel->server, command) != NGX_OK) {
            command->answered(command, NULL);
        }
    }
}


static void
ngx_http_ticket_sentinel_give_up(ngx_http_ticket_sentinel_t *sentinel)
{
    ngx_queue_t                *q;
    ngx_http_ticket_command_t  *command;

    sentinel->asked = 0;

    while (!ngx_queue_empty(&sentinel->waiting)) {
        q = ngx_queue_head(&sentinel->waiting);
        command = ngx_queue_data(q, ngx_http_ticket_command_t, queue);

        ngx_queue_remove(q);
        command->answered(command, NULL);
    }
}
