
/*
 * Redis Cluster: which node a command goes to, and what becomes of it when
 * that was the wrong one.
 */


#ifndef _NGX_HTTP_TICKET_CLUSTER_H_INCLUDED_
#define _NGX_HTTP_TICKET_CLUSTER_H_INCLUDED_


#include "ngx_http_ticket_link.h"


typedef struct ngx_http_ticket_cluster_s  ngx_http_ticket_cluster_t;

/* kind is that of all nodes; its lost and data are taken. */
ngx_http_ticket_cluster_t *ngx_http_ticket_cluster_create(ngx_cycle_t *cycle,
    ngx_http_ticket_redis_conf_t *conf, ngx_http_ticket_link_kind_t *kind);

/* The slot of a key, 0 to 16383, as the Redis Cluster specification has it. */
ngx_uint_t ngx_http_ticket_cluster_slot(u_char *key, size_t len);

/* NGX_ERROR: no node takes it now, and the command is still the caller's. */
ngx_int_t ngx_http_ticket_cluster_send(ngx_http_ticket_cluster_t *cluster,
    ngx_http_ticket_command_t *command);

/*
 * Learns from an error.  NGX_OK: the command was sent to another node;
 * otherwise the error is its reply.
 */
ngx_int_t ngx_http_ticket_cluster_redirect(ngx_http_ticket_cluster_t *cluster,
    ngx_http_ticket_command_t *command, redisReply *reply);

void ngx_http_ticket_cluster_tick(ngx_http_ticket_cluster_t *cluster);
void ngx_http_ticket_cluster_close(ngx_http_ticket_cluster_t *cluster);


#endif /* _NGX_HTTP_TICKET_CLUSTER_H_INCLUDED_ */
