
/*
 * Redis as the rest of the module sees it: commands go out, handlers get
 * replies.  Where they go, to one server, to the master that sentinels name,
 * or to the node of a cluster that has the key, is decided behind this.
 * Commands may be given from the first moment on: they wait until the
 * connection stands.
 */


#ifndef _NGX_HTTP_TICKET_REDIS_H_INCLUDED_
#define _NGX_HTTP_TICKET_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hiredis/hiredis.h>
#include <hiredis/async.h>


/* A server's address; text ends with a zero. */

typedef struct {
    u_char                        name[128];  /* for the log */
    u_char                       *path;       /* of a unix socket, or NULL */
    u_char                        host[NGX_INET6_ADDRSTRLEN + 1]; /* numeric */
    in_port_t                     port;
} ngx_http_ticket_addr_t;


typedef struct {
    ngx_str_t                     user;
    ngx_str_t                     password;
} ngx_http_ticket_login_t;


typedef enum {
    NGX_HTTP_TICKET_REDIS_SINGLE = 0,
    NGX_HTTP_TICKET_REDIS_SENTINEL,
    NGX_HTTP_TICKET_REDIS_CLUSTER
} ngx_http_ticket_redis_mode_e;


typedef struct {
    ngx_http_ticket_redis_mode_e  mode;
    ngx_array_t                   addrs;      /* ngx_http_ticket_addr_t: the
                                                 server, sentinels, or seeds */
    ngx_str_t                     master;     /* as the sentinels call it */
    ngx_http_ticket_login_t       login;
    ngx_http_ticket_login_t       sentinel_login;
    ngx_uint_t                    db;
    ngx_msec_t                    timeout;
} ngx_http_ticket_redis_conf_t;


typedef struct ngx_http_ticket_redis_s  ngx_http_ticket_redis_t;
typedef struct ngx_http_ticket_link_s   ngx_http_ticket_link_t;

/*
 * Called once for every command that was accepted: with the reply, which is
 * hiredis's and may be an error, or with NULL when the connection was lost,
 * so that nobody knows whether the command was carried out.
 */
typedef void (*ngx_http_ticket_reply_pt)(redisReply *reply, void *data);

/* Says what must precede all else on a new connection to a server. */
typedef void (*ngx_http_ticket_link_pt)(ngx_http_ticket_link_t *link);

/*
 * Owned by the cycle's pool.  errors counts losses, connections those that
 * came to stand; both in shared memory.
 */
ngx_http_ticket_redis_t *ngx_http_ticket_redis_create(ngx_cycle_t *cycle,
    ngx_http_ticket_redis_conf_t *conf, ngx_http_ticket_link_pt hello,
    ngx_atomic_t *errors, ngx_atomic_t *connections);

/* True while a connection stands and has been answered. */
ngx_uint_t ngx_http_ticket_redis_ready(ngx_http_ticket_redis_t *redis);

/*
 * argv[key] is the key that tells a cluster's node.  The arguments are copied,
 * and kept until the reply.  NGX_ERROR: Redis is away, or more than 64 MB
 * wait for it, and the handler will not be called.  The handler is never
 * called from within.
 */
ngx_int_t ngx_http_ticket_redis_command(ngx_http_ticket_redis_t *redis,
    ngx_uint_t key, ngx_http_ticket_reply_pt handler, void *data,
    ngx_uint_t argc, const char **argv, const size_t *len);

/* Connects anew when due, drops a connection that keeps us waiting. */
void ngx_http_ticket_redis_tick(ngx_http_ticket_redis_t *redis);

void ngx_http_ticket_redis_close(ngx_http_ticket_redis_t *redis);


#endif /* _NGX_HTTP_TICKET_REDIS_H_INCLUDED_ */
