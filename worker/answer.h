/*
 * Answers as the HTTP library sends them.
 */
#ifndef ANSWER_H
#define ANSWER_H

#include <stdbool.h>

#include <microhttpd.h>

#include "reply.h"

/*
 * Makes the library's response of a reply, whose body goes over to it.
 * closing: the connection ends with it.  NULL without memory.
 */
struct MHD_Response *answer_make(reply_t *reply, bool closing);

#endif
