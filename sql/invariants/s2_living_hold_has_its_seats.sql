-- S2: every seat of a living hold is held by it, with the same expiry.  (A hold
-- counts as living while it has more than a second to live: the clock is read
-- a little before the data.)
SELECT LOWER(HEX(h.id)) AS hold_id, h.performance_id, i.seat_no, h.expires_at,
       s.state AS seat_state, LOWER(HEX(s.hold_id)) AS seat_hold_id,
       s.expires_at AS seat_expires_at
FROM hold h
JOIN JSON_TABLE(h.items, '$.seats[*]'
    COLUMNS (seat_no INT UNSIGNED PATH '$[0]')) i ON TRUE
LEFT JOIN seat s
    ON s.performance_id = h.performance_id AND s.seat_no = i.seat_no
WHERE h.state = 'active'
  AND h.expires_at > UTC_TIMESTAMP(3) + INTERVAL 1 SECOND
  AND (s.seat_no IS NULL OR s.state <> 'held' OR s.hold_id <> h.id
       OR s.expires_at <> h.expires_at)
