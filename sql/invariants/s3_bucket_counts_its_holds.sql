-- S3: what a bucket counts as held is what the holds that have not ended took
-- from it (those that have run out, too, until the sweeper ends them).
SELECT b.performance_id, b.pool_no, b.bucket, b.held,
       COALESCE(t.taken, 0) AS taken
FROM pool_bucket b
LEFT JOIN (
    SELECT h.performance_id, i.pool_no, i.bucket, SUM(i.quantity) AS taken
    FROM hold h
    JOIN JSON_TABLE(h.items, '$.pools[*]'
        COLUMNS (pool_no INT UNSIGNED PATH '$[0]',
                 bucket INT UNSIGNED PATH '$[1]',
                 quantity INT UNSIGNED PATH '$[2]')) i ON TRUE
    WHERE h.state = 'active'
    GROUP BY h.performance_id, i.pool_no, i.bucket) t
    ON t.performance_id = b.performance_id AND t.pool_no = b.pool_no
    AND t.bucket = b.bucket
WHERE b.held <> COALESCE(t.taken, 0)
UNION ALL
SELECT h.performance_id, i.pool_no, i.bucket, NULL, SUM(i.quantity)
FROM hold h
JOIN JSON_TABLE(h.items, '$.pools[*]'
    COLUMNS (pool_no INT UNSIGNED PATH '$[0]',
             bucket INT UNSIGNED PATH '$[1]',
             quantity INT UNSIGNED PATH '$[2]')) i ON TRUE
LEFT JOIN pool_bucket b
    ON b.performance_id = h.performance_id AND b.pool_no = i.pool_no
    AND b.bucket = i.bucket
WHERE h.state = 'active' AND b.bucket IS NULL
GROUP BY h.performance_id, i.pool_no, i.bucket
