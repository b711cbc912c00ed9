/*
 * What a client says it takes, and what it says it has: the headers Accept
 * and If-None-Match (RFC 9110).
 */
#ifndef NEGOTIATE_H
#define NEGOTIATE_H

#include <stdbool.h>

/*
 * The quality, 0 to 1000, that Accept gives to a media type: that of the most
 * specific range it falls in.  1000 when accept is NULL or empty.  *named says
 * whether the type itself stands there.
 */
unsigned negotiate_quality(const char *accept, const char *type, bool *named);

/* Whether If-None-Match lists the tag, compared weakly; NULL lists none. */
bool negotiate_knows(const char *if_none_match, const char *etag);

#endif
