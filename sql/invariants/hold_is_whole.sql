-- All or nothing: an active hold has seats and none of them is lost; a
-- released one has given all of them back; every row has its hold.
SELECT h.id AS hold_id, h.state,
       COUNT(l.seat) AS seats, COUNT(l.live) AS live_seats
FROM hold h
LEFT JOIN hold_seat l ON l.hold_id = h.id
GROUP BY h.id, h.state
HAVING COUNT(l.seat) = 0
    OR (h.state = 'active' AND COUNT(l.live) <> COUNT(l.seat))
    OR (h.state = 'released' AND COUNT(l.live) > 0)
UNION ALL
SELECT l.hold_id, NULL, COUNT(*), COUNT(l.live)
FROM hold_seat l
LEFT JOIN hold h ON h.id = l.hold_id
WHERE h.id IS NULL
GROUP BY l.hold_id
