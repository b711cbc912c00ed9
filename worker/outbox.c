/*
 * Writing to the outbox.  A row is there if and only if its transaction is, so
 * nothing that happened goes untold, and nothing is told that did not happen.
 */
#include <stdlib.h>
#include <string.h>

#include "outbox.h"

db_result_t outbox_add(db_t *db, const char *room, const change_t *change)
{
    db_result_t result = DB_FAILED;
    sql_t sql = {0};
    size_t len;
    char *payload;

    if (change->n_seats == 0 && change->n_buckets == 0 &&
        change->n_holds == 0) {
        return DB_OK;
    }

    payload = change_to_json(change, &len);
    if (payload != NULL) {
        sql_begin(&sql, "add to the outbox");
        sql_add(&sql, "INSERT INTO outbox "
                      "(room, performance_id, payload, created_at) VALUES (");
        sql_text(&sql, room, strlen(room));
        sql_add(&sql, ", %u, ", change->performance);
        sql_text(&sql, payload, len);
        sql_add(&sql, ", UTC_TIMESTAMP(3))");
        result = db_change_text(db, &sql, NULL);
    }

    free(payload);
    sql_free(&sql);

    return result;
}
