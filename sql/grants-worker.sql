-- All that the worker's account may do, for the database it is run in.  The
-- account exists already; another name is put in by whoever runs this.

GRANT SELECT ON performance TO 'ticket_worker'@'localhost';
GRANT SELECT, UPDATE ON seat TO 'ticket_worker'@'localhost';
GRANT SELECT, INSERT, UPDATE ON hold TO 'ticket_worker'@'localhost';
GRANT SELECT, INSERT, UPDATE ON hold_seat TO 'ticket_worker'@'localhost';
