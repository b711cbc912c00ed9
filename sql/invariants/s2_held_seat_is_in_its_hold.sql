-- S2, the other way round: a held seat belongs to a hold of the same
-- performance and expiry that names it and has not ended.  That holds for
-- those that have run out, too, until the sweeper ends them with their seats.
SELECT s.performance_id, s.seat_no, s.expires_at,
       LOWER(HEX(s.hold_id)) AS hold_id, h.state AS hold_state,
       h.performance_id AS hold_performance_id,
       h.expires_at AS hold_expires_at, h.items
FROM seat s
LEFT JOIN hold h ON h.id = s.hold_id
WHERE s.state = 'held'
  AND (h.id IS NULL OR h.state <> 'active'
       OR h.performance_id <> s.performance_id
       OR h.expires_at <> s.expires_at
       OR COALESCE(JSON_CONTAINS(JSON_EXTRACT(h.items, '$.seats[*][0]'),
                                 CAST(s.seat_no AS CHAR)), 0) = 0)
