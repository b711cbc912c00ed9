-- S6: one owner's request with one key has made one hold, counted without the
-- help of the key.
SELECT LOWER(HEX(id)) AS hold_id, COUNT(*) AS holds
FROM hold
GROUP BY id
HAVING COUNT(*) > 1
