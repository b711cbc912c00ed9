-- The seats of a map are numbered 0, 1, 2 … in the order of section, row and
-- position, and its sections and pools 0, 1, 2 …, too.
SELECT 'seat' AS what, map_id, seat_no AS no, name
FROM (SELECT map_id, seat_no, name,
             ROW_NUMBER() OVER (PARTITION BY map_id
                                ORDER BY section_no, row_no, pos) AS place
      FROM map_seat) t
WHERE seat_no + 1 <> place
UNION ALL
SELECT 'section', map_id, section_no, name
FROM (SELECT map_id, section_no, name,
             ROW_NUMBER() OVER (PARTITION BY map_id
                                ORDER BY section_no) AS place
      FROM map_section) t
WHERE section_no + 1 <> place
UNION ALL
SELECT 'pool', map_id, pool_no, name
FROM (SELECT map_id, pool_no, name,
             ROW_NUMBER() OVER (PARTITION BY map_id
                                ORDER BY pool_no) AS place
      FROM map_pool) t
WHERE pool_no + 1 <> place
