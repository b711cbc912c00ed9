-- The other way round: a live row of hold_seat belongs to a seat that exists,
-- is held, and names the same hold.
SELECT l.performance_id, l.seat, l.hold_id, s.state, s.hold_id AS seat_hold_id
FROM hold_seat l
LEFT JOIN seat s ON s.performance_id = l.performance_id AND s.seat = l.seat
WHERE l.live = 1
  AND (s.seat IS NULL OR s.state <> 'held' OR s.hold_id <> l.hold_id)
