-- A hold belongs to a performance that exists, and to an owner of the room
-- instance that sells it: owner is "ROOM/EPOCH-NUMBER".
SELECT h.id, h.performance_id, h.owner, p.room
FROM hold h
LEFT JOIN performance p ON p.id = h.performance_id
WHERE p.id IS NULL OR SUBSTRING_INDEX(h.owner, '/', 1) <> p.room
