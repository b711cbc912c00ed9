-- A performance has exactly the pools of its map, each in buckets 0, 1, 2 …
-- that together have the pool's places.
SELECT p.id AS performance_id, m.pool_no, m.capacity,
       COUNT(b.bucket) AS buckets, SUM(b.capacity) AS capacity_of_buckets
FROM performance p
JOIN map_pool m ON m.map_id = p.map_id
LEFT JOIN pool_bucket b
    ON b.performance_id = p.id AND b.pool_no = m.pool_no
GROUP BY p.id, m.pool_no, m.capacity
HAVING COALESCE(SUM(b.capacity), 0) <> m.capacity
    OR COUNT(b.bucket) <> COALESCE(MAX(b.bucket), 0) + 1
UNION ALL
SELECT b.performance_id, b.pool_no, NULL, COUNT(*), SUM(b.capacity)
FROM pool_bucket b
LEFT JOIN performance p ON p.id = b.performance_id
LEFT JOIN map_pool m ON m.map_id = p.map_id AND m.pool_no = b.pool_no
WHERE m.pool_no IS NULL
GROUP BY b.performance_id, b.pool_no
