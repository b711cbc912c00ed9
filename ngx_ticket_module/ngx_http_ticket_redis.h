
/*
 * One connection to Redis for a process, on nginx's events.  Commands may be
 * given from the first moment on: they wait until the connection stands.
 */


#ifndef _NGX_HTTP_TICKET_REDIS_H_INCLUDED_
#define _NGX_HTTP_TICKET_REDIS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hiredis/hiredis.h>
#include <hiredis/async.h>


typedef struct {
    ngx_str_t                   name;       /* as configured, for the log */
    ngx_str_t                   path;       /* of a unix socket, or empty */
    ngx_str_t                   host;       /* numeric */
    in_port_t                   port;
    ngx_str_t                   user;
    ngx_str_t                   password;
    ngx_uint_t                  db;
    ngx_msec_t                  timeout;
} ngx_http_ticket_redis_conf_t;


typedef struct ngx_http_ticket_redis_s  ngx_http_ticket_redis_t;

/*
 * Called once for every command that was accepted: with the reply, which is
 * hiredis's and may be an error, or with NULL when the connection was lost.
 */
typedef void (*ngx_http_ticket_reply_pt)(redisReply *reply, void *data);

/* Sends what must precede all else on a new connection. */
typedef void (*ngx_http_ticket_hello_pt)(ngx_http_ticket_redis_t *redis);

/* Owned by the cycle's pool.  errors counts losses, in shared memory. */
ngx_http_ticket_redis_t *ngx_http_ticket_redis_create(ngx_cycle_t *cycle,
    ngx_http_ticket_redis_conf_t *conf, ngx_http_ticket_hello_pt hello,
    ngx_atomic_t *errors);

/* NGX_ERROR: Redis is away, and the handler will not be called. */
ngx_int_t ngx_http_ticket_redis_command(ngx_http_ticket_redis_t *redis,
    ngx_http_ticket_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *len);

/* Connects anew when due, drops a connection that keeps us waiting. */
void ngx_http_ticket_redis_tick(ngx_http_ticket_redis_t *redis);

void ngx_http_ticket_redis_close(ngx_http_ticket_redis_t *redis);


#endif /* _NGX_HTTP_TICKET_REDIS_H_INCLUDED_ */
