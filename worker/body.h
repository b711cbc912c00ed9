/*
 * A text that several answers send at once: counted, and freed with the last
 * of them.  Any thread may share and drop.
 */
#ifndef BODY_H
#define BODY_H

#include <stddef.h>

typedef struct body_s body_t;

/*
 * Takes over text, which is on the heap, and frees it also when it fails.
 * NULL without memory, and for a text of NULL.
 */
body_t *body_new(char *text, size_t len);

/* One more who has it; returns it.  Accepts NULL, as body_drop does. */
body_t *body_share(body_t *body);
void body_drop(body_t *body);

const char *body_text(const body_t *body);
size_t body_len(const body_t *body);

#endif
