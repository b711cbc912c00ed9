-- Halls.  A map says what there is in a venue: its seats, numbered 0, 1, 2 …
-- in the order of section, row and position, so that neighbours have
-- neighbouring numbers; and its standing pools.  A map that a performance
-- uses never changes again, so what is told of it may be kept for ever.
--
-- Names for people are compared byte by byte: "Block A" is not "Block Ä".

CREATE TABLE venue (
    id      INT UNSIGNED NOT NULL AUTO_INCREMENT,
    name    VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    version INT UNSIGNED NOT NULL DEFAULT 1,

    PRIMARY KEY (id),
    CONSTRAINT venue_name CHECK (name <> '')
) ENGINE = InnoDB;

CREATE TABLE seat_map (
    id       INT UNSIGNED NOT NULL AUTO_INCREMENT,
    venue_id INT UNSIGNED NOT NULL,
    name     VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    version  INT UNSIGNED NOT NULL DEFAULT 1,

    PRIMARY KEY (id),
    CONSTRAINT seat_map_venue FOREIGN KEY (venue_id) REFERENCES venue (id),
    CONSTRAINT seat_map_name CHECK (name <> '')
) ENGINE = InnoDB;

-- The focal point is where one wants to sit: best available means near it.
CREATE TABLE map_section (
    map_id     INT UNSIGNED NOT NULL,
    section_no SMALLINT UNSIGNED NOT NULL,
    name       VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    focal_x    INT NOT NULL,
    focal_y    INT NOT NULL,

    PRIMARY KEY (map_id, section_no),
    UNIQUE KEY map_section_name (map_id, name),
    CONSTRAINT map_section_map FOREIGN KEY (map_id) REFERENCES seat_map (id),
    CONSTRAINT map_section_named CHECK (name <> '')
) ENGINE = InnoDB;

-- Two seats of a row are neighbours when their positions are.
CREATE TABLE map_seat (
    map_id     INT UNSIGNED NOT NULL,
    seat_no    MEDIUMINT UNSIGNED NOT NULL,
    name       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    section_no SMALLINT UNSIGNED NOT NULL,
    row_no     SMALLINT UNSIGNED NOT NULL,
    pos        SMALLINT UNSIGNED NOT NULL,
    tier       VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    x          INT NOT NULL,
    y          INT NOT NULL,

    PRIMARY KEY (map_id, seat_no),
    UNIQUE KEY map_seat_name (map_id, name),
    UNIQUE KEY map_seat_place (map_id, section_no, row_no, pos),
    CONSTRAINT map_seat_section FOREIGN KEY (map_id, section_no)
        REFERENCES map_section (map_id, section_no),
    CONSTRAINT map_seat_named CHECK (name <> ''),
    CONSTRAINT map_seat_tier CHECK (tier <> '')
) ENGINE = InnoDB;

-- Places without a number: whoever has one stands where there is room.
CREATE TABLE map_pool (
    map_id   INT UNSIGNED NOT NULL,
    pool_no  SMALLINT UNSIGNED NOT NULL,
    name     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    tier     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    capacity INT UNSIGNED NOT NULL,

    PRIMARY KEY (map_id, pool_no),
    UNIQUE KEY map_pool_name (map_id, name),
    CONSTRAINT map_pool_map FOREIGN KEY (map_id) REFERENCES seat_map (id),
    CONSTRAINT map_pool_named CHECK (name <> ''),
    CONSTRAINT map_pool_tier CHECK (tier <> '')
) ENGINE = InnoDB;
