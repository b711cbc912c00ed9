-- S1: the seats that are sold and the rows of sale are the same, of the same
-- order.
SELECT s.performance_id, s.seat_no, s.state,
       HEX(s.order_id) AS order_id, HEX(b.order_id) AS order_of_sale
FROM seat s
LEFT JOIN sale b
    ON b.performance_id = s.performance_id AND b.seat_no = s.seat_no
WHERE s.state = 'sold'
  AND (b.order_id IS NULL OR b.order_id <> s.order_id)
UNION ALL
SELECT b.performance_id, b.seat_no, s.state, HEX(s.order_id), HEX(b.order_id)
FROM sale b
LEFT JOIN seat s
    ON s.performance_id = b.performance_id AND s.seat_no = b.seat_no
WHERE s.state IS NULL OR s.state <> 'sold'
