
/*
 * The gate: lets through whoever has a valid pass, claims for a called
 * visitor on the way, and shows the waiting page, or a problem to programs,
 * to everybody else.  It runs before the access phase, where "satisfy any"
 * could bypass it.  Each step leads to the next or waits for Redis, and then
 * ctx->next names the step to go on with.
 */


#include "ngx_http_ticket_module.h"


static ngx_int_t ngx_http_ticket_gate_start(ngx_http_request_t *r,
    ngx_http_ticket_loc_conf_t *tlcf);
static ngx_int_t ngx_http_ticket_gate_checked(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_gate_claim(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_gate_claimed(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_gate_join(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_gate_joined(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_gate_wait(ngx_http_request_t *r);
static void ngx_http_ticket_gate_done(ngx_http_request_t *r);
static ngx_int_t ngx_http_ticket_gate_through(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_uint_t ngx_http_ticket_gate_is_off(ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_gate_hold_back(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_gate_page(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static const char *ngx_http_ticket_gate_heading(ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_gate_plain_page(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_uint_t ngx_http_ticket_gate_wants_page(ngx_http_request_t *r);
static ngx_int_t ngx_http_ticket_gate_quality(u_char *p, u_char *last);


ngx_int_t
ngx_http_ticket_gate_handler(ngx_http_request_t *r)
{
    ngx_http_ticket_ctx_t       *ctx;
    ngx_http_ticket_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    if (r != r->main) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_ticket_get_ctx(r);

    if (ctx && ctx->gated && r->internal) {

        /* the location's own upstream may take the place of this one */

        ngx_http_ticket_note_command(r, ctx);
    }

    if (tlcf->gate == NULL || (ctx && ctx->decided)) {

        /* or this is the waiting page on its way out */

        return NGX_DECLINED;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    if (ctx == NULL) {
        return ngx_http_ticket_gate_start(r, tlcf);
    }

    return ctx->op ? NGX_AGAIN : ctx->next(r, ctx);
}


static ngx_int_t
ngx_http_ticket_gate_start(ngx_http_request_t *r,
    ngx_http_ticket_loc_conf_t *tlcf)
{
    ngx_int_t               rc;
    ngx_http_ticket_ctx_t  *ctx;

    ctx = ngx_http_ticket_make_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->gated = 1;
    ctx->before = r->upstream;

    if (ngx_http_ticket_keep_ctx(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (tlcf->gate_queue
        && ngx_http_complex_value(r, tlcf->gate_queue, &ctx->queue_url)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_ticket_resolve(r, tlcf->gate, ctx);

    if (rc == NGX_DECLINED) {
        rc = ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_NO_SUCH_ROOM,
                                          NULL);
        ngx_http_finalize_request(r, rc);
        return NGX_DONE;
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_ticket_read_tokens(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_ticket_watch_pass(ctx);

    if (ngx_http_ticket_identify(r, ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ctx->pass.found != NGX_HTTP_TICKET_TOKEN_GOOD) {
        return ngx_http_ticket_gate_claim(r, ctx);
    }

    if (tlcf->gate_check == NGX_HTTP_TICKET_CHECK_LOCAL
        && ctx->room->policy.max == 0)
    {
        return ngx_http_ticket_gate_checked(r, ctx);
    }

    ctx->next = ngx_http_ticket_gate_checked;

    if (ngx_http_ticket_check(r, ctx, ngx_http_ticket_gate_done) == NGX_AGAIN)
    {
        return ngx_http_ticket_gate_wait(r);
    }

    return ngx_http_ticket_gate_checked(r, ctx);
}


static ngx_int_t
ngx_http_ticket_gate_checked(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->state == NGX_HTTP_TICKET_REFUSED) {
        ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_PASSES_OVER);

        if (ngx_http_ticket_drop_pass(r, ctx) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return ngx_http_ticket_gate_claim(r, ctx);
    }

    /*
     * With check=local, or while Redis is away, signature and time must do,
     * and the epoch, as far as this node knows it.
     */

    if (ctx->instance && ctx->instance->known.epoch
        && ctx->pass.token.epoch > ctx->instance->known.epoch)
    {
        ngx_http_ticket_count(ctx->instance, NGX_HTTP_TICKET_N_PASSES_OVER);
        ctx->pass.found = NGX_HTTP_TICKET_TOKEN_OVER;

        return ngx_http_ticket_gate_claim(r, ctx);
    }

    return ngx_http_ticket_gate_through(r, ctx);
}


static ngx_int_t
ngx_http_ticket_gate_claim(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->queue.found != NGX_HTTP_TICKET_TOKEN_GOOD) {
        return ngx_http_ticket_gate_join(r, ctx);
    }

    ngx_http_ticket_poll(r, ctx);

    if (ctx->state == NGX_HTTP_TICKET_CALLED
        || (ctx->state == NGX_HTTP_TICKET_WAITING
            && ctx->place.view.life == 0))
    {
        ctx->next = ngx_http_ticket_gate_claimed;

        if (ngx_http_ticket_claim(r, ctx, ngx_http_ticket_gate_done)
            == NGX_AGAIN)
        {
            return ngx_http_ticket_gate_wait(r);
        }
    }

    return ngx_http_ticket_gate_claimed(r, ctx);
}


static ngx_int_t
ngx_http_ticket_gate_claimed(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    switch (ctx->state) {

    case NGX_HTTP_TICKET_ADMITTED:
        return ngx_http_ticket_gate_through(r, ctx);

    case NGX_HTTP_TICKET_PAST:
    case NGX_HTTP_TICKET_SPENT:
        return ngx_http_ticket_gate_join(r, ctx);

    default:
        return ngx_http_ticket_gate_hold_back(r, ctx);
    }
}


/* Only a browser that opens a page is given a place unasked. */

static ngx_int_t
ngx_http_ticket_gate_join(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    if (ngx_http_ticket_takes_joins(mcf, ctx) != NGX_OK) {
        ctx->state = NGX_HTTP_TICKET_CLOSED;
        return ngx_http_ticket_gate_joined(r, ctx);
    }

    ctx->state = NGX_HTTP_TICKET_REFUSED;

    if (r->method == NGX_HTTP_GET && ngx_http_ticket_gate_wants_page(r)) {

        ctx->next = ngx_http_ticket_gate_joined;

        if (ngx_http_ticket_join(r, ctx, ngx_http_ticket_gate_done)
            == NGX_AGAIN)
        {
            return ngx_http_ticket_gate_wait(r);
        }
    }

    return ngx_http_ticket_gate_joined(r, ctx);
}


static ngx_int_t
ngx_http_ticket_gate_joined(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->state == NGX_HTTP_TICKET_ADMITTED) {
        return ngx_http_ticket_gate_through(r, ctx);
    }

    return ngx_http_ticket_gate_hold_back(r, ctx);
}


static ngx_int_t
ngx_http_ticket_gate_wait(ngx_http_request_t *r)
{
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


static void
ngx_http_ticket_gate_done(ngx_http_request_t *r)
{
    if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


static ngx_int_t
ngx_http_ticket_gate_through(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ctx->state = NGX_HTTP_TICKET_ADMITTED;

    if (ngx_http_ticket_remove_headers(r) != NGX_OK
        || ngx_http_ticket_set_headers(r, ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_ticket_count_known(ctx, NGX_HTTP_TICKET_N_PASSED);

    return NGX_DECLINED;
}


/* In this mode who has no pass goes through without one. */

static ngx_uint_t
ngx_http_ticket_gate_is_off(ngx_http_ticket_ctx_t *ctx)
{
    ticket_view_t  view;

    if (ctx->instance) {
        ticket_line_view(&ctx->instance->line, &view);

        if (view.life) {
            return view.mode == TICKET_MODE_PASSTHROUGH;
        }
    }

    return ctx->room->policy.mode == TICKET_MODE_PASSTHROUGH;
}


static ngx_int_t
ngx_http_ticket_gate_hold_back(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_http_ticket_problem_e  problem;

    if (ngx_http_ticket_gate_is_off(ctx)) {
        ngx_http_ticket_count_known(ctx, NGX_HTTP_TICKET_N_PASSED);
        return ngx_http_ticket_remove_headers(r) == NGX_OK
               ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_ticket_count_known(ctx, NGX_HTTP_TICKET_N_HELD_BACK);

    if (ngx_http_ticket_gate_wants_page(r)) {
        return ngx_http_ticket_gate_page(r, ctx);
    }

    if (ctx->state == NGX_HTTP_TICKET_CLOSED) {
        rc = ngx_http_ticket_send_closed(r, ctx);

    } else {
        problem = (ctx->state == NGX_HTTP_TICKET_UNAVAILABLE)
                  ? NGX_HTTP_TICKET_IS_AWAY : NGX_HTTP_TICKET_NOT_ADMITTED;

        rc = ngx_http_ticket_send_problem(r, problem, &ctx->queue_url);
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_ticket_gate_page(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_int_t                    rc;
    ngx_str_t                    uri, args;
    ngx_uint_t                   flags;
    ngx_http_ticket_loc_conf_t  *tlcf;

    static ngx_str_t  cache_control = ngx_string("Cache-Control");
    static ngx_str_t  no_store = ngx_string("no-store");
    static ngx_str_t  robots = ngx_string("X-Robots-Tag");
    static ngx_str_t  noindex = ngx_string("noindex");

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    ctx->decided = 1;

    if (ngx_http_ticket_add_header(r, &robots, &noindex) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (tlcf->gate_page == NULL) {
        rc = ngx_http_ticket_gate_plain_page(r, ctx);
        ngx_http_finalize_request(r, rc);
        return NGX_DONE;
    }

    if (ngx_http_ticket_add_header(r, &cache_control, &no_store) == NULL
        || ngx_http_complex_value(r, tlcf->gate_page, &uri) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    flags = NGX_HTTP_LOG_UNSAFE;
    ngx_str_null(&args);

    if (ngx_http_parse_unsafe_uri(r, &uri, &args, &flags) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the page stands in for the answer to whatever was asked */

    if (r->method != NGX_HTTP_HEAD) {
        r->method = NGX_HTTP_GET;
        r->method_name = ngx_http_core_get_method;
    }

    r->disable_not_modified = 1;
    r->headers_in.range = NULL;

    if (tlcf->gate_status != NGX_HTTP_OK) {
        r->err_status = tlcf->gate_status;
    }

    ngx_http_internal_redirect(r, &uri, &args);
    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static const char *
ngx_http_ticket_gate_heading(ngx_http_ticket_ctx_t *ctx)
{
    switch (ctx->state) {

    case NGX_HTTP_TICKET_UNPROVEN:
        return "Joining takes a proof that this page cannot make";

    case NGX_HTTP_TICKET_CLOSED:
        return "This waiting room is closed at the moment";

    case NGX_HTTP_TICKET_PREQUEUE:
        return "You have a place, and the doors are not open yet";

    case NGX_HTTP_TICKET_UNAVAILABLE:
        return "The waiting room cannot be reached at the moment";

    default:
        return "You are in line";
    }
}


/* For a gate without "page=". */

static ngx_int_t
ngx_http_ticket_gate_plain_page(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    u_char                      *p;
    ngx_buf_t                   *b;
    ngx_str_t                    refresh;
    ngx_http_ticket_loc_conf_t  *tlcf;

    static ngx_str_t  key = ngx_string("Refresh");
    static ngx_str_t  type = ngx_string("text/html; charset=utf-8");

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    b = ngx_create_temp_buf(r->pool, 512);
    p = ngx_pnalloc(r->pool, NGX_INT32_LEN);
    if (b == NULL || p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    refresh.data = p;
    refresh.len = ngx_sprintf(p, "%uD", ngx_http_ticket_refresh(r, ctx)) - p;

    if (ngx_http_ticket_add_header(r, &key, &refresh) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_sprintf(b->last,
                          "<!DOCTYPE html>\n<html lang=\"en\">"
                          "<title>Waiting room</title>\n"
                          "<h1>%s</h1>\n",
                          ngx_http_ticket_gate_heading(ctx));

    if (ctx->state == NGX_HTTP_TICKET_WAITING && ctx->place.view.life) {
        b->last = ngx_sprintf(b->last, "<p>Your position: %uD of %uD.</p>\n",
                              ctx->place.ahead + 1, ctx->place.waiting);
    }

    b->last = ngx_sprintf(b->last, "<p>This page reloads by itself and lets "
                          "you in when it is your turn.</p>\n</html>\n");

    return ngx_http_ticket_send_body(r, tlcf->gate_status, &type, b);
}


/* A browser that opens a page names text/html, and a program does not. */

static ngx_uint_t
ngx_http_ticket_gate_wants_page(ngx_http_request_t *r)
{
    u_char                       *p, *end, *last;
    size_t                        len;
    ngx_int_t                     q, html, json;
    ngx_http_variable_value_t    *vv;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    vv = ngx_http_get_indexed_variable(r, mcf->accept_index);

    if (vv == NULL || vv->not_found) {
        return 0;
    }

    html = 0;
    json = 0;

    p = vv->data;
    last = p + vv->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ',')) {
            p++;
        }

        end = ngx_strlchr(p, last, ',');
        if (end == NULL) {
            end = last;
        }

        for (len = 0; p + len < end; len++) {
            if (p[len] == ';' || p[len] == ' ' || p[len] == '\t') {
                break;
            }
        }

        q = ngx_http_ticket_gate_quality(p + len, end);

        if (len == sizeof("text/html") - 1
            && ngx_strncasecmp(p, (u_char *) "text/html", len) == 0)
        {
            html = q;

        } else if (len == sizeof("application/json") - 1
                   && ngx_strncasecmp(p, (u_char *) "application/json", len)
                      == 0)
        {
            json = q;
        }

        p = end;
    }

    return html > 0 && html >= json;
}


/* The "q" among the parameters of one media range, in thousandths. */

static ngx_int_t
ngx_http_ticket_gate_quality(u_char *p, u_char *last)
{
    u_char     *end;
    ngx_int_t   q;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == '\t' || *p == ';')) {
            p++;
        }

        end = ngx_strlchr(p, last, ';');
        if (end == NULL) {
            end = last;
        }

        if (end - p > 2 && (p[0] == 'q' || p[0] == 'Q') && p[1] == '=') {
            p += 2;

            while (end > p && (end[-1] == ' ' || end[-1] == '\t')) {
                end--;
            }

            q = ngx_atofp(p, end - p, 3);

            return (q == NGX_ERROR || q > 1000) ? 0 : q;
        }

        p = end;
    }

    return 1000;
}
