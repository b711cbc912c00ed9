
/*
 * Redis behind sentinels: one connection to the master, whose address is
 * asked for each time one is to be made.
 */


#ifndef _NGX_HTTP_TICKET_SENTINEL_H_INCLUDED_
#define _NGX_HTTP_TICKET_SENTINEL_H_INCLUDED_


#include "ngx_http_ticket_link.h"


typedef struct ngx_http_ticket_sentinel_s  ngx_http_ticket_sentinel_t;

/* server is the link to the master; its kind's lost and data are taken. */
ngx_http_ticket_sentinel_t *ngx_http_ticket_sentinel_create(ngx_cycle_t *cycle,
    ngx_http_ticket_redis_conf_t *conf, ngx_http_ticket_link_t *server);

/* Sends to the master, or waits until one is named.  NGX_ERROR: not taken. */
ngx_int_t ngx_http_ticket_sentinel_send(ngx_http_ticket_sentinel_t *sentinel,
    ngx_http_ticket_command_t *command);

void ngx_http_ticket_sentinel_tick(ngx_http_ticket_sentinel_t *sentinel);
void ngx_http_ticket_sentinel_close(ngx_http_ticket_sentinel_t *sentinel);


#endif /* _NGX_HTTP_TICKET_SENTINEL_H_INCLUDED_ */
