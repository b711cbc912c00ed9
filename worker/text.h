/*
 * What the texts of operators may be made of.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

#define TEXT_SHOWN_MAX 48 /* bytes of a bad text in a message */

/* So many bytes at the beginning are UTF-8; all of them, or up to a fault. */
size_t text_utf8_prefix(const char *text, size_t len);

/*
 * Whether it is UTF-8 without control characters, 1 to max characters, and no
 * space at either end: the database takes "a " for "a".
 */
bool text_is_label(const char *text, size_t len, size_t max);

/* Whether it is 1 to 32 of A-Z a-z 0-9 . _ - as the names of seats are. */
bool text_is_name(const char *text, size_t len);

/*
 * Makes of a text what may stand in a name: each run of other characters
 * becomes one "_".  Cuts it to the size, and returns its length.
 */
size_t text_to_name(char *name, size_t size, const char *text);

/* The beginning of a text in UTF-8, to be shown in a message. */
const char *text_shown(char shown[TEXT_SHOWN_MAX + 1], const char *text);

#endif
