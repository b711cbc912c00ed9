/*
 * A connection to the database for the programs that measure it, with the
 * worker's settings.  Whatever goes wrong ends the program.
 */
#ifndef BENCH_DB_H
#define BENCH_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mysql.h>

/* As root, without a password: a private server. */
MYSQL *bench_db_connect(const char *socket, const char *schema);

/* Returns how many rows it changed. */
uint64_t bench_db_change(MYSQL *db, const char *sql, size_t len);

/* The first row; the caller frees the result. */
MYSQL_RES *bench_db_row(MYSQL *db, const char *sql, MYSQL_ROW *row);

#endif
