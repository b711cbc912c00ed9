/*
 * Sequencer.  A thread takes what has queued while its last batch was being
 * committed, plans all of it under the halls' lock, and runs one transaction.
 * There is no timer: alone, a request goes at once; in a crowd the batches
 * grow by themselves.
 *
 * Whoever wants a seat that is in a batch under way waits for that batch, and
 * is planned again when it has ended: mostly to be refused in memory.
 *
 * Locks: the halls' first, then that of the turns.
 */
#include <pthread.h>
#include <stdlib.h>

#include <mysql.h>

#include "batch.h"
#include "bid_answer.h"
#include "bids.h"
#include "clock.h"
#include "keeper.h"
#include "log.h"
#include "repeats.h"
#include "sequencer.h"
#include "turns.h"

#define GATHER    256 /* bids planned for one batch */
#define BREATH    16  /* of them without giving the halls' lock back */
#define TRIES_MAX 16
#define TRY_MS    3000

typedef struct {
    pthread_t id;
    sequencer_t *sequencer;
    batch_t batch;   /* n is 0 when none is under way; under the halls' lock */
    bids_t waiting;  /* for the end of the batch; under the mutex */
    bids_t answered; /* this thread's alone, as are the next two */
    bids_t repeated; /* to be answered by what is in the database */
    bids_t unsure;   /* would be refused, if what is in memory were newer */
} thread_t;

struct sequencer_s {
    const config_t *config;
    halls_t *halls;
    stock_t *stock;
    keeper_t *keeper;
    db_stats_t db_stats;

    turns_t turns; /* its mutex guards the next two, and who waits for a
                      thread's batch */
    repeats_t *repeats;
    sequencer_stats_t stats;

    unsigned n_threads;
    thread_t thread[];
};

/* Remembers how it ended, for repeats of it. */
static void settle(sequencer_t *sequencer, const bid_t *bid)
{
    pthread_mutex_lock(&sequencer->turns.mutex);
    repeats_end(sequencer->repeats, &bid->hold.id, &bid->request->reply);
    sequencer->stats.shed += bid->result == BID_SHED;
    if (bid->result == BID_REFUSED) {
        (*(bid->tries == 0 ? &sequencer->stats.refused
                           : &sequencer->stats.lost))++;
    }
    pthread_mutex_unlock(&sequencer->turns.mutex);
}

/* What can be said at once of a bid, under the halls' lock. */
typedef enum {
    JUDGED_QUEUE,  /* it goes into the queue */
    JUDGED_REFUSE, /* bid->result is to be answered */
    JUDGED_ASK     /* REQUEST_TO_POOL */
} judged_t;

/*
 * Whether a refusal stands, or what it is based on is too old, or older than
 * what the client has heard.  Names that are not there never come to be.
 */
static bool is_sure(halls_t *halls, const bid_t *bid)
{
    const plan_t *plan = &bid->plan;

    if (bid->read) {
        return true;
    }

    if (plan->result == PLAN_FULL || plan->result == PLAN_NO_BLOCK) {
        return halls_fresh(halls, bid->hall->loaded_ms);
    }

    for (unsigned i = 0; i < plan->n_conflicts; i++) {
        const hall_seat_t *seat = &bid->hall->seat[plan->conflict[i].seat_no];

        if (plan->conflict[i].newer || !halls_fresh(halls, seat->seen_ms)) {
            return false;
        }
    }

    return true;
}

static judged_t judge(sequencer_t *sequencer, bid_t *bid)
{
    halls_t *halls = sequencer->halls;
    request_t *request = bid->request;
    hall_t *hall = halls_find(halls, bid->hold.performance);

    if (hall == NULL ||
        (!request->asked && halls_knows_hold(halls, &bid->hold.id))) {
        return JUDGED_ASK;
    }

    bid->hall = hall;
    bid->hold.limited = hall->max_per_user > 0;
    bid->result = BID_REFUSED;
    if (strcmp(hall->room, request->room) != 0) {
        bid->plan.result = PLAN_NO_PERFORMANCE;
        return JUDGED_REFUSE;
    }

    if (bid->hold.limited && wish_units(&bid->wish) > hall->max_per_user) {
        bid->result = BID_LIMITED;
        return JUDGED_REFUSE;
    }

    plan_make(&bid->plan, hall, &bid->wish, 0, halls_now(halls), &bid->hold);
    if (plan_is_refusal(bid->plan.result) && is_sure(halls, bid)) {
        return JUDGED_REFUSE;
    }

    bid->result = BID_OPEN;

    return JUDGED_QUEUE;
}

void sequencer_kick(sequencer_t *sequencer)
{
    turns_kick(&sequencer->turns);
}

/* False: it was asked before, and bid's request has the answer. */
static bool begin(sequencer_t *sequencer, bid_t *bid)
{
    reply_t *reply = &bid->request->reply;
    repeats_result_t result;

    pthread_mutex_lock(&sequencer->turns.mutex);
    result = repeats_begin(sequencer->repeats, &bid->hold.id,
                           bid->hold.fingerprint, reply);
    pthread_mutex_unlock(&sequencer->turns.mutex);

    switch (result) {
    case REPEATS_NEW:
        return true;
    case REPEATS_RUNNING:
        answer_in_progress(reply);
        return false;
    case REPEATS_OTHER:
        answer_key_reused(reply);
        return false;
    case REPEATS_FULL:
        reply_empty(reply, 500);
        return false;
    default:
        return false;
    }
}

request_fate_t sequencer_submit(sequencer_t *sequencer, bid_t *bid)
{
    judged_t judged;

    if (!begin(sequencer, bid)) {
        return REQUEST_ANSWERED;
    }

    halls_lock(sequencer->halls);
    judged = judge(sequencer, bid);
    halls_unlock(sequencer->halls);

    if (judged == JUDGED_QUEUE) {
        if (turns_add(&sequencer->turns, bid)) {
            return REQUEST_TAKEN;
        }
        bid->result = BID_SHED;
    }

    if (judged != JUDGED_ASK) {
        bid_answer(bid, NULL);
    }

    settle(sequencer, bid);

    return judged == JUDGED_ASK ? REQUEST_TO_POOL : REQUEST_ANSWERED;
}

/* The thread whose batch a bid is to wait for; NULL: none is under way. */
static thread_t *find_batch(thread_t *thread, uint8_t number)
{
    sequencer_t *sequencer = thread->sequencer;

    if (number != 0) {
        return &sequencer->thread[number - 1];
    }

    if (thread->batch.n > 0) {
        return thread;
    }

    for (unsigned i = 0; i < sequencer->n_threads; i++) {
        if (sequencer->thread[i].batch.n > 0) {
            return &sequencer->thread[i];
        }
    }

    return NULL;
}

/*
 * It depends on a batch under way.  What its own other wishes stand in the way
 * of depends on none, and nobody waits for ever.
 */
static void wait_for_batch(thread_t *thread, bid_t *bid)
{
    thread_t *other = find_batch(thread, bid->plan.batch);

    if (other == NULL || clock_ms() - bid->since_ms > TRY_MS) {
        bid->plan.result = PLAN_NO_BLOCK;
        bid->result = other == NULL ? BID_REFUSED : BID_BUSY;
        bids_append(&thread->answered, bid);
        return;
    }

    pthread_mutex_lock(&thread->sequencer->turns.mutex);
    bids_append(&other->waiting, bid);
    pthread_mutex_unlock(&thread->sequencer->turns.mutex);
}

/* One bid's turn, under the halls' lock. */
static void plan(thread_t *thread, bid_t *bid)
{
    sequencer_t *sequencer = thread->sequencer;
    batch_t *batch = &thread->batch;
    int64_t now_ms = halls_now(sequencer->halls);

    plan_make(&bid->plan, bid->hall, &bid->wish, batch->number, now_ms,
              &bid->hold);
    bid->ttl_ms = bid->hall->hold_ttl_ms;
    bid->max_units = bid->hall->max_per_user;
    bid->hold.limited = bid->max_units > 0;

    if (bid->plan.result == PLAN_GOOD) {
        plan_mark(bid->hall, &bid->hold, batch->number, now_ms);
        batch->bid[batch->n++] = bid;
    } else if (bid->plan.result == PLAN_WAIT) {
        wait_for_batch(thread, bid);
    } else if (bid->plan.result == PLAN_REPEATED) {
        bid->result = BID_REPEATED;
        bids_append(&thread->repeated, bid);
    } else if (is_sure(sequencer->halls, bid)) {
        bid->result = BID_REFUSED;
        bids_append(&thread->answered, bid);
    } else {
        bids_append(&thread->unsure, bid);
    }
}

static void put_back(sequencer_t *sequencer, bid_t *bid)
{
    bids_t one;

    bids_clear(&one);
    bids_append(&one, bid);
    turns_put_back(&sequencer->turns, &one);
}

/*
 * Plans what is in the queue, until the batch is full.  A bid that broke a
 * batch has one to itself.
 */
static void gather(thread_t *thread)
{
    sequencer_t *sequencer = thread->sequencer;
    unsigned limit = sequencer->config->batch;
    bid_t *bid;

    halls_lock(sequencer->halls);
    for (unsigned planned = 0; planned < GATHER && thread->batch.n < limit;
         planned++) {
        bid = turns_next(&sequencer->turns);
        if (bid == NULL) {
            break;
        }

        if (bid->alone && thread->batch.n > 0) {
            put_back(sequencer, bid);
            break;
        }

        plan(thread, bid);
        if (bid->alone && thread->batch.n > 0) {
            break;
        }

        if (planned % BREATH == BREATH - 1) {
            halls_unlock(sequencer->halls);
            halls_lock(sequencer->halls);
        }
    }
    halls_unlock(sequencer->halls);
}

/* Reads what a refusal would be based on, unless it has just been read. */
static halls_result_t read_again(thread_t *thread, const bid_t *bid)
{
    halls_t *halls = thread->sequencer->halls;
    uint32_t seat_no[HOLD_UNITS_MAX];
    bool sure;

    halls_lock(halls);
    sure = is_sure(halls, bid);
    halls_unlock(halls);

    if (sure) {
        return HALLS_OK;
    }

    if (bid->plan.result != PLAN_TAKEN) {
        return halls_load(halls, thread->batch.db, bid->hold.performance, NULL);
    }

    for (unsigned i = 0; i < bid->plan.n_conflicts; i++) {
        seat_no[i] = bid->plan.conflict[i].seat_no;
    }

    return halls_read_seats(halls, thread->batch.db, bid->hold.performance,
                            seat_no, bid->plan.n_conflicts);
}

/* A bid whose refusal was not sure, after what it is based on was read. */
static void go_on(thread_t *thread, bid_t *bid, halls_result_t read)
{
    bid->read = true;

    if (read == HALLS_OK && clock_ms() - bid->since_ms <= TRY_MS) {
        put_back(thread->sequencer, bid);
        return;
    }

    if (read == HALLS_NONE) {
        bid->plan.result = PLAN_NO_PERFORMANCE;
    }

    bid->result = read == HALLS_OK     ? BID_BUSY
                  : read == HALLS_NONE ? BID_REFUSED
                  : read == HALLS_AWAY ? BID_AWAY
                                       : BID_FAILED;
    bids_append(&thread->answered, bid);
}

/* What is in memory was too old to refuse by: reads it, and tries again. */
static void ask_again(thread_t *thread)
{
    bid_t *bid;

    while ((bid = bids_take(&thread->unsure)) != NULL) {
        go_on(thread, bid, read_again(thread, bid));
    }
}

/* Answers those whose bids are settled, with this thread's connection. */
static void answer(thread_t *thread, bids_t *bids)
{
    bid_t *bid;

    while ((bid = bids_take(bids)) != NULL) {
        request_t *request = bid->request;

        bid_answer(bid, thread->batch.db);
        settle(thread->sequencer, bid);
        free(bid);
        request_finish(request);
    }
}

/* Somebody was over his limit and nobody knows who: each by himself then. */
static bool is_stuck(const thread_t *thread)
{
    const batch_t *batch = &thread->batch;

    for (unsigned i = 0; batch->limited && i < batch->n; i++) {
        if (batch->bid[i]->result == BID_LIMITED || batch->bid[i]->alone) {
            return false;
        }
    }

    return batch->limited;
}

/* What becomes of a bid of a batch that ended so. */
static void conclude_bid(thread_t *thread, bid_t *bid, batch_result_t result,
                         bids_t *retry)
{
    bool last = ++bid->tries > TRIES_MAX || clock_ms() - bid->since_ms > TRY_MS;

    if (result == BATCH_DONE) {
        bid->result = BID_WON;
    } else if (result == BATCH_AWAY) {
        bid->result = BID_AWAY;
    } else if (result == BATCH_FAILED && bid->alone) {
        bid->result = BID_FAILED;
    } else if (bid->result == BID_OPEN && last) {
        bid->result = BID_BUSY;
    }

    if (bid->result == BID_REPEATED) {
        bids_append(&thread->repeated, bid);
    } else if (bid->result != BID_OPEN) {
        bids_append(&thread->answered, bid);
    } else {
        bid->alone = bid->alone || result != BATCH_AGAIN || is_stuck(thread);
        bid->read = false;
        bids_append(retry, bid);
    }
}

static void count_batch(sequencer_t *sequencer, unsigned n,
                        batch_result_t result)
{
    unsigned size = 0;

    if (result != BATCH_DONE) {
        sequencer->stats.again++;
        return;
    }

    while ((1U << size) < n) {
        size++;
    }
    sequencer->stats.size[size]++;
    sequencer->stats.batches++;
    sequencer->stats.holds += n;
}

/* Takes in what a batch did: memory first, then those who wait for it. */
static void conclude(thread_t *thread, batch_result_t result)
{
    sequencer_t *sequencer = thread->sequencer;
    batch_t *batch = &thread->batch;
    bids_t retry;

    bids_clear(&retry);
    halls_lock(sequencer->halls);
    for (unsigned i = 0; result == BATCH_DONE && i < batch->n_changes; i++) {
        halls_apply_locked(sequencer->halls, &batch->change[i]);
    }

    /* Whether these were made is open: who asks again is not to be refused. */
    for (unsigned i = 0; result == BATCH_AWAY && i < batch->n; i++) {
        halls_know_locked(sequencer->halls, &batch->bid[i]->hold.id);
    }

    for (unsigned i = 0; i < batch->n; i++) {
        plan_unmark(batch->bid[i]->hall, &batch->bid[i]->hold,
                    halls_now(sequencer->halls));
    }

    for (unsigned i = 0; i < batch->n; i++) {
        conclude_bid(thread, batch->bid[i], result, &retry);
    }

    pthread_mutex_lock(&sequencer->turns.mutex);
    count_batch(sequencer, batch->n, result);
    pthread_mutex_unlock(&sequencer->turns.mutex);
    turns_put_back(&sequencer->turns, &retry);

    batch->n = 0;
    halls_unlock(sequencer->halls);
}

/* Those who want to know of a commit. */
static void tell(sequencer_t *sequencer, const batch_t *batch)
{
    for (unsigned i = 0; i < batch->n_changes; i++) {
        stock_changed(sequencer->stock, batch->hall[i]->room);
    }

    keeper_wake(sequencer->keeper);
}

static void *run(void *arg)
{
    thread_t *thread = arg;
    sequencer_t *sequencer = thread->sequencer;

    mysql_thread_init();

    while (turns_wait(&sequencer->turns)) {
        gather(thread);
        answer(thread, &thread->answered);

        if (thread->batch.n > 0) {
            batch_result_t result = batch_run(&thread->batch, sequencer->halls);

            conclude(thread, result);
            if (result == BATCH_DONE) {
                tell(sequencer, &thread->batch);
            }
        }

        ask_again(thread);
        answer(thread, &thread->answered);
        answer(thread, &thread->repeated);
        turns_end(&sequencer->turns, &thread->waiting);
    }

    batch_free(&thread->batch);
    db_free(thread->batch.db);
    mysql_thread_end();

    return NULL;
}

static bool start_thread(sequencer_t *sequencer, uint8_t number)
{
    thread_t *thread = &sequencer->thread[number - 1];

    thread->sequencer = sequencer;
    thread->batch.number = number;
    bids_clear(&thread->waiting);
    bids_clear(&thread->answered);
    bids_clear(&thread->repeated);
    bids_clear(&thread->unsure);
    thread->batch.db = db_new(sequencer->config, &sequencer->db_stats);
    if (thread->batch.db == NULL ||
        pthread_create(&thread->id, NULL, run, thread) != 0) {
        db_free(thread->batch.db);
        return false;
    }

    return true;
}

sequencer_t *sequencer_start(const config_t *config, halls_t *halls,
                             stock_t *stock, keeper_t *keeper)
{
    unsigned n = config->batch_connections;
    sequencer_t *sequencer =
        calloc(1, sizeof(*sequencer) + n * sizeof(sequencer->thread[0]));

    if (sequencer == NULL) {
        return NULL;
    }

    sequencer->config = config;
    sequencer->halls = halls;
    sequencer->stock = stock;
    sequencer->keeper = keeper;
    sequencer->repeats = repeats_new();
    turns_init(&sequencer->turns, config->batch, config->queue);

    while (sequencer->repeats != NULL && sequencer->n_threads < n &&
           start_thread(sequencer, (uint8_t)(sequencer->n_threads + 1))) {
        sequencer->n_threads++;
    }

    if (sequencer->n_threads < n) {
        sequencer_stop(sequencer);
        return NULL;
    }

    return sequencer;
}

void sequencer_stats(sequencer_t *sequencer, sequencer_stats_t *stats)
{
    pthread_mutex_lock(&sequencer->turns.mutex);
    *stats = sequencer->stats;
    stats->queued = sequencer->turns.queued;
    pthread_mutex_unlock(&sequencer->turns.mutex);

    stats->db = &sequencer->db_stats;
}

void sequencer_stop(sequencer_t *sequencer)
{
    if (sequencer == NULL) {
        return;
    }

    turns_stop(&sequencer->turns);

    for (unsigned i = 0; i < sequencer->n_threads; i++) {
        pthread_join(sequencer->thread[i].id, NULL);
    }

    turns_free(&sequencer->turns);
    repeats_free(sequencer->repeats);
    free(sequencer);
}
