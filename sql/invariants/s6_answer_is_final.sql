-- S6: an answer that is kept to be given again is one, and is final.
SELECT scope, idem_key, status, created_at
FROM idempotency
WHERE status NOT BETWEEN 200 AND 499 OR body = ''
