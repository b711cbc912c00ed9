
/*
 * The directives' set functions; all take what nginx gives such a function.
 */


#ifndef _NGX_HTTP_TICKET_CONF_H_INCLUDED_
#define _NGX_HTTP_TICKET_CONF_H_INCLUDED_


#include "ngx_http_ticket_module.h"


char *ngx_http_ticket_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_keys(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_room(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_queue(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_gate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_visitor(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_challenge(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_admin(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_cookie_secure(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);



/* _setting.c: what stands in a "ticket_room" block. */

typedef enum {
    NGX_HTTP_TICKET_PREQUEUE_DATE = 0,
    NGX_HTTP_TICKET_OPENS_DATE,
    NGX_HTTP_TICKET_CLOSES_DATE,
    NGX_HTTP_TICKET_DATES
} ngx_http_ticket_date_e;

typedef struct {
    ngx_http_ticket_room_t  *room;
    ngx_uint_t               seen;      /* bits, by setting */
    ngx_str_t                timezone;
    ngx_str_t                date[NGX_HTTP_TICKET_DATES];
} ngx_http_ticket_block_t;

/* Reads one setting; conf is an ngx_http_ticket_block_t. */
char *ngx_http_ticket_room_setting(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);

/* Sets what was left out, and checks what belongs together. */
char *ngx_http_ticket_finish_room(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block);


#endif /* _NGX_HTTP_TICKET_CONF_H_INCLUDED_ */
