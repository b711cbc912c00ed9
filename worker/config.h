/*
 * The settings of the worker, read from a file of "key = value" lines with one
 * optional section.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#define CONFIG_TEXT_MAX 256

typedef enum {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO
} log_level_t;

/* Where the stock is published: the section [redis]. */
typedef struct {
    bool given;                   /* false: it is not published */
    char socket[CONFIG_TEXT_MAX]; /* empty: TCP to host */
    char host[CONFIG_TEXT_MAX];
    unsigned port;
    char user[CONFIG_TEXT_MAX];          /* empty: Redis's default user */
    char password_file[CONFIG_TEXT_MAX]; /* empty: no password */
    char password[CONFIG_TEXT_MAX];
    unsigned db;
    unsigned recount_s;
} config_redis_t;

typedef struct {
    char listen[CONFIG_TEXT_MAX]; /* "unix:/path", or "address:port" */
    mode_t listen_mode;
    unsigned connections;
    char token_keys[CONFIG_TEXT_MAX];
    char db_socket[CONFIG_TEXT_MAX]; /* empty: TCP to db_host */
    char db_host[CONFIG_TEXT_MAX];
    unsigned db_port;
    char db_name[CONFIG_TEXT_MAX];
    char db_user[CONFIG_TEXT_MAX];
    char db_password_file[CONFIG_TEXT_MAX]; /* empty: no password */
    char db_password[CONFIG_TEXT_MAX];
    unsigned db_connections;
    unsigned queue;
    unsigned batch;             /* holds in one transaction */
    unsigned batch_connections; /* connections, and threads, that make them */
    unsigned refresh_s;         /* a hall is read anew so often */
    unsigned listeners;         /* of the seat streams, at once */
    char admin_token_file[CONFIG_TEXT_MAX]; /* empty: no /v1/admin */
    char admin_token[CONFIG_TEXT_MAX];
    log_level_t log_level;
    config_redis_t redis;
} config_t;

/*
 * Reads the file and the password files it names.  Returns 0, or -1 with one
 * line in err that names file, line and reason.
 */
int config_load(config_t *config, const char *path, char *err, size_t err_len);

/* Wipes the passwords. */
void config_clear(config_t *config);

#endif
