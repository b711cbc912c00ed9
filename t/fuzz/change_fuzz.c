/*
 * What a transaction changed, as it comes back from Redis.
 */
#include "change.h"
#include "fuzz.h"

static void check_seat(const seat_change_t *seat)
{
    bool is_held = seat->state == SEAT_HELD;

    REQUIRE(seat->state >= SEAT_FREE && seat->state <= SEAT_BLOCKED);
    REQUIRE((seat->expires_ms > 0) == is_held);
    REQUIRE(seat->expires_ms >= 0);
    REQUIRE(is_held || hold_id_is_zero(&seat->hold));
}

static void check_bucket(const bucket_change_t *bucket)
{
    REQUIRE((uint64_t)bucket->held + bucket->sold <= bucket->capacity);
}

/* Written and read again it is the same. */
static void check_again(const change_t *change)
{
    change_t back = {0};
    size_t len, again_len;
    char *text = change_to_json(change, &len), *again;

    REQUIRE(text != NULL && strlen(text) == len);
    REQUIRE(change_from_json(&back, text, len) == 0);
    again = change_to_json(&back, &again_len);
    REQUIRE(again != NULL && again_len == len);
    REQUIRE(memcmp(again, text, len) == 0);

    free(again);
    free(text);
    change_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    change_t change = {.performance = 7};

    if (change_from_json(&change, (const char *)data, size) != 0) {
        REQUIRE(change.n_seats + change.n_buckets + change.n_holds == 0);
        REQUIRE(change.seat == NULL && change.bucket == NULL);
        REQUIRE(change.hold == NULL);
        return 0;
    }

    REQUIRE(change.performance == 7);
    for (unsigned i = 0; i < change.n_seats; i++) {
        check_seat(&change.seat[i]);
    }
    for (unsigned i = 0; i < change.n_buckets; i++) {
        check_bucket(&change.bucket[i]);
    }
    check_again(&change);
    change_clear(&change);

    return 0;
}
