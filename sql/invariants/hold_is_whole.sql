-- S3 counts by them: a hold has as many places as it says, and at least one
-- from each bucket that it names.
SELECT LOWER(HEX(h.id)) AS hold_id, h.units, h.items
FROM hold h
LEFT JOIN JSON_TABLE(h.items, '$.pools[*]'
    COLUMNS (quantity INT PATH '$[2]')) i ON TRUE
WHERE h.state = 'active'
GROUP BY h.id, h.units, h.items
HAVING h.units <> COALESCE(JSON_LENGTH(h.items, '$.seats'), 0)
                  + COALESCE(SUM(i.quantity), 0)
    OR MIN(i.quantity) < 1
