
/*
 * Who a visitor is: the identity and the value that tokens are bound to, as
 * configured, and the tokens: read from header or cookie, signed, and set as
 * cookies.  Cookies are named for the room instance, so that a visitor may
 * stand in several lines; over HTTPS they carry the "__Host-" prefix.
 */


#include "ngx_http_ticket_module.h"

#include <sys/random.h>


#define NGX_HTTP_TICKET_QUEUE_MAX_AGE  604800
#define NGX_HTTP_TICKET_IDENTITY_MAX   256

/* "__Host-ticket-queue-" and the instance's name */
#define NGX_HTTP_TICKET_COOKIE_LEN     (32 + TICKET_ROOM_MAX)


static void ngx_http_ticket_cleanup_ctx(void *data);
static ngx_int_t ngx_http_ticket_evaluate(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, size_t max, ngx_str_t *value);
static void ngx_http_ticket_find_headers(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static size_t ngx_http_ticket_cookie_name(ngx_http_ticket_ctx_t *ctx,
    ticket_token_kind_t kind, u_char *name);
static void ngx_http_ticket_find_cookie(ngx_http_ticket_ctx_t *ctx,
    ngx_str_t *cookies, ticket_token_kind_t kind,
    ngx_http_ticket_token_t *token);
static void ngx_http_ticket_open_token(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_ctx_t *ctx, ticket_token_kind_t kind,
    ngx_http_ticket_token_t *token);
static ngx_int_t ngx_http_ticket_seal(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_token_t *token);
static ngx_int_t ngx_http_ticket_set_cookie(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ticket_token_kind_t kind, ngx_str_t *text,
    time_t max_age);
static void ngx_http_ticket_take_back_cookie(ngx_http_request_t *r,
    u_char *name, size_t len);


ngx_http_ticket_ctx_t *
ngx_http_ticket_get_ctx(ngx_http_request_t *r)
{
    ngx_http_ticket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        /* an internal redirect has wiped r->ctx, but not the pool */

        return ngx_http_ticket_kept_ctx(r, NULL);
    }

    return ctx;
}


ngx_http_ticket_ctx_t *
ngx_http_ticket_kept_ctx(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {

        if (cln->handler != ngx_http_ticket_cleanup_ctx) {
            continue;
        }

        if (ctx == NULL) {
            return cln->data;
        }

        if (cln->data == ctx) {
            ctx = NULL;
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_ticket_keep_ctx(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_ticket_cleanup_ctx;
    cln->data = ctx;

    return NGX_OK;
}


/* Only marks where the context is. */

static void
ngx_http_ticket_cleanup_ctx(void *data)
{
}


ngx_http_ticket_ctx_t *
ngx_http_ticket_make_ctx(ngx_http_request_t *r)
{
    ngx_http_ticket_ctx_t       *ctx;
    ngx_http_ticket_loc_conf_t  *tlcf;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_ticket_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    ctx->secure = (tlcf->secure == NGX_HTTP_TICKET_SECURE_ON);

#if (NGX_HTTP_SSL)
    if (tlcf->secure == NGX_HTTP_TICKET_SECURE_AUTO && r->connection->ssl) {
        ctx->secure = 1;
    }
#endif

    ngx_http_set_ctx(r, ctx, ngx_http_ticket_module);

    return ctx;
}


/*
 * A value that can be told to an upstream in a header, without the blanks
 * around it.  NGX_DECLINED: it is too long, or has control characters in it.
 */

static ngx_int_t
ngx_http_ticket_evaluate(ngx_http_request_t *r, ngx_http_complex_value_t *cv,
    size_t max, ngx_str_t *value)
{
    size_t  i;

    if (cv == NULL) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, cv, value) != NGX_OK) {
        return NGX_ERROR;
    }

    while (value->len && value->data[0] == ' ') {
        value->data++;
        value->len--;
    }

    while (value->len && value->data[value->len - 1] == ' ') {
        value->len--;
    }

    if (value->len > max) {
        return NGX_DECLINED;
    }

    for (i = 0; i < value->len; i++) {
        if (value->data[i] < ' ' || value->data[i] == 0x7f) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_ticket_identify(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_http_ticket_loc_conf_t  *tlcf;

    if (ctx->identified) {
        return NGX_OK;
    }

    ctx->identified = 1;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    rc = ngx_http_ticket_evaluate(r, tlcf->identity,
                                  NGX_HTTP_TICKET_IDENTITY_MAX,
                                  &ctx->identity);

    if (rc == NGX_DECLINED) {
        ngx_str_null(&ctx->identity);

        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "ticket: the value of \"ticket_identity\" counts as "
                      "none, since it is longer than %d bytes or has control "
                      "characters in it", NGX_HTTP_TICKET_IDENTITY_MAX);
        return NGX_OK;
    }

    return rc;
}


ngx_int_t
ngx_http_ticket_read_tokens(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_str_t                     cookies;
    ngx_http_variable_value_t    *vv;
    ngx_http_ticket_loc_conf_t   *tlcf;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    rc = ngx_http_ticket_evaluate(r, tlcf->bind, TICKET_BIND_MAX, &ctx->bind);

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "ticket: the value of \"ticket_bind\" is longer than "
                      "%d bytes or has control characters in it",
                      TICKET_BIND_MAX);
        return NGX_HTTP_BAD_REQUEST;
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_ticket_find_headers(r, ctx);

    vv = ngx_http_get_indexed_variable(r, mcf->cookie_index);

    if (vv && !vv->not_found) {
        cookies.len = vv->len;
        cookies.data = vv->data;

        ngx_http_ticket_find_cookie(ctx, &cookies, TICKET_TOKEN_QUEUE,
                                    &ctx->queue);
        ngx_http_ticket_find_cookie(ctx, &cookies, TICKET_TOKEN_PASS,
                                    &ctx->pass);
    }

    ngx_http_ticket_open_token(mcf, ctx, TICKET_TOKEN_QUEUE, &ctx->queue);
    ngx_http_ticket_open_token(mcf, ctx, TICKET_TOKEN_PASS, &ctx->pass);

    return NGX_OK;
}


static void
ngx_http_ticket_find_headers(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == sizeof("X-Ticket-Queue") - 1
            && ngx_memcmp(header[i].lowcase_key, "x-ticket-queue",
                          sizeof("x-ticket-queue") - 1) == 0)
        {
            ctx->queue.text = header[i].value;

        } else if (header[i].key.len == sizeof("X-Ticket-Pass") - 1
                   && ngx_memcmp(header[i].lowcase_key, "x-ticket-pass",
                                 sizeof("x-ticket-pass") - 1) == 0)
        {
            ctx->pass.text = header[i].value;
        }
    }
}


static size_t
ngx_http_ticket_cookie_name(ngx_http_ticket_ctx_t *ctx,
    ticket_token_kind_t kind, u_char *name)
{
    u_char      *p;
    ngx_uint_t   i;

    p = name;

    if (ctx->secure) {
        p = ngx_cpymem(p, "__Host-", sizeof("__Host-") - 1);
    }

    if (kind == TICKET_TOKEN_QUEUE) {
        p = ngx_cpymem(p, "ticket-queue-", sizeof("ticket-queue-") - 1);

    } else {
        p = ngx_cpymem(p, "ticket-pass-", sizeof("ticket-pass-") - 1);
    }

    for (i = 0; i < ctx->name.len; i++) {
        *p++ = (ctx->name.data[i] == ':') ? '~' : ctx->name.data[i];
    }

    return p - name;
}


/* The first cookie of that name; a header goes before it. */

static void
ngx_http_ticket_find_cookie(ngx_http_ticket_ctx_t *ctx, ngx_str_t *cookies,
    ticket_token_kind_t kind, ngx_http_ticket_token_t *token)
{
    u_char  *p, *end, *last, name[NGX_HTTP_TICKET_COOKIE_LEN];
    size_t   len;

    if (token->text.data) {
        return;
    }

    len = ngx_http_ticket_cookie_name(ctx, kind, name);

    p = cookies->data;
    last = p + cookies->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == ';')) {
            p++;
        }

        end = memchr(p, ';', last - p);
        if (end == NULL) {
            end = last;
        }

        if ((size_t) (end - p) > len
            && p[len] == '='
            && ngx_memcmp(p, name, len) == 0)
        {
            token->cookie = 1;
            token->text.data = p + len + 1;
            token->text.len = end - token->text.data;
            return;
        }

        p = end;
    }
}


static void
ngx_http_ticket_open_token(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_ctx_t *ctx, ticket_token_kind_t kind,
    ngx_http_ticket_token_t *token)
{
    ngx_http_ticket_known_t  *known;

    if (token->text.data == NULL) {
        return;
    }

    if (ticket_token_open(mcf->keys, kind, (char *) token->text.data,
                          token->text.len, (char *) ctx->name.data,
                          ctx->name.len, ctx->bind.data, ctx->bind.len,
                          &token->token)
        != TICKET_TOKEN_OK
        || token->token.number > TICKET_NUMBER_MAX)
    {
        token->found = NGX_HTTP_TICKET_TOKEN_BAD;
        return;
    }

    known = ctx->instance ? &ctx->instance->known : NULL;

    if ((known && token->token.epoch < known->epoch)
        || (kind == TICKET_TOKEN_PASS
            && token->token.time_ms <= ngx_http_ticket_now(mcf->zone->data)))
    {
        token->found = NGX_HTTP_TICKET_TOKEN_OVER;
        return;
    }

    token->found = NGX_HTTP_TICKET_TOKEN_GOOD;
}


ngx_int_t
ngx_http_ticket_give_queue_token(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, uint32_t epoch, uint64_t number)
{
    ngx_http_ticket_token_t      *token;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    token = &ctx->queue;
    token->token.kind = TICKET_TOKEN_QUEUE;
    token->token.epoch = epoch;
    token->token.number = number;
    token->token.time_ms = ngx_http_ticket_now(mcf->zone->data);

    if (ngx_http_ticket_seal(r, ctx, token) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_ticket_set_cookie(r, ctx, TICKET_TOKEN_QUEUE, &token->text,
                                      NGX_HTTP_TICKET_QUEUE_MAX_AGE);
}


/* The queue token has done its duty, so its cookie goes. */

ngx_int_t
ngx_http_ticket_give_pass(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    uint32_t epoch, uint64_t number, uint64_t ends, uint64_t last)
{
    uint64_t                      now;
    ngx_http_ticket_token_t      *token;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    now = ngx_http_ticket_now(mcf->zone->data);

    token = &ctx->pass;
    token->token.kind = TICKET_TOKEN_PASS;
    token->token.epoch = epoch;
    token->token.number = number;
    token->token.time_ms = last;
    token->cookie = 1;

    ctx->ends = ends;

    if (ngx_http_ticket_seal(r, ctx, token) != NGX_OK
        || ngx_http_ticket_set_cookie(r, ctx, TICKET_TOKEN_PASS, &token->text,
                                      last > now ? (last - now + 999) / 1000
                                                 : 0)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->queue.cookie) {
        return ngx_http_ticket_clear_cookie(r, ctx, TICKET_TOKEN_QUEUE);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ticket_seal(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_token_t *token)
{
    u_char                       *text;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    text = ngx_pnalloc(r->pool, TICKET_TOKEN_TEXT_LEN);
    if (text == NULL) {
        return NGX_ERROR;
    }

    if (getrandom(&token->token.id, sizeof(token->token.id), 0)
        != sizeof(token->token.id)
        || ticket_token_seal(mcf->keys, &token->token, (char *) ctx->name.data,
                             ctx->name.len, ctx->bind.data, ctx->bind.len,
                             (char *) text)
           != 0)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ticket: a token could not be signed");
        return NGX_ERROR;
    }

    token->found = NGX_HTTP_TICKET_TOKEN_GOOD;
    token->text.data = text;
    token->text.len = TICKET_TOKEN_TEXT_LEN;

    return NGX_OK;
}


/* By itself it would still look good to this node. */

ngx_int_t
ngx_http_ticket_drop_pass(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ctx->pass.found = NGX_HTTP_TICKET_TOKEN_OVER;

    return ctx->pass.cookie
           ? ngx_http_ticket_clear_cookie(r, ctx, TICKET_TOKEN_PASS) : NGX_OK;
}


ngx_int_t
ngx_http_ticket_clear_cookie(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ticket_token_kind_t kind)
{
    ngx_str_t  none = ngx_null_string;

    return ngx_http_ticket_set_cookie(r, ctx, kind, &none, 0);
}


/* Takes the place of a cookie of this name that the answer has already. */

static ngx_int_t
ngx_http_ticket_set_cookie(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ticket_token_kind_t kind, ngx_str_t *text, time_t max_age)
{
    u_char            *p;
    size_t             len;
    ngx_str_t          value;
    static ngx_str_t   key = ngx_string("Set-Cookie");

    value.data = ngx_pnalloc(r->pool, NGX_HTTP_TICKET_COOKIE_LEN + text->len
                 + sizeof("=; Path=/; Max-Age=; HttpOnly; SameSite=Lax; Secure")
                 + NGX_TIME_T_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    len = ngx_http_ticket_cookie_name(ctx, kind, value.data);
    value.data[len++] = '=';

    ngx_http_ticket_take_back_cookie(r, value.data, len);

    p = ngx_sprintf(value.data + len,
                    "%V; Path=/; Max-Age=%T; HttpOnly; SameSite=Lax%s",
                    text, max_age, ctx->secure ? "; Secure" : "");
    value.len = p - value.data;

    return ngx_http_ticket_add_header(r, &key, &value) ? NGX_OK : NGX_ERROR;
}


/* The name ends in "=". */

static void
ngx_http_ticket_take_back_cookie(ngx_http_request_t *r, u_char *name,
    size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        header = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (header[i].hash != 0
                && header[i].key.len == sizeof("Set-Cookie") - 1
                && ngx_strncasecmp(header[i].key.data, (u_char *) "Set-Cookie",
                                   sizeof("Set-Cookie") - 1)
                   == 0
                && header[i].value.len > len
                && ngx_memcmp(header[i].value.data, name, len) == 0)
            {
                header[i].hash = 0;
            }
        }
    }
}
