/*
 * Shared texts.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "body.h"

struct body_s {
    atomic_uint users;
    size_t len;
    char *text;
};

body_t *body_new(char *text, size_t len)
{
    body_t *body = text == NULL ? NULL : malloc(sizeof(*body));

    if (body == NULL) {
        free(text);
        return NULL;
    }

    atomic_init(&body->users, 1);
    body->len = len;
    body->text = text;

    return body;
}

body_t *body_share(body_t *body)
{
    if (body != NULL) {
        atomic_fetch_add_explicit(&body->users, 1, memory_order_relaxed);
    }

    return body;
}

void body_drop(body_t *body)
{
    if (body != NULL &&
        atomic_fetch_sub_explicit(&body->users, 1, memory_order_acq_rel) == 1) {
        free(body->text);
        free(body);
    }
}

const char *body_text(const body_t *body)
{
    return body->text;
}

size_t body_len(const body_t *body)
{
    return body->len;
}
