-- S3: nobody has more than the limit that was set for them.
SELECT performance_id, HEX(visitor) AS visitor, held, bought, max_units
FROM user_limit
WHERE held + bought > max_units
