
/*
 * An operation: one request's question to Redis.  It is allocated apart from
 * the request, since either may end first: the request's cleanup detaches it,
 * and the reply then finds nobody.
 */


#ifndef _NGX_HTTP_TICKET_OP_H_INCLUDED_
#define _NGX_HTTP_TICKET_OP_H_INCLUDED_


#include "ngx_http_ticket_script.h"


struct ngx_http_ticket_op_s {
    ngx_queue_t                   queue;    /* in its batch */
    ngx_http_request_t           *request;  /* NULL: gone */
    ngx_http_ticket_ctx_t        *ctx;      /* of the request */
    ngx_http_ticket_done_pt       done;
    ngx_http_ticket_subject_t     subject;
    ngx_event_t                   timer;
    unsigned                      named:1;  /* a join with an identity */
};


/* Sets ctx->op; NULL: no memory, or the zone is full. */
ngx_http_ticket_op_t *ngx_http_ticket_create_op(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done);

/*
 * Calls a script for the operation.  NGX_AGAIN: the handler will be called
 * with it; NGX_OK: it could not be sent, and the operation is gone.
 */
ngx_int_t ngx_http_ticket_ask_op(ngx_http_ticket_op_t *op,
    ngx_http_ticket_script_e script, ngx_http_ticket_reply_pt handler,
    ngx_uint_t n, ngx_str_t *args);

/* From here on the request gets no answer later than its time-out. */
void ngx_http_ticket_start_op(ngx_http_ticket_op_t *op);

/*
 * The request, or NULL when it is gone.  One whose client has gone may live on
 * in another location, that of "post_action", where nobody waits either.
 */
ngx_http_request_t *ngx_http_ticket_op_request(ngx_http_ticket_op_t *op);

/* For an operation that could not be started, or that another one follows. */
void ngx_http_ticket_drop_op(ngx_http_ticket_op_t *op);

/* Frees the operation and lets its request, if it is still there, go on. */
void ngx_http_ticket_complete(ngx_http_ticket_op_t *op,
    ngx_http_ticket_state_e state);

/* _join.c: ends a place or a session; nobody waits for the answer. */
void ngx_http_ticket_give_back(ngx_http_ticket_subject_t *subject,
    uint32_t epoch, uint64_t number);

/* _join.c: what the claim of a visitor known by the identity led to. */
void ngx_http_ticket_recognized(ngx_http_ticket_op_t *op,
    ngx_http_ticket_state_e state);

void ngx_http_ticket_go_on(ngx_http_request_t *r,
    ngx_http_ticket_done_pt done);


#endif /* _NGX_HTTP_TICKET_OP_H_INCLUDED_ */
