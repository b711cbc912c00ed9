
/*
 * Why: what has happened to a visitor's place and when, as far as Redis still
 * tells, for the bearer of its token.
 */


#include "ngx_http_ticket_op.h"


#define NGX_HTTP_TICKET_EVENTS      16
#define NGX_HTTP_TICKET_EVENT_LEN   64


static void ngx_http_ticket_why_told(redisReply *reply, void *data);
static ngx_buf_t *ngx_http_ticket_write_events(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_answer_t *answer);
static ticket_token_t *ngx_http_ticket_any_token(ngx_http_ticket_ctx_t *ctx);


static ticket_token_t *
ngx_http_ticket_any_token(ngx_http_ticket_ctx_t *ctx)
{
    return (ctx->pass.found == NGX_HTTP_TICKET_TOKEN_GOOD) ? &ctx->pass.token
                                                           : &ctx->queue.token;
}


ngx_int_t
ngx_http_ticket_why(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_done_pt done)
{
    u_char                 *p, buf[3 * NGX_INT64_LEN];
    ngx_str_t               arg[3];
    ticket_token_t         *token;
    ngx_http_ticket_op_t   *op;

    ctx->state = NGX_HTTP_TICKET_UNAVAILABLE;

    op = ngx_http_ticket_create_op(r, ctx, done);
    if (op == NULL) {
        return NGX_OK;
    }

    token = ngx_http_ticket_any_token(ctx);

    p = ngx_http_ticket_uint_arg(token->epoch, buf, &arg[0]);
    p = ngx_http_ticket_uint_arg(ngx_http_ticket_place(ctx->instance,
                                                       token->number),
                                 p, &arg[1]);
    (void) ngx_http_ticket_uint_arg(token->number, p, &arg[2]);

    return ngx_http_ticket_ask_op(op, NGX_HTTP_TICKET_WHY,
                                  ngx_http_ticket_why_told, 3, arg);
}


static void
ngx_http_ticket_why_told(redisReply *reply, void *data)
{
    ngx_http_ticket_op_t      *op = data;
    ngx_http_ticket_ctx_t     *ctx;
    ngx_http_ticket_state_e    state;
    ngx_http_ticket_answer_t   answer;

    state = NGX_HTTP_TICKET_UNAVAILABLE;

    if (ngx_http_ticket_read_answer(&op->subject, reply, &answer) == NGX_OK
        && ngx_http_ticket_op_request(op))
    {
        ctx = op->ctx;

        if (ngx_http_ticket_answer_is(&answer, "past")) {
            state = NGX_HTTP_TICKET_PAST;

        } else if (ngx_http_ticket_answer_is(&answer, "ok")) {
            ctx->events = ngx_http_ticket_write_events(op->request, ctx,
                                                       &answer);
            if (ctx->events) {
                state = NGX_HTTP_TICKET_WAITING;
            }
        }
    }

    ngx_http_ticket_complete(op, state);
}


/* The answer's values end with the reply, so they are written down now. */

static ngx_buf_t *
ngx_http_ticket_write_events(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_answer_t *answer)
{
    ngx_buf_t       *b;
    ngx_str_t        what;
    ngx_uint_t       i;
    ticket_token_t  *token;

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_TICKET_EVENT_LEN
                                     * (NGX_HTTP_TICKET_EVENTS + 4)
                                     + ctx->name.len);
    if (b == NULL) {
        return NULL;
    }

    token = ngx_http_ticket_any_token(ctx);

    b->last = ngx_sprintf(b->last, "{\"room\":\"%V\",\"number\":%uL,"
                          "\"events\":[", &ctx->name, token->number);

    if (token->kind == TICKET_TOKEN_QUEUE) {
        b->last = ngx_sprintf(b->last, "{\"what\":\"issued\",\"at_ms\":%uL}",
                              token->time_ms);
    }

    for (i = 0; i + 1 < answer->n && i < 2 * NGX_HTTP_TICKET_EVENTS; i += 2) {
        what = ngx_http_ticket_answer_text(answer, i);

        if (what.len == 0 || what.len > 16) {
            continue;
        }

        b->last = ngx_sprintf(b->last, "%s{\"what\":\"%V\",\"at_ms\":%uL",
                              b->last[-1] == '[' ? "" : ",", &what,
                              ngx_http_ticket_answer_uint(answer, i + 1));

        if (what.len == 5 && ngx_memcmp(what.data, "drawn", 5) == 0) {
            b->last = ngx_sprintf(b->last, ",\"place\":%uL",
                                  ngx_http_ticket_place(ctx->instance,
                                                        token->number));
        }

        *b->last++ = '}';
    }

    b->last = ngx_sprintf(b->last, "]}");

    return b;
}


ngx_int_t
ngx_http_ticket_send_why(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    static ngx_str_t  type = ngx_string("application/json");

    if (ctx->state == NGX_HTTP_TICKET_PAST) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_PAST_EPOCH,
                                            NULL);
    }

    if (ctx->events == NULL) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_IS_AWAY, NULL);
    }

    return ngx_http_ticket_send_body(r, NGX_HTTP_OK, &type, ctx->events);
}
