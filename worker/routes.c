/*
 * Routes.  The checks stand in the order of what they cost and what they tell:
 * path, method, pass, and only then the body.  Paths are compared as they
 * came, without decoding, since no name in them needs an escape.
 */
#include <string.h>
#include <strings.h>

#include "handlers.h"
#include "pass.h"
#include "routes.h"
#include "wish.h"

#define PERFORMANCE_DIGITS 9

/* The number at *path, which moves past it; 0 when there is none. */
static uint32_t read_performance(const char **path)
{
    const char *p = *path;
    uint32_t number = 0;

    while (*p >= '0' && *p <= '9' && p - *path < PERFORMANCE_DIGITS) {
        number = number * 10 + (uint32_t)(*p++ - '0');
    }

    if (**path == '0') {
        return 0;
    }

    *path = p;

    return number;
}

static bool begins(const char **path, const char *prefix)
{
    size_t len = strlen(prefix);

    if (strncmp(*path, prefix, len) != 0) {
        return false;
    }

    *path += len;

    return true;
}

static route_id_t match(const char *path, hold_t *hold)
{
    if (strcmp(path, "/healthz") == 0) {
        return ROUTE_HEALTHZ;
    }

    if (strcmp(path, "/metrics") == 0) {
        return ROUTE_METRICS;
    }

    if (begins(&path, "/v1/performances/")) {
        hold->performance = read_performance(&path);
        return hold->performance == 0        ? ROUTE_NONE
               : strcmp(path, "/seats") == 0 ? ROUTE_SEATS
               : strcmp(path, "/holds") == 0 ? ROUTE_HOLDS
                                             : ROUTE_NONE;
    }

    if (begins(&path, "/v1/holds/") && strlen(path) == HOLD_ID_LEN &&
        strspn(path, "0123456789abcdef") == HOLD_ID_LEN) {
        memcpy(hold->id, path, HOLD_ID_LEN + 1);
        return ROUTE_HOLD;
    }

    return ROUTE_NONE;
}

/* Sets the handler by route and method; false when the method is not allowed.
 */
static bool choose(request_t *request)
{
    const char *method = request->method;
    bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    bool post = strcmp(method, "POST") == 0;
    bool delete = strcmp(method, "DELETE") == 0;

    switch (request->route) {
    case ROUTE_SEATS:
        request->handle = handle_seats;
        return get;
    case ROUTE_HOLDS:
        request->handle = handle_make_hold;
        return post;
    case ROUTE_HOLD:
        request->handle = delete ? handle_release_hold : handle_read_hold;
        return get || delete;
    case ROUTE_HEALTHZ:
        request->handle = handle_healthz;
        return get;
    default:
        return get;
    }
}

static void refuse_method(request_t *request)
{
    static const char *const allow[ROUTES] = {
        [ROUTE_SEATS] = "GET, HEAD",        [ROUTE_HOLDS] = "POST",
        [ROUTE_HOLD] = "GET, HEAD, DELETE", [ROUTE_HEALTHZ] = "GET, HEAD",
        [ROUTE_METRICS] = "GET, HEAD",
    };

    reply_problem(&request->reply, 405, "method_not_allowed",
                  "the Allow header names the methods of this address");
    request->reply.allow = allow[request->route];
}

static bool check_pass(request_t *request, const request_headers_t *headers,
                       ticket_keys_t *keys)
{
    reply_t *reply = &request->reply;

    switch (pass_check(keys, headers->room, headers->pass, headers->bind,
                       request->hold.owner, sizeof(request->hold.owner))) {
    case PASS_OK:
        strcpy(request->room, headers->room);
        return true;
    case PASS_MISSING:
        reply_problem(reply, 401, "no_token",
                      "send the pass in X-Ticket-Pass and its room in "
                      "X-Ticket-Room; behind the gate nginx does that");
        return false;
    case PASS_BIND_TOO_LONG:
        reply_problem(reply, 400, "malformed",
                      "X-Ticket-Bind is longer than 4096 bytes");
        return false;
    case PASS_EXPIRED:
        reply_problem(reply, 410, "pass_expired",
                      "the pass has run out; join the queue again");
        return false;
    default:
        reply_problem(reply, 403, "bad_token", "this is no pass for this room");
        return false;
    }
}

/* "application/json", with parameters or without. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t len = sizeof(json) - 1;

    return type != NULL && strncasecmp(type, json, len) == 0 &&
           (type[len] == '\0' || strchr("; \t", type[len]) != NULL);
}

static void read_wish(request_t *request, const char *content_type)
{
    const char *wrong;

    if (!is_json(content_type)) {
        reply_problem(&request->reply, 415, "unsupported_media_type",
                      "send the body as application/json");
        return;
    }

    wrong = wish_read(&request->hold, request->body ? request->body : "",
                      request->body_len);
    if (wrong != NULL) {
        reply_problem(&request->reply, 400, "malformed", wrong);
    }
}

void routes_judge(request_t *request, const request_headers_t *headers,
                  ticket_keys_t *keys)
{
    request->route = match(request->path, &request->hold);

    if (request->route == ROUTE_NONE) {
        reply_problem(&request->reply, 404, "not_found",
                      "there is nothing at this address");
        return;
    }

    if (!choose(request)) {
        refuse_method(request);
        return;
    }

    if (request->route == ROUTE_HEALTHZ || request->route == ROUTE_METRICS ||
        !check_pass(request, headers, keys)) {
        return;
    }

    if (request->route == ROUTE_HOLDS) {
        read_wish(request, headers->content_type);
    }
}
