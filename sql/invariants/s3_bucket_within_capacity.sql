-- S3: no bucket of a pool has more places held and sold than there are.
SELECT performance_id, pool_no, bucket, capacity, held, sold
FROM pool_bucket
WHERE held + sold > capacity
