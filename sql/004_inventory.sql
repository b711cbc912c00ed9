-- What a performance has of its map, and who has it.  A seat row carries the
-- state and the version that the guarded UPDATE decides on; there is no index
-- on the state, the hottest column.  A pool is cut into buckets, so that two
-- who want a place of it need not wait for the same row.
--
-- What the migrations before held is kept: each performance becomes a map of
-- its own, with one section, and the seats, holds and expiries stay.  A hold
-- gets an id of the new form, so that its old address is 404: its owner finds
-- it in the list of holds.  No worker may run meanwhile.
--
-- The old seats and holds are read, and given up at the end, at once, by the
-- RENAME.  If it breaks off before, this undoes what it did, wherever it was:
--
--   DROP TABLE IF EXISTS hold_id_004, hold_004, seat_004, pool_bucket, sale,
--       user_limit, idempotency, outbox;
--   ALTER TABLE performance
--       DROP FOREIGN KEY IF EXISTS performance_map,
--       DROP CONSTRAINT IF EXISTS performance_hold_max,
--       DROP CONSTRAINT IF EXISTS performance_window,
--       DROP CONSTRAINT IF EXISTS performance_max_per_user,
--       DROP KEY IF EXISTS performance_by_room;
--   ALTER TABLE performance
--       MODIFY COLUMN id INT UNSIGNED NOT NULL,
--       DROP COLUMN IF EXISTS map_id, DROP COLUMN IF EXISTS starts_at,
--       DROP COLUMN IF EXISTS sale_opens_at,
--       DROP COLUMN IF EXISTS sale_closes_at,
--       DROP COLUMN IF EXISTS hold_max_ms, DROP COLUMN IF EXISTS max_per_user,
--       DROP COLUMN IF EXISTS version;
--   ALTER TABLE seat ADD CONSTRAINT seat_performance
--       FOREIGN KEY IF NOT EXISTS (performance_id) REFERENCES performance (id);
--   DELETE FROM map_seat;
--   DELETE FROM map_section;
--   DELETE FROM seat_map;
--   DELETE FROM venue;
--
-- After the RENAME nothing is undone: do the rest of this file by hand, and
-- set applied_at of its row in schema_migration.
-- A performance 0 stays 0, and nothing is cut to fit.
SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO';

INSERT INTO venue (id, name)
    SELECT id, IF(TRIM(name) = '', CONCAT('Performance ', id), name)
    FROM performance;
INSERT INTO seat_map (id, venue_id, name) SELECT id, id, name FROM venue;
INSERT INTO map_section (map_id, section_no, name, focal_x, focal_y)
    SELECT performance_id, 0, 'Hall',
           (MIN(pos) + MAX(pos)) * 50, MIN(row_no) * 100
    FROM seat GROUP BY performance_id;
INSERT INTO map_seat
    (map_id, seat_no, name, section_no, row_no, pos, tier, x, y)
    SELECT performance_id,
           ROW_NUMBER() OVER (PARTITION BY performance_id
                              ORDER BY row_no, pos) - 1,
           seat, 0, row_no, pos, 'standard', pos * 100, row_no * 100
    FROM seat;

-- Times are UTC.  No time: not known, or no bound; no max_per_user: no limit.
ALTER TABLE performance
    ADD COLUMN map_id          INT UNSIGNED NULL AFTER id,
    ADD COLUMN starts_at       DATETIME(3) NULL,
    ADD COLUMN sale_opens_at   DATETIME(3) NULL,
    ADD COLUMN sale_closes_at  DATETIME(3) NULL,
    ADD COLUMN hold_max_ms     INT UNSIGNED NOT NULL DEFAULT 86400000,
    ADD COLUMN max_per_user    SMALLINT UNSIGNED NULL,
    ADD COLUMN version         INT UNSIGNED NOT NULL DEFAULT 1;
UPDATE performance
    SET map_id = id, hold_max_ms = LEAST(hold_ttl_ms * 2, 86400000);
-- A column that a foreign key points to does not become AUTO_INCREMENT.
ALTER TABLE seat DROP FOREIGN KEY seat_performance;
ALTER TABLE performance
    MODIFY COLUMN id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    MODIFY COLUMN map_id INT UNSIGNED NOT NULL,
    ADD KEY performance_by_room (room),
    ADD CONSTRAINT performance_map
        FOREIGN KEY (map_id) REFERENCES seat_map (id),
    ADD CONSTRAINT performance_hold_max
        CHECK (hold_max_ms BETWEEN hold_ttl_ms AND 86400000),
    ADD CONSTRAINT performance_window CHECK (sale_opens_at IS NULL
        OR sale_closes_at IS NULL OR sale_opens_at < sale_closes_at),
    ADD CONSTRAINT performance_max_per_user CHECK (max_per_user > 0);

CREATE TABLE seat_004 (
    performance_id INT UNSIGNED NOT NULL,
    seat_no        MEDIUMINT UNSIGNED NOT NULL,
    state          ENUM('free', 'held', 'sold', 'blocked') NOT NULL
                   DEFAULT 'free',
    version        INT UNSIGNED NOT NULL DEFAULT 0,
    hold_id        BINARY(16) NULL,
    expires_at     DATETIME(3) NULL,
    order_id       BINARY(16) NULL,

    PRIMARY KEY (performance_id, seat_no),
    CONSTRAINT seat_of_performance
        FOREIGN KEY (performance_id) REFERENCES performance (id),
    CONSTRAINT seat_state CHECK (
        (state = 'held' AND hold_id IS NOT NULL AND expires_at IS NOT NULL
            AND order_id IS NULL)
        OR (state = 'sold' AND hold_id IS NULL AND expires_at IS NULL
            AND order_id IS NOT NULL)
        OR (state IN ('free', 'blocked') AND hold_id IS NULL
            AND expires_at IS NULL AND order_id IS NULL))
) ENGINE = InnoDB;

CREATE TABLE pool_bucket (
    performance_id INT UNSIGNED NOT NULL,
    pool_no        SMALLINT UNSIGNED NOT NULL,
    bucket         SMALLINT UNSIGNED NOT NULL,
    capacity       INT UNSIGNED NOT NULL,
    held           INT UNSIGNED NOT NULL DEFAULT 0,
    sold           INT UNSIGNED NOT NULL DEFAULT 0,
    version        INT UNSIGNED NOT NULL DEFAULT 0,

    PRIMARY KEY (performance_id, pool_no, bucket),
    CONSTRAINT pool_bucket_of_performance
        FOREIGN KEY (performance_id) REFERENCES performance (id),
    CONSTRAINT pool_bucket_capacity CHECK (held + sold <= capacity)
) ENGINE = InnoDB;

-- The second proof that a seat is sold once, independent of the seat's row.
-- What was sold before there were orders, or by hand, is of order zero.
CREATE TABLE sale (
    performance_id INT UNSIGNED NOT NULL,
    seat_no        MEDIUMINT UNSIGNED NOT NULL,
    order_id       BINARY(16) NOT NULL,

    PRIMARY KEY (performance_id, seat_no)
) ENGINE = InnoDB;

-- What one person has, where a performance limits it.  visitor is the hash
-- of the identity, or of the owner of the session without one.
CREATE TABLE user_limit (
    performance_id INT UNSIGNED NOT NULL,
    visitor        BINARY(16) NOT NULL,
    held           INT UNSIGNED NOT NULL DEFAULT 0,
    bought         INT UNSIGNED NOT NULL DEFAULT 0,
    max_units      INT UNSIGNED NOT NULL,

    PRIMARY KEY (performance_id, visitor),
    CONSTRAINT user_limit_max CHECK (held + bought <= max_units)
) ENGINE = InnoDB;

-- The id says which performance and which visitor's number it belongs to and
-- holds a hash of owner and Idempotency-Key: so a repeated request finds its
-- hold by the primary key, and those of a performance or a visitor lie
-- together.  visitor is whose user_limit counts it, if any does.  items is
-- what was held, and never changes:
--   {"seats":[[seat_no,version],…],"pools":[[pool_no,bucket,quantity],…]}
-- The key finds what has run out, without going through what has ended.
CREATE TABLE hold_004 (
    id             BINARY(16) NOT NULL,
    performance_id INT UNSIGNED NOT NULL,
    owner          VARCHAR(192) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    visitor        BINARY(16) NULL,
    state          ENUM('active', 'released', 'expired') NOT NULL
                   DEFAULT 'active',
    extended       TINYINT UNSIGNED NOT NULL DEFAULT 0,
    units          SMALLINT UNSIGNED NOT NULL,
    ttl_ms         INT UNSIGNED NOT NULL,
    created_at     DATETIME(3) NOT NULL,
    expires_at     DATETIME(3) NOT NULL,
    fingerprint    BINARY(16) NOT NULL,
    items          VARCHAR(1024) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,

    PRIMARY KEY (id),
    KEY hold_expiry (state, expires_at),
    CONSTRAINT hold_of_owner CHECK (owner <> ''),
    CONSTRAINT hold_units CHECK (units > 0),
    CONSTRAINT hold_items CHECK (JSON_VALID(items) = 1)
) ENGINE = InnoDB;

-- The answers to every POST that is not a hold, by who asked and by key.
CREATE TABLE idempotency (
    scope       VARCHAR(192) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idem_key    VARCHAR(128) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fingerprint BINARY(16) NOT NULL,
    status      SMALLINT UNSIGNED NOT NULL,
    headers     VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
                DEFAULT '',
    body        MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    created_at  DATETIME(3) NOT NULL,

    PRIMARY KEY (scope, idem_key),
    KEY idempotency_age (created_at)
) ENGINE = InnoDB;

-- What others must learn of, in the transaction that did it; deleted when the
-- stream in Redis has it.
CREATE TABLE outbox (
    id             BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
    room           VARCHAR(129) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    performance_id INT UNSIGNED NOT NULL,
    payload        MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at     DATETIME(3) NOT NULL,

    PRIMARY KEY (id)
) ENGINE = InnoDB;

-- performance, number of the owner ROOM/EPOCH-NUMBER, half of the random id
CREATE TABLE hold_id_004 (
    old_id CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    id     BINARY(16) NOT NULL,

    PRIMARY KEY (old_id)
) ENGINE = InnoDB;
INSERT INTO hold_id_004 (old_id, id)
    SELECT id,
           UNHEX(CONCAT(
               LPAD(HEX(performance_id), 8, '0'),
               LPAD(HEX(CAST(SUBSTRING_INDEX(owner, '-', -1) AS UNSIGNED)
                        & 4294967295), 8, '0'),
               LEFT(id, 16)))
    FROM hold;

INSERT INTO seat_004 (performance_id, seat_no, state, version, hold_id,
                      expires_at, order_id)
    SELECT STRAIGHT_JOIN
           s.performance_id, m.seat_no, s.state, s.version, i.id, s.expires_at,
           IF(s.state = 'sold', UNHEX(LPAD('', 32, '0')), NULL)
    FROM seat s
    JOIN map_seat m ON m.map_id = s.performance_id AND m.name = s.seat
    LEFT JOIN hold_id_004 i ON i.old_id = s.hold_id;
INSERT INTO sale (performance_id, seat_no, order_id)
    SELECT performance_id, seat_no, order_id FROM seat_004
    WHERE state = 'sold';

-- A hold that had run out and lost seats was marked taken_over; now it is one
-- that has run out, whose seats the sweeper gives back.  The tables are joined
-- in this order, each by its key: left to itself the server may begin with the
-- few performances, and then takes hours.
INSERT INTO hold_004 (id, performance_id, owner, state, units, ttl_ms,
                      created_at, expires_at, fingerprint, items)
    SELECT STRAIGHT_JOIN i.id, h.performance_id, h.owner,
           IF(h.state = 'released', 'released', 'active'),
           COUNT(*), p.hold_ttl_ms, h.created_at, h.expires_at,
           UNHEX(LPAD('', 32, '0')),
           CONCAT('{"seats":[',
                  GROUP_CONCAT(CONCAT('[', m.seat_no, ',', s.version, ']')
                               ORDER BY m.seat_no SEPARATOR ','),
                  '],"pools":[]}')
    FROM hold_seat l
    JOIN hold h ON h.id = l.hold_id
    JOIN hold_id_004 i ON i.old_id = l.hold_id
    JOIN performance p ON p.id = h.performance_id
    JOIN map_seat m ON m.map_id = h.performance_id AND m.name = l.seat
    JOIN seat_004 s ON s.performance_id = m.map_id AND s.seat_no = m.seat_no
    GROUP BY l.hold_id, i.id, h.performance_id, h.owner, h.state,
             p.hold_ttl_ms, h.created_at, h.expires_at;

RENAME TABLE seat TO seat_002, seat_004 TO seat,
    hold TO hold_002, hold_004 TO hold;
DROP TABLE hold_id_004;
DROP TABLE hold_seat;
DROP TABLE hold_002;
DROP TABLE seat_002;

-- The seats by name and as they are at this moment, to look at.
CREATE SQL SECURITY INVOKER VIEW seat_now AS
    SELECT s.performance_id, m.name AS seat, s.seat_no,
           IF(s.state = 'held' AND s.expires_at <= UTC_TIMESTAMP(3),
              'free', s.state) AS state,
           s.version, LOWER(HEX(s.hold_id)) AS hold_id, s.expires_at
    FROM seat s
    JOIN performance p ON p.id = s.performance_id
    JOIN map_seat m ON m.map_id = p.map_id AND m.seat_no = s.seat_no;
