/*
 * One connection to the database: connecting, prepared statements,
 * transactions.  A connection belongs to one thread at a time.
 */
#ifndef DB_H
#define DB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "sql.h"
#include "statements.h"

#define DB_PARAMS_MAX  5
#define DB_COLUMNS_MAX 6

typedef struct db_s db_t;

typedef enum {
    DB_OK = 0,
    DB_BUSY,      /* deadlock or lock wait: roll back and try again */
    DB_LOST,      /* the connection is gone, and with it the transaction */
    DB_DUPLICATE, /* a row with this key is there already */
    DB_REFUSED,   /* a CHECK forbids it */
    DB_FAILED
} db_result_t;

/* The values of a statement's question marks, in order. */
typedef struct {
    unsigned n;
    struct {
        enum {
            DB_NULL,
            DB_TEXT,
            DB_UINT
        } type;
        const char *text; /* the caller's, until the statement has run */
        unsigned long len;
        uint64_t number;
    } value[DB_PARAMS_MAX];
} db_params_t;

void db_add_text(db_params_t *params, const char *text);
void db_add_uint(db_params_t *params, uint64_t number);
void db_add_null(db_params_t *params);

/* Takes one row: columns as text, NULL where the value is NULL. */
typedef void (*db_row_fn)(void *ctx, char *const *column);

/* Counted by all connections together. */
typedef struct {
    atomic_ulong connects;
    atomic_ulong retries;
    atomic_ulong errors;
} db_stats_t;

/*
 * Allocates; connects when first used.  Both arguments must outlive it.  NULL
 * without memory.
 */
db_t *db_new(const config_t *config, db_stats_t *stats);
void db_free(db_t *db);

/*
 * Makes sure that there is a connection: DB_OK or DB_LOST.  After a failure
 * it is not tried again for a moment, so that a server that is away does not
 * hold up the queue.
 */
db_result_t db_connect(db_t *db);

/* Asks the server for a sign of life, connecting if need be. */
db_result_t db_ping(db_t *db);

/*
 * Runs a statement that changes rows: *affected, if not NULL, is how many
 * did, *last_id the last insert id.
 */
db_result_t db_change(db_t *db, statement_t statement,
                      const db_params_t *params, uint64_t *affected,
                      uint64_t *last_id);

/* Runs a statement that returns rows and hands each to row. */
db_result_t db_select(db_t *db, statement_t statement,
                      const db_params_t *params, db_row_fn row, void *ctx);

/*
 * The same for a statement that was put together by sql.h.  Its columns may
 * be of any length.
 */
db_result_t db_change_text(db_t *db, const sql_t *sql, uint64_t *affected);
db_result_t db_select_text(db_t *db, const sql_t *sql, db_row_fn row,
                           void *ctx);

db_result_t db_begin(db_t *db);

/* DB_LOST: nobody knows yet whether it was committed. */
db_result_t db_commit(db_t *db);

/* Afterwards no transaction is open, even if that costs the connection. */
void db_rollback(db_t *db);

#endif
