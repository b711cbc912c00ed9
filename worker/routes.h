/*
 * Which request is for whom, and whether it may be asked at all.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include "request.h"
#include "ticket_keys.h"

/* Headers that matter; NULL: absent. */
typedef struct {
    const char *room;
    const char *pass;
    const char *bind;
    const char *content_type;
} request_headers_t;

/*
 * Judges a request that has been read: either leaves an answer in it, or
 * handle and all that the handler needs.  With neither, /metrics was asked
 * for.  For the HTTP thread, as the keys are.
 */
void routes_judge(request_t *request, const request_headers_t *headers,
                  ticket_keys_t *keys);

#endif
