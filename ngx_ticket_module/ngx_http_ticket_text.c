
/*
 * Texts that grow: what is told of all rooms has no length that could be
 * computed beforehand without repeating what writes it.
 */


#include "ngx_http_ticket_module.h"


static void ngx_http_ticket_text_grow(ngx_http_ticket_text_t *text);


void
ngx_http_ticket_text_init(ngx_http_ticket_text_t *text, ngx_pool_t *pool,
    size_t size)
{
    text->pool = pool;
    text->start = ngx_pnalloc(pool, size);
    text->failed = (text->start == NULL);
    text->last = text->start;
    text->end = text->failed ? NULL : text->start + size;
}


/* What fills the text to its very end may have been cut off. */

void
ngx_http_ticket_text_add(ngx_http_ticket_text_t *text, const char *fmt, ...)
{
    u_char   *p;
    va_list   args;

    while (!text->failed) {

        va_start(args, fmt);
        p = ngx_vslprintf(text->last, text->end, fmt, args);
        va_end(args);

        if (p < text->end) {
            text->last = p;
            return;
        }

        ngx_http_ticket_text_grow(text);
    }
}


static void
ngx_http_ticket_text_grow(ngx_http_ticket_text_t *text)
{
    size_t   len, size;
    u_char  *p;

    len = text->last - text->start;
    size = 2 * (text->end - text->start);

    p = ngx_pnalloc(text->pool, size);
    if (p == NULL) {
        text->failed = 1;
        return;
    }

    ngx_memcpy(p, text->start, len);

    (void) ngx_pfree(text->pool, text->start);

    text->start = p;
    text->last = p + len;
    text->end = p + size;
}


void
ngx_http_ticket_text_decimal(ngx_http_ticket_text_t *text, uint64_t n,
    uint64_t parts)
{
    ngx_http_ticket_text_add(text, "%uL", n / parts);

    n %= parts;

    if (n) {
        ngx_http_ticket_text_add(text, ".");
    }

    while (n) {
        n *= 10;
        ngx_http_ticket_text_add(text, "%uL", n / parts);
        n %= parts;
    }
}


ngx_int_t
ngx_http_ticket_text_send(ngx_http_request_t *r, ngx_http_ticket_text_t *text,
    ngx_str_t *type)
{
    ngx_buf_t  *b;

    b = text->failed ? NULL : ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->start = text->start;
    b->pos = text->start;
    b->last = text->last;
    b->end = text->end;
    b->temporary = 1;

    return ngx_http_ticket_send_body(r, NGX_HTTP_OK, type, b);
}
