-- A performance has exactly the seats of its map.
SELECT s.performance_id, p.map_id, s.seat_no, NULL AS name
FROM seat s
LEFT JOIN performance p ON p.id = s.performance_id
LEFT JOIN map_seat m ON m.map_id = p.map_id AND m.seat_no = s.seat_no
WHERE m.seat_no IS NULL
UNION ALL
SELECT p.id, p.map_id, m.seat_no, m.name
FROM performance p
JOIN map_seat m ON m.map_id = p.map_id
LEFT JOIN seat s ON s.performance_id = p.id AND s.seat_no = m.seat_no
WHERE s.seat_no IS NULL
