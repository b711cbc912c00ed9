-- S1: no seat is sold twice, counted without the help of the key.
SELECT performance_id, seat_no, COUNT(*) AS sales
FROM sale
GROUP BY performance_id, seat_no
HAVING COUNT(*) > 1
