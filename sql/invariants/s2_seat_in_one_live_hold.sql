-- S2: no seat is in two live holds, counted without the help of the key.
SELECT performance_id, seat, COUNT(*) AS live_rows
FROM hold_seat
WHERE live IS NOT NULL
GROUP BY performance_id, seat
HAVING COUNT(*) > 1
