-- S3: what counts as held by a visitor is the places of the visitor's holds
-- that have not ended (those that have run out, too, until the sweeper ends
-- them); and a hold that names a visitor is counted.
SELECT u.performance_id, HEX(u.visitor) AS visitor, u.held,
       COALESCE(t.units, 0) AS units
FROM user_limit u
LEFT JOIN (
    SELECT performance_id, visitor, SUM(units) AS units
    FROM hold
    WHERE state = 'active' AND visitor IS NOT NULL
    GROUP BY performance_id, visitor) t
    ON t.performance_id = u.performance_id AND t.visitor = u.visitor
WHERE u.held <> COALESCE(t.units, 0)
UNION ALL
SELECT h.performance_id, HEX(h.visitor), NULL, SUM(h.units)
FROM hold h
LEFT JOIN user_limit u
    ON u.performance_id = h.performance_id AND u.visitor = h.visitor
WHERE h.state = 'active' AND h.visitor IS NOT NULL AND u.visitor IS NULL
GROUP BY h.performance_id, h.visitor
