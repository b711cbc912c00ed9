/*
 * The body of a request for a hold, as the worker reads it.
 */
#include "fuzz.h"
#include "wish.h"

/* The name i of n that are stride apart: well formed, and the first of it. */
static void check_name(const char *first, size_t stride, unsigned i)
{
    const char *name = first + i * stride;
    size_t len = strnlen(name, SEAT_NAME_MAX + 1);

    REQUIRE(len >= 1 && len <= SEAT_NAME_MAX);
    REQUIRE(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789._-") == len);

    for (unsigned j = 0; j < i; j++) {
        REQUIRE(strcmp(first + j * stride, name) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wish_t wish;
    const char *wrong = wish_read(&wish, (const char *)data, size);
    unsigned units = 0;

    REQUIRE(wish.n_seats <= HOLD_UNITS_MAX);
    REQUIRE(wish.n_pools <= HOLD_UNITS_MAX);
    REQUIRE(wish.best.n_tiers <= BEST_TIERS_MAX);
    if (wrong != NULL) {
        REQUIRE(*wrong != '\0');
        return 0;
    }

    for (unsigned i = 0; i < wish.n_seats; i++, units++) {
        check_name(wish.seat[0].name, sizeof(wish.seat[0]), i);
        REQUIRE(wish.seat[i].wants_version || wish.seat[i].version == 0);
    }

    for (unsigned i = 0; i < wish.n_pools; i++) {
        check_name(wish.pool[0].name, sizeof(wish.pool[0]), i);
        REQUIRE(wish.pool[i].quantity >= 1);
        units += wish.pool[i].quantity;
    }

    for (unsigned i = 0; i < wish.best.n_tiers; i++) {
        check_name(wish.best.tier[0], sizeof(wish.best.tier[0]), i);
    }

    units += wish.best.quantity;
    REQUIRE(wish.best.n_tiers == 0 || wish.best.quantity >= 1);
    REQUIRE(units >= 1 && units <= HOLD_UNITS_MAX);
    REQUIRE(wish_units(&wish) == units);

    return 0;
}
