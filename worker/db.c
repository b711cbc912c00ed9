/*
 * Database connection.  Whatever goes wrong is sorted into four results, so
 * that the transactions need not know error numbers.  After a lost connection
 * everything prepared on it is dropped and the next use connects anew.
 */
#include <stdlib.h>
#include <string.h>

#include <mysql.h>
#include <errmsg.h>
#include <mysqld_error.h>

#include "clock.h"
#include "db.h"
#include "log.h"

#define CONNECT_TIMEOUT_S 2
#define IO_TIMEOUT_S      5
#define PAUSE_MS          200
#define COLUMN_LEN        256

/* The two families of the client library differ in this one type. */
#ifdef MARIADB_BASE_VERSION
typedef my_bool db_bool_t;
#else
typedef bool db_bool_t;
#endif

/* MariaDB's name, absent from MySQL's headers. */
#ifndef ER_CONNECTION_KILLED
#define ER_CONNECTION_KILLED 1927
#endif

/* MariaDB's 4025 is ER_CONSTRAINT_FAILED; this is MySQL's. */
#ifndef ER_CONSTRAINT_FAILED
#define ER_CONSTRAINT_FAILED 4025
#endif
#define MYSQL_CHECK_VIOLATED 3819

struct db_s {
    const config_t *config;
    db_stats_t *stats;
    MYSQL *mysql; /* NULL: not connected */
    MYSQL_STMT *stmt[STATEMENTS];
    int64_t pause_until_ms;
};

void db_add_text(db_params_t *params, const char *text)
{
    params->value[params->n].type = DB_TEXT;
    params->value[params->n].text = text;
    params->value[params->n].len = strlen(text);
    params->n++;
}

void db_add_uint(db_params_t *params, uint64_t number)
{
    params->value[params->n].type = DB_UINT;
    params->value[params->n].number = number;
    params->n++;
}

void db_add_null(db_params_t *params)
{
    params->value[params->n++].type = DB_NULL;
}

static void disconnect(db_t *db)
{
    for (int i = 0; i < STATEMENTS; i++) {
        if (db->stmt[i] != NULL) {
            mysql_stmt_close(db->stmt[i]);
            db->stmt[i] = NULL;
        }
    }

    if (db->mysql != NULL) {
        mysql_close(db->mysql);
        db->mysql = NULL;
    }
}

/* Sorts an error.  A result of DB_LOST has dropped the connection. */
static db_result_t judge(db_t *db, unsigned error, const char *message,
                         const char *what)
{
    switch (error) {
    case ER_LOCK_DEADLOCK:
    case ER_LOCK_WAIT_TIMEOUT:
        db->stats->retries++;
        return DB_BUSY;
    case ER_DUP_ENTRY:
        return DB_DUPLICATE;
    case ER_CONSTRAINT_FAILED:
    case MYSQL_CHECK_VIOLATED:
        return DB_REFUSED;
    case ER_OPTION_PREVENTS_STATEMENT:
    case ER_READ_ONLY_MODE:
    case CR_SERVER_GONE_ERROR:
    case CR_SERVER_LOST:
    case CR_CONNECTION_ERROR:
    case CR_CONN_HOST_ERROR:
    case CR_COMMANDS_OUT_OF_SYNC:
    case CR_MALFORMED_PACKET:
    case CR_SERVER_LOST_EXTENDED:
    case ER_SERVER_SHUTDOWN:
    case ER_QUERY_INTERRUPTED:
    case ER_CONNECTION_KILLED:
        log_line(LOG_LEVEL_WARN, "database: %s: %s (%u)", what, message, error);
        db->stats->errors++;
        disconnect(db);
        return DB_LOST;
    default:
        db->stats->errors++;
        log_line(LOG_LEVEL_ERROR, "database: %s: %s (%u)", what, message,
                 error);
        return DB_FAILED;
    }
}

/* what: the statement in a few words, for the log. */
static db_result_t run_text(db_t *db, const char *text, size_t len,
                            const char *what)
{
    if (db->mysql == NULL) {
        return DB_LOST;
    }

    if (mysql_real_query(db->mysql, text, len) == 0) {
        return DB_OK;
    }

    return judge(db, mysql_errno(db->mysql), mysql_error(db->mysql), what);
}

static db_result_t query(db_t *db, const char *text)
{
    return run_text(db, text, strlen(text), text);
}

db_t *db_new(const config_t *config, db_stats_t *stats)
{
    db_t *db = calloc(1, sizeof(*db));

    if (db != NULL) {
        db->config = config;
        db->stats = stats;
    }

    return db;
}

void db_free(db_t *db)
{
    if (db != NULL) {
        disconnect(db);
        free(db);
    }
}

static const char *or_null(const char *text)
{
    return *text ? text : NULL;
}

/* Opens the connection without settings of its own in an option file. */
static bool open_connection(db_t *db)
{
    const config_t *config = db->config;
    unsigned connect_timeout = CONNECT_TIMEOUT_S, io_timeout = IO_TIMEOUT_S;

    db->mysql = mysql_init(NULL);
    if (db->mysql == NULL) {
        return false;
    }

    mysql_options(db->mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_timeout);
    mysql_options(db->mysql, MYSQL_OPT_READ_TIMEOUT, &io_timeout);
    mysql_options(db->mysql, MYSQL_OPT_WRITE_TIMEOUT, &io_timeout);
    mysql_options(db->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");

    /* Flags 0: above all not CLIENT_FOUND_ROWS, the counts are verdicts. */
    return mysql_real_connect(db->mysql, or_null(config->db_host),
                              config->db_user, config->db_password,
                              config->db_name, config->db_port,
                              or_null(config->db_socket), 0) != NULL;
}

db_result_t db_connect(db_t *db)
{
    if (db->mysql != NULL) {
        return DB_OK;
    }

    if (clock_ms() < db->pause_until_ms) {
        return DB_LOST;
    }

    if (!open_connection(db)) {
        log_line(LOG_LEVEL_ERROR, "database: cannot connect: %s",
                 db->mysql ? mysql_error(db->mysql) : "no memory");
    } else if (query(db, "SET SESSION TRANSACTION ISOLATION LEVEL "
                         "READ COMMITTED") == DB_OK &&
               query(db, "SET SESSION sql_mode = "
                         "'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES', "
                         "time_zone = '+00:00', innodb_lock_wait_timeout = 1, "
                         "autocommit = 1") == DB_OK) {
        db->stats->connects++;
        return DB_OK;
    }

    db->stats->errors++;
    disconnect(db);
    db->pause_until_ms = clock_ms() + PAUSE_MS;

    return DB_LOST;
}

db_result_t db_ping(db_t *db)
{
    if (db_connect(db) != DB_OK) {
        return DB_LOST;
    }

    if (mysql_ping(db->mysql) == 0) {
        return DB_OK;
    }

    return judge(db, mysql_errno(db->mysql), mysql_error(db->mysql), "ping");
}

static db_result_t judge_stmt(db_t *db, MYSQL_STMT *stmt, statement_t statement)
{
    return judge(db, mysql_stmt_errno(stmt), mysql_stmt_error(stmt),
                 statement_text[statement]);
}

static db_result_t prepare(db_t *db, statement_t statement)
{
    const char *text = statement_text[statement];
    MYSQL_STMT *stmt;
    db_result_t result;

    if (db->mysql == NULL) {
        return DB_LOST;
    }

    if (db->stmt[statement] != NULL) {
        return DB_OK;
    }

    stmt = mysql_stmt_init(db->mysql);
    if (stmt == NULL) {
        log_line(LOG_LEVEL_ERROR, "database: no memory for a statement");
        return DB_FAILED;
    }

    if (mysql_stmt_prepare(stmt, text, strlen(text)) != 0) {
        result = judge_stmt(db, stmt, statement);
        mysql_stmt_close(stmt);
        return result;
    }

    db->stmt[statement] = stmt;

    return DB_OK;
}

static db_result_t execute(db_t *db, statement_t statement,
                           const db_params_t *params)
{
    MYSQL_BIND bind[DB_PARAMS_MAX] = {0};
    MYSQL_STMT *stmt;
    db_result_t result = prepare(db, statement);

    if (result != DB_OK) {
        return result;
    }

    for (unsigned i = 0; i < params->n; i++) {
        switch (params->value[i].type) {
        case DB_NULL:
            bind[i].buffer_type = MYSQL_TYPE_NULL;
            break;
        case DB_TEXT:
            bind[i].buffer_type = MYSQL_TYPE_STRING;
            bind[i].buffer = (void *)params->value[i].text;
            bind[i].buffer_length = params->value[i].len;
            bind[i].length = (unsigned long *)&params->value[i].len;
            break;
        case DB_UINT:
            bind[i].buffer_type = MYSQL_TYPE_LONGLONG;
            bind[i].buffer = (void *)&params->value[i].number;
            bind[i].is_unsigned = 1;
            break;
        }
    }

    stmt = db->stmt[statement];
    if (mysql_stmt_bind_param(stmt, bind) != 0 || mysql_stmt_execute(stmt)) {
        return judge_stmt(db, stmt, statement);
    }

    return DB_OK;
}

db_result_t db_change(db_t *db, statement_t statement,
                      const db_params_t *params, uint64_t *affected,
                      uint64_t *last_id)
{
    db_result_t result = execute(db, statement, params);

    if (result == DB_OK && affected != NULL) {
        *affected = mysql_stmt_affected_rows(db->stmt[statement]);
    }

    if (result == DB_OK && last_id != NULL) {
        *last_id = mysql_stmt_insert_id(db->stmt[statement]);
    }

    return result;
}

/* Fetches all rows.  Columns are read as text, whatever their type. */
static int fetch_rows(MYSQL_STMT *stmt, db_row_fn row, void *ctx)
{
    char text[DB_COLUMNS_MAX][COLUMN_LEN], *column[DB_COLUMNS_MAX];
    unsigned long len[DB_COLUMNS_MAX] = {0};
    db_bool_t is_null[DB_COLUMNS_MAX] = {0};
    MYSQL_BIND bind[DB_COLUMNS_MAX] = {0};
    unsigned n = mysql_stmt_field_count(stmt);
    int rc;

    for (unsigned i = 0; i < n; i++) {
        bind[i].buffer_type = MYSQL_TYPE_STRING;
        bind[i].buffer = text[i];
        bind[i].buffer_length = COLUMN_LEN - 1;
        bind[i].length = &len[i];
        bind[i].is_null = &is_null[i];
    }

    if (mysql_stmt_bind_result(stmt, bind) != 0) {
        return 1;
    }

    while ((rc = mysql_stmt_fetch(stmt)) == 0) {
        for (unsigned i = 0; i < n; i++) {
            column[i] = is_null[i] ? NULL : text[i];
            if (!is_null[i]) {
                text[i][len[i]] = '\0';
            }
        }
        row(ctx, column);
    }

    return rc == MYSQL_NO_DATA ? 0 : rc;
}

db_result_t db_select(db_t *db, statement_t statement,
                      const db_params_t *params, db_row_fn row, void *ctx)
{
    db_result_t result = execute(db, statement, params);
    MYSQL_STMT *stmt = db->stmt[statement];
    int rc;

    if (result != DB_OK) {
        return result;
    }

    rc = fetch_rows(stmt, row, ctx);
    if (rc == MYSQL_DATA_TRUNCATED) {
        log_line(LOG_LEVEL_ERROR, "database: a value is longer than %d bytes",
                 COLUMN_LEN - 1);
        result = DB_FAILED;
    } else if (rc != 0) {
        return judge_stmt(db, stmt, statement);
    }

    mysql_stmt_free_result(stmt);

    return result;
}

/* The statement as it was put together, or DB_FAILED when memory ran out. */
static db_result_t run_sql(db_t *db, const sql_t *sql)
{
    if (sql->text == NULL) {
        log_line(LOG_LEVEL_ERROR, "database: no memory to %s", sql->what);
        return DB_FAILED;
    }

    return run_text(db, sql->text, sql->len, sql->what);
}

db_result_t db_change_text(db_t *db, const sql_t *sql, uint64_t *affected)
{
    db_result_t result = run_sql(db, sql);

    if (result == DB_OK && affected != NULL) {
        *affected = mysql_affected_rows(db->mysql);
    }

    return result;
}

db_result_t db_select_text(db_t *db, const sql_t *sql, db_row_fn row, void *ctx)
{
    db_result_t result = run_sql(db, sql);
    MYSQL_RES *rows;
    MYSQL_ROW column;

    if (result != DB_OK) {
        return result;
    }

    rows = mysql_use_result(db->mysql);
    while (rows != NULL && (column = mysql_fetch_row(rows)) != NULL) {
        row(ctx, column);
    }

    if (mysql_errno(db->mysql) != 0) {
        result = judge(db, mysql_errno(db->mysql), mysql_error(db->mysql),
                       sql->what);
    }
    mysql_free_result(rows);

    return result;
}

db_result_t db_begin(db_t *db)
{
    return query(db, "START TRANSACTION");
}

db_result_t db_commit(db_t *db)
{
    return query(db, "COMMIT");
}

void db_rollback(db_t *db)
{
    if (query(db, "ROLLBACK") != DB_OK) {
        disconnect(db);
    }
}
