
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
char *ngx_http_ticket_conf_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ticket_conf_cookie_secure(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_HTTP_TICKET_CONF_H_INCLUDED_ */
