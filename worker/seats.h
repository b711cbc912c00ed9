/*
 * The seats of a performance, as they are now.
 */
#ifndef SEATS_H
#define SEATS_H

#include <yajl/yajl_gen.h>

#include "holds.h"

/*
 * Lists hold->performance, if it is room's and has seats, with "mine" on
 * those that hold->owner holds.  HOLD_DONE: *json is a finished document, the
 * caller's.
 */
hold_result_t seats_list(db_t *db, const hold_t *hold, const char *room,
                         yajl_gen *json);

#endif
