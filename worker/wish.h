/*
 * The body of a request for a hold.
 */
#ifndef WISH_H
#define WISH_H

#include <stddef.h>

#include "holds.h"

/*
 * Reads {"seats":[…]} into the seats of the hold.  Returns NULL, or in a few
 * words what is wrong.
 */
const char *wish_read(hold_t *hold, const char *body, size_t len);

#endif
