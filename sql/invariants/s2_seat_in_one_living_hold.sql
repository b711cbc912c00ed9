-- S2: no seat is in two living holds, nor twice in one, by what the holds say
-- and not the seats.  (A hold counts as living while it has more than a second
-- to live: the clock is read a little before the data.)
SELECT h.performance_id, i.seat_no, COUNT(*) AS holds,
       LOWER(HEX(MIN(h.id))) AS first_hold, LOWER(HEX(MAX(h.id))) AS last_hold
FROM hold h
JOIN JSON_TABLE(h.items, '$.seats[*]'
    COLUMNS (seat_no INT UNSIGNED PATH '$[0]')) i ON TRUE
WHERE h.state = 'active'
  AND h.expires_at > UTC_TIMESTAMP(3) + INTERVAL 1 SECOND
GROUP BY h.performance_id, i.seat_no
HAVING COUNT(*) > 1
