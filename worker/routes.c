/*
 * Routes.  The checks stand in the order of what they cost and what they tell:
 * path, method, who asks, and only then the key and the body.  Paths are
 * compared as they came, without decoding, since no name in them needs an
 * escape.
 */
#include <stdio.h>
#include <string.h>

#include <nettle/memops.h>
#include <nettle/sha2.h>

#include "admin.h"
#include "handlers.h"
#include "pass.h"
#include "routes.h"

#define NUMBER_DIGITS 9

/* Letters, digits and the marks of an unquoted Idempotency-Key. */
#define TOKEN_CHARS                                                            \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-"

/* Letters, digits and the marks of a seat's name. */
#define NAME_CHARS                                                             \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

static const route_t routes[] = {
    {"GET", "/v1/performances/#", ROUTE_PERFORMANCE, ROUTE_FOR_VISITORS, 0,
     look_performance, handle_performance},
    {"GET", "/v1/performances/#/map/*", ROUTE_MAP, ROUTE_FOR_VISITORS, 0,
     look_map, handle_map},
    {"GET", "/v1/performances/#/seats", ROUTE_SEATS, ROUTE_FOR_VISITORS, 0,
     look_seats, handle_seats},
    {"GET", "/v1/performances/#/seats/stream", ROUTE_STREAM, ROUTE_FOR_VISITORS,
     0, look_stream, handle_stream},
    {"GET", "/v1/performances/#/holds", ROUTE_HOLD, ROUTE_FOR_VISITORS, 0, NULL,
     handle_list_holds},
    {"POST", "/v1/performances/#/holds", ROUTE_HOLDS, ROUTE_FOR_VISITORS,
     REQUEST_BODY_MAX, look_make_hold, handle_make_hold},
    {"GET", "/v1/holds/@", ROUTE_HOLD, ROUTE_FOR_VISITORS, 0, NULL,
     handle_read_hold},
    {"DELETE", "/v1/holds/@", ROUTE_HOLD, ROUTE_FOR_VISITORS, REQUEST_BODY_MAX,
     NULL, handle_release_hold},
    {"POST", "/v1/holds/@/extend", ROUTE_EXTEND, ROUTE_FOR_VISITORS,
     REQUEST_BODY_MAX, NULL, handle_extend_hold},

    {"GET", "/v1/admin/venues", ROUTE_ADMIN, ROUTE_FOR_OPERATORS, 0, NULL,
     handle_list_venues},
    {"POST", "/v1/admin/venues", ROUTE_ADMIN, ROUTE_FOR_OPERATORS,
     REQUEST_BODY_MAX, NULL, handle_make_venue},
    {"POST", "/v1/admin/maps", ROUTE_ADMIN, ROUTE_FOR_OPERATORS,
     REQUEST_BODY_MAX, NULL, handle_make_map},
    {"GET", "/v1/admin/maps/#", ROUTE_ADMIN, ROUTE_FOR_OPERATORS, 0, NULL,
     handle_read_map},
    {"POST", "/v1/admin/maps/#/seats", ROUTE_ADMIN, ROUTE_FOR_OPERATORS,
     ADMIN_CSV_MAX, NULL, handle_import_map},
    {"POST", "/v1/admin/performances", ROUTE_ADMIN, ROUTE_FOR_OPERATORS,
     REQUEST_BODY_MAX, NULL, handle_make_performance},
    {"GET", "/v1/admin/performances/#", ROUTE_ADMIN, ROUTE_FOR_OPERATORS, 0,
     NULL, handle_read_performance},
    {"POST", "/v1/admin/performances/#", ROUTE_ADMIN, ROUTE_FOR_OPERATORS,
     REQUEST_BODY_MAX, NULL, handle_change_performance},
    {"GET", "/v1/admin/performances/#/seats/*", ROUTE_ADMIN,
     ROUTE_FOR_OPERATORS, 0, NULL, handle_read_seat},
    {"POST", "/v1/admin/performances/#/seats/block", ROUTE_ADMIN,
     ROUTE_FOR_OPERATORS, ADMIN_SEATS_MAX, NULL, handle_block_seats},
    {"POST", "/v1/admin/performances/#/seats/free", ROUTE_ADMIN,
     ROUTE_FOR_OPERATORS, ADMIN_SEATS_MAX, NULL, handle_free_seats},
    {"POST", "/v1/admin/performances/#/seats/*/block", ROUTE_ADMIN,
     ROUTE_FOR_OPERATORS, REQUEST_BODY_MAX, NULL, handle_block_seat},
    {"POST", "/v1/admin/performances/#/seats/*/free", ROUTE_ADMIN,
     ROUTE_FOR_OPERATORS, REQUEST_BODY_MAX, NULL, handle_free_seat},

    {"GET", "/healthz", ROUTE_HEALTHZ, ROUTE_FOR_ALL, 0, NULL, handle_healthz},
    {"GET", "/metrics", ROUTE_METRICS, ROUTE_FOR_ALL, 0, NULL, NULL},
};

#define N_ROUTES (sizeof(routes) / sizeof(routes[0]))

/* The number at *path, which moves past it; 0 when there is none. */
static uint32_t read_number(const char **path)
{
    const char *p = *path;
    uint32_t number = 0;

    while (*p >= '0' && *p <= '9' && p - *path < NUMBER_DIGITS) {
        number = number * 10 + (uint32_t)(*p++ - '0');
    }

    if (**path == '0') {
        return 0;
    }

    *path = p;

    return number;
}

static bool read_name(const char **path, char *name)
{
    size_t len = strspn(*path, NAME_CHARS);

    if (len == 0 || len > REQUEST_NAME_MAX) {
        return false;
    }

    memcpy(name, *path, len);
    name[len] = '\0';
    *path += len;

    return true;
}

/* Whether the path is of that form; what it says goes into the request. */
static bool match(request_t *request, const char *form, const char *path)
{
    for (; *form != '\0'; form++) {
        switch (*form) {
        case '#':
            request->number = read_number(&path);
            if (request->number == 0) {
                return false;
            }
            break;
        case '@':
            if (strspn(path, "0123456789abcdef") != HOLD_ID_LEN ||
                !hold_id_read(&request->hold_id, path, HOLD_ID_LEN)) {
                return false;
            }
            path += HOLD_ID_LEN;
            break;
        case '*':
            if (!read_name(&path, request->name)) {
                return false;
            }
            break;
        default:
            if (*path++ != *form) {
                return false;
            }
        }
    }

    return *path == '\0';
}

static bool is_method(const char *method, const char *of_route)
{
    return strcmp(method, of_route) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(of_route, "GET") == 0);
}

static void allow_method(reply_t *reply, const char *method)
{
    size_t len = strlen(reply->allow);

    snprintf(reply->allow + len, sizeof(reply->allow) - len, "%s%s",
             len ? ", " : "", strcmp(method, "GET") ? method : "GET, HEAD");
}

void routes_find(request_t *request)
{
    reply_t *reply = &request->reply;

    for (size_t i = 0; i < N_ROUTES; i++) {
        const route_t *route = &routes[i];

        if (!match(request, route->path, request->path)) {
            continue;
        }

        request->route = route;
        if (is_method(request->method, route->method)) {
            *reply->allow = '\0';
            return;
        }

        allow_method(reply, route->method);
    }

    if (request->route == NULL) {
        reply_problem(reply, 404, "not_found",
                      "there is nothing at this address");
    } else {
        reply_problem(reply, 405, "method_not_allowed",
                      "the Allow header names the methods of this address");
    }
}

static void hash_visitor(request_t *request)
{
    const char *identity = request->headers.identity;
    unsigned char digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;
    bool named = identity != NULL && *identity != '\0';
    const char *who = named ? identity : request->owner;

    sha256_init(&sha);
    sha256_update(&sha, 1, (const uint8_t *)(named ? "i" : "o"));
    sha256_update(&sha, strlen(who), (const uint8_t *)who);
    sha256_digest(&sha, sizeof(digest), digest);
    memcpy(request->visitor, digest, sizeof(request->visitor));
}

static bool check_pass(request_t *request, ticket_keys_t *keys)
{
    const request_headers_t *headers = &request->headers;
    reply_t *reply = &request->reply;

    switch (pass_check(keys, headers->room, headers->pass, headers->bind,
                       request->owner, sizeof(request->owner),
                       &request->pass_ends_ms)) {
    case PASS_OK:
        strcpy(request->room, headers->room);
        hash_visitor(request);
        return true;
    case PASS_MISSING:
        reply_problem(reply, 401, "no_token",
                      "send the pass in X-Ticket-Pass and its room in "
                      "X-Ticket-Room; behind the gate nginx does that");
        reply->challenge = "TicketPass";
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

/* "Bearer TOKEN"; compared in constant time, but for its length. */
static bool check_operator(request_t *request)
{
    const char *token = request->worker->config->admin_token;
    const char *given = request->headers.authorization;
    static const char scheme[] = "Bearer ";
    size_t len = strlen(token);

    if (len == 0) {
        reply_problem(&request->reply, 404, "not_found",
                      "there is nothing at this address: admin_token_file is "
                      "not set in worker.conf");
        return false;
    }

    if (given == NULL || strncmp(given, scheme, sizeof(scheme) - 1) != 0) {
        reply_problem(&request->reply, 401, "no_token",
                      "send the operator's token: Authorization: Bearer …");
        request->reply.challenge = "Bearer";
        return false;
    }

    given += sizeof(scheme) - 1;
    if (strlen(given) != len || !memeql_sec(given, token, len)) {
        reply_problem(&request->reply, 403, "bad_token",
                      "this is not the operator's token");
        return false;
    }

    return true;
}

/* A quoted string or a bare token, as draft-ietf-httpapi-idempotency-key. */
static bool copy_key(char *key, const char *value)
{
    size_t len = strlen(value);

    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value++;
        len -= 2;
        for (size_t i = 0; i < len; i++) {
            if (value[i] < ' ' || value[i] > '~' || value[i] == '"' ||
                value[i] == '\\') {
                return false;
            }
        }
    } else if (strspn(value, TOKEN_CHARS) != len) {
        return false;
    }

    if (len < 1 || len > REQUEST_KEY_MAX) {
        return false;
    }

    memcpy(key, value, len);
    key[len] = '\0';

    return true;
}

/* What a request with the same key must have in common with this one. */
static void take_fingerprint(request_t *request)
{
    unsigned char digest[SHA256_DIGEST_SIZE];
    struct sha256_ctx sha;

    sha256_init(&sha);
    sha256_update(&sha, strlen(request->path) + 1,
                  (const uint8_t *)request->path);
    sha256_update(&sha, request->body_len, (const uint8_t *)request->body);
    sha256_digest(&sha, sizeof(digest), digest);
    memcpy(request->fingerprint, digest, sizeof(request->fingerprint));
}

static void check_key(request_t *request)
{
    const char *value = request->headers.idempotency_key;

    if (value == NULL || *value == '\0') {
        reply_problem(&request->reply, 400, "idempotency_key_missing",
                      "send an Idempotency-Key, new for each thing to be done "
                      "and the same when it is tried again");
    } else if (!copy_key(request->key, value)) {
        reply_problem(&request->reply, 400, "idempotency_key_malformed",
                      "an Idempotency-Key is 1 to 128 printable characters in "
                      "double quotes, without quotes or backslashes in it");
    } else {
        take_fingerprint(request);
    }
}

void routes_judge_head(request_t *request)
{
    if (request->route->who == ROUTE_FOR_OPERATORS &&
        !check_operator(request)) {
        request->reply.close = request->body_size != 0;
    }
}

void routes_judge(request_t *request, ticket_keys_t *keys)
{
    const route_t *route = request->route;

    if (route->who == ROUTE_FOR_VISITORS && !check_pass(request, keys)) {
        return;
    }

    if (strcmp(route->method, "POST") == 0) {
        check_key(request);
    }
}
