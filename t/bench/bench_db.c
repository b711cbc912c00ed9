/*
 * What bench_db.h promises.
 */
#include <string.h>

#include "bench.h"
#include "bench_db.h"

MYSQL *bench_db_connect(const char *socket, const char *schema)
{
    static const char *const settings[] = {
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES', time_zone = '+00:00'"};
    MYSQL *db = mysql_init(NULL);

    if (db == NULL) {
        bench_fail("out of memory");
    }
    mysql_options(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (mysql_real_connect(db, NULL, "root", NULL, schema, 0, socket, 0) ==
        NULL) {
        bench_fail("connect %s: %s", socket, mysql_error(db));
    }
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        bench_db_change(db, settings[i], strlen(settings[i]));
    }

    return db;
}

uint64_t bench_db_change(MYSQL *db, const char *sql, size_t len)
{
    if (mysql_real_query(db, sql, len) != 0) {
        bench_fail("%.60s…: %s", sql, mysql_error(db));
    }

    return mysql_affected_rows(db);
}

MYSQL_RES *bench_db_row(MYSQL *db, const char *sql, MYSQL_ROW *row)
{
    MYSQL_RES *result;

    if (mysql_real_query(db, sql, strlen(sql)) != 0 ||
        (result = mysql_store_result(db)) == NULL) {
        bench_fail("%.60s…: %s", sql, mysql_error(db));
    }
    *row = mysql_fetch_row(result);
    if (*row == NULL) {
        bench_fail("%.60s…: no row", sql);
    }

    return result;
}
