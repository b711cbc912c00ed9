/*
 * The worker's configuration file.  Password files are left out: an input must
 * not say which files of this machine are opened.
 */
#include "config.h"
#include "fuzz.h"

static void check_text(const char text[CONFIG_TEXT_MAX])
{
    REQUIRE(memchr(text, '\0', CONFIG_TEXT_MAX) != NULL);
}

static void check_config(const config_t *config)
{
    check_text(config->listen);
    check_text(config->token_keys);
    check_text(config->db_socket);
    check_text(config->db_host);
    check_text(config->db_name);
    check_text(config->db_user);
    check_text(config->redis.socket);
    check_text(config->redis.host);
    check_text(config->redis.user);
    REQUIRE(*config->listen && *config->token_keys && *config->db_name &&
            *config->db_user);
    REQUIRE(!*config->db_socket != !*config->db_host);
    REQUIRE(config->listen_mode <= 0777);
    REQUIRE(config->connections >= 1 && config->connections <= 65536);
    REQUIRE(config->db_port >= 1 && config->db_port <= 65535);
    REQUIRE(config->db_connections >= 1 && config->db_connections <= 64);
    REQUIRE(config->queue >= 1 && config->queue <= 65536);
    REQUIRE(config->redis.port >= 1 && config->redis.port <= 65535);
    REQUIRE(config->redis.recount_s >= 1 && config->redis.recount_s <= 3600);
    REQUIRE(!config->redis.given ||
            !*config->redis.socket != !*config->redis.host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[MEMORY_PATH_LEN], err[512] = "";
    config_t config;

    if (memmem(data, size, "password_file", 13) != NULL) {
        return 0;
    }

    int fd = memory_file(data, size, path);

    if (config_load(&config, path, err, sizeof(err)) == 0) {
        check_config(&config);
    } else {
        REQUIRE(strncmp(err, path, strlen(path)) == 0);
    }

    config_clear(&config);
    close(fd);

    return 0;
}
