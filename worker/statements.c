/*
 * The SQL of the worker in one place: what it may touch is in
 * sql/grants-worker.sql, how the pieces make transactions is in holds.c.
 * Time is the database's alone, always UTC_TIMESTAMP(3).
 */
#include "statements.h"

/* A seat whose hold has run out is as good as free. */
#define TAKEABLE                                                               \
    "(state = 'free' OR "                                                      \
    "(state = 'held' AND expires_at <= UTC_TIMESTAMP(3)))"

const char *const statement_text[STATEMENTS] = {
    /* (performance, room) -> ttl, expiry of a hold made now */
    [STATEMENT_PERFORMANCE] =
        "SELECT hold_ttl_ms, CAST(TIMESTAMPADD(MICROSECOND, "
        "hold_ttl_ms * 1000, UTC_TIMESTAMP(3)) AS CHAR(23)) "
        "FROM performance WHERE id = ? AND room = ?",

    /* (owner, performance, room) -> seat, state, version, mine */
    [STATEMENT_SEATS] =
        "SELECT s.seat, IF(s.state = 'held' AND "
        "s.expires_at <= UTC_TIMESTAMP(3), 'free', s.state), s.version, "
        "s.state = 'held' AND s.expires_at > UTC_TIMESTAMP(3) "
        "AND h.owner = ? "
        "FROM performance p JOIN seat s ON s.performance_id = p.id "
        "LEFT JOIN hold h ON h.id = s.hold_id "
        "WHERE p.id = ? AND p.room = ? ORDER BY s.row_no, s.pos",

    /*
     * (hold, expiry, performance, seat, version or NULL).  The guard: one row
     * is changed, or the seat was not to be had.  The last insert id carries
     * back what the row was: twice its old version, plus one if an expired
     * hold was on it.
     */
    [STATEMENT_TAKE_SEAT] =
        "UPDATE seat SET "
        "version = LAST_INSERT_ID(version * 2 + (state = 'held')) DIV 2 + 1, "
        "state = 'held', hold_id = ?, expires_at = ? "
        "WHERE performance_id = ? AND seat = ? AND " TAKEABLE
        " AND version = COALESCE(?, version)",

    /* (performance, seat) -> state, version, hold */
    [STATEMENT_SEAT_NOW] =
        "SELECT IF(" TAKEABLE ", 'free', state), version, hold_id "
        "FROM seat WHERE performance_id = ? AND seat = ?",

    /* (performance, seat) -> hold */
    [STATEMENT_LIVE_HOLD] =
        "SELECT hold_id FROM hold_seat "
        "WHERE performance_id = ? AND seat = ? AND live = 1",

    /* (hold, seat) */
    [STATEMENT_CLEAR_LIVE] = "UPDATE hold_seat SET live = NULL "
                             "WHERE hold_id = ? AND seat = ? AND live = 1",

    /* (hold) */
    [STATEMENT_MARK_TAKEN_OVER] = "UPDATE hold SET state = 'taken_over' "
                                  "WHERE id = ? AND state = 'active'",

    /* (hold, performance, owner, expiry) */
    [STATEMENT_INSERT_HOLD] =
        "INSERT INTO hold (id, performance_id, owner, created_at, expires_at) "
        "VALUES (?, ?, ?, UTC_TIMESTAMP(3), ?)",

    /* (hold, performance, seat) */
    [STATEMENT_INSERT_HOLD_SEAT] =
        "INSERT INTO hold_seat (hold_id, performance_id, seat) "
        "VALUES (?, ?, ?)",

    /*
     * (hold, owner) -> performance, state, expiry, milliseconds left, seat,
     * version; one row a seat that the hold still has, or one without seat
     */
    [STATEMENT_HOLD] =
        "SELECT h.performance_id, h.state, CAST(h.expires_at AS CHAR(23)), "
        "TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), h.expires_at) DIV 1000, "
        "s.seat, s.version FROM hold h "
        "LEFT JOIN hold_seat l ON l.hold_id = h.id AND l.live = 1 "
        "LEFT JOIN seat s ON s.performance_id = l.performance_id "
        "AND s.seat = l.seat "
        "WHERE h.id = ? AND h.owner = ? ORDER BY s.seat",

    /* (hold, owner) -> performance, state */
    [STATEMENT_HOLD_STATE] =
        "SELECT performance_id, state FROM hold WHERE id = ? AND owner = ?",

    /* (hold) -> seat */
    [STATEMENT_HOLD_SEATS] =
        "SELECT seat FROM hold_seat WHERE hold_id = ? AND live = 1 "
        "ORDER BY seat",

    /* (performance, seat, hold).  The hold's name keeps a late one harmless. */
    [STATEMENT_FREE_SEAT] =
        "UPDATE seat SET state = 'free', hold_id = NULL, expires_at = NULL, "
        "version = version + 1 WHERE performance_id = ? AND seat = ? "
        "AND hold_id = ? AND state = 'held'",

    /* (hold) */
    [STATEMENT_MARK_RELEASED] =
        "UPDATE hold SET state = 'released' WHERE id = ? AND state = 'active'",

    /* () -> room */
    [STATEMENT_ROOMS] = "SELECT DISTINCT room FROM performance",

    /*
     * (room) -> seats that can be had, milliseconds until the next hold runs
     * out.  One pass over the seats, by the primary key: an index on the state
     * is no faster while most seats are free, and none is kept.
     */
    [STATEMENT_STOCK] =
        "SELECT COALESCE(SUM(" TAKEABLE "), 0), "
        "TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(3), "
        "MIN(IF(state = 'held' AND expires_at > UTC_TIMESTAMP(3), "
        "expires_at, NULL))) DIV 1000 "
        "FROM performance p JOIN seat s ON s.performance_id = p.id "
        "WHERE p.room = ?",
};
