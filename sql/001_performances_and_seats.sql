-- What is for sale.  A performance belongs to one room instance, whose passes
-- alone may buy; a seat row carries the state that the guarded UPDATE decides
-- on.  There is no index on the state: it is the hottest column.

CREATE TABLE performance (
    id          INT UNSIGNED NOT NULL,
    name        VARCHAR(200) CHARACTER SET utf8mb4 NOT NULL,
    room        VARCHAR(129) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    hold_ttl_ms INT UNSIGNED NOT NULL,

    PRIMARY KEY (id),
    CONSTRAINT performance_room CHECK (room <> ''),
    CONSTRAINT performance_hold_ttl
        CHECK (hold_ttl_ms BETWEEN 1000 AND 86400000)
) ENGINE = InnoDB;

CREATE TABLE seat (
    performance_id INT UNSIGNED NOT NULL,
    seat           VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    row_no         SMALLINT UNSIGNED NOT NULL,
    pos            SMALLINT UNSIGNED NOT NULL,
    state          ENUM('free', 'held', 'sold', 'blocked') NOT NULL
                   DEFAULT 'free',
    version        INT UNSIGNED NOT NULL DEFAULT 0,
    hold_id        CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
    expires_at     DATETIME(3) NULL,

    PRIMARY KEY (performance_id, seat),
    UNIQUE KEY seat_place (performance_id, row_no, pos),
    CONSTRAINT seat_performance
        FOREIGN KEY (performance_id) REFERENCES performance (id),
    CONSTRAINT seat_name CHECK (seat <> ''),
    CONSTRAINT seat_held CHECK (
        (state = 'held' AND hold_id IS NOT NULL AND expires_at IS NOT NULL)
        OR (state <> 'held' AND hold_id IS NULL AND expires_at IS NULL))
) ENGINE = InnoDB;
