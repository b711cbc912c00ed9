/*
 * The transactions on seats.  A seat is taken by one guarded UPDATE, and the
 * count of changed rows is the verdict: nothing here reads, decides and then
 * writes without the guard.
 *
 * Every transaction locks in the same order: all its seat rows by name, then
 * rows of hold_seat by name, then rows of hold by id.  So there is no deadlock
 * between them.  The order matters within hold_seat, too: the check of its
 * UNIQUE key locks the entry of the next seat, which may be another's.  What
 * is left (a lock wait, a surprise of the database) is tried again a few times.
 *
 * An expired hold is taken over seat by seat: the first seat lost marks the
 * whole hold, which nothing can revive; the seats it keeps count as free for
 * everybody and are taken over in their turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "holds.h"
#include "log.h"

#define ATTEMPTS         8
#define RETRY_MS         3000
#define COMMIT_LOOKUP_MS 3000
#define COMMIT_PAUSE_MS  50

static void copy_text(char *to, size_t size, const char *from)
{
    size_t len = strnlen(from, size - 1);

    memcpy(to, from, len);
    to[len] = '\0';
}

static uint32_t to_uint(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);

    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    struct timespec pause = {.tv_sec = ms / 1000,
                             .tv_nsec = ms % 1000 * 1000000};

    nanosleep(&pause, NULL);
}

/* What an unfinished transaction ends with, after a statement failed. */
static hold_result_t give_up(db_t *db, db_result_t result)
{
    db_rollback(db);

    return result == DB_FAILED ? HOLD_ERROR : HOLD_RETRY;
}

static int new_id(char id[HOLD_ID_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[HOLD_ID_LEN / 2];

    if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
        log_line(LOG_LEVEL_ERROR, "getrandom: %s", strerror(errno));
        return -1;
    }

    for (size_t i = 0; i < sizeof(random); i++) {
        *id++ = digits[random[i] >> 4];
        *id++ = digits[random[i] & 15];
    }
    *id = '\0';

    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const held_seat_t *)a)->name,
                  ((const held_seat_t *)b)->name);
}

static void on_performance(void *ctx, char *const *column)
{
    hold_t *hold = ctx;

    hold->expires_in_ms = strtoll(column[0], NULL, 10);
    copy_text(hold->expires_at, sizeof(hold->expires_at), column[1]);
}

/* Finds out how long a hold lasts; once, so that a retry makes the same one. */
static hold_result_t find_performance(db_t *db, hold_t *hold, const char *room)
{
    db_params_t params = {0};
    db_result_t result;

    if (*hold->expires_at) {
        return HOLD_DONE;
    }

    db_add_uint(&params, hold->performance);
    db_add_text(&params, room);
    result =
        db_select(db, STATEMENT_PERFORMANCE, &params, on_performance, hold);
    if (result != DB_OK) {
        return result == DB_FAILED ? HOLD_ERROR : HOLD_RETRY;
    }

    return *hold->expires_at ? HOLD_DONE : HOLD_NO_PERFORMANCE;
}

/* The guarded UPDATE.  *taken: the seat is ours. */
static db_result_t take_seat(db_t *db, const hold_t *hold, held_seat_t *seat,
                             bool *taken)
{
    db_params_t params = {0};
    uint64_t affected, before;
    db_result_t result;

    db_add_text(&params, hold->id);
    db_add_text(&params, hold->expires_at);
    db_add_uint(&params, hold->performance);
    db_add_text(&params, seat->name);
    if (seat->wants_version) {
        db_add_uint(&params, seat->wanted_version);
    } else {
        db_add_null(&params);
    }

    result = db_change(db, STATEMENT_TAKE_SEAT, &params, &affected, &before);
    if (result == DB_OK) {
        *taken = affected == 1;
        seat->was_expired = before % 2;
        seat->version = (uint32_t)(before / 2 + 1);
    }

    return result;
}

static void on_hold_id(void *ctx, char *const *column)
{
    copy_text(ctx, HOLD_ID_LEN + 1, column[0]);
}

/* Ends the claim of the expired hold that had the seat; *old is its id. */
static db_result_t clear_claim(db_t *db, const hold_t *hold,
                               const held_seat_t *seat,
                               char old[HOLD_ID_LEN + 1])
{
    db_params_t find = {0}, clear = {0};
    db_result_t result;

    *old = '\0';
    db_add_uint(&find, hold->performance);
    db_add_text(&find, seat->name);
    result = db_select(db, STATEMENT_LIVE_HOLD, &find, on_hold_id, old);
    if (result != DB_OK) {
        return result;
    }

    db_add_text(&clear, old);
    db_add_text(&clear, seat->name);

    return db_change(db, STATEMENT_CLEAR_LIVE, &clear, NULL, NULL);
}

/* Marks the holds, in the order of their ids: others may mark them too. */
static db_result_t mark_taken_over(db_t *db, char ids[][HOLD_ID_LEN + 1],
                                   unsigned n)
{
    db_result_t result = DB_OK;

    qsort(ids, n, sizeof(ids[0]), (int (*)(const void *, const void *))strcmp);

    for (unsigned i = 0; i < n && result == DB_OK; i++) {
        db_params_t params = {0};

        db_add_text(&params, ids[i]);
        result = db_change(db, STATEMENT_MARK_TAKEN_OVER, &params, NULL, NULL);
    }

    return result;
}

/* Takes the seats; *all is false, at the first that is not to be had. */
static db_result_t take_seats(db_t *db, hold_t *hold, bool *all)
{
    db_result_t result = DB_OK;

    *all = true;
    for (unsigned i = 0; i < hold->n && result == DB_OK && *all; i++) {
        result = take_seat(db, hold, &hold->seat[i], all);
    }

    return result;
}

/* Proves each seat a second time, in place of the expired hold it was in. */
static db_result_t claim_seats(db_t *db, const hold_t *hold,
                               char old[][HOLD_ID_LEN + 1], unsigned *n_old)
{
    db_result_t result = DB_OK;

    for (unsigned i = 0; i < hold->n && result == DB_OK; i++) {
        const held_seat_t *seat = &hold->seat[i];
        db_params_t params = {0};

        if (seat->was_expired) {
            result = clear_claim(db, hold, seat, old[(*n_old)++]);
        }

        if (result == DB_OK) {
            db_add_text(&params, hold->id);
            db_add_uint(&params, hold->performance);
            db_add_text(&params, seat->name);
            result =
                db_change(db, STATEMENT_INSERT_HOLD_SEAT, &params, NULL, NULL);
        }
    }

    return result;
}

/* Writes the hold down, after its seats have been taken. */
static db_result_t record_hold(db_t *db, const hold_t *hold)
{
    char old[HOLD_SEATS_MAX][HOLD_ID_LEN + 1];
    unsigned n_old = 0;
    db_params_t params = {0};
    db_result_t result = claim_seats(db, hold, old, &n_old);

    if (result != DB_OK) {
        return result;
    }

    db_add_text(&params, hold->id);
    db_add_uint(&params, hold->performance);
    db_add_text(&params, hold->owner);
    db_add_text(&params, hold->expires_at);
    result = db_change(db, STATEMENT_INSERT_HOLD, &params, NULL, NULL);

    return result == DB_OK ? mark_taken_over(db, old, n_old) : result;
}

/* How a seat was found by somebody who could not take it. */
typedef struct {
    held_seat_t *seat;
    bool exists;
    char hold_id[HOLD_ID_LEN + 1];
} finding_t;

static void on_seat_now(void *ctx, char *const *column)
{
    finding_t *finding = ctx;

    finding->exists = true;
    copy_text(finding->seat->state, sizeof(finding->seat->state), column[0]);
    finding->seat->version = to_uint(column[1]);
    copy_text(finding->hold_id, sizeof(finding->hold_id),
              column[2] ? column[2] : "");
}

/*
 * After a lost attempt: which seats stand in the way?  None any more: try
 * again.  Our own hold: an earlier attempt, whose COMMIT was never answered,
 * went through after all.
 */
static hold_result_t find_conflicts(db_t *db, hold_t *hold)
{
    bool conflict = false, own = true;

    for (unsigned i = 0; i < hold->n; i++) {
        held_seat_t *seat = &hold->seat[i];
        finding_t finding = {.seat = seat};
        db_params_t params = {0};
        db_result_t result;

        db_add_uint(&params, hold->performance);
        db_add_text(&params, seat->name);
        result =
            db_select(db, STATEMENT_SEAT_NOW, &params, on_seat_now, &finding);
        if (result != DB_OK) {
            return result == DB_FAILED ? HOLD_ERROR : HOLD_RETRY;
        }

        seat->missing = !finding.exists;
        if (seat->missing) {
            return HOLD_NO_SEAT;
        }

        own = own && strcmp(finding.hold_id, hold->id) == 0;
        seat->conflict =
            strcmp(seat->state, "free") != 0 ||
            (seat->wants_version && seat->version != seat->wanted_version);
        conflict = conflict || seat->conflict;
    }

    return own ? HOLD_DONE : conflict ? HOLD_CONFLICT : HOLD_RETRY;
}

static void on_known(void *ctx, char *const *column)
{
    (void)column;
    *(bool *)ctx = true;
}

/* COMMIT was not answered.  Only the database knows: ask it by the id. */
static hold_result_t settle_commit(db_t *db, const hold_t *hold)
{
    for (int waited = 0; waited < COMMIT_LOOKUP_MS; waited += COMMIT_PAUSE_MS) {
        db_params_t params = {0};
        bool known = false;

        db_add_text(&params, hold->id);
        db_add_text(&params, hold->owner);
        if (db_connect(db) == DB_OK &&
            db_select(db, STATEMENT_HOLD_STATE, &params, on_known, &known) ==
                DB_OK) {
            log_line(LOG_LEVEL_WARN,
                     "hold %s: the answer to COMMIT was lost; it was %s",
                     hold->id, known ? "committed" : "not committed");
            return known ? HOLD_DONE : HOLD_RETRY;
        }

        pause_ms(COMMIT_PAUSE_MS);
    }

    return HOLD_UNAVAILABLE;
}

static hold_result_t try_make(db_t *db, hold_t *hold, const char *room)
{
    hold_result_t found;
    db_result_t result;
    bool all = true;

    if (db_connect(db) != DB_OK) {
        return HOLD_UNAVAILABLE;
    }

    found = find_performance(db, hold, room);
    if (found != HOLD_DONE) {
        return found;
    }

    result = db_begin(db);
    if (result == DB_OK) {
        result = take_seats(db, hold, &all);
    }

    if (result == DB_OK && !all) {
        db_rollback(db);
        return find_conflicts(db, hold);
    }

    if (result == DB_OK) {
        result = record_hold(db, hold);
    }

    if (result != DB_OK) {
        return give_up(db, result);
    }

    result = db_commit(db);
    if (result == DB_LOST) {
        return settle_commit(db, hold);
    }

    return result == DB_OK ? HOLD_DONE : give_up(db, result);
}

/* Whether there is another attempt, after a pause that grows with them. */
static bool may_try(int attempt, int64_t started)
{
    pause_ms(attempt);

    return attempt < ATTEMPTS && now_ms() - started < RETRY_MS;
}

hold_result_t hold_make(db_t *db, hold_t *hold, const char *room)
{
    int64_t started = now_ms();

    if (new_id(hold->id) != 0) {
        return HOLD_ERROR;
    }

    qsort(hold->seat, hold->n, sizeof(hold->seat[0]), by_name);

    for (int attempt = 0; may_try(attempt, started); attempt++) {
        hold_result_t result = try_make(db, hold, room);

        if (result != HOLD_RETRY) {
            hold->expires_in_ms -= now_ms() - started;
            return result;
        }
    }

    return HOLD_BUSY;
}

/* What the rows of STATEMENT_HOLD say. */
typedef struct {
    hold_t *hold;
    bool known;
    char state[16];
} reading_t;

static void on_hold(void *ctx, char *const *column)
{
    reading_t *reading = ctx;
    hold_t *hold = reading->hold;

    reading->known = true;
    hold->performance = to_uint(column[0]);
    copy_text(reading->state, sizeof(reading->state), column[1]);
    copy_text(hold->expires_at, sizeof(hold->expires_at), column[2]);
    hold->expires_in_ms = strtoll(column[3], NULL, 10);

    if (column[4] != NULL && hold->n < HOLD_SEATS_MAX) {
        held_seat_t *seat = &hold->seat[hold->n++];

        copy_text(seat->name, sizeof(seat->name), column[4]);
        seat->version = to_uint(column[5]);
    }
}

static hold_result_t try_read(db_t *db, hold_t *hold)
{
    reading_t reading = {.hold = hold};
    db_params_t params = {0};
    db_result_t result;

    if (db_connect(db) != DB_OK) {
        return HOLD_UNAVAILABLE;
    }

    hold->n = 0;
    db_add_text(&params, hold->id);
    db_add_text(&params, hold->owner);
    result = db_select(db, STATEMENT_HOLD, &params, on_hold, &reading);
    if (result != DB_OK) {
        return result == DB_FAILED ? HOLD_ERROR : HOLD_RETRY;
    }

    if (!reading.known || strcmp(reading.state, "released") == 0) {
        return HOLD_UNKNOWN;
    }

    return strcmp(reading.state, "active") != 0 || hold->expires_in_ms <= 0
               ? HOLD_EXPIRED
               : HOLD_DONE;
}

hold_result_t hold_read(db_t *db, hold_t *hold)
{
    int64_t started = now_ms();

    for (int attempt = 0; may_try(attempt, started); attempt++) {
        hold_result_t result = try_read(db, hold);

        if (result != HOLD_RETRY) {
            return result;
        }
    }

    return HOLD_BUSY;
}

static void on_seat_name(void *ctx, char *const *column)
{
    hold_t *hold = ctx;

    if (hold->n < HOLD_SEATS_MAX) {
        copy_text(hold->seat[hold->n].name, sizeof(hold->seat[0].name),
                  column[0]);
        hold->n++;
    }
}

/* Frees the seats that are still this hold's, and then ends its claims. */
static db_result_t free_seats(db_t *db, const hold_t *hold)
{
    db_result_t result = DB_OK;

    for (unsigned i = 0; i < hold->n && result == DB_OK; i++) {
        db_params_t params = {0};

        db_add_uint(&params, hold->performance);
        db_add_text(&params, hold->seat[i].name);
        db_add_text(&params, hold->id);
        result = db_change(db, STATEMENT_FREE_SEAT, &params, NULL, NULL);
    }

    for (unsigned i = 0; i < hold->n && result == DB_OK; i++) {
        db_params_t params = {0};

        db_add_text(&params, hold->id);
        db_add_text(&params, hold->seat[i].name);
        result = db_change(db, STATEMENT_CLEAR_LIVE, &params, NULL, NULL);
    }

    return result;
}

static void on_hold_state(void *ctx, char *const *column)
{
    reading_t *reading = ctx;

    reading->known = true;
    reading->hold->performance = to_uint(column[0]);
    copy_text(reading->state, sizeof(reading->state), column[1]);
}

static hold_result_t try_release(db_t *db, hold_t *hold)
{
    reading_t reading = {.hold = hold};
    db_params_t owned = {0}, named = {0};
    db_result_t result;

    if (db_connect(db) != DB_OK) {
        return HOLD_UNAVAILABLE;
    }

    hold->n = 0;
    db_add_text(&owned, hold->id);
    db_add_text(&owned, hold->owner);
    db_add_text(&named, hold->id);
    result =
        db_select(db, STATEMENT_HOLD_STATE, &owned, on_hold_state, &reading);
    if (result == DB_OK && !reading.known) {
        return HOLD_UNKNOWN;
    }

    if (result == DB_OK) {
        result =
            db_select(db, STATEMENT_HOLD_SEATS, &named, on_seat_name, hold);
    }

    if (result == DB_OK && hold->n == 0) {
        return HOLD_DONE;
    }

    if (result == DB_OK) {
        result = db_begin(db);
    }

    if (result == DB_OK) {
        result = free_seats(db, hold);
    }

    if (result == DB_OK) {
        result = db_change(db, STATEMENT_MARK_RELEASED, &named, NULL, NULL);
    }

    if (result == DB_OK) {
        result = db_commit(db);
    }

    return result == DB_OK ? HOLD_DONE : give_up(db, result);
}

hold_result_t hold_release(db_t *db, const hold_t *hold)
{
    hold_t mine = *hold;
    int64_t started = now_ms();

    for (int attempt = 0; may_try(attempt, started); attempt++) {
        hold_result_t result = try_release(db, &mine);

        if (result != HOLD_RETRY) {
            return result;
        }
    }

    return HOLD_BUSY;
}
