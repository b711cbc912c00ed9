/*
 * One effect and one answer for each Idempotency-Key, for every POST that does
 * not make a hold (a hold's id does that for itself): the key's row is written
 * in the transaction of the effect, with its answer.
 */
#ifndef IDEMPOTENCY_H
#define IDEMPOTENCY_H

#include "request.h"

typedef enum {
    EFFECT_DONE,  /* reply says what was done, or why not (status < 500):
                     commit, and keep it for those who ask again */
    EFFECT_RETRY, /* deadlock or lock wait: roll back, try again */
    EFFECT_AWAY,  /* the connection is gone */
    EFFECT_FAILED /* anything else: roll back, 500 */
} effect_t;

/*
 * The effect of a request within the transaction that idempotency_run has
 * begun: leaves a reply in the request, and what it changed in change.
 */
typedef effect_t (*effect_fn)(request_t *request, db_t *db, change_t *change);

/*
 * Runs the effect once for the request's scope (the owner, or "operator" for
 * those without) and key, and leaves the answer in the request: its own, that
 * of an earlier request (replayed), 422 when the earlier one was for another
 * address or body, 409 in_progress, or 503.  An answer of 400 and more is kept
 * without what the effect wrote.  The change goes to outbox and memory; room
 * names the instance it is told to.
 */
void idempotency_run(request_t *request, db_t *db, const char *room,
                     effect_fn effect);

#endif
