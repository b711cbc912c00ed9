/*
 * The listening socket: a unix socket with its file, or TCP.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stddef.h>

#include "config.h"

typedef struct {
    int fd;
    char path[CONFIG_TEXT_MAX]; /* of the unix socket, or empty */
    dev_t dev;
    ino_t ino;
} listen_socket_t;

/*
 * Binds and listens as the configuration says.  The file of a unix socket on
 * which nobody listens any more is replaced.  Returns 0, or -1 with one line
 * in err.
 */
int listen_open(listen_socket_t *listener, const config_t *config, char *err,
                size_t err_len);

/* Removes the socket's file, if it is still ours; the socket stays open. */
void listen_hide(const listen_socket_t *listener);

#endif
