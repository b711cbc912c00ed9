-- A hold belongs to a performance that exists, and to an owner of the room
-- instance that sells it: owner is ROOM/EPOCH-NUMBER.
SELECT LOWER(HEX(h.id)) AS hold_id, h.performance_id, h.owner, p.room
FROM hold h
LEFT JOIN performance p ON p.id = h.performance_id
WHERE p.id IS NULL
   OR LEFT(h.owner, CHAR_LENGTH(p.room) + 1) <> CONCAT(p.room, '/')
