
/*
 * What an upstream orders: "X-Ticket-Command: release" in its answer ends the
 * visitor's session, as when an order has been paid.  The header never leaves
 * a gated location.  An answer that leads to a redirect within nginx (by
 * X-Accel-Redirect or error_page) is not sent itself, so that its headers are
 * looked for where nginx keeps them, before another upstream takes the place.
 */


#include "ngx_http_ticket_op.h"


static ngx_int_t ngx_http_ticket_release_filter(ngx_http_request_t *r);
static ngx_uint_t ngx_http_ticket_find_command(ngx_list_t *headers,
    ngx_uint_t remove);
static ngx_uint_t ngx_http_ticket_is_stored(ngx_http_upstream_t *u);
static ngx_int_t ngx_http_ticket_release(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;


void
ngx_http_ticket_release_init(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_ticket_release_filter;
}


static ngx_int_t
ngx_http_ticket_release_filter(ngx_http_request_t *r)
{
    ngx_uint_t              found;
    ngx_http_ticket_ctx_t  *ctx;

    ctx = (r == r->main) ? ngx_http_ticket_get_ctx(r) : NULL;

    if (ctx == NULL) {
        return ngx_http_next_header_filter(r);
    }

    if (ctx->gated) {
        found = ngx_http_ticket_find_command(&r->headers_out.headers, 1);

        if (found && (r->upstream == NULL
                      || !ngx_http_ticket_is_stored(r->upstream)))
        {
            ctx->release = 1;
        }

        ngx_http_ticket_note_command(r, ctx);
    }

    for (ctx = ngx_http_ticket_kept_ctx(r, NULL);
         ctx;
         ctx = ngx_http_ticket_kept_ctx(r, ctx))
    {
        if (ctx->release && ngx_http_ticket_release(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_next_header_filter(r);
}


void
ngx_http_ticket_note_command(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u && u != ctx->before && !ngx_http_ticket_is_stored(u)
        && ngx_http_ticket_find_command(&u->headers_in.headers, 0))
    {
        ctx->release = 1;
    }
}


/* True when one of the headers of this name says "release". */

static ngx_uint_t
ngx_http_ticket_find_command(ngx_list_t *headers, ngx_uint_t remove)
{
    ngx_uint_t        i, found;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    found = 0;

    for (part = &headers->part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (header[i].hash == 0
                || header[i].key.len != sizeof("X-Ticket-Command") - 1
                || ngx_strncasecmp(header[i].key.data,
                                   (u_char *) "X-Ticket-Command",
                                   sizeof("X-Ticket-Command") - 1)
                   != 0)
            {
                continue;
            }

            if (header[i].value.len == sizeof("release") - 1
                && ngx_strncasecmp(header[i].value.data,
                                   (u_char *) "release",
                                   sizeof("release") - 1)
                   == 0)
            {
                found = 1;
            }

            if (remove) {
                header[i].hash = 0;
            }
        }
    }

    return found;
}


/* An answer from nginx's cache was made for somebody else. */

static ngx_uint_t
ngx_http_ticket_is_stored(ngx_http_upstream_t *u)
{
#if (NGX_HTTP_CACHE)
    switch (u->cache_status) {

    case NGX_HTTP_CACHE_HIT:
    case NGX_HTTP_CACHE_STALE:
    case NGX_HTTP_CACHE_UPDATING:
    case NGX_HTTP_CACHE_REVALIDATED:
        return 1;
    }
#endif

    return 0;
}


/* Nobody waits for Redis: should it be away, the session's time runs out. */

static ngx_int_t
ngx_http_ticket_release(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_http_ticket_subject_t  subject;

    ctx->release = 0;

    if (ctx->state != NGX_HTTP_TICKET_ADMITTED || ctx->released) {
        return NGX_OK;
    }

    ctx->released = 1;

    if (ngx_http_ticket_visit(r, ctx) == NGX_OK) {
        ngx_memzero(&subject, sizeof(ngx_http_ticket_subject_t));

        subject.mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
        subject.room = ctx->room;
        subject.instance = ctx->instance;

        ngx_http_ticket_give_back(&subject, ctx->pass.token.epoch,
                                  ctx->pass.token.number);

        ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_LEFT);
    }

    if (ctx->pass.cookie) {
        return ngx_http_ticket_clear_cookie(r, ctx, TICKET_TOKEN_PASS);
    }

    return NGX_OK;
}
