
/*
 * Operating a room at run time: the location of "ticket_admin".  GET tells,
 * PATCH changes settings, POST gives a command; all of it is decided by
 * lua/admin.lua in Redis, and the nodes take it up with their next exchange.
 * Neither PATCH nor a body of type application/json can be sent by a form of
 * another site, and no answer allows such a site to ask.
 */


#include "ngx_http_ticket_admin.h"

#include <sys/random.h>


#define NGX_HTTP_TICKET_ADMIN_ARGS      4

/* a key in hexadecimal, or two numbers */
#define NGX_HTTP_TICKET_ADMIN_ARGS_LEN  (2 * TICKET_DRAW_KEY_LEN)


static ngx_int_t ngx_http_ticket_admin_room(ngx_http_request_t *r,
    ngx_str_t *rest);
static ngx_int_t ngx_http_ticket_admin_below(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_str_t *what);
static ngx_int_t ngx_http_ticket_admin_number_of(ngx_http_request_t *r,
    ngx_http_ticket_admin_t *admin, ngx_str_t *what);
static ngx_int_t ngx_http_ticket_admin_who(ngx_http_request_t *r,
    ngx_str_t *who);
static ngx_uint_t ngx_http_ticket_admin_is_json(ngx_http_request_t *r);
static void ngx_http_ticket_admin_has_body(ngx_http_request_t *r);
static ngx_int_t ngx_http_ticket_admin_change(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_admin_get(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_admin_ask(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_admin_look_up(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_admin_script(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_uint_t ngx_http_ticket_admin_args(ngx_http_ticket_ctx_t *ctx,
    u_char *buf, ngx_str_t *arg);
static void ngx_http_ticket_admin_told(redisReply *reply, void *data);
static void ngx_http_ticket_admin_learn(ngx_http_ticket_subject_t *subject,
    ngx_http_ticket_answer_t *answer);
static void ngx_http_ticket_admin_done(ngx_http_request_t *r);
static ngx_int_t ngx_http_ticket_admin_answer(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
static ngx_int_t ngx_http_ticket_admin_send(ngx_http_request_t *r,
    ngx_buf_t *b);


/* in the order of ngx_http_ticket_admin_e */

static ngx_str_t  ngx_http_ticket_admin_commands[] = {
    ngx_string("get"),
    ngx_string("set"),
    ngx_string("reset"),
    ngx_string("call"),
    ngx_string("revoke"),
    ngx_string("audit")
};


ngx_int_t
ngx_http_ticket_admin_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_str_t                  rest;
    ngx_http_core_loc_conf_t  *clcf;

    static ngx_str_t  methods = ngx_string("GET, HEAD");

    if (r != r->main) {

        /* nginx does not ask "allow" and "auth_basic" for subrequests */

        return NGX_HTTP_FORBIDDEN;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->uri.len < clcf->name.len
        || ngx_memcmp(r->uri.data, clcf->name.data, clcf->name.len) != 0)
    {
        /* "rewrite ... break" has put another address in its place */

        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_NOT_FOUND,
                                            NULL);
    }

    rest.data = r->uri.data + clcf->name.len;
    rest.len = r->uri.len - clcf->name.len;

    if (rest.len) {
        return ngx_http_ticket_admin_room(r, &rest);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_ticket_send_methods(r, &methods);
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_http_ticket_admin_send(r, ngx_http_ticket_admin_list(r));
}


static ngx_int_t
ngx_http_ticket_admin_room(ngx_http_request_t *r, ngx_str_t *rest)
{
    u_char                   *slash;
    ngx_int_t                 rc;
    ngx_str_t                 what;
    ngx_http_ticket_ctx_t    *ctx;
    ngx_http_ticket_admin_t  *admin;

    static ngx_str_t  methods = ngx_string("GET, HEAD, PATCH, POST");

    ctx = ngx_http_ticket_make_ctx(r);
    admin = ngx_pcalloc(r->pool, sizeof(ngx_http_ticket_admin_t));
    if (ctx == NULL || admin == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->admin = admin;
    ctx->name = *rest;
    ngx_str_null(&what);

    slash = ngx_strlchr(rest->data, rest->data + rest->len, '/');

    if (slash) {
        ctx->name.len = slash - rest->data;
        what.data = slash + 1;
        what.len = rest->data + rest->len - what.data;
    }

    if (ngx_http_ticket_resolve_name(r, ctx) != NGX_OK) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_NO_SUCH_ROOM,
                                            NULL);
    }

    if (ngx_http_ticket_admin_who(r, &admin->who) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (slash) {
        return ngx_http_ticket_admin_below(r, ctx, &what);
    }

    if (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)) {
        return ngx_http_ticket_admin_get(r, ctx);
    }

    if (!(r->method & (NGX_HTTP_PATCH|NGX_HTTP_POST))) {
        return ngx_http_ticket_send_methods(r, &methods);
    }

    if (!ngx_http_ticket_admin_is_json(r)) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_MEDIA_TYPE,
                                            NULL);
    }

    if (r->headers_in.content_length_n > TICKET_ORDER_BODY_MAX) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_TOO_LARGE,
                                            NULL);
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_ticket_admin_has_body);

    return (rc >= NGX_HTTP_SPECIAL_RESPONSE) ? rc : NGX_DONE;
}


/* What follows the room's name and a "/" is only told. */

static ngx_int_t
ngx_http_ticket_admin_below(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_str_t *what)
{
    ngx_int_t                 n;
    ngx_str_t                 value;
    ngx_http_ticket_admin_t  *admin;

    static ngx_str_t  methods = ngx_string("GET, HEAD");
    static ngx_str_t  wrong =
                           ngx_string("count takes a number from 1 to 1000.");

    admin = ctx->admin;

    if (what->len == 5 && ngx_memcmp(what->data, "audit", 5) == 0) {
        admin->command = NGX_HTTP_TICKET_ADMIN_AUDIT_OF;
        admin->n = NGX_HTTP_TICKET_ADMIN_AUDIT;

    } else if (ngx_http_ticket_admin_number_of(r, admin, what) != NGX_OK) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_NOT_FOUND,
                                            NULL);
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_ticket_send_methods(r, &methods);
    }

    if (admin->command == NGX_HTTP_TICKET_ADMIN_AUDIT_OF
        && ngx_http_arg(r, (u_char *) "count", 5, &value) == NGX_OK)
    {
        n = ngx_atoi(value.data, value.len);

        if (n < 1 || n > NGX_HTTP_TICKET_ADMIN_AUDIT_MAX) {
            return ngx_http_ticket_send_wrong(r, NGX_HTTP_TICKET_BAD_REQUEST,
                                              &wrong);
        }

        admin->n = n;
    }

    return ngx_http_ticket_admin_get(r, ctx);
}


static ngx_int_t
ngx_http_ticket_admin_number_of(ngx_http_request_t *r,
    ngx_http_ticket_admin_t *admin, ngx_str_t *what)
{
    ngx_int_t  n;

    n = ngx_atoi(what->data, what->len);

    if (n < 1 || (uint64_t) n > TICKET_NUMBER_MAX) {
        return NGX_DECLINED;
    }

    admin->command = NGX_HTTP_TICKET_ADMIN_LOOK_UP;
    admin->n = n;

    return NGX_OK;
}


/* For the audit: a short text in UTF-8 without control characters, or "-". */

static ngx_int_t
ngx_http_ticket_admin_who(ngx_http_request_t *r, ngx_str_t *who)
{
    u_char                      *p, c;
    ngx_str_t                    value;
    ngx_uint_t                   i, is_utf8;
    ngx_http_ticket_loc_conf_t  *tlcf;

    tlcf = ngx_http_get_module_loc_conf(r, ngx_http_ticket_module);

    ngx_str_null(&value);

    if (tlcf->admin_who
        && ngx_http_complex_value(r, tlcf->admin_who, &value) != NGX_OK)
    {
        return NGX_ERROR;
    }

    value.len = ngx_min(value.len, NGX_HTTP_TICKET_ADMIN_WHO_MAX);

    p = ngx_pnalloc(r->pool, value.len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    who->data = p;

    /* what is no UTF-8 is said to have as many characters as bytes */

    is_utf8 = ngx_utf8_length(value.data, value.len) < value.len;

    for (i = 0; i < value.len; i++) {
        c = value.data[i];

        if (c >= 0x20 && c != 0x7f) {
            *p++ = (c >= 0x80 && !is_utf8) ? '?' : c;
        }
    }

    if (p == who->data) {
        *p++ = '-';
    }

    who->len = p - who->data;

    return NGX_OK;
}


/* The type of the body, whatever its parameters. */

static ngx_uint_t
ngx_http_ticket_admin_is_json(ngx_http_request_t *r)
{
    u_char     *p, *last;
    ngx_str_t  *type;

    static ngx_str_t  json = ngx_string("application/json");

    if (r->headers_in.content_type == NULL) {
        return 0;
    }

    type = &r->headers_in.content_type->value;
    last = type->data + type->len;

    for (p = type->data; p < last; p++) {
        if (*p == ';' || *p == ' ' || *p == '\t') {
            break;
        }
    }

    return (size_t) (p - type->data) == json.len
           && ngx_strncasecmp(type->data, json.data, json.len) == 0;
}


static void
ngx_http_ticket_admin_has_body(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_http_ticket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    rc = ngx_http_ticket_admin_change(r, ctx);

    if (rc != NGX_AGAIN) {
        ngx_http_finalize_request(r, rc);
    }
}


static ngx_int_t
ngx_http_ticket_admin_change(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_http_ticket_admin_t  *admin;

    admin = ctx->admin;

    rc = ngx_http_ticket_admin_read(r, admin);

    if (rc == NGX_DECLINED) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_TOO_LARGE,
                                            NULL);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (admin->wrong.len) {
        return ngx_http_ticket_send_wrong(r, NGX_HTTP_TICKET_BAD_REQUEST,
                                          &admin->wrong);
    }

    return ngx_http_ticket_admin_ask(r, ctx);
}


/* For a request that needs no body. */

static ngx_int_t
ngx_http_ticket_admin_get(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_http_ticket_admin_ask(r, ctx);

    if (rc != NGX_AGAIN) {
        return rc;
    }

    r->main->count++;

    return NGX_DONE;
}


/* NGX_AGAIN: ngx_http_ticket_admin_done() will finalize the request. */

static ngx_int_t
ngx_http_ticket_admin_ask(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = (ctx->admin->command == NGX_HTTP_TICKET_ADMIN_LOOK_UP)
         ? ngx_http_ticket_admin_look_up(r, ctx)
         : ngx_http_ticket_admin_script(r, ctx);

    if (rc != NGX_AGAIN) {
        return ngx_http_ticket_admin_answer(r, ctx);
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}


/* A number is looked up as the bearer of its queue token would. */

static ngx_int_t
ngx_http_ticket_admin_look_up(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx)
{
    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    if (ngx_http_ticket_visit(r, ctx) != NGX_OK) {
        return NGX_OK;
    }

    ctx->queue.token.epoch = ctx->instance->known.epoch;
    ctx->queue.token.number = ctx->admin->n;

    return ngx_http_ticket_why(r, ctx, ngx_http_ticket_admin_done);
}


static ngx_int_t
ngx_http_ticket_admin_script(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    u_char                 buf[NGX_HTTP_TICKET_ADMIN_ARGS_LEN];
    ngx_str_t              arg[NGX_HTTP_TICKET_ADMIN_ARGS];
    ngx_uint_t             n;
    ngx_http_ticket_op_t  *op;

    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    op = ngx_http_ticket_create_op(r, ctx, ngx_http_ticket_admin_done);
    if (op == NULL) {
        return NGX_OK;
    }

    n = ngx_http_ticket_admin_args(ctx, buf, arg);

    if (n == 0) {
        ngx_http_ticket_drop_op(op);
        return NGX_OK;
    }

    return ngx_http_ticket_ask_op(op, NGX_HTTP_TICKET_ADMIN,
                                  ngx_http_ticket_admin_told, n, arg);
}


/* As lua/admin.lua lists them; 0: there is no random number for a key. */

static ngx_uint_t
ngx_http_ticket_admin_args(ngx_http_ticket_ctx_t *ctx, u_char *buf,
    ngx_str_t *arg)
{
    u_char                    key[TICKET_DRAW_KEY_LEN], *p;
    ngx_http_ticket_admin_t  *admin;

    admin = ctx->admin;

    arg[0] = ngx_http_ticket_admin_commands[admin->command];
    arg[1] = admin->who;

    switch (admin->command) {

    case NGX_HTTP_TICKET_ADMIN_SET:
        arg[2] = admin->settings;
        return 3;

    case NGX_HTTP_TICKET_ADMIN_RESET:

        if (getrandom(key, TICKET_DRAW_KEY_LEN, 0) != TICKET_DRAW_KEY_LEN) {
            return 0;
        }

        arg[2].data = buf;
        arg[2].len = ngx_hex_dump(buf, key, TICKET_DRAW_KEY_LEN) - buf;
        ngx_explicit_memzero(key, TICKET_DRAW_KEY_LEN);
        return 3;

    case NGX_HTTP_TICKET_ADMIN_CALL:
    case NGX_HTTP_TICKET_ADMIN_AUDIT_OF:
        (void) ngx_http_ticket_uint_arg(admin->n, buf, &arg[2]);
        return 3;

    case NGX_HTTP_TICKET_ADMIN_REVOKE:
        p = ngx_http_ticket_uint_arg(ngx_http_ticket_place(ctx->instance,
                                                           admin->n),
                                     buf, &arg[2]);
        (void) ngx_http_ticket_uint_arg(admin->n, p, &arg[3]);
        return 4;

    default:
        return 2;
    }
}


static void
ngx_http_ticket_admin_told(redisReply *reply, void *data)
{
    ngx_http_request_t        *r;
    ngx_http_ticket_op_t      *op = data;
    ngx_http_ticket_ctx_t     *ctx;
    ngx_http_ticket_state_e    state;
    ngx_http_ticket_answer_t   answer;

    state = NGX_HTTP_TICKET_UNAVAILABLE;
    r = ngx_http_ticket_op_request(op);

    if (ngx_http_ticket_read_answer(&op->subject, reply, &answer) != NGX_OK) {
        ngx_http_ticket_complete(op, state);
        return;
    }

    if (ngx_http_ticket_answer_is(&answer, "unknown")) {
        state = NGX_HTTP_TICKET_REFUSED;

    } else if (ngx_http_ticket_answer_is(&answer, "ok")
               && answer.n >= NGX_HTTP_TICKET_ADMIN_V_CHANGES)
    {
        ngx_http_ticket_admin_learn(&op->subject, &answer);

        if (r) {
            ctx = op->ctx;

            ctx->events = (ctx->admin->command
                           == NGX_HTTP_TICKET_ADMIN_AUDIT_OF)
                          ? ngx_http_ticket_admin_audit(r, ctx, &answer)
                          : ngx_http_ticket_admin_state(r, ctx, &answer);

            state = NGX_HTTP_TICKET_WAITING;
        }
    }

    ngx_http_ticket_complete(op, state);
}


/*
 * A change that is acknowledged must not be lost with Redis, not even before
 * the next exchange.
 */

static void
ngx_http_ticket_admin_learn(ngx_http_ticket_subject_t *subject,
    ngx_http_ticket_answer_t *answer)
{
    uint64_t                    version;
    ngx_str_t                   set;
    ticket_policy_t             policy;
    ngx_http_ticket_zone_t     *zone;
    ngx_http_ticket_changes_t  *changes;

    zone = subject->mcf->zone->data;
    changes = &subject->instance->changes;
    policy = subject->room->policy;

    set = ngx_http_ticket_answer_text(answer, NGX_HTTP_TICKET_ADMIN_V_SET);
    version = ngx_http_ticket_answer_uint(answer,
                                          NGX_HTTP_TICKET_ADMIN_V_SET_VER);

    if (ticket_policy_apply(&policy, (char *) set.data, set.len) != 0) {
        return;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    if (version > changes->version) {
        changes->version = version;
        changes->len = set.len;
        ngx_memcpy(changes->text, set.data, set.len);
    }

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


static void
ngx_http_ticket_admin_done(ngx_http_request_t *r)
{
    ngx_http_ticket_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ticket_module);

    ngx_http_finalize_request(r, ngx_http_ticket_admin_answer(r, ctx));
}


static ngx_int_t
ngx_http_ticket_admin_answer(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    if (ctx->state == NGX_HTTP_TICKET_REFUSED) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_NO_SUCH_NUMBER,
                                            NULL);
    }

    /* a past epoch is the node's own, which the answer has just corrected */

    if (ctx->state == NGX_HTTP_TICKET_UNAVAILABLE
        || ctx->state == NGX_HTTP_TICKET_PAST)
    {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_IS_AWAY, NULL);
    }

    if (ctx->admin->command == NGX_HTTP_TICKET_ADMIN_LOOK_UP) {

        if (ctx->admin->n > ctx->instance->known.issued) {
            return ngx_http_ticket_send_problem(r,
                                       NGX_HTTP_TICKET_NO_SUCH_NUMBER, NULL);
        }

        return ngx_http_ticket_admin_send(r,
                                         ngx_http_ticket_admin_number(r, ctx));
    }

    return ngx_http_ticket_admin_send(r, ctx->events);
}


static ngx_int_t
ngx_http_ticket_admin_send(ngx_http_request_t *r, ngx_buf_t *b)
{
    static ngx_str_t  type = ngx_string("application/json");

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_ticket_send_body(r, NGX_HTTP_OK, &type, b);
}
