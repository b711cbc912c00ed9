/*
 * The reservation worker: sells the seats.  This file starts it, listens to
 * signals, and stops it: what was accepted is answered first.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "http.h"
#include "log.h"
#include "keeper.h"
#include "sequencer.h"
#include "stream.h"
#include "ticket_keys.h"

#define DEFAULT_CONFIG "/etc/ticket/worker.conf"
#define STOP_S         9

static int usage(void)
{
    fprintf(stderr, "usage: ticket-worker [-t] [-c file]\n"
                    "  -t       check the configuration, and exit\n"
                    "  -c file  configuration (" DEFAULT_CONFIG ")\n");
    return 2;
}

static ticket_keys_t *load_keys(const config_t *config)
{
    char err[256];
    ticket_keys_t *keys =
        ticket_keys_load(config->token_keys, err, sizeof(err));

    if (keys == NULL) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", config->token_keys, err);
    }

    return keys;
}

/* Signals come through a descriptor, and to no thread. */
static int open_signals(void)
{
    sigset_t set;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);

    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void on_hangup(const config_t *config, http_t *http)
{
    ticket_keys_t *keys = load_keys(config);

    if (keys != NULL) {
        http_set_keys(http, keys);
    }

    log_line(LOG_LEVEL_INFO,
             keys ? "token keys reloaded" : "the token keys stay as they were");
}

/* Serves until a signal ends it.  Returns false if requests were left. */
static bool serve(const config_t *config, http_t *http, int signals)
{
    struct signalfd_siginfo info;
    time_t deadline = 0;

    while (!http_idle(http)) {
        if (deadline && time(NULL) >= deadline) {
            log_line(LOG_LEVEL_ERROR, "requests are unanswered after %d s",
                     STOP_S);
            return false;
        }

        if (!http_turn(http, signals) ||
            read(signals, &info, sizeof(info)) != sizeof(info)) {
            continue;
        }

        if (info.ssi_signo == SIGHUP) {
            on_hangup(config, http);
        } else if (!deadline) {
            log_line(LOG_LEVEL_INFO, "stopping");
            deadline = time(NULL) + STOP_S;
            http_quiesce(http);
        }
    }

    return true;
}

/*
 * Ends the parts: who commits first, then those who are told; the pool, which
 * is idle, began the database's library and ends it.  False: a thread hangs
 * and still uses the rest.
 */
static bool stop_parts(worker_t *worker)
{
    bool ended;

    sequencer_stop(worker->sequencer);
    ended = stock_stop(worker->stock);
    ended = keeper_stop(worker->keeper) && ended;
    ended = stream_stop(worker->stream) && ended;
    if (ended) {
        pool_stop(worker->pool);
        halls_free(worker->halls);
    }

    return ended;
}

/* False: no memory or no threads. */
static bool start_parts(worker_t *worker, const config_t *config)
{
    bool redis = config->redis.given;

    worker->config = config;
    worker->pool = pool_start(config);
    worker->halls = halls_new(config);
    if (worker->pool == NULL || worker->halls == NULL) {
        return false;
    }

    worker->stock = redis ? stock_start(config) : NULL;
    worker->stream = redis ? stream_start(config, worker->halls) : NULL;
    worker->keeper = keeper_start(config, worker->halls);
    worker->sequencer =
        sequencer_start(config, worker->halls, worker->stock, worker->keeper);

    return worker->keeper != NULL && worker->sequencer != NULL &&
           (!redis || (worker->stock != NULL && worker->stream != NULL));
}

/* Ends a start that has failed. */
static int give_up(worker_t *worker, ticket_keys_t *keys, const char *why)
{
    log_line(LOG_LEVEL_ERROR, "%s", why);

    if (!stop_parts(worker)) {
        _exit(1);
    }

    ticket_keys_free(keys);

    return 1;
}

static int run(config_t *config, ticket_keys_t *keys)
{
    char err[512];
    int signals = open_signals();
    worker_t worker = {0};
    http_t *http;

    if (signals < 0 || !start_parts(&worker, config)) {
        return give_up(&worker, keys, "cannot start: no memory or no threads");
    }

    http = http_start(&worker, keys, err, sizeof(err));
    if (http == NULL) {
        return give_up(&worker, keys, err);
    }

    log_line(LOG_LEVEL_INFO, "listening on %s", config->listen);

    /* What is left belongs to threads that still use it: no tidying up. */
    if (!serve(config, http, signals)) {
        _exit(1);
    }

    if (!stop_parts(&worker)) {
        log_line(LOG_LEVEL_WARN, "others were perhaps not told of the last "
                                 "changes");
        _exit(0);
    }

    http_free(http);
    close(signals);
    log_line(LOG_LEVEL_INFO, "stopped");

    return 0;
}

int main(int argc, char **argv)
{
    const char *path = DEFAULT_CONFIG;
    char err[512];
    config_t config;
    ticket_keys_t *keys;
    bool test = false;
    int option, status = 0;

    while ((option = getopt(argc, argv, "tc:")) != -1) {
        if (option == 't') {
            test = true;
        } else if (option == 'c') {
            path = optarg;
        } else {
            return usage();
        }
    }

    if (optind != argc) {
        return usage();
    }

    if (config_load(&config, path, err, sizeof(err)) != 0) {
        log_line(LOG_LEVEL_ERROR, "%s", err);
        return 1;
    }

    log_set_level(config.log_level);
    keys = load_keys(&config);
    if (keys == NULL) {
        config_clear(&config);
        return 1;
    }

    if (test) {
        fprintf(stderr, "%s: the configuration is good\n", path);
        ticket_keys_free(keys);
    } else {
        status = run(&config, keys);
    }

    config_clear(&config);

    return status;
}
