
/*
 * The request headers that tell the upstream who the visitor is.  The gate
 * sets them, and removes what the client made up under their names.
 */


#include "ngx_http_ticket_module.h"


#define NGX_HTTP_TICKET_HEADERS  5


typedef struct {
    ngx_str_t   key;
    char       *lowcase_key;
} ngx_http_ticket_header_t;


static ngx_uint_t ngx_http_ticket_is_our_header(ngx_table_elt_t *header);


static ngx_http_ticket_header_t
    ngx_http_ticket_headers[NGX_HTTP_TICKET_HEADERS] =
{
    { ngx_string("X-Ticket-Room"), "x-ticket-room" },
    { ngx_string("X-Ticket-Number"), "x-ticket-number" },
    { ngx_string("X-Ticket-Session"), "x-ticket-session" },
    { ngx_string("X-Ticket-Identity"), "x-ticket-identity" },
    { ngx_string("X-Ticket-Bind"), "x-ticket-bind" }
};


/* In the order of the names; what is empty is not set. */

ngx_int_t
ngx_http_ticket_set_headers(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    u_char           *p;
    ngx_str_t         value[NGX_HTTP_TICKET_HEADERS];
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(r->pool, 3 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value[0] = ctx->name;

    value[1].data = p;
    p = ngx_sprintf(p, "%uL", ctx->pass.token.number);
    value[1].len = p - value[1].data;

    value[2].data = p;
    p = ngx_sprintf(p, "%uD-%uL", ctx->pass.token.epoch,
                    ctx->pass.token.number);
    value[2].len = p - value[2].data;

    value[3] = ctx->identity;
    value[4] = ctx->bind;

    for (i = 0; i < NGX_HTTP_TICKET_HEADERS; i++) {

        if (value[i].len == 0) {
            continue;
        }

        h = ngx_list_push(&r->headers_in.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        h->key = ngx_http_ticket_headers[i].key;
        h->value = value[i];
        h->lowcase_key = (u_char *) ngx_http_ticket_headers[i].lowcase_key;
        h->hash = ngx_hash_key(h->lowcase_key, h->key.len);
#if (nginx_version >= 1023000)
        h->next = NULL;
#endif
    }

    return NGX_OK;
}


/*
 * Takes the client's copies out of the list, by making a new one where there
 * are any: the old elements stay where they are, since r->headers_in points
 * to them, and nginx's loops over a list do not expect an empty part.
 */

ngx_int_t
ngx_http_ticket_remove_headers(ngx_http_request_t *r)
{
    ngx_uint_t        i, n, ours;
    ngx_list_t       *list;
    ngx_list_part_t  *part, first;
    ngx_table_elt_t  *header, *h;

    list = &r->headers_in.headers;
    first = list->part;
    n = 0;
    ours = 0;

    for (part = &first; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {
            ours += ngx_http_ticket_is_our_header(&header[i]);
        }

        n += part->nelts;
    }

    if (ours == 0) {
        return NGX_OK;
    }

    if (ngx_list_init(list, r->pool, n + NGX_HTTP_TICKET_HEADERS,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (part = &first; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_ticket_is_our_header(&header[i])) {
                continue;
            }

            h = ngx_list_push(list);
            if (h == NULL) {
                return NGX_ERROR;
            }

            *h = header[i];
        }
    }

    return NGX_OK;
}


/* An upstream may take "_" for "-", so both are ours. */

static ngx_uint_t
ngx_http_ticket_is_our_header(ngx_table_elt_t *header)
{
    u_char      c;
    ngx_str_t  *key;
    ngx_uint_t  i, n;

    key = &header->key;

    for (n = 0; n < NGX_HTTP_TICKET_HEADERS; n++) {

        if (key->len != ngx_http_ticket_headers[n].key.len) {
            continue;
        }

        for (i = 0; i < key->len; i++) {
            c = ngx_tolower(key->data[i]);

            if ((c == '_' ? '-' : c)
                != (u_char) ngx_http_ticket_headers[n].lowcase_key[i])
            {
                break;
            }
        }

        if (i == key->len) {
            return 1;
        }
    }

    return 0;
}
