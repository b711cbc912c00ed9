-- What the worker's account may do besides grants-worker.sql where its admin
-- routes are used: enter venues, maps and performances, replace a map's
-- content, and change what they are called, when and how they sell.

GRANT INSERT, UPDATE ON venue TO 'ticket_worker'@'localhost';
GRANT INSERT, UPDATE ON seat_map TO 'ticket_worker'@'localhost';
GRANT INSERT, DELETE ON map_section TO 'ticket_worker'@'localhost';
GRANT INSERT, DELETE ON map_seat TO 'ticket_worker'@'localhost';
GRANT INSERT, DELETE ON map_pool TO 'ticket_worker'@'localhost';
GRANT INSERT, UPDATE ON performance TO 'ticket_worker'@'localhost';
GRANT INSERT ON seat TO 'ticket_worker'@'localhost';
GRANT INSERT ON pool_bucket TO 'ticket_worker'@'localhost';
