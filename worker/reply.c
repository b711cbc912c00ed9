/*
 * Answers and problems.  yajl makes all the JSON; its own failures (only a
 * lack of memory is left) show when the text is taken out.
 */
#include <stdlib.h>
#include <string.h>

#include "reply.h"

static const char *title(unsigned status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 406:
        return "Not Acceptable";
    case 409:
        return "Conflict";
    case 410:
        return "Gone";
    case 411:
        return "Length Required";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 415:
        return "Unsupported Media Type";
    case 422:
        return "Unprocessable Content";
    case 428:
        return "Precondition Required";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

void json_name(yajl_gen json, const char *name)
{
    yajl_gen_string(json, (const unsigned char *)name, strlen(name));
}

void json_text(yajl_gen json, const char *name, const char *value)
{
    json_name(json, name);
    json_name(json, value);
}

void json_int(yajl_gen json, const char *name, long long value)
{
    json_name(json, name);
    yajl_gen_integer(json, value);
}

void reply_empty(reply_t *reply, unsigned status)
{
    reply->status = status;
}

void reply_text(reply_t *reply, unsigned status, const char *content_type,
                char *text, size_t len)
{
    if (text == NULL) {
        reply_empty(reply, 500);
        return;
    }

    reply->status = status;
    reply->content_type = content_type;
    reply->body = text;
    reply->len = len;
}

void reply_shared(reply_t *reply, unsigned status, const char *content_type,
                  body_t *body)
{
    reply->status = status;
    reply->content_type = content_type;
    reply->shared = body;
}

static void take_json(reply_t *reply, unsigned status, const char *type,
                      yajl_gen json)
{
    const unsigned char *text;
    size_t len = 0;
    char *copy = NULL;

    if (json != NULL &&
        yajl_gen_get_buf(json, &text, &len) == yajl_gen_status_ok) {
        copy = malloc(len);
    }

    if (copy != NULL) {
        memcpy(copy, text, len);
    }

    if (json != NULL) {
        yajl_gen_free(json);
    }

    reply_text(reply, status, type, copy, len);
}

void reply_json(reply_t *reply, unsigned status, yajl_gen json)
{
    take_json(reply, status, "application/json", json);
}

yajl_gen problem_begin(unsigned status, const char *code, const char *detail)
{
    yajl_gen json = yajl_gen_alloc(NULL);

    if (json != NULL) {
        yajl_gen_map_open(json);
        json_text(json, "type", "about:blank");
        json_text(json, "title", title(status));
        json_int(json, "status", status);
        json_text(json, "code", code);
        json_text(json, "detail", detail);
    }

    return json;
}

void problem_end(reply_t *reply, unsigned status, yajl_gen json)
{
    if (json != NULL) {
        yajl_gen_map_close(json);
    }

    take_json(reply, status, "application/problem+json", json);
}

void reply_problem(reply_t *reply, unsigned status, const char *code,
                   const char *detail)
{
    problem_end(reply, status, problem_begin(status, code, detail));
}

void reply_free(reply_t *reply)
{
    free(reply->body);
    body_drop(reply->shared);
    *reply = (reply_t){0};
}
