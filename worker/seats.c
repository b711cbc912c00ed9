/*
 * Seat list: one statement, written out as JSON row by row.
 */
#include <stdlib.h>

#include "reply.h"
#include "seats.h"

typedef struct {
    yajl_gen json;
    unsigned n;
} list_t;

static void on_seat(void *ctx, char *const *column)
{
    list_t *list = ctx;
    yajl_gen json = list->json;

    list->n++;
    yajl_gen_map_open(json);
    json_text(json, "seat", column[0]);
    json_text(json, "state", column[1]);
    json_int(json, "version", strtoll(column[2], NULL, 10));
    if (column[3] != NULL && *column[3] == '1') {
        json_name(json, "mine");
        yajl_gen_bool(json, 1);
    }
    yajl_gen_map_close(json);
}

hold_result_t seats_list(db_t *db, const hold_t *hold, const char *room,
                         yajl_gen *json)
{
    db_params_t params = {0};
    db_result_t result = db_connect(db);
    list_t list = {.json = yajl_gen_alloc(NULL)};

    if (list.json == NULL) {
        return HOLD_ERROR;
    }

    yajl_gen_map_open(list.json);
    json_int(list.json, "performance", hold->performance);
    json_name(list.json, "seats");
    yajl_gen_array_open(list.json);

    db_add_text(&params, hold->owner);
    db_add_uint(&params, hold->performance);
    db_add_text(&params, room);
    if (result == DB_OK) {
        result = db_select(db, STATEMENT_SEATS, &params, on_seat, &list);
    }

    yajl_gen_array_close(list.json);
    yajl_gen_map_close(list.json);

    if (result == DB_OK && list.n > 0) {
        *json = list.json;
        return HOLD_DONE;
    }

    yajl_gen_free(list.json);

    return result == DB_OK       ? HOLD_NO_PERFORMANCE
           : result == DB_FAILED ? HOLD_ERROR
                                 : HOLD_UNAVAILABLE;
}
