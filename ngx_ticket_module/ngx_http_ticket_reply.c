
/*
 * Answers: the state of a visitor as JSON, and problems (RFC 9457).  Names of
 * rooms need no escaping, since only letters, digits, ".", "_" and "-" are
 * allowed in them.
 */


#include "ngx_http_ticket_module.h"


/* more than the longest state takes without the room's name */
#define NGX_HTTP_TICKET_STATE_LEN   320

#define NGX_HTTP_TICKET_CLAIM_MS    500   /* to try a claim again */
#define NGX_HTTP_TICKET_UNSEEN_MS   1000  /* to poll again without a snapshot */


#define ngx_http_ticket_put(p, text)                                          \
    ngx_cpymem(p, text, sizeof(text) - 1)

#define ngx_http_ticket_put_uint(p, text, n)                                  \
    ngx_http_ticket_put_number(p, text, sizeof(text) - 1, n)


static u_char *ngx_http_ticket_put_place(u_char *p,
    ngx_http_ticket_ctx_t *ctx);
static u_char *ngx_http_ticket_put_pass(u_char *p, ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static u_char *ngx_http_ticket_put_number(u_char *p, const char *text,
    size_t len, uint64_t n);
static uint32_t ngx_http_ticket_poll_after(ngx_http_ticket_ctx_t *ctx);


typedef struct {
    ngx_uint_t   status;
    ngx_str_t    code;
    ngx_str_t    title;
    ngx_str_t    detail;
} ngx_http_ticket_problem_t;


/* in the order of ngx_http_ticket_problem_e */

static ngx_http_ticket_problem_t  ngx_http_ticket_problems[] = {

    { 401, ngx_string("no_token"),
      ngx_string("No place in line"),
      ngx_string("The request carries no token. POST to join the line.") },

    { 403, ngx_string("bad_token"),
      ngx_string("Token refused"),
      ngx_string("The token was not issued for this line. POST without it "
                 "to join.") },

    { 403, ngx_string("not_admitted"),
      ngx_string("Not admitted"),
      ngx_string("A valid pass is needed here. Join the line and wait to be "
                 "called.") },

    { 404, ngx_string("no_such_room"),
      ngx_string("No such room"),
      ngx_string("There is no waiting room of this name.") },

    { 405, ngx_string("method_not_allowed"),
      ngx_string("Method not allowed"),
      ngx_string("Use POST to join or claim, GET to poll, DELETE to leave.") },

    { 410, ngx_string("past_epoch"),
      ngx_string("The line has begun anew"),
      ngx_string("The token is of an earlier life of this line, or has run "
                 "out. POST without it to join.") },

    { 410, ngx_string("spent"),
      ngx_string("Place used up"),
      ngx_string("The place was used for a session that is over, or given "
                 "up. POST without the token to join.") },

    { 503, ngx_string("unavailable"),
      ngx_string("Not available"),
      ngx_string("The line cannot be reached at the moment. Places are kept; "
                 "try again.") }
};


ngx_int_t
ngx_http_ticket_send_state(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_uint_t status)
{
    u_char            *p;
    ngx_buf_t         *b;
    uint64_t           number;
    static ngx_str_t   type = ngx_string("application/json");

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_TICKET_STATE_LEN + ctx->name.len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = b->last;

    number = ctx->queue.token.number;

    if (ctx->state == NGX_HTTP_TICKET_ADMITTED) {
        number = ctx->pass.token.number;
        p = ngx_http_ticket_put(p, "{\"state\":\"admitted\",\"room\":\"");

    } else if (ctx->state == NGX_HTTP_TICKET_CALLED) {
        p = ngx_http_ticket_put(p, "{\"state\":\"called\",\"room\":\"");

    } else {
        p = ngx_http_ticket_put(p, "{\"state\":\"waiting\",\"room\":\"");
    }

    p = ngx_cpymem(p, ctx->name.data, ctx->name.len);
    p = ngx_http_ticket_put_uint(p, "\",\"number\":", number);

    if (ctx->state == NGX_HTTP_TICKET_WAITING) {
        p = ngx_http_ticket_put_place(p, ctx);

    } else if (ctx->state == NGX_HTTP_TICKET_ADMITTED) {
        p = ngx_http_ticket_put_pass(p, r, ctx);
    }

    p = ngx_http_ticket_put_uint(p, ",\"poll_after_ms\":",
                                 ngx_http_ticket_poll_after(ctx));
    p = ngx_http_ticket_put(p, ",\"paused\":false,\"sold_out\":false");

    if (ctx->place.view.life) {
        p = ngx_http_ticket_put_uint(p, ",\"updated_ms\":",
                            ngx_current_msec - ctx->place.view.fetched_ms);
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
    ticket_eta_t     eta;
    ticket_place_t  *place;

    place = &ctx->place;

    if (place->view.life == 0) {
        return ngx_http_ticket_put(p, ",\"position\":null,\"ahead\":null,"
                                   "\"waiting\":null,\"eta\":null");
    }

    p = ngx_http_ticket_put_uint(p, ",\"position\":", place->ahead + 1);
    p = ngx_http_ticket_put_uint(p, ",\"ahead\":", place->ahead);
    p = ngx_http_ticket_put_uint(p, ",\"waiting\":", place->waiting);

    if (ticket_eta(place->ahead, place->view.served, place->view.served_ms,
                   &eta)
        != 0)
    {
        return ngx_http_ticket_put(p, ",\"eta\":null");
    }

    p = ngx_http_ticket_put_uint(p, ",\"eta\":{\"min\":", eta.min);
    p = ngx_http_ticket_put_uint(p, ",\"max\":", eta.max);
    *p++ = '}';

    return p;
}


static u_char *
ngx_http_ticket_put_pass(u_char *p, ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    uint64_t                      now;
    ticket_token_t               *token;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    now = ngx_http_ticket_now(mcf->zone->data);
    token = &ctx->pass.token;

    p = ngx_http_ticket_put_uint(p, ",\"session\":\"", token->epoch);
    p = ngx_http_ticket_put_uint(p, "-", token->number);

    return ngx_http_ticket_put_uint(p, "\",\"expires_in_ms\":",
                               token->time_ms > now ? token->time_ms - now : 0);
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


/* In milliseconds. */

static uint32_t
ngx_http_ticket_poll_after(ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->state == NGX_HTTP_TICKET_CALLED) {
        return NGX_HTTP_TICKET_CLAIM_MS;
    }

    if (ctx->place.view.life == 0) {
        return NGX_HTTP_TICKET_UNSEEN_MS;
    }

    return ticket_poll_after(ctx->place.ahead, ctx->room->liveness,
                             (uint32_t) ngx_random());
}


uint32_t
ngx_http_ticket_refresh(ngx_http_ticket_ctx_t *ctx)
{
    uint32_t  seconds;

    seconds = (ngx_http_ticket_poll_after(ctx) + 999) / 1000;

    return ngx_max(seconds, 2);
}


ngx_int_t
ngx_http_ticket_send_problem(ngx_http_request_t *r,
    ngx_http_ticket_problem_e which, ngx_str_t *queue_url)
{
    size_t                      len, escape;
    u_char                     *p;
    ngx_buf_t                  *b;
    ngx_http_ticket_problem_t  *problem;
    static ngx_str_t            type = ngx_string("application/problem+json");
    static ngx_str_t            retry_after = ngx_string("Retry-After");
    static ngx_str_t            seconds = ngx_string("2");
    static ngx_str_t            allow = ngx_string("Allow");
    static ngx_str_t            methods = ngx_string("GET, HEAD, POST, DELETE");

    problem = &ngx_http_ticket_problems[which];

    if ((which == NGX_HTTP_TICKET_IS_AWAY
         && ngx_http_ticket_add_header(r, &retry_after, &seconds) == NULL)
        || (which == NGX_HTTP_TICKET_METHOD
            && ngx_http_ticket_add_header(r, &allow, &methods) == NULL))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    len = 256 + problem->code.len + problem->title.len + problem->detail.len;
    escape = 0;

    if (queue_url && queue_url->len) {
        escape = ngx_escape_json(NULL, queue_url->data, queue_url->len);
        len += queue_url->len + escape;
    }

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_sprintf(b->last, "{\"type\":\"about:blank\",\"title\":\"%V\","
                    "\"status\":%ui,\"code\":\"%V\",\"detail\":\"%V\"",
                    &problem->title, problem->status, &problem->code,
                    &problem->detail);

    if (queue_url && queue_url->len) {
        p = ngx_cpymem(p, ",\"queue\":\"", sizeof(",\"queue\":\"") - 1);
        p = (u_char *) ngx_escape_json(p, queue_url->data, queue_url->len);
        *p++ = '"';
    }

    *p++ = '}';
    b->last = p;

    return ngx_http_ticket_send_body(r, problem->status, &type, b);
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
