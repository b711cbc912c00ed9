
/*
 * Answers: the state of a visitor as JSON.  Names of rooms need no escaping,
 * since only letters, digits, ".", "_" and "-" are allowed in them.
 */


#include "ngx_http_ticket_module.h"


/* more than the longest state takes without the room's name */
#define NGX_HTTP_TICKET_STATE_LEN   512

#define NGX_HTTP_TICKET_CLAIM_MS    500   /* to try a claim again */
#define NGX_HTTP_TICKET_UNPROVEN_MS 30000 /* for a page without a proof */
#define NGX_HTTP_TICKET_UNSEEN_MS   1000  /* to poll again without a snapshot */
#define NGX_HTTP_TICKET_SPREAD_MS   30000 /* polls after an opening, at most */


#define ngx_http_ticket_put(p, text)                                          \
    ngx_cpymem(p, text, sizeof(text) - 1)

#define ngx_http_ticket_put_uint(p, text, n)                                  \
    ngx_http_ticket_put_number(p, text, sizeof(text) - 1, n)


static u_char *ngx_http_ticket_put_place(u_char *p,
    ngx_http_ticket_ctx_t *ctx);
static u_char *ngx_http_ticket_put_hours(u_char *p, ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static u_char *ngx_http_ticket_put_pass(u_char *p, ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static u_char *ngx_http_ticket_put_number(u_char *p, const char *text,
    size_t len, uint64_t n);
static uint32_t ngx_http_ticket_poll_closed(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


ngx_int_t
ngx_http_ticket_send_state(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_uint_t status)
{
    u_char            *p;
    ngx_buf_t         *b;
    uint64_t           number;
    ticket_view_t     *view;
    static ngx_str_t   type = ngx_string("application/json");

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_TICKET_STATE_LEN + ctx->name.len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = b->last;

    number = ctx->queue.token.number;
    view = &ctx->place.view;

    switch (ctx->state) {

    case NGX_HTTP_TICKET_ADMITTED:
        number = ctx->pass.token.number;
        p = ngx_http_ticket_put(p, "{\"state\":\"admitted\",\"room\":\"");
        break;

    case NGX_HTTP_TICKET_CALLED:
        p = ngx_http_ticket_put(p, "{\"state\":\"called\",\"room\":\"");
        break;

    case NGX_HTTP_TICKET_PREQUEUE:
        p = ngx_http_ticket_put(p, "{\"state\":\"prequeue\",\"room\":\"");
        break;

    case NGX_HTTP_TICKET_CLOSED:
        p = ngx_http_ticket_put(p, "{\"state\":\"closed\",\"room\":\"");
        break;

    default:
        p = ngx_http_ticket_put(p, "{\"state\":\"waiting\",\"room\":\"");
    }

    p = ngx_cpymem(p, ctx->name.data, ctx->name.len);
    p = ngx_http_ticket_put_uint(p, "\",\"number\":", number);

    if (ctx->state == NGX_HTTP_TICKET_ADMITTED) {
        p = ngx_http_ticket_put_pass(p, r, ctx);

    } else if (ctx->state != NGX_HTTP_TICKET_CALLED) {
        p = ngx_http_ticket_put_place(p, ctx);
    }

    if (ctx->room->policy.opens || ctx->room->policy.closes) {
        p = ngx_http_ticket_put_hours(p, r, ctx);
    }

    p = ngx_http_ticket_put_uint(p, ",\"poll_after_ms\":",
                                 ngx_http_ticket_poll_after(r, ctx));

    p = view->paused ? ngx_http_ticket_put(p, ",\"paused\":true")
                     : ngx_http_ticket_put(p, ",\"paused\":false");

    p = view->sold_out ? ngx_http_ticket_put(p, ",\"sold_out\":true")
                       : ngx_http_ticket_put(p, ",\"sold_out\":false");

    if (view->life) {
        p = ngx_http_ticket_put_uint(p, ",\"updated_ms\":",
                                     ticket_view_age(view, ngx_current_msec));
        *p++ = '}';

    } else {
        p = ngx_http_ticket_put(p, ",\"updated_ms\":null}");
    }

    b->last = p;

    return ngx_http_ticket_send_body(r, status, &type, b);
}


static u_char *
ngx_http_ticket_put_place(u_char *p, ngx_http_ticket_ctx_t *ctx)
{
    ticket_eta_t             eta;
    ticket_place_t          *place;
    ngx_http_ticket_draw_t  *draw;

    place = &ctx->place;

    if (place->view.life == 0) {
        return ngx_http_ticket_put(p, ",\"position\":null,\"ahead\":null,"
                                   "\"waiting\":null,\"eta\":null");
    }

    if (ctx->room->policy.draw) {
        draw = &ctx->instance->draw;

        if (ctx->state == NGX_HTTP_TICKET_PREQUEUE || draw->held == 0) {
            p = ngx_http_ticket_put_uint(p, ",\"draw\":true,\"position\":null,"
                                         "\"ahead\":null,\"eta\":null,"
                                         "\"waiting\":", place->waiting);
            return p;
        }

        if (ctx->queue.token.number <= draw->entries) {
            p = ngx_http_ticket_put_uint(p, ",\"place\":",
                              ngx_http_ticket_place(ctx->instance,
                                                    ctx->queue.token.number));
        }
    }

    p = ngx_http_ticket_put_uint(p, ",\"position\":", place->ahead + 1);
    p = ngx_http_ticket_put_uint(p, ",\"ahead\":", place->ahead);
    p = ngx_http_ticket_put_uint(p, ",\"waiting\":", place->waiting);

    if (ticket_eta(&place->view.speed, place->ahead, &eta) != 0) {
        return ngx_http_ticket_put(p, ",\"eta\":null");
    }

    p = ngx_http_ticket_put_uint(p, ",\"eta\":{\"min\":", eta.min);
    p = ngx_http_ticket_put_uint(p, ",\"max\":", eta.max);
    *p++ = '}';

    return p;
}


/* Times are told from now on, so that nobody's own clock matters. */

static u_char *
ngx_http_ticket_put_hours(u_char *p, ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    uint64_t                      now;
    ticket_policy_t              *policy;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    now = ngx_http_ticket_now(mcf->zone->data);
    policy = &ctx->room->policy;

    if (ctx->state == NGX_HTTP_TICKET_PREQUEUE
        || ctx->state == NGX_HTTP_TICKET_CLOSED)
    {
        if (now < policy->prequeue) {
            p = ngx_http_ticket_put_uint(p, ",\"prequeue_in_ms\":",
                                         policy->prequeue - now);
        }

        if (now < policy->opens) {
            p = ngx_http_ticket_put_uint(p, ",\"opens_in_ms\":",
                                         policy->opens - now);
        }
    }

    if (now < policy->closes) {
        p = ngx_http_ticket_put_uint(p, ",\"closes_in_ms\":",
                                     policy->closes - now);
    }

    return p;
}


static u_char *
ngx_http_ticket_put_pass(u_char *p, ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    uint64_t                      now, ends;
    ticket_token_t               *token;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    now = ngx_http_ticket_now(mcf->zone->data);
    token = &ctx->pass.token;

    ends = ctx->ends ? ctx->ends : token->time_ms;

    p = ngx_http_ticket_put_uint(p, ",\"session\":\"", token->epoch);
    p = ngx_http_ticket_put_uint(p, "-", token->number);

    return ngx_http_ticket_put_uint(p, "\",\"expires_in_ms\":",
                                    ends > now ? ends - now : 0);
}


/* A text and a number, without the cost of reading a format. */

static u_char *
ngx_http_ticket_put_number(u_char *p, const char *text, size_t len, uint64_t n)
{
    u_char  digits[NGX_INT64_LEN], *d;

    p = ngx_cpymem(p, text, len);
    d = digits + sizeof(digits);

    do {
        *--d = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return ngx_cpymem(p, d, digits + sizeof(digits) - d);
}


uint32_t
ngx_http_ticket_poll_after(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    switch (ctx->state) {

    case NGX_HTTP_TICKET_CALLED:
        return NGX_HTTP_TICKET_CLAIM_MS;

    case NGX_HTTP_TICKET_PREQUEUE:
    case NGX_HTTP_TICKET_CLOSED:
        return ngx_http_ticket_poll_closed(r, ctx);

    case NGX_HTTP_TICKET_UNPROVEN:
        return NGX_HTTP_TICKET_UNPROVEN_MS;

    default:
        break;
    }

    if (ctx->place.view.life == 0) {
        return NGX_HTTP_TICKET_UNSEEN_MS;
    }

    return ticket_poll_after(ctx->place.ahead, ctx->room->policy.liveness,
                             (uint32_t) ngx_random());
}


/*
 * Before the opening all are far from the front.  Those who would poll again
 * only after it are told to do so soon after, but not all at once.
 */

static uint32_t
ngx_http_ticket_poll_closed(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    uint32_t                      after;
    uint64_t                      now, next, spread;
    ticket_policy_t              *policy;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    now = ngx_http_ticket_now(mcf->zone->data);
    policy = &ctx->room->policy;

    after = ticket_poll_after(TICKET_NUMBER_MAX, policy->liveness,
                              (uint32_t) ngx_random());

    next = (now < policy->prequeue) ? policy->prequeue : policy->opens;

    if (next + NGX_HTTP_TICKET_UNSEEN_MS > now + after) {
        return after;
    }

    if (now >= next && ctx->state == NGX_HTTP_TICKET_CLOSED) {
        return after;
    }

    spread = NGX_HTTP_TICKET_UNSEEN_MS + (uint64_t) ctx->place.waiting * 10;
    spread = ngx_min(spread, NGX_HTTP_TICKET_SPREAD_MS);
    spread = ngx_min(spread, policy->liveness / 4);

    next = (next > now) ? next - now : 0;

    return (uint32_t) (next + spread / 2
                       + (uint64_t) ngx_random() % (spread / 2 + 1));
}


uint32_t
ngx_http_ticket_refresh(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    uint32_t  seconds;

    seconds = (ngx_http_ticket_poll_after(r, ctx) + 999) / 1000;

    return ngx_max(seconds, 2);
}


ngx_int_t
ngx_http_ticket_send_body(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b)
{
    ngx_int_t          rc;
    ngx_chain_t        out;
    static ngx_str_t   cache_control = ngx_string("Cache-Control");
    static ngx_str_t   no_store = ngx_string("no-store");

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_ticket_add_header(r, &cache_control, &no_store) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = status;

    if (b == NULL) {
        r->header_only = 1;
        return ngx_http_send_header(r);
    }

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* Key and value stay the caller's for as long as the request lives. */

ngx_table_elt_t *
ngx_http_ticket_add_header(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
    h->key = *key;
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return h;
}
