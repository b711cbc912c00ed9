/*
 * Which request is for whom, and whether it may be asked at all.
 */
#ifndef ROUTES_H
#define ROUTES_H

#include "metrics.h"
#include "request.h"
#include "ticket_keys.h"

/* Who may ask. */
typedef enum {
    ROUTE_FOR_ALL,
    ROUTE_FOR_VISITORS, /* with a pass */
    ROUTE_FOR_OPERATORS /* with the token of admin_token_file */
} route_for_t;

struct route_s {
    const char *method; /* GET is HEAD, too */
    const char *path;   /* "#" stands for a number, "@" for a hold's id, "*" for
                           a name */
    route_id_t id;
    route_for_t who;
    size_t body_max;

    /* Looks at it in the HTTP thread, for microseconds; NULL: to the pool. */
    request_fate_t (*look)(request_t *request);

    /* In a thread of the pool; leaves the reply in it. */
    void (*handle)(request_t *request, db_t *db);
};

/*
 * Finds the route of a request whose head has been read, and what its path
 * says.  Leaves an answer in it when there is none.
 */
void routes_find(request_t *request);

/*
 * Judges a request with a route whose head has been read: the token of an
 * operator, whose bodies are long.  Leaves an answer in it when it may not be
 * asked; a body is not read then, and the connection ends.
 */
void routes_judge_head(request_t *request);

/*
 * Judges a request that has been read as a whole: the pass of a visitor, and
 * the key of a POST.  Leaves an answer in it when it may not be asked.  For the
 * HTTP thread, as the keys are.
 */
void routes_judge(request_t *request, ticket_keys_t *keys);

#endif
