-- All that the worker's account may do to sell, for the database it is run in.
-- The account exists already; another name is put in by whoever runs this.
-- What its admin routes need besides is in grants-admin.sql.

GRANT SELECT ON venue TO 'ticket_worker'@'localhost';
GRANT SELECT ON seat_map TO 'ticket_worker'@'localhost';
GRANT SELECT ON map_section TO 'ticket_worker'@'localhost';
GRANT SELECT ON map_seat TO 'ticket_worker'@'localhost';
GRANT SELECT ON map_pool TO 'ticket_worker'@'localhost';
GRANT SELECT ON performance TO 'ticket_worker'@'localhost';
GRANT SELECT, UPDATE ON seat TO 'ticket_worker'@'localhost';
GRANT SELECT, UPDATE ON pool_bucket TO 'ticket_worker'@'localhost';
GRANT SELECT, INSERT, UPDATE ON user_limit TO 'ticket_worker'@'localhost';
GRANT SELECT, INSERT, UPDATE ON hold TO 'ticket_worker'@'localhost';
GRANT SELECT, INSERT ON sale TO 'ticket_worker'@'localhost';
GRANT SELECT, INSERT, UPDATE (status, headers, body) ON idempotency TO 'ticket_worker'@'localhost';
GRANT SELECT, INSERT, DELETE ON outbox TO 'ticket_worker'@'localhost';
GRANT SELECT ON seat_now TO 'ticket_worker'@'localhost';
