-- S6: the id of a hold, by which a repeated request finds it, begins with the
-- performance and the owner's number; the owner is ROOM/EPOCH-NUMBER.
SELECT LOWER(HEX(id)) AS hold_id, performance_id, owner
FROM hold
WHERE CONV(HEX(SUBSTRING(id, 1, 4)), 16, 10) <> performance_id
   OR CONV(HEX(SUBSTRING(id, 5, 4)), 16, 10)
      <> (CAST(SUBSTRING_INDEX(owner, '-', -1) AS UNSIGNED) & 4294967295)
