/*
 * Requests for holds by id, while they are under way and, when they were
 * refused, for a while after: whoever asks again with the same key gets the
 * same answer.  A hold that was made needs no memory here; the database has
 * it under that id.
 */
#ifndef REPEATS_H
#define REPEATS_H

#include "holds.h"
#include "reply.h"

typedef struct repeats_s repeats_t;

typedef enum {
    REPEATS_NEW,     /* it is under way from now on: end it with repeats_end */
    REPEATS_RUNNING, /* an earlier one is under way */
    REPEATS_REFUSED, /* an earlier one was refused: reply has the answer */
    REPEATS_OTHER,   /* an earlier one had another body */
    REPEATS_FULL     /* no memory */
} repeats_result_t;

/* NULL without memory. */
repeats_t *repeats_new(void);
void repeats_free(repeats_t *repeats);

/* Begins a request, or says what became of an earlier one. */
repeats_result_t repeats_begin(repeats_t *repeats, const hold_id_t *id,
                               const unsigned char *fingerprint,
                               reply_t *reply);

/*
 * It is over.  A refusal (status 400 to 499) is kept, as long as there is room
 * for it; anything else is forgotten.
 */
void repeats_end(repeats_t *repeats, const hold_id_t *id, const reply_t *reply);

#endif
