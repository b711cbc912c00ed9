
/*
 * The scripts of the line in Redis: calling them, and reading what every
 * answer begins with.  What they do stands in lua/.
 */


#ifndef _NGX_HTTP_TICKET_SCRIPT_H_INCLUDED_
#define _NGX_HTTP_TICKET_SCRIPT_H_INCLUDED_


#include "ngx_http_ticket_link.h"
#include "ngx_http_ticket_module.h"

#include <ticket_answer.h>


typedef enum {
    NGX_HTTP_TICKET_EXCHANGE = 0,
    NGX_HTTP_TICKET_JOIN,
    NGX_HTTP_TICKET_CLAIM,
    NGX_HTTP_TICKET_LEAVE,
    NGX_HTTP_TICKET_RESUME,
    NGX_HTTP_TICKET_WHY,
    NGX_HTTP_TICKET_ADMIN
} ngx_http_ticket_script_e;


typedef ticket_answer_t  ngx_http_ticket_answer_t;


/* What a script is called for. */

typedef struct {
    ngx_http_ticket_main_conf_t  *mcf;
    ngx_http_ticket_room_t       *room;
    ngx_http_ticket_instance_t   *instance;
    uint64_t                      life;     /* of the node's snapshot */
} ngx_http_ticket_subject_t;


/* Loads all scripts; said on each new connection, and on NOSCRIPT. */
void ngx_http_ticket_load_scripts(ngx_http_ticket_link_t *link);

/*
 * Calls a script with further arguments.  The handler is called unless
 * NGX_ERROR is returned, as with ngx_http_ticket_redis_command().
 */
ngx_int_t ngx_http_ticket_script(ngx_http_ticket_script_e script,
    ngx_http_ticket_subject_t *subject, ngx_http_ticket_reply_pt handler,
    void *data, ngx_uint_t n, ngx_str_t *args);

/* Writes a number to p and makes it an argument; returns where it ends. */
u_char *ngx_http_ticket_uint_arg(uint64_t n, u_char *p, ngx_str_t *arg);

/*
 * Reads an answer, which stays in the reply, and learns from its head.
 * NGX_ERROR: there is none; why has been logged.
 */
ngx_int_t ngx_http_ticket_read_answer(ngx_http_ticket_subject_t *subject,
    redisReply *reply, ngx_http_ticket_answer_t *answer);

/* Says that what was to follow in an answer is not there. */
void ngx_http_ticket_malformed(ngx_http_ticket_subject_t *subject);

/* Text i of the script's own values, or an empty one; stays in the reply. */
ngx_str_t ngx_http_ticket_answer_text(ngx_http_ticket_answer_t *answer,
    ngx_uint_t i);

#define ngx_http_ticket_answer_uint  ticket_answer_uint
#define ngx_http_ticket_answer_is    ticket_answer_is


/* _apply.c; the draw's values begin with value i. */

void ngx_http_ticket_apply_line(ngx_http_ticket_subject_t *subject,
    ngx_http_ticket_answer_t *answer, ticket_answer_line_t *told);
void ngx_http_ticket_apply_draw(ngx_http_ticket_subject_t *subject,
    ngx_http_ticket_answer_t *answer, ngx_uint_t i);


#endif /* _NGX_HTTP_TICKET_SCRIPT_H_INCLUDED_ */
