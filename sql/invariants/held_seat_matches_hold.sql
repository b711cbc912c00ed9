-- A held seat is named by a live row of the very hold that the seat names,
-- with the same performance and expiry; and that hold is active, or it ran
-- out and lost another of its seats to somebody else (taken_over).
SELECT s.performance_id, s.seat, s.hold_id, s.expires_at,
       h.state AS hold_state, h.expires_at AS hold_expires_at
FROM seat s
LEFT JOIN hold h ON h.id = s.hold_id
LEFT JOIN hold_seat l ON l.hold_id = s.hold_id AND l.seat = s.seat
WHERE s.state = 'held'
  AND (h.id IS NULL OR l.hold_id IS NULL OR l.live IS NULL
       OR h.performance_id <> s.performance_id
       OR l.performance_id <> s.performance_id
       OR h.expires_at <> s.expires_at
       OR h.state = 'released'
       OR (h.state = 'taken_over' AND h.expires_at > UTC_TIMESTAMP(3)))
