-- S1: a seat has one row in one state; its hold is proved a second time by
-- exactly one live row of hold_seat, and a seat that is not held by none.
SELECT s.performance_id, s.seat, s.state, s.hold_id,
       COUNT(l.hold_id) AS live_rows
FROM seat s
LEFT JOIN hold_seat l
    ON l.performance_id = s.performance_id AND l.seat = s.seat AND l.live = 1
GROUP BY s.performance_id, s.seat, s.state, s.hold_id
HAVING COUNT(l.hold_id) <> (s.state = 'held')
