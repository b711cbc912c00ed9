-- Who has reserved what, and until when.  The UNIQUE key over `live` (1 while
-- the seat is in the hold, NULL ever after) is the second proof, independent
-- of the seat row, that no seat is in two holds.  Neither table has a foreign
-- key to the rows above: an INSERT would lock the hottest of them.

CREATE TABLE hold (
    id             CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    performance_id INT UNSIGNED NOT NULL,
    owner          VARCHAR(192) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state          ENUM('active', 'released', 'taken_over') NOT NULL
                   DEFAULT 'active',
    created_at     DATETIME(3) NOT NULL,
    expires_at     DATETIME(3) NOT NULL,

    PRIMARY KEY (id),
    CONSTRAINT hold_owner CHECK (owner <> '')
) ENGINE = InnoDB;

CREATE TABLE hold_seat (
    hold_id        CHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    performance_id INT UNSIGNED NOT NULL,
    seat           VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    live           TINYINT UNSIGNED NULL DEFAULT 1,

    PRIMARY KEY (hold_id, seat),
    UNIQUE KEY hold_seat_once (performance_id, seat, live),
    CONSTRAINT hold_seat_live CHECK (live = 1)
) ENGINE = InnoDB;
