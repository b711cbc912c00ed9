/*
 * The statements that are prepared; those with a row for each of many seats
 * are put together by sql.h where they are used.  What the worker may touch is
 * in sql/grants-worker.sql.  Time is the database's alone, always
 * UTC_TIMESTAMP(3).
 */
#include "statements.h"

const char *const statement_text[STATEMENTS] = {
    /* () -> room */
    [STATEMENT_ROOMS] = "SELECT DISTINCT room FROM performance",

    /*
     * (room, room, room) -> places that can be had, milliseconds until
     * there may be more.  One pass over the seats, by the primary key: an index
     * on the state is no faster while most seats are free, and none is kept.
     *
     * Seats come back when their hold runs out; standing places soon after,
     * when it is swept: so while the first hold to run out waits for the
     * sweeper, it is worth a look after a second.
     */
    [STATEMENT_STOCK] =
        "SELECT seats.n + (SELECT COALESCE(SUM(b.capacity - b.held - b.sold), "
        "0) FROM performance p JOIN pool_bucket b ON b.performance_id = p.id "
        "WHERE p.room = ?), "
        "NULLIF(LEAST(COALESCE(seats.next, 86400000), COALESCE((SELECT "
        "IF(h.expires_at <= UTC_TIMESTAMP(3), 1000, "
        "TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), h.expires_at) DIV 1000) "
        "FROM hold h STRAIGHT_JOIN performance p ON p.id = h.performance_id "
        "WHERE h.state = 'active' AND p.room = ? "
        "ORDER BY h.expires_at LIMIT 1), 86400000)), 86400000) "
        "FROM (SELECT COALESCE(SUM(s.state = 'free' OR (s.state = 'held' "
        "AND s.expires_at <= UTC_TIMESTAMP(3))), 0) AS n, "
        "TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), "
        "MIN(IF(s.state = 'held' AND s.expires_at > UTC_TIMESTAMP(3), "
        "s.expires_at, NULL))) DIV 1000 AS next "
        "FROM performance p JOIN seat s ON s.performance_id = p.id "
        "WHERE p.room = ?) AS seats",
};
