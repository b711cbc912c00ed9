
/*
 * The body of an operator's request: gathers it, and takes over what
 * core/ticket_order.c reads in it.
 */


#include "ngx_http_ticket_admin.h"


static ngx_int_t ngx_http_ticket_admin_copy_body(ngx_http_request_t *r,
    ngx_str_t *body);


/* in the order of ticket_order_what_t */

static ngx_http_ticket_admin_e  ngx_http_ticket_admin_orders[] = {
    NGX_HTTP_TICKET_ADMIN_GET,
    NGX_HTTP_TICKET_ADMIN_SET,
    NGX_HTTP_TICKET_ADMIN_RESET,
    NGX_HTTP_TICKET_ADMIN_CALL,
    NGX_HTTP_TICKET_ADMIN_REVOKE
};


ngx_int_t
ngx_http_ticket_admin_read(ngx_http_request_t *r,
    ngx_http_ticket_admin_t *admin)
{
    ngx_int_t             rc;
    ngx_str_t             body, *text;
    ticket_order_t       *order;
    ticket_order_form_t   form;

    rc = ngx_http_ticket_admin_copy_body(r, &body);
    if (rc != NGX_OK) {
        return rc;
    }

    order = ngx_palloc(r->pool, sizeof(ticket_order_t));
    if (order == NULL) {
        return NGX_ERROR;
    }

    form = (r->method == NGX_HTTP_PATCH) ? TICKET_ORDER_PATCH
                                         : TICKET_ORDER_POST;

    if (ticket_order_read(order, form, body.data, body.len) != 0) {
        return NGX_ERROR;
    }

    text = (order->what == TICKET_ORDER_WRONG) ? &admin->wrong
                                               : &admin->settings;

    text->data = (u_char *) order->text;
    text->len = order->len;

    admin->command = ngx_http_ticket_admin_orders[order->what];
    admin->n = order->n;

    return NGX_OK;
}


/* NGX_DECLINED: too long, which a chunked body shows only now. */

static ngx_int_t
ngx_http_ticket_admin_copy_body(ngx_http_request_t *r, ngx_str_t *body)
{
    size_t        size;
    ssize_t       n;
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    body->len = 0;
    body->data = ngx_pnalloc(r->pool, TICKET_ORDER_BODY_MAX);

    if (body->data == NULL || r->request_body == NULL) {
        return NGX_ERROR;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        b = cl->buf;
        size = ngx_buf_size(b);

        if (size > TICKET_ORDER_BODY_MAX - body->len) {
            return NGX_DECLINED;
        }

        if (b->in_file) {
            n = ngx_read_file(b->file, body->data + body->len, size,
                              b->file_pos);

            if (n != (ssize_t) size) {
                return NGX_ERROR;
            }

        } else {
            ngx_memcpy(body->data + body->len, b->pos, size);
        }

        body->len += size;
    }

    return NGX_OK;
}
