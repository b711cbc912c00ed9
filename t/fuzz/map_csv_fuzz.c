/*
 * A hall as CSV: whatever comes, it is a good hall or there are mistakes that
 * can be told.
 */
#include "fuzz.h"
#include "map_csv.h"
#include "text.h"

static void check_seat(const map_csv_t *map, uint32_t i)
{
    const map_csv_seat_t *seat = &map->seat[i], *before = seat - 1;

    REQUIRE(text_is_name(seat->name, strlen(seat->name)));
    REQUIRE(seat->section < map->n_sections && seat->tier < map->n_tiers);
    REQUIRE(seat->row_no >= 1 &&
            seat->row_no <= map->section[seat->section].n_rows);
    REQUIRE(i == 0 || before->section < seat->section ||
            (before->section == seat->section &&
             (before->row_no < seat->row_no ||
              (before->row_no == seat->row_no && before->pos < seat->pos))));
}

static void check_error(const map_csv_error_t *error)
{
    size_t len = strlen(error->text);

    REQUIRE(len > 0 && len < MAP_ERROR_LEN - 1);
    REQUIRE(text_utf8_prefix(error->text, len) == len);
    len = strlen(error->column);
    REQUIRE(text_utf8_prefix(error->column, len) == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    map_csv_t *map = map_csv_read((const char *)data, size);

    REQUIRE(map != NULL);
    for (unsigned i = 0; i < map->n_errors; i++) {
        check_error(&map->error[i]);
    }

    if (map->n_errors == 0) {
        REQUIRE(map->n_seats + map->n_pools > 0);
        for (uint32_t i = 0; i < map->n_seats; i++) {
            check_seat(map, i);
        }
    }

    map_csv_free(map);

    return 0;
}
