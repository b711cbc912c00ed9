
/*
 * An operator's request: what its files share.  _admin.c takes the request
 * and asks Redis, _admin_body.c has its body read by core/ticket_order.c, and
 * _admin_reply.c writes what Redis answered.
 */


#ifndef _NGX_HTTP_TICKET_ADMIN_H_INCLUDED_
#define _NGX_HTTP_TICKET_ADMIN_H_INCLUDED_


#include "ngx_http_ticket_op.h"

#include <ticket_order.h>


#define NGX_HTTP_TICKET_ADMIN_WHO_MAX    128
#define NGX_HTTP_TICKET_ADMIN_AUDIT      50     /* changes, unless told */
#define NGX_HTTP_TICKET_ADMIN_AUDIT_MAX  1000


/* The script's commands, and a number that is looked up. */

typedef enum {
    NGX_HTTP_TICKET_ADMIN_GET = 0,
    NGX_HTTP_TICKET_ADMIN_SET,
    NGX_HTTP_TICKET_ADMIN_RESET,
    NGX_HTTP_TICKET_ADMIN_CALL,
    NGX_HTTP_TICKET_ADMIN_REVOKE,
    NGX_HTTP_TICKET_ADMIN_AUDIT_OF,
    NGX_HTTP_TICKET_ADMIN_LOOK_UP
} ngx_http_ticket_admin_e;


struct ngx_http_ticket_admin_s {
    ngx_http_ticket_admin_e   command;
    uint64_t                  n;         /* a number, or how many */
    ngx_str_t                 settings;  /* "slots=200 rate=" */
    ngx_str_t                 who;
    ngx_str_t                 wrong;     /* with the body; empty: nothing */
};


/*
 * Reads the body of a PATCH or POST into the request; what is wrong with it
 * stands in admin->wrong.  NGX_DECLINED: it is too long; NGX_ERROR: no memory.
 */
ngx_int_t ngx_http_ticket_admin_read(ngx_http_request_t *r,
    ngx_http_ticket_admin_t *admin);


/* These write JSON; NULL: no memory. */

ngx_buf_t *ngx_http_ticket_admin_list(ngx_http_request_t *r);
ngx_buf_t *ngx_http_ticket_admin_state(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_answer_t *answer);
ngx_buf_t *ngx_http_ticket_admin_audit(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_answer_t *answer);

/* Completes what "why" has written. */
ngx_buf_t *ngx_http_ticket_admin_number(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


/* The script's own values in an answer; lua/admin.lua lists them. */

#define NGX_HTTP_TICKET_ADMIN_V_DONE      0
#define NGX_HTTP_TICKET_ADMIN_V_SESSIONS  1
#define NGX_HTTP_TICKET_ADMIN_V_CALLS     2
#define NGX_HTTP_TICKET_ADMIN_V_TOTAL     3
#define NGX_HTTP_TICKET_ADMIN_V_BEGUN     4
#define NGX_HTTP_TICKET_ADMIN_V_MISSED    5
#define NGX_HTTP_TICKET_ADMIN_V_IN_LINE   6
#define NGX_HTTP_TICKET_ADMIN_V_SETTLING  7
#define NGX_HTTP_TICKET_ADMIN_V_STOCK     8
#define NGX_HTTP_TICKET_ADMIN_V_HELD      9
#define NGX_HTTP_TICKET_ADMIN_V_DRAWN     10
#define NGX_HTTP_TICKET_ADMIN_V_SET_VER   11
#define NGX_HTTP_TICKET_ADMIN_V_SET       12
#define NGX_HTTP_TICKET_ADMIN_V_CHANGES   13


#endif /* _NGX_HTTP_TICKET_ADMIN_H_INCLUDED_ */
