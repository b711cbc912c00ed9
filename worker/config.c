/*
 * Configuration file.  inih splits the lines; here is what each key may be.
 * Unknown and repeated keys are refused, so that a misspelt limit is not
 * silently the default; so are unknown sections.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <ini.h>

#include "config.h"

#define ADMIN_TOKEN_MIN 16

typedef enum {
    KEY_TEXT,
    KEY_SOCKET,
    KEY_NUMBER,
    KEY_MODE,
    KEY_LEVEL
} key_type_t;

typedef struct {
    const char *section; /* empty: before any */
    const char *name;
    key_type_t type;
    size_t offset;
    unsigned min, max; /* of a number */
} setting_t;

#define KEY(name, type, min, max)                                              \
    {                                                                          \
        "", #name, type, offsetof(config_t, name), min, max                    \
    }

#define REDIS_KEY(name, type, min, max)                                        \
    {                                                                          \
        "redis", #name, type, offsetof(config_t, redis.name), min, max         \
    }

static const setting_t keys[] = {
    KEY(listen, KEY_TEXT, 0, 0),
    KEY(listen_mode, KEY_MODE, 0, 0),
    KEY(connections, KEY_NUMBER, 1, 65536),
    KEY(token_keys, KEY_TEXT, 0, 0),
    KEY(db_socket, KEY_TEXT, 0, 0),
    KEY(db_host, KEY_TEXT, 0, 0),
    KEY(db_port, KEY_NUMBER, 1, 65535),
    KEY(db_name, KEY_TEXT, 0, 0),
    KEY(db_user, KEY_TEXT, 0, 0),
    KEY(db_password_file, KEY_TEXT, 0, 0),
    KEY(db_connections, KEY_NUMBER, 1, 64),
    KEY(queue, KEY_NUMBER, 1, 65536),
    KEY(batch, KEY_NUMBER, 1, 64),
    KEY(batch_connections, KEY_NUMBER, 1, 16),
    KEY(refresh_s, KEY_NUMBER, 1, 3600),
    KEY(listeners, KEY_NUMBER, 1, 65536),
    KEY(admin_token_file, KEY_TEXT, 0, 0),
    KEY(log_level, KEY_LEVEL, 0, 0),
    REDIS_KEY(socket, KEY_SOCKET, 0, 0),
    REDIS_KEY(host, KEY_TEXT, 0, 0),
    REDIS_KEY(port, KEY_NUMBER, 1, 65535),
    REDIS_KEY(user, KEY_TEXT, 0, 0),
    REDIS_KEY(password_file, KEY_TEXT, 0, 0),
    REDIS_KEY(db, KEY_NUMBER, 0, 65535),
    REDIS_KEY(recount_s, KEY_NUMBER, 1, 3600),
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* What is known while the file is being read. */
typedef struct {
    config_t *config;
    FILE *file;
    const char *path;
    int line;
    int redis_line; /* where its section begins */
    bool seen[KEYS];
    bool failed;
    char *err;
    size_t err_len;
} reading_t;

static int fail(reading_t *reading, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Keeps the first complaint.  Returns 0, which is an error to inih. */
static int fail(reading_t *reading, const char *fmt, ...)
{
    va_list args;
    int n;

    if (reading->failed) {
        return 0;
    }

    reading->failed = true;
    n = snprintf(reading->err, reading->err_len, "%s:%d: ", reading->path,
                 reading->line);
    if (n > 0 && (size_t)n < reading->err_len) {
        va_start(args, fmt);
        vsnprintf(reading->err + n, reading->err_len - (size_t)n, fmt, args);
        va_end(args);
    }

    return 0;
}

static int set_text(reading_t *reading, const setting_t *key, const char *value)
{
    if (strlen(value) >= CONFIG_TEXT_MAX) {
        return fail(reading, "%s is longer than %d bytes", key->name,
                    CONFIG_TEXT_MAX - 1);
    }

    strcpy((char *)reading->config + key->offset, value);

    return 1;
}

static bool is_socket_path(const char *path)
{
    return *path == '/' &&
           strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path);
}

static int set_socket(reading_t *reading, const setting_t *key,
                      const char *value)
{
    if (!is_socket_path(value)) {
        return fail(reading,
                    "%s is a unix socket's path, absolute and shorter than "
                    "%zu bytes",
                    key->name, sizeof(((struct sockaddr_un *)0)->sun_path));
    }

    return set_text(reading, key, value);
}

static int set_number(reading_t *reading, const setting_t *key,
                      const char *value)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || number < key->min ||
        number > key->max) {
        return fail(reading, "%s is a number, %u to %u", key->name, key->min,
                    key->max);
    }

    *(unsigned *)((char *)reading->config + key->offset) = (unsigned)number;

    return 1;
}

static int set_mode(reading_t *reading, const setting_t *key, const char *value)
{
    char *end;
    unsigned long mode = strtoul(value, &end, 8);

    if (*value < '0' || *value > '7' || *end || mode > 0777) {
        return fail(reading, "%s is an octal mode such as 0660", key->name);
    }

    *(mode_t *)((char *)reading->config + key->offset) = (mode_t)mode;

    return 1;
}

static int set_level(reading_t *reading, const setting_t *key,
                     const char *value)
{
    static const char *const names[] = {"error", "warn", "info"};

    for (int i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            *(log_level_t *)((char *)reading->config + key->offset) =
                (log_level_t)i;
            return 1;
        }
    }

    return fail(reading, "%s is error, warn or info", key->name);
}

/* inih's handler: one "key = value". */
static int on_key(void *ctx, const char *section, const char *name,
                  const char *value)
{
    static int (*const set[])(reading_t *, const setting_t *, const char *) = {
        set_text, set_socket, set_number, set_mode, set_level};
    reading_t *reading = ctx;

    for (size_t i = 0; i < KEYS; i++) {
        if (strcmp(name, keys[i].name) != 0 ||
            strcmp(section, keys[i].section) != 0) {
            continue;
        }

        if (reading->seen[i]) {
            return fail(reading, "%s appears twice", name);
        }

        if (*value == '\0') {
            return fail(reading, "%s has no value", name);
        }

        reading->seen[i] = true;
        return set[keys[i].type](reading, &keys[i], value);
    }

    return *section ? fail(reading, "unknown key \"%s\" in [%s]", name, section)
                    : fail(reading, "unknown key \"%s\"", name);
}

/* A line that begins a section: inih reports none that has no keys. */
static void on_section(reading_t *reading, const char *text)
{
    static const char redis[] = "[redis]";

    if (strncmp(text, redis, sizeof(redis) - 1) == 0) {
        reading->config->redis.given = true;
        reading->redis_line = reading->line;
    } else {
        fail(reading, "the only section of this file is %s", redis);
    }
}

/* inih's reader: counts lines, and finds those it would cut in two. */
static char *on_line(char *text, int size, void *ctx)
{
    reading_t *reading = ctx;
    size_t len;

    if (reading->failed || fgets(text, size, reading->file) == NULL) {
        return NULL;
    }

    reading->line++;
    if (text[strspn(text, " \t")] == '[') {
        on_section(reading, text + strspn(text, " \t"));
    }

    len = strlen(text);
    if (len == (size_t)size - 1 && text[len - 1] != '\n') {
        fail(reading, "the line is longer than %d bytes", size - 2);
    }

    return reading->failed ? NULL : text;
}

static int read_file(reading_t *reading)
{
    int line;

    reading->file = fopen(reading->path, "re");
    if (reading->file == NULL) {
        snprintf(reading->err, reading->err_len, "%s: %s", reading->path,
                 strerror(errno));
        return -1;
    }

    line = ini_parse_stream(on_line, reading, on_key, reading);
    if (line > 0 && (!reading->failed || line < reading->line)) {
        reading->failed = false;
        reading->line = line;
        fail(reading, "a line is \"key = value\"");
    }

    fclose(reading->file);

    return reading->failed ? -1 : 0;
}

/* The first line of a password file; password has CONFIG_TEXT_MAX bytes. */
static int read_password(const char *path, char *password, char *err,
                         size_t err_len)
{
    FILE *file = fopen(path, "re");
    struct stat st;
    char *line = NULL;

    if (file != NULL) {
        setvbuf(file, NULL, _IONBF, 0);
        if (fstat(fileno(file), &st) == 0 && (st.st_mode & S_IROTH)) {
            snprintf(err, err_len,
                     "%s: everybody may read it; run \"chmod o-rwx\" on it",
                     path);
            fclose(file);
            return -1;
        }
        line = fgets(password, CONFIG_TEXT_MAX, file);
    }

    if (line == NULL) {
        snprintf(err, err_len, "%s: %s", path,
                 file == NULL ? strerror(errno) : "holds no password");
    } else {
        line[strcspn(line, "\r\n")] = '\0';
    }

    if (file != NULL) {
        fclose(file);
    }

    return line == NULL ? -1 : 0;
}

/* A token that can be guessed guards nothing. */
static int check_admin_token(const config_t *config, char *err, size_t err_len)
{
    if (strlen(config->admin_token) >= ADMIN_TOKEN_MIN) {
        return 0;
    }

    snprintf(err, err_len,
             "%s: the token has fewer than %d characters; \"openssl rand -hex "
             "32\" makes a good one",
             config->admin_token_file, ADMIN_TOKEN_MIN);

    return -1;
}

static int check_listen(const config_t *config, char *err, size_t err_len)
{
    const char *listen = config->listen;

    if (strncmp(listen, "unix:", 5) == 0) {
        if (is_socket_path(listen + 5)) {
            return 0;
        }
        snprintf(err, err_len,
                 "listen: the path of a unix socket is absolute and shorter "
                 "than %zu bytes",
                 sizeof(((struct sockaddr_un *)0)->sun_path));
        return -1;
    }

    if (strrchr(listen, ':') == NULL) {
        snprintf(err, err_len, "listen is \"unix:/path\" or \"address:port\"");
        return -1;
    }

    return 0;
}

/* What the keys of [redis] must be together. */
static int check_redis(reading_t *reading)
{
    const config_redis_t *redis = &reading->config->redis;

    if (!redis->given) {
        return 0;
    }

    reading->line = reading->redis_line;
    if ((*redis->socket != '\0') == (*redis->host != '\0')) {
        fail(reading, "[redis]: give either socket or host");
    } else if (*redis->user && *redis->password_file == '\0') {
        fail(reading, "[redis]: user is of use only with password_file");
    }

    return reading->failed ? -1 : 0;
}

static int check(const reading_t *reading)
{
    const config_t *config = reading->config;
    const char *missing = *config->listen == '\0'       ? "listen"
                          : *config->token_keys == '\0' ? "token_keys"
                          : *config->db_name == '\0'    ? "db_name"
                          : *config->db_user == '\0'    ? "db_user"
                                                        : NULL;
    char why[160];

    if (missing != NULL) {
        snprintf(why, sizeof(why), "%s is missing", missing);
    } else if ((*config->db_socket != '\0') == (*config->db_host != '\0')) {
        snprintf(why, sizeof(why), "give either db_socket or db_host");
    } else if (config->listeners >= config->connections) {
        snprintf(why, sizeof(why),
                 "listeners = %u must be less than connections = %u, or "
                 "listeners take all of them: raise connections, or lower "
                 "listeners",
                 config->listeners, config->connections);
    } else if (check_listen(config, why, sizeof(why)) == 0) {
        return 0;
    }

    snprintf(reading->err, reading->err_len, "%s: %s", reading->path, why);

    return -1;
}

int config_load(config_t *config, const char *path, char *err, size_t err_len)
{
    reading_t reading = {
        .config = config, .path = path, .err = err, .err_len = err_len};

    *config = (config_t){.listen_mode = 0660,
                         .connections = 8192,
                         .db_port = 3306,
                         .db_connections = 8,
                         .queue = 4096,
                         .batch = 64,
                         .batch_connections = 2,
                         .refresh_s = 10,
                         .listeners = 5000,
                         .log_level = LOG_LEVEL_INFO,
                         .redis = {.port = 6379, .recount_s = 10}};

    if (read_file(&reading) != 0 || check(&reading) != 0 ||
        check_redis(&reading) != 0) {
        return -1;
    }

    if (*config->admin_token_file &&
        (read_password(config->admin_token_file, config->admin_token, err,
                       err_len) != 0 ||
         check_admin_token(config, err, err_len) != 0)) {
        return -1;
    }

    if (*config->db_password_file &&
        read_password(config->db_password_file, config->db_password, err,
                      err_len) != 0) {
        return -1;
    }

    return *config->redis.password_file
               ? read_password(config->redis.password_file,
                               config->redis.password, err, err_len)
               : 0;
}

void config_clear(config_t *config)
{
    explicit_bzero(config->db_password, sizeof(config->db_password));
    explicit_bzero(config->admin_token, sizeof(config->admin_token));
    explicit_bzero(config->redis.password, sizeof(config->redis.password));
}
