/*
 * Listening socket.  A socket file left by a process that was killed is told
 * from a living one by connecting to it.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen.h"

#define BACKLOG 4096

static int fail(const config_t *config, const char *why, char *err,
                size_t err_len)
{
    snprintf(err, err_len, "cannot listen on %s: %s", config->listen, why);
    return -1;
}

/* Removes the socket file when it is one and nobody answers on it. */
static int remove_stale(const struct sockaddr_un *addr, const char **why)
{
    struct stat st;
    int fd, rc;

    if (lstat(addr->sun_path, &st) != 0) {
        return 0;
    }

    if (!S_ISSOCK(st.st_mode)) {
        *why = "there is a file that is no socket";
        return -1;
    }

    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
    if (rc != 0) {
        rc = errno;
    }
    close(fd);

    if (rc != ECONNREFUSED) {
        *why = "another process listens there";
        return -1;
    }

    return unlink(addr->sun_path);
}

static int open_unix(listen_socket_t *listener, const config_t *config,
                     char *err, size_t err_len)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    const char *path = config->listen + strlen("unix:"), *why = NULL;
    struct stat st;
    mode_t mask;
    int rc;

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
    if (remove_stale(&addr, &why) != 0) {
        return fail(config, why ? why : strerror(errno), err, err_len);
    }

    listener->fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0) {
        return fail(config, strerror(errno), err, err_len);
    }

    /* The file is nobody's until it has the mode that was asked for. */
    mask = umask(0777);
    rc = bind(listener->fd, (struct sockaddr *)&addr, sizeof(addr));
    umask(mask);
    if (rc == 0) {
        snprintf(listener->path, sizeof(listener->path), "%s", path);
    }

    if (rc != 0 || chmod(path, config->listen_mode) != 0 ||
        stat(path, &st) != 0 || listen(listener->fd, BACKLOG) != 0) {
        return fail(config, strerror(errno), err, err_len);
    }

    listener->dev = st.st_dev;
    listener->ino = st.st_ino;

    return 0;
}

static int open_tcp(listen_socket_t *listener, const config_t *config,
                    char *err, size_t err_len)
{
    char host[CONFIG_TEXT_MAX];
    const char *colon = strrchr(config->listen, ':');
    struct addrinfo *info,
        hints = {.ai_socktype = SOCK_STREAM,
                 .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    size_t len = (size_t)(colon - config->listen);
    int rc, one = 1;

    memcpy(host, config->listen, len);
    host[len] = '\0';
    if (host[0] == '[' && host[len - 1] == ']') {
        host[len - 1] = '\0';
        memmove(host, host + 1, len - 1);
    }

    rc = getaddrinfo(host, colon + 1, &hints, &info);
    if (rc != 0) {
        return fail(config, gai_strerror(rc), err, err_len);
    }

    listener->fd =
        socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener->fd < 0 ||
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) !=
            0 ||
        bind(listener->fd, info->ai_addr, info->ai_addrlen) != 0 ||
        listen(listener->fd, BACKLOG) != 0) {
        rc = fail(config, strerror(errno), err, err_len);
    }

    freeaddrinfo(info);

    return rc;
}

int listen_open(listen_socket_t *listener, const config_t *config, char *err,
                size_t err_len)
{
    *listener = (listen_socket_t){.fd = -1};

    return strncmp(config->listen, "unix:", 5) == 0
               ? open_unix(listener, config, err, err_len)
               : open_tcp(listener, config, err, err_len);
}

void listen_hide(const listen_socket_t *listener)
{
    struct stat st;

    if (*listener->path && stat(listener->path, &st) == 0 &&
        st.st_dev == listener->dev && st.st_ino == listener->ino) {
        unlink(listener->path);
    }
}
