/*
 * From what became of a bid to what the client is told.
 */
#ifndef BID_ANSWER_H
#define BID_ANSWER_H

#include "bid.h"

/*
 * Leaves the answer in the bid's request.  The database is asked only for one
 * that was repeated: how it was answered the first time.
 */
void bid_answer(bid_t *bid, db_t *db);

/*
 * Answers a request whose hold may have been made before.  False: there is no
 * such hold, and no answer.
 */
bool bid_answer_repeated(request_t *request, db_t *db, hold_t *hold,
                         hall_t *hall);

void answer_in_progress(reply_t *reply);
void answer_key_reused(reply_t *reply);

#endif
