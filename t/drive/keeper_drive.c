/*
 * The keeper and the reader of the streams as a program of their own, so that
 * tests can do to them what they like: halls are small and made by order, and
 * the sweeper only counts.
 *
 *   keeper_drive CONFIG SOCKET
 *
 * One connection an order, and the answer up to the end of the connection.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <mysql.h>

#include "holds.h"
#include "keeper.h"
#include "log.h"
#include "outbox.h"
#include "stream.h"

#define HALLS_MAX 8

struct halls_s {
    pthread_mutex_t mutex;
    hall_t *hall[HALLS_MAX];
    unsigned n;
    unsigned refreshes;
    bool live;
    unsigned to_sweep, sweeps;
};

typedef struct {
    halls_t halls;
    db_t *db;
    keeper_t *keeper;
    stream_t *stream;
} drive_t;

void halls_lock(halls_t *halls)
{
    pthread_mutex_lock(&halls->mutex);
}

void halls_unlock(halls_t *halls)
{
    pthread_mutex_unlock(&halls->mutex);
}

hall_t *halls_find(halls_t *halls, uint32_t performance)
{
    for (unsigned i = 0; i < halls->n; i++) {
        if (halls->hall[i]->performance == performance) {
            return halls->hall[i];
        }
    }

    return NULL;
}

void halls_each(halls_t *halls, void (*each)(void *ctx, hall_t *hall),
                void *ctx)
{
    halls_lock(halls);
    for (unsigned i = 0; i < halls->n; i++) {
        each(ctx, halls->hall[i]);
    }
    halls_unlock(halls);
}

int64_t halls_now(halls_t *halls)
{
    (void)halls;

    return (int64_t)time(NULL) * 1000;
}

void halls_apply(halls_t *halls, const change_t *change)
{
    hall_t *hall;

    halls_lock(halls);
    hall = halls_find(halls, change->performance);
    if (hall != NULL) {
        hall_apply(hall, change, halls_now(halls));
    }
    halls_unlock(halls);
}

void halls_set_live(halls_t *halls, bool live)
{
    halls_lock(halls);
    halls->live = live;
    halls_unlock(halls);
}

void halls_want_refresh(halls_t *halls)
{
    halls_lock(halls);
    halls->refreshes++;
    halls_unlock(halls);
}

void halls_refresh(halls_t *halls, db_t *db)
{
    (void)halls;
    (void)db;
}

hold_result_t hold_sweep(db_t *db, halls_t *halls, unsigned max,
                         hold_sweep_t *sweep)
{
    (void)db;
    halls_lock(halls);
    sweep->ended = halls->to_sweep < max ? halls->to_sweep : max;
    sweep->more = sweep->ended == max;
    halls->to_sweep -= sweep->ended;
    halls->sweeps++;
    halls_unlock(halls);

    return HOLD_DONE;
}

/* hall PERFORMANCE ROOM: a hundred seats in a row, a pool of two buckets. */
static void make_hall(drive_t *drive, uint32_t performance, const char *room)
{
    hall_t *hall = hall_new(1, 1, 100, 1);

    if (hall == NULL || hall_set_buckets(hall, 0, 2) != 0) {
        abort();
    }

    hall->performance = performance;
    snprintf(hall->room, sizeof(hall->room), "%s", room);
    strcpy(hall->tier[0], "standard");
    for (unsigned i = 0; i < 100; i++) {
        snprintf(hall->seat[i].name, sizeof(hall->seat[i].name), "A-%u", i);
        hall->seat[i].pos = (uint16_t)i;
    }

    if (hall_finish(hall) != 0) {
        abort();
    }

    halls_lock(&drive->halls);
    drive->halls.hall[drive->halls.n++] = hall;
    halls_unlock(&drive->halls);
}

/* add PERFORMANCE ROOM N NO STATE VERSION LEFT: N rows of the outbox, with
 * seats from NO on, and a pool of two buckets with LEFT places each. */
static void add_rows(drive_t *drive, FILE *answer, const unsigned *number,
                     const char *room)
{
    db_result_t result = db_connect(drive->db);

    if (result == DB_OK) {
        result = db_begin(drive->db);
    }

    for (unsigned i = 0; i < number[1] && result == DB_OK; i++) {
        change_t change = {.performance = number[0]};
        seat_change_t seat = {.seat_no = number[2] + i,
                              .state = (seat_state_t)number[3],
                              .version = number[4]};

        if (seat.state == SEAT_HELD) {
            seat.hold.byte[0] = 1;
            seat.expires_ms = 4000000000000;
        }
        change_add_seat(&change, &seat);
        for (uint16_t j = 0; j < 2; j++) {
            change_add_bucket(&change,
                              &(bucket_change_t){.bucket = j,
                                                 .capacity = number[5],
                                                 .version = number[4]});
        }
        result = outbox_add(drive->db, room, &change);
        change_clear(&change);
    }

    if (result == DB_OK) {
        result = db_commit(drive->db);
    }

    keeper_wake(drive->keeper);
    fprintf(answer, "%s", result == DB_OK ? "ok" : "failed");
}

static void show_stats(drive_t *drive, FILE *answer)
{
    stream_stats_t stream = {0};
    keeper_stats_t keeper;

    keeper_stats(drive->keeper, &keeper);
    if (drive->stream != NULL) {
        stream_stats(drive->stream, &stream);
    }

    halls_lock(&drive->halls);
    fprintf(answer,
            "keeping=%d moved=%lu swept=%lu keeper_failures=%lu rows=%lu "
            "lag_ms=%lld live=%d events=%lu malformed=%lu "
            "stream_failures=%lu halls_live=%d refreshes=%u sweeps=%u",
            keeper.keeping, keeper.moved, keeper.swept, keeper.failures,
            keeper.outbox_rows, (long long)keeper.lag_ms, stream.live,
            stream.events, stream.malformed, stream.failures, drive->halls.live,
            drive->halls.refreshes, drive->halls.sweeps);
    halls_unlock(&drive->halls);
}

static void show_after(drive_t *drive, FILE *answer, uint32_t performance,
                       const char *after)
{
    static const char *const words[] = {"events", "quiet", "gone"};
    char id[STREAM_ID_MAX + 1], *text = NULL;
    stream_result_t result;
    size_t len = 0;

    snprintf(id, sizeof(id), "%s", after);
    result = stream_after(drive->stream, performance, id, &text, &len);
    fprintf(answer, "%s %s\n", words[result], id);
    if (text != NULL) {
        fwrite(text, 1, len, answer);
    }
    free(text);
}

static void show_seat(drive_t *drive, FILE *answer, const unsigned *number)
{
    const hall_t *hall;

    halls_lock(&drive->halls);
    hall = halls_find(&drive->halls, number[0]);
    if (hall != NULL) {
        fprintf(answer, "%s %u",
                seat_state_name((seat_state_t)hall->seat[number[1]].state),
                hall->seat[number[1]].version);
    }
    halls_unlock(&drive->halls);
}

/* Returns false when that was the last order. */
static bool obey(drive_t *drive, const char *order, FILE *answer)
{
    char word[STREAM_ID_MAX + 1] = "";
    unsigned number[6] = {0};

    if (sscanf(order, "hall %u %41s", number, word) == 2) {
        make_hall(drive, number[0], word);
    } else if (sscanf(order, "add %u %41s %u %u %u %u %u", number, word,
                      number + 1, number + 2, number + 3, number + 4,
                      number + 5) == 7) {
        add_rows(drive, answer, number, word);
    } else if (sscanf(order, "sweep %u", number) == 1) {
        halls_lock(&drive->halls);
        drive->halls.to_sweep += number[0];
        halls_unlock(&drive->halls);
    } else if (sscanf(order, "seat %u %u", number, number + 1) == 2) {
        show_seat(drive, answer, number);
    } else if (sscanf(order, "last %u", number) == 1) {
        stream_last(drive->stream, number[0], word);
        fprintf(answer, "%s", word);
    } else if (sscanf(order, "after %u %41s", number, word) >= 1) {
        show_after(drive, answer, number[0], word);
    } else if (strncmp(order, "stats", 5) == 0) {
        show_stats(drive, answer);
    } else {
        return strncmp(order, "stop", 4) != 0;
    }

    return true;
}

static void serve(drive_t *drive, int listener)
{
    char order[256];
    bool more = true;

    while (more) {
        int fd = accept(listener, NULL, NULL);
        FILE *answer = fdopen(fd, "w");
        ssize_t len = answer ? recv(fd, order, sizeof(order) - 1, 0) : -1;

        if (answer == NULL) {
            abort();
        }
        if (len > 0) {
            order[len] = '\0';
            more = obey(drive, order, answer);
        }
        fclose(answer);
    }
}

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(fd, 16) != 0) {
        abort();
    }

    return fd;
}

int main(int argc, char **argv)
{
    drive_t drive = {.halls.mutex = PTHREAD_MUTEX_INITIALIZER};
    db_stats_t stats = {0};
    config_t config;
    char err[512];
    bool ended;

    signal(SIGPIPE, SIG_IGN);
    if (argc != 3 || config_load(&config, argv[1], err, sizeof(err)) != 0) {
        fprintf(stderr, "%s\n", argc == 3 ? err : "keeper_drive CONF SOCKET");
        return 2;
    }

    mysql_library_init(0, NULL, NULL);
    drive.db = db_new(&config, &stats);
    drive.keeper = keeper_start(&config, &drive.halls);
    drive.stream =
        config.redis.given ? stream_start(&config, &drive.halls) : NULL;
    if (drive.db == NULL || drive.keeper == NULL ||
        (config.redis.given && drive.stream == NULL)) {
        return 1;
    }

    serve(&drive, listen_at(argv[2]));

    ended = stream_stop(drive.stream);
    ended = keeper_stop(drive.keeper) && ended;
    if (!ended) {
        _exit(3);
    }

    for (unsigned i = 0; i < drive.halls.n; i++) {
        hall_free(drive.halls.hall[i]);
    }
    db_free(drive.db);
    mysql_library_end();
    config_clear(&config);

    return 0;
}
