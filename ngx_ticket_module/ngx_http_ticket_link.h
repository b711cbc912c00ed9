
/*
 * One connection to one Redis server, cluster node or sentinel, and the
 * commands that are under way on it.
 */


#ifndef _NGX_HTTP_TICKET_LINK_H_INCLUDED_
#define _NGX_HTTP_TICKET_LINK_H_INCLUDED_


#include "ngx_http_ticket_redis.h"


typedef struct ngx_http_ticket_command_s  ngx_http_ticket_command_t;

/* Takes the command over: passes the reply on and frees it, or sends it on. */
typedef void (*ngx_http_ticket_answered_pt)(ngx_http_ticket_command_t *command,
    redisReply *reply);

struct ngx_http_ticket_command_s {
    ngx_queue_t                   queue;   /* of the link, or waiting for it */
    ngx_http_ticket_redis_t      *redis;   /* NULL: said by the link itself */
    ngx_http_ticket_link_t       *link;    /* where it was last sent */
    ngx_http_ticket_answered_pt   answered;
    ngx_http_ticket_reply_pt      handler;
    void                         *data;
    char                         *text;    /* in Redis's protocol */
    size_t                        len;
    ngx_msec_t                    sent;
    ngx_uint_t                    slot;
    ngx_uint_t                    hops;    /* times it was sent on */
    ngx_uint_t                    loads;   /* of the link, when it was sent */
    unsigned                      script:1;
};


/* What the connections of one kind have in common. */

typedef struct {
    ngx_http_ticket_login_t      *login;
    ngx_http_ticket_link_pt       hello;   /* scripts, or a question */
    ngx_http_ticket_link_pt       lost;    /* after the end; may be NULL */
    void                         *data;    /* of lost */
    ngx_atomic_t                 *errors;
    ngx_atomic_t                 *connections;  /* made; may be NULL */
    ngx_uint_t                    ready;   /* links that stand and answer */
    ngx_log_t                    *log;
    ngx_uint_t                    db;
    ngx_msec_t                    timeout;
    ngx_msec_t                    pause_max;
    unsigned                      master_only:1;
} ngx_http_ticket_link_kind_t;


struct ngx_http_ticket_link_s {
    ngx_http_ticket_link_kind_t  *kind;
    ngx_http_ticket_addr_t        addr;

    /* both belong to the connection that stands, or are NULL */
    redisAsyncContext            *ac;
    ngx_connection_t             *connection;

    ngx_event_t                   flush;
    ngx_queue_t                   pending; /* commands, oldest first */

    ngx_msec_t                    pause;
    ngx_msec_t                    retry_at;
    ngx_msec_t                    used;
    ngx_uint_t                    loads;   /* times the scripts were sent */

    unsigned                      writing:1;
    unsigned                      closing:1;
    unsigned                      suspect:1;  /* failed, no PONG since */
    unsigned                      ready:1;    /* PONG since it stands */
};


/* The kind must outlive the link. */
void ngx_http_ticket_link_init(ngx_http_ticket_link_t *link,
    ngx_http_ticket_link_kind_t *kind);

/* link->addr is set, and there is no connection.  Failures are logged. */
ngx_int_t ngx_http_ticket_link_connect(ngx_http_ticket_link_t *link);

/* True when commands may be given: it stands, or has not failed so far. */
ngx_uint_t ngx_http_ticket_link_open(ngx_http_ticket_link_t *link);

/* True when there is no connection and it is time to try one. */
ngx_uint_t ngx_http_ticket_link_due(ngx_http_ticket_link_t *link);

/* Gives the scripts to the server once more. */
void ngx_http_ticket_link_load(ngx_http_ticket_link_t *link);

/* NGX_ERROR: not sent, and the command is still the caller's. */
ngx_int_t ngx_http_ticket_link_send(ngx_http_ticket_link_t *link,
    ngx_http_ticket_command_t *command);

/* For this server alone: not limited, not sent on. */
ngx_int_t ngx_http_ticket_link_command(ngx_http_ticket_link_t *link,
    ngx_http_ticket_reply_pt handler, void *data, ngx_uint_t argc,
    const char **argv, const size_t *len);

/* Drops the connection when its oldest command is too old. */
void ngx_http_ticket_link_tick(ngx_http_ticket_link_t *link);

/* Ends the connection as one that failed, when it stands. */
void ngx_http_ticket_link_drop(ngx_http_ticket_link_t *link);

/* Ends it as one that is not needed: neither logged nor told to lost(). */
void ngx_http_ticket_link_close(ngx_http_ticket_link_t *link);

/* NULL when there is no memory. */
ngx_http_ticket_command_t *ngx_http_ticket_create_command(
    ngx_http_ticket_answered_pt answered, ngx_http_ticket_reply_pt handler,
    void *data, ngx_uint_t argc, const char **argv, const size_t *len,
    ngx_log_t *log);
void ngx_http_ticket_free_command(ngx_http_ticket_command_t *command);

/*
 * Reads an address as a server gives it.  NGX_ERROR: not numeric (a name would
 * have to be resolved, which hiredis does while the process stands still), or
 * not a port.
 */
ngx_int_t ngx_http_ticket_read_addr(ngx_http_ticket_addr_t *addr,
    u_char *host, size_t host_len, u_char *port, size_t port_len);

#define ngx_http_ticket_reply_begins(reply, text)                             \
    (ngx_strncmp((reply)->str, text, sizeof(text) - 1) == 0)


#endif /* _NGX_HTTP_TICKET_LINK_H_INCLUDED_ */
