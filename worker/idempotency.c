/*
 * Idempotency keys.  The row of a key is the first thing that a transaction
 * writes and its answer the last, so both are there with the effect or not at
 * all: there is no key without an answer, whatever crashes.  A repeat that
 * comes meanwhile waits for the row's lock; one that comes later finds the
 * row.  So does who lost the answer to COMMIT, and that is how he learns it.
 *
 * What is kept of an answer is its status, body and the headers that say
 * something about what was done.  Never a 5xx: that is not an answer to the
 * request, but about the worker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handlers.h"
#include "idempotency.h"
#include "keeper.h"
#include "log.h"
#include "outbox.h"
#include "retry.h"

#define IN_PROGRESS_MS 1000 /* so long a repeat waits for the first */
#define RETRY_AFTER_S  1
#define HEADERS_MAX    512

#define LOCATION "Location: "
#define ETAG     "ETag: "

/* What an attempt ended with. */
typedef enum {
    RUN_ANSWERED,
    RUN_KNOWN,  /* there is a row with this key */
    RUN_LOCKED, /* somebody is about to write one */
    RUN_RETRY,  /* deadlock, or the connection was lost */
    RUN_AWAY,
    RUN_FAILED
} run_t;

static run_t run_of(db_result_t result)
{
    return result == DB_OK                          ? RUN_ANSWERED
           : result == DB_BUSY || result == DB_LOST ? RUN_RETRY
                                                    : RUN_FAILED;
}

static const char *scope_of(const request_t *request)
{
    return *request->owner ? request->owner : "operator";
}

static void add_text(sql_t *sql, const char *text)
{
    sql_text(sql, text, strlen(text));
}

static void add_key(sql_t *sql, const request_t *request)
{
    sql_add(sql, " WHERE scope = ");
    add_text(sql, scope_of(request));
    sql_add(sql, " AND idem_key = ");
    add_text(sql, request->key);
}

static db_result_t insert_key(db_t *db, sql_t *sql, const request_t *request)
{
    sql_begin(sql, "claim an Idempotency-Key");
    sql_add(sql, "INSERT INTO idempotency "
                 "(scope, idem_key, fingerprint, status, body, created_at) "
                 "VALUES (");
    add_text(sql, scope_of(request));
    sql_add(sql, ", ");
    add_text(sql, request->key);
    sql_add(sql, ", ");
    sql_bytes(sql, request->fingerprint, FINGERPRINT_BYTES);
    sql_add(sql, ", 0, '', UTC_TIMESTAMP(3))");

    return db_change_text(db, sql, NULL);
}

/* A line of the column headers, if there is something to say. */
static void add_header(char headers[HEADERS_MAX], const char *name,
                       const char *value)
{
    size_t len = strlen(headers);

    if (*value) {
        snprintf(headers + len, HEADERS_MAX - len, "%s%s\n", name, value);
    }
}

static db_result_t keep_answer(db_t *db, sql_t *sql, const request_t *request)
{
    const reply_t *reply = &request->reply;
    char headers[HEADERS_MAX] = "";

    add_header(headers, LOCATION, reply->location);
    add_header(headers, ETAG, reply->etag);
    sql_begin(sql, "keep the answer to an Idempotency-Key");
    sql_add(sql,
            "UPDATE idempotency SET status = %u, headers = ", reply->status);
    add_text(sql, headers);
    sql_add(sql, ", body = ");
    sql_text(sql, reply->body ? reply->body : "", reply->body ? reply->len : 0);
    add_key(sql, request);

    return db_change_text(db, sql, NULL);
}

static db_result_t run_word(db_t *db, sql_t *sql, const char *word)
{
    sql_begin(sql, word);
    sql_add(sql, "%s", word);

    return db_change_text(db, sql, NULL);
}

/* The effect, or for a refusal nothing of it but its answer. */
static run_t run_effect(request_t *request, db_t *db, sql_t *sql,
                        effect_fn effect, change_t *change)
{
    db_result_t result = run_word(db, sql, "SAVEPOINT effect");

    if (result != DB_OK) {
        return run_of(result);
    }

    switch (effect(request, db, change)) {
    case EFFECT_DONE:
        break;
    case EFFECT_RETRY:
    case EFFECT_AWAY:
        return RUN_RETRY;
    default:
        return RUN_FAILED;
    }

    if (request->reply.status >= 500) {
        return RUN_FAILED;
    }

    if (request->reply.status >= 400) {
        change_clear(change);
        result = run_word(db, sql, "ROLLBACK TO SAVEPOINT effect");
    }

    return run_of(result);
}

/* Tells everybody what was committed. */
static void spread(request_t *request, const char *room, const change_t *change)
{
    if (change->n_seats + change->n_buckets + change->n_holds > 0) {
        halls_apply(request->worker->halls, change);
        stock_changed(request->worker->stock, room);
        keeper_wake(request->worker->keeper);
    }
}

/* The transaction, in one attempt. */
static run_t run_once(request_t *request, db_t *db, sql_t *sql,
                      const char *room, effect_fn effect, change_t *change)
{
    db_result_t result = db_begin(db);
    run_t run;

    if (result == DB_OK) {
        result = insert_key(db, sql, request);
        if (result == DB_DUPLICATE || result == DB_BUSY) {
            return result == DB_BUSY ? RUN_LOCKED : RUN_KNOWN;
        }
    }

    if (result != DB_OK) {
        return run_of(result);
    }

    run = run_effect(request, db, sql, effect, change);
    if (run != RUN_ANSWERED) {
        return run;
    }

    result = keep_answer(db, sql, request);
    if (result == DB_OK) {
        result = outbox_add(db, room, change);
    }

    if (result == DB_OK) {
        result = db_commit(db);
    }

    if (result == DB_OK) {
        spread(request, room, change);
    }

    return run_of(result);
}

/* A row of idempotency. */
typedef struct {
    request_t *request;
    bool found;
    bool same; /* it was the same request */
    bool failed;
} known_t;

/* The value of a header as it was kept. */
static void read_header(const char *headers, const char *name, char *value,
                        size_t size)
{
    const char *line = strstr(headers, name);

    if (line != NULL) {
        line += strlen(name);
        snprintf(value, size, "%.*s", (int)strcspn(line, "\n"), line);
    }
}

static void on_known(void *ctx, char *const *column)
{
    known_t *known = ctx;
    reply_t *reply = &known->request->reply;
    hold_id_t fingerprint;
    char *body;

    _Static_assert(FINGERPRINT_BYTES == HOLD_ID_BYTES, "one length");
    known->found = true;
    known->same = hold_id_read(&fingerprint, column[0], strlen(column[0])) &&
                  memcmp(fingerprint.byte, known->request->fingerprint,
                         FINGERPRINT_BYTES) == 0;
    if (!known->same) {
        return;
    }

    reply->status = (unsigned)strtoul(column[1], NULL, 10);
    reply->replayed = true;
    read_header(column[2], LOCATION, reply->location, sizeof(reply->location));
    read_header(column[2], ETAG, reply->etag, sizeof(reply->etag));
    if (*column[3] == '\0') {
        return;
    }

    body = strdup(column[3]);
    known->failed = body == NULL;
    reply_text(reply, reply->status,
               reply->status >= 400 ? "application/problem+json"
                                    : "application/json",
               body, body ? strlen(body) : 0);
}

/* Answers as the row with this key says.  RUN_RETRY: it is gone again. */
static run_t answer_known(request_t *request, db_t *db, sql_t *sql)
{
    known_t known = {.request = request};
    db_result_t result;

    sql_begin(sql, "look an Idempotency-Key up");
    sql_add(sql,
            "SELECT HEX(fingerprint), status, headers, body FROM idempotency");
    add_key(sql, request);
    result = db_select_text(db, sql, on_known, &known);
    if (result != DB_OK || known.failed) {
        return result == DB_OK ? RUN_FAILED : run_of(result);
    }

    if (known.found && !known.same) {
        reply_problem(&request->reply, 422, "idempotency_key_reused",
                      "this Idempotency-Key was used for another request: "
                      "take a new one for each thing to be done");
    }

    return known.found ? RUN_ANSWERED : RUN_RETRY;
}

static run_t attempt(request_t *request, db_t *db, sql_t *sql, const char *room,
                     effect_fn effect)
{
    change_t change = {0};
    run_t run;

    reply_free(&request->reply);
    if (db_connect(db) != DB_OK) {
        return RUN_AWAY;
    }

    run = run_once(request, db, sql, room, effect, &change);
    change_clear(&change);
    if (run != RUN_ANSWERED) {
        db_rollback(db);
        reply_free(&request->reply);
    }

    return run == RUN_KNOWN ? answer_known(request, db, sql) : run;
}

static void answer_in_progress(reply_t *reply)
{
    reply_problem(reply, 409, "in_progress",
                  "the request with this Idempotency-Key is still being "
                  "worked on: send it again for its answer");
    reply->retry_after_s = RETRY_AFTER_S;
}

static void answer_failure(reply_t *reply, run_t run)
{
    switch (run) {
    case RUN_LOCKED:
        answer_in_progress(reply);
        break;
    case RUN_RETRY:
        answer_unavailable(reply, "what this is about is being changed by "
                                  "others; try again");
        break;
    case RUN_AWAY:
        answer_unavailable(reply, "the database is away; try again");
        break;
    default:
        reply_problem(reply, 500, "internal",
                      "the worker failed; its log says why");
    }
}

void idempotency_run(request_t *request, db_t *db, const char *room,
                     effect_fn effect)
{
    retry_t retry = {0};
    sql_t sql = {0};
    run_t run = RUN_RETRY;
    bool again = true;

    while (again && retry_next(&retry)) {
        run = attempt(request, db, &sql, room, effect);

        /* Repeats that wait together can meet in a deadlock, too. */
        again = run == RUN_RETRY ||
                (run == RUN_LOCKED && retry_spent_ms(&retry) < IN_PROGRESS_MS);
    }
    sql_free(&sql);

    if (run != RUN_ANSWERED) {
        answer_failure(&request->reply, run);
    }
}
