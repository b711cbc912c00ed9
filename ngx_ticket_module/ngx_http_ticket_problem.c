
/*
 * Problems: what is refused, as RFC 9457 has it, with a code that stays the
 * same and a sentence on what to do.
 */


#include "ngx_http_ticket_module.h"

#include <ticket_proof.h>


#define NGX_HTTP_TICKET_RETRY  2   /* s */


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

    { 404, ngx_string("no_such_number"),
      ngx_string("No such number"),
      ngx_string("This number has not been issued in the present life of the "
                 "line.") },

    { 404, ngx_string("not_found"),
      ngx_string("Not found"),
      ngx_string("There are ROOM, ROOM/NUMBER and ROOM/audit here.") },

    { 404, ngx_string("no_draw"),
      ngx_string("No draw"),
      ngx_string("Places in this room are not drawn.") },

    { 400, ngx_string("bad_request"),
      ngx_string("Bad request"),
      ngx_string("The request is not understood.") },

    { 413, ngx_string("too_large"),
      ngx_string("Body too large"),
      ngx_string("A body of at most 4096 bytes is taken.") },

    { 415, ngx_string("unsupported_media_type"),
      ngx_string("Unsupported media type"),
      ngx_string("Send the body as Content-Type: application/json.") },

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

    { 403, ngx_string("closed"),
      ngx_string("Closed"),
      ngx_string("The room takes nobody at this time. Who has a place keeps "
                 "it.") },

    { 429, ngx_string("too_early"),
      ngx_string("Polled too early"),
      ngx_string("Poll again after poll_after_ms. The place is kept.") },

    { 403, ngx_string("proof_required"),
      ngx_string("Proof required"),
      ngx_string("Find a number such that the SHA-256 of challenge, full stop "
                 "and number begins with as many zero bits as difficulty "
                 "says, and POST again with all three in X-Ticket-Proof.") },

    { 503, ngx_string("unavailable"),
      ngx_string("Not available"),
      ngx_string("The line cannot be reached at the moment. Places are kept; "
                 "try again.") }
};


static u_char *ngx_http_ticket_put_until(u_char *p, const char *name,
    uint64_t at, uint64_t now);
static ngx_int_t ngx_http_ticket_send_document(ngx_http_request_t *r,
    ngx_http_ticket_problem_t *problem, ngx_str_t *detail, ngx_str_t *more);


ngx_int_t
ngx_http_ticket_send_problem(ngx_http_request_t *r,
    ngx_http_ticket_problem_e which, ngx_str_t *queue_url)
{
    u_char     *p;
    size_t      escape;
    ngx_str_t   more;

    ngx_str_null(&more);

    if (queue_url && queue_url->len) {
        escape = ngx_escape_json(NULL, queue_url->data, queue_url->len);

        p = ngx_pnalloc(r->pool, sizeof(",\"queue\":\"\"") - 1
                                 + queue_url->len + escape);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        more.data = p;
        p = ngx_cpymem(p, ",\"queue\":\"", sizeof(",\"queue\":\"") - 1);
        p = (u_char *) ngx_escape_json(p, queue_url->data, queue_url->len);
        *p++ = '"';
        more.len = p - more.data;
    }

    return ngx_http_ticket_send_details(r, which, &more,
                                        which == NGX_HTTP_TICKET_IS_AWAY
                                        ? NGX_HTTP_TICKET_RETRY : 0);
}


ngx_int_t
ngx_http_ticket_send_closed(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    u_char                       *p, buf[128];
    uint64_t                      now, next;
    ngx_str_t                     more;
    ticket_policy_t              *policy;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    now = ngx_http_ticket_now(mcf->zone->data);
    policy = &ctx->room->policy;

    p = ngx_http_ticket_put_until(buf, "prequeue_in_ms", policy->prequeue,
                                  now);
    p = ngx_http_ticket_put_until(p, "opens_in_ms", policy->opens, now);

    more.data = buf;
    more.len = p - buf;

    next = (now < policy->prequeue) ? policy->prequeue : policy->opens;

    return ngx_http_ticket_send_details(r, NGX_HTTP_TICKET_IS_CLOSED, &more,
                                        next > now ? (next - now + 999) / 1000
                                                   : 0);
}


static u_char *
ngx_http_ticket_put_until(u_char *p, const char *name, uint64_t at,
    uint64_t now)
{
    return (at > now) ? ngx_sprintf(p, ",\"%s\":%uL", name, at - now)
                      : ngx_sprintf(p, ",\"%s\":null", name);
}


ngx_int_t
ngx_http_ticket_send_unproven(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    u_char     buf[64 + TICKET_CHALLENGE_MAX];
    ngx_str_t  more;

    more.data = buf;
    more.len = ngx_sprintf(buf, ",\"challenge\":\"%V\",\"difficulty\":%ui",
                           &ctx->challenge, ctx->difficulty)
               - buf;

    return ngx_http_ticket_send_details(r, NGX_HTTP_TICKET_NO_PROOF, &more, 0);
}


ngx_int_t
ngx_http_ticket_send_early(ngx_http_request_t *r, uint32_t ms)
{
    u_char                  buf[64];
    ngx_str_t               more;
    ngx_http_ticket_ctx_t  *ctx;

    ctx = ngx_http_ticket_get_ctx(r);

    if (ctx) {
        ngx_http_ticket_count_known(ctx, NGX_HTTP_TICKET_N_POLLS_EARLY);
    }

    more.data = buf;
    more.len = ngx_sprintf(buf, ",\"poll_after_ms\":%uD", ms) - buf;

    return ngx_http_ticket_send_details(r, NGX_HTTP_TICKET_IS_EARLY, &more,
                                        (ms + 999) / 1000);
}


ngx_int_t
ngx_http_ticket_send_details(ngx_http_request_t *r,
    ngx_http_ticket_problem_e which, ngx_str_t *more, uint64_t retry_after)
{
    u_char                     *p;
    ngx_str_t                   seconds;
    ngx_http_ticket_problem_t  *problem;
    static ngx_str_t            retry = ngx_string("Retry-After");
    static ngx_str_t            allow = ngx_string("Allow");
    static ngx_str_t            methods = ngx_string("GET, HEAD, POST, DELETE");

    problem = &ngx_http_ticket_problems[which];

    if (retry_after) {
        p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        seconds.data = p;
        seconds.len = ngx_sprintf(p, "%uL", retry_after) - p;

        if (ngx_http_ticket_add_header(r, &retry, &seconds) == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (which == NGX_HTTP_TICKET_METHOD
        && ngx_http_ticket_add_header(r, &allow, &methods) == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_ticket_send_document(r, problem, &problem->detail, more);
}


ngx_int_t
ngx_http_ticket_send_wrong(ngx_http_request_t *r,
    ngx_http_ticket_problem_e which, ngx_str_t *detail)
{
    ngx_str_t  escaped, more;

    ngx_str_null(&more);

    escaped.len = detail->len + ngx_escape_json(NULL, detail->data,
                                                detail->len);

    escaped.data = ngx_pnalloc(r->pool, escaped.len);
    if (escaped.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_escape_json(escaped.data, detail->data, detail->len);

    return ngx_http_ticket_send_document(r, &ngx_http_ticket_problems[which],
                                         &escaped, &more);
}


ngx_int_t
ngx_http_ticket_send_methods(ngx_http_request_t *r, ngx_str_t *methods)
{
    u_char            *p;
    ngx_str_t          detail;
    static ngx_str_t   allow = ngx_string("Allow");

    p = ngx_pnalloc(r->pool, sizeof("Here are .") - 1 + methods->len);

    if (p == NULL
        || ngx_http_ticket_add_header(r, &allow, methods) == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    detail.data = p;
    detail.len = ngx_sprintf(p, "Here are %V.", methods) - p;

    return ngx_http_ticket_send_wrong(r, NGX_HTTP_TICKET_METHOD, &detail);
}


static ngx_int_t
ngx_http_ticket_send_document(ngx_http_request_t *r,
    ngx_http_ticket_problem_t *problem, ngx_str_t *detail, ngx_str_t *more)
{
    ngx_buf_t         *b;
    static ngx_str_t   type = ngx_string("application/problem+json");

    b = ngx_create_temp_buf(r->pool, 256 + problem->code.len
                                     + problem->title.len
                                     + detail->len + more->len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_sprintf(b->last, "{\"type\":\"about:blank\","
                          "\"title\":\"%V\",\"status\":%ui,"
                          "\"code\":\"%V\",\"detail\":\"%V\"%V}",
                          &problem->title, problem->status, &problem->code,
                          detail, more);

    return ngx_http_ticket_send_body(r, problem->status, &type, b);
}
