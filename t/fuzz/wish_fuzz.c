/*
 * The body of a request for a hold, as the worker reads it.
 */
#include "fuzz.h"
#include "wish.h"

static void check_seat(const hold_t *hold, unsigned i)
{
    const char *name = hold->seat[i].name;
    size_t len = strnlen(name, sizeof(hold->seat[i].name));

    REQUIRE(len >= 1 && len <= SEAT_NAME_MAX);
    REQUIRE(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                         "0123456789._-") == len);

    for (unsigned j = 0; j < i; j++) {
        REQUIRE(strcmp(hold->seat[j].name, name) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hold_t hold = {0};
    const char *wrong = wish_read(&hold, (const char *)data, size);

    REQUIRE(hold.n <= HOLD_SEATS_MAX);
    if (wrong != NULL) {
        REQUIRE(*wrong != '\0');
        return 0;
    }

    REQUIRE(hold.n >= 1);
    for (unsigned i = 0; i < hold.n; i++) {
        check_seat(&hold, i);
    }

    return 0;
}
