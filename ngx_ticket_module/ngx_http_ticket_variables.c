
/*
 * Variables: what is known of the visitor, for pages, headers and logs.  Not
 * found where a request has met neither queue nor gate.
 */


#include "ngx_http_ticket_module.h"


static void ngx_http_ticket_set_variable(ngx_http_variable_value_t *v,
    u_char *data, size_t len);
static ngx_int_t ngx_http_ticket_variable_state(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ticket_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_ticket_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


typedef enum {
    NGX_HTTP_TICKET_VAR_ROOM = 0,
    NGX_HTTP_TICKET_VAR_PASS,
    NGX_HTTP_TICKET_VAR_QUEUE_URL,
    NGX_HTTP_TICKET_VAR_IDENTITY,
    NGX_HTTP_TICKET_VAR_NUMBER,
    NGX_HTTP_TICKET_VAR_POSITION,
    NGX_HTTP_TICKET_VAR_WAITING,
    NGX_HTTP_TICKET_VAR_SESSION,
    NGX_HTTP_TICKET_VAR_OPENS_IN,
    NGX_HTTP_TICKET_VAR_REFRESH
} ngx_http_ticket_var_e;


static ngx_http_variable_t  ngx_http_ticket_vars[] = {

    { ngx_string("ticket_state"), NULL, ngx_http_ticket_variable_state,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_room"), NULL, ngx_http_ticket_variable_text,
      NGX_HTTP_TICKET_VAR_ROOM, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_pass"), NULL, ngx_http_ticket_variable_text,
      NGX_HTTP_TICKET_VAR_PASS, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_queue_url"), NULL, ngx_http_ticket_variable_text,
      NGX_HTTP_TICKET_VAR_QUEUE_URL, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_identity"), NULL, ngx_http_ticket_variable_text,
      NGX_HTTP_TICKET_VAR_IDENTITY, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_number"), NULL, ngx_http_ticket_variable_number,
      NGX_HTTP_TICKET_VAR_NUMBER, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_position"), NULL, ngx_http_ticket_variable_number,
      NGX_HTTP_TICKET_VAR_POSITION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_waiting"), NULL, ngx_http_ticket_variable_number,
      NGX_HTTP_TICKET_VAR_WAITING, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_session"), NULL, ngx_http_ticket_variable_number,
      NGX_HTTP_TICKET_VAR_SESSION, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_opens_in"), NULL, ngx_http_ticket_variable_number,
      NGX_HTTP_TICKET_VAR_OPENS_IN, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ticket_refresh"), NULL, ngx_http_ticket_variable_number,
      NGX_HTTP_TICKET_VAR_REFRESH, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_ticket_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_ticket_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static void
ngx_http_ticket_set_variable(ngx_http_variable_value_t *v, u_char *data,
    size_t len)
{
    v->data = data;
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
}


static ngx_int_t
ngx_http_ticket_variable_state(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_ticket_ctx_t  *ctx;

    v->not_found = 1;

    ctx = ngx_http_ticket_get_ctx(r);
    if (ctx == NULL) {
        return NGX_OK;
    }

    switch (ctx->state) {

    case NGX_HTTP_TICKET_WAITING:
        ngx_http_ticket_set_variable(v, (u_char *) "waiting", 7);
        break;

    case NGX_HTTP_TICKET_CALLED:
        ngx_http_ticket_set_variable(v, (u_char *) "called", 6);
        break;

    case NGX_HTTP_TICKET_ADMITTED:
        ngx_http_ticket_set_variable(v, (u_char *) "admitted", 8);
        break;

    case NGX_HTTP_TICKET_PREQUEUE:
        ngx_http_ticket_set_variable(v, (u_char *) "prequeue", 8);
        break;

    case NGX_HTTP_TICKET_CLOSED:
        ngx_http_ticket_set_variable(v, (u_char *) "closed", 6);
        break;

    default:
        break;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ticket_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t              *text;
    ngx_http_ticket_ctx_t  *ctx;

    v->not_found = 1;

    ctx = ngx_http_ticket_get_ctx(r);
    if (ctx == NULL || ctx->room == NULL) {
        return NGX_OK;
    }

    text = NULL;

    switch (data) {

    case NGX_HTTP_TICKET_VAR_ROOM:
        text = &ctx->name;
        break;

    case NGX_HTTP_TICKET_VAR_PASS:
        text = (ctx->state == NGX_HTTP_TICKET_ADMITTED) ? &ctx->pass.text
                                                        : NULL;
        break;

    case NGX_HTTP_TICKET_VAR_QUEUE_URL:
        text = &ctx->queue_url;
        break;

    default: /* NGX_HTTP_TICKET_VAR_IDENTITY */
        if (ngx_http_ticket_identify(r, ctx) != NGX_OK) {
            return NGX_ERROR;
        }

        text = &ctx->identity;
    }

    if (text && text->len) {
        ngx_http_ticket_set_variable(v, text->data, text->len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ticket_variable_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                       *p, *last;
    uint64_t                      now, opens;
    ngx_uint_t                    placed;
    ticket_token_t               *token;
    ngx_http_ticket_ctx_t        *ctx;
    ngx_http_ticket_main_conf_t  *mcf;

    v->not_found = 1;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    ctx = ngx_http_ticket_get_ctx(r);
    if (ctx == NULL || ctx->room == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    last = p;
    token = (ctx->state == NGX_HTTP_TICKET_ADMITTED) ? &ctx->pass.token
                                                     : &ctx->queue.token;
    placed = (ctx->state == NGX_HTTP_TICKET_WAITING && ctx->place.view.life);

    switch (data) {

    case NGX_HTTP_TICKET_VAR_NUMBER:
        if (token->number) {
            last = ngx_sprintf(p, "%uL", token->number);
        }

        break;

    case NGX_HTTP_TICKET_VAR_SESSION:
        if (ctx->state == NGX_HTTP_TICKET_ADMITTED) {
            last = ngx_sprintf(p, "%uD-%uL", token->epoch, token->number);
        }

        break;

    case NGX_HTTP_TICKET_VAR_POSITION:
        if (placed) {
            last = ngx_sprintf(p, "%uD", ctx->place.ahead + 1);
        }

        break;

    case NGX_HTTP_TICKET_VAR_WAITING:
        if (placed) {
            last = ngx_sprintf(p, "%uD", ctx->place.waiting);
        }

        break;

    case NGX_HTTP_TICKET_VAR_OPENS_IN:
        opens = ctx->room->policy.opens;
        now = ngx_http_ticket_now(mcf->zone->data);

        if (opens > now) {
            last = ngx_sprintf(p, "%uL", (opens - now + 999) / 1000);
        }

        break;

    default: /* NGX_HTTP_TICKET_VAR_REFRESH */
        last = ngx_sprintf(p, "%uD", ngx_http_ticket_refresh(r, ctx));
    }

    if (last != p) {
        ngx_http_ticket_set_variable(v, p, last - p);
    }

    return NGX_OK;
}
