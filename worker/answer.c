/*
 * From a reply to the library's response.
 */
#include <stdio.h>

#include "answer.h"

static void drop_shared(void *ctx)
{
    body_drop(ctx);
}

/* The library only reads what it is given, whatever the types say. */
static struct MHD_Response *respond(const reply_t *reply)
{
    if (reply->shared != NULL) {
        return MHD_create_response_from_buffer_with_free_callback_cls(
            body_len(reply->shared), (void *)body_text(reply->shared),
            drop_shared, reply->shared);
    }

    return MHD_create_response_from_buffer(
        reply->len, reply->body,
        reply->body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
}

static void add_headers(struct MHD_Response *response, const reply_t *reply,
                        bool closing)
{
    const struct {
        const char *name;
        const char *value; /* NULL or empty: none */
    } header[] = {
        {"Cache-Control",
         reply->cache_control ? reply->cache_control : "no-store"},
        {"ETag", reply->etag},
        {"Vary", reply->vary},
        {"Idempotency-Replayed", reply->replayed ? "?1" : NULL},
        {"Content-Type", reply->content_type},
        {"Location", reply->location},
        {"WWW-Authenticate", reply->challenge},
        {"Allow", reply->allow},
        {"Connection", reply->close || closing ? "close" : NULL},
    };
    char seconds[16];

    for (size_t i = 0; i < sizeof(header) / sizeof(header[0]); i++) {
        if (header[i].value != NULL && *header[i].value != '\0') {
            MHD_add_response_header(response, header[i].name, header[i].value);
        }
    }

    if (reply->retry_after_s) {
        snprintf(seconds, sizeof(seconds), "%u", reply->retry_after_s);
        MHD_add_response_header(response, "Retry-After", seconds);
    }
}

struct MHD_Response *answer_make(reply_t *reply, bool closing)
{
    struct MHD_Response *response = respond(reply);

    if (response != NULL) {
        reply->body = NULL;
        reply->shared = NULL;
        add_headers(response, reply, closing);
    }

    return response;
}
