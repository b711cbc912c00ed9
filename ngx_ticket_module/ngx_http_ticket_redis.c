
/*
 * What happens to a command between its caller and the connections.  It is
 * kept, as text, until its reply: what a server refused without carrying it
 * out (it does not know the script, or another node has the key) is sent
 * again, and the handler sees only the last reply.  What may have been
 * carried out is never sent twice.
 */


#include "ngx_http_ticket_cluster.h"
#include "ngx_http_ticket_sentinel.h"


#define NGX_HTTP_TICKET_REDIS_HOPS       5
#define NGX_HTTP_TICKET_REDIS_HELD_MAX   (64 * 1024 * 1024)
#define NGX_HTTP_TICKET_REDIS_PAUSE_MAX  2000

/* asked so often that a fail-over is seen within a second or two */
#define NGX_HTTP_TICKET_MASTER_PAUSE_MAX  500


struct ngx_http_ticket_redis_s {
    ngx_http_ticket_redis_conf_t  *conf;
    ngx_log_t                     *log;
    size_t                         held;       /* bytes of commands */

    ngx_http_ticket_link_kind_t    kind;       /* of servers */
    ngx_http_ticket_link_t         link;       /* not in a cluster */
    ngx_http_ticket_sentinel_t    *sentinel;
    ngx_http_ticket_cluster_t     *cluster;

    unsigned                       closing:1;
};


static ngx_int_t ngx_http_ticket_redis_send(ngx_http_ticket_redis_t *redis,
    ngx_http_ticket_command_t *command);
static void ngx_http_ticket_redis_answered(ngx_http_ticket_command_t *command,
    redisReply *reply);
static ngx_int_t ngx_http_ticket_redis_again(ngx_http_ticket_redis_t *redis,
    ngx_http_ticket_command_t *command, redisReply *reply);


ngx_http_ticket_redis_t *
ngx_http_ticket_redis_create(ngx_cycle_t *cycle,
    ngx_http_ticket_redis_conf_t *conf, ngx_http_ticket_link_pt hello,
    ngx_atomic_t *errors, ngx_atomic_t *connections)
{
    ngx_http_ticket_addr_t   *addr;
    ngx_http_ticket_redis_t  *redis;

    redis = ngx_pcalloc(cycle->pool, sizeof(ngx_http_ticket_redis_t));
    if (redis == NULL) {
        return NULL;
    }

    redis->conf = conf;
    redis->log = cycle->log;

    redis->kind.login = &conf->login;
    redis->kind.hello = hello;
    redis->kind.errors = errors;
    redis->kind.connections = connections;
    redis->kind.log = cycle->log;
    redis->kind.db = conf->db;
    redis->kind.timeout = conf->timeout;
    redis->kind.pause_max = NGX_HTTP_TICKET_REDIS_PAUSE_MAX;

    if (conf->mode == NGX_HTTP_TICKET_REDIS_CLUSTER) {
        redis->cluster = ngx_http_ticket_cluster_create(cycle, conf,
                                                        &redis->kind);
        return redis->cluster ? redis : NULL;
    }

    ngx_http_ticket_link_init(&redis->link, &redis->kind);

    if (conf->mode == NGX_HTTP_TICKET_REDIS_SENTINEL) {
        redis->kind.master_only = 1;
        redis->kind.pause_max = NGX_HTTP_TICKET_MASTER_PAUSE_MAX;

        redis->sentinel = ngx_http_ticket_sentinel_create(cycle, conf,
                                                          &redis->link);
        return redis->sentinel ? redis : NULL;
    }

    addr = conf->addrs.elts;
    redis->link.addr = addr[0];

    (void) ngx_http_ticket_link_connect(&redis->link);

    return redis;
}


ngx_uint_t
ngx_http_ticket_redis_ready(ngx_http_ticket_redis_t *redis)
{
    return redis->kind.ready != 0;
}


ngx_int_t
ngx_http_ticket_redis_command(ngx_http_ticket_redis_t *redis, ngx_uint_t key,
    ngx_http_ticket_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *len)
{
    ngx_http_ticket_command_t  *command;

    if (redis->held > NGX_HTTP_TICKET_REDIS_HELD_MAX) {
        return NGX_ERROR;
    }

    command = ngx_http_ticket_create_command(ngx_http_ticket_redis_answered,
                                             handler, data, argc, argv, len,
                                             redis->log);
    if (command == NULL) {
        return NGX_ERROR;
    }

    command->redis = redis;
    command->script = (ngx_strncmp(argv[0], "EVALSHA", 8) == 0);

    if (redis->cluster) {
        command->slot = ngx_http_ticket_cluster_slot((u_char *) argv[key],
                                                     len[key]);
    }

    if (ngx_http_ticket_redis_send(redis, command) != NGX_OK) {
        ngx_http_ticket_free_command(command);
        return NGX_ERROR;
    }

    redis->held += command->len;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ticket_redis_send(ngx_http_ticket_redis_t *redis,
    ngx_http_ticket_command_t *command)
{
    if (redis->cluster) {
        return ngx_http_ticket_cluster_send(redis->cluster, command);
    }

    if (redis->sentinel) {
        return ngx_http_ticket_sentinel_send(redis->sentinel, command);
    }

    if (!ngx_http_ticket_link_open(&redis->link)) {
        return NGX_ERROR;
    }

    return ngx_http_ticket_link_send(&redis->link, command);
}


static void
ngx_http_ticket_redis_answered(ngx_http_ticket_command_t *command,
    redisReply *reply)
{
    ngx_http_ticket_redis_t  *redis;

    redis = command->redis;

    if (!redis->closing && command->hops < NGX_HTTP_TICKET_REDIS_HOPS) {
        command->hops++;

        if (ngx_http_ticket_redis_again(redis, command, reply) == NGX_OK) {
            return;
        }
    }

    redis->held -= command->len;

    command->handler(reply, command->data);

    ngx_http_ticket_free_command(command);
}


/* NGX_OK: the command is under way once more. */

static ngx_int_t
ngx_http_ticket_redis_again(ngx_http_ticket_redis_t *redis,
    ngx_http_ticket_command_t *command, redisReply *reply)
{
    ngx_http_ticket_link_t  *link;

    link = command->link;

    if (reply == NULL) {

        /* nothing was ever written to a connection that was never made */

        if (redis->cluster && link->ac
            && (link->ac->c.flags & REDIS_CONNECTED) == 0)
        {
            return ngx_http_ticket_cluster_send(redis->cluster, command);
        }

        return NGX_DECLINED;
    }

    if (reply->type != REDIS_REPLY_ERROR) {
        return NGX_DECLINED;
    }

    if (ngx_http_ticket_reply_begins(reply, "NOSCRIPT")) {

        if (command->loads == link->loads) {
            ngx_http_ticket_link_load(link);
        }

        return ngx_http_ticket_link_send(link, command);
    }

    if (ngx_http_ticket_reply_begins(reply, "READONLY")) {

        /* a master no more: whoever named it may know better now */

        ngx_http_ticket_link_drop(link);

        return NGX_DECLINED;
    }

    if (redis->cluster) {
        return ngx_http_ticket_cluster_redirect(redis->cluster, command,
                                                reply);
    }

    return NGX_DECLINED;
}


void
ngx_http_ticket_redis_tick(ngx_http_ticket_redis_t *redis)
{
    if (redis->cluster) {
        ngx_http_ticket_cluster_tick(redis->cluster);
        return;
    }

    ngx_http_ticket_link_tick(&redis->link);

    if (redis->sentinel) {
        ngx_http_ticket_sentinel_tick(redis->sentinel);
        return;
    }

    if (ngx_http_ticket_link_due(&redis->link)) {
        (void) ngx_http_ticket_link_connect(&redis->link);
    }
}


void
ngx_http_ticket_redis_close(ngx_http_ticket_redis_t *redis)
{
    redis->closing = 1;

    if (redis->cluster) {
        ngx_http_ticket_cluster_close(redis->cluster);
        return;
    }

    if (redis->sentinel) {
        ngx_http_ticket_sentinel_close(redis->sentinel);
    }

    ngx_http_ticket_link_close(&redis->link);
}
