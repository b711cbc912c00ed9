/*
 * Settings that an operator changed, as they come back from Redis.
 */
#include <inttypes.h>

#include "fuzz.h"
#include "ticket_policy.h"

/* Those that can be changed at run time. */
static const struct {
    const char *name;
    size_t offset;
} settings[] = {
    {"slots", offsetof(ticket_policy_t, slots)},
    {"rate", offsetof(ticket_policy_t, rate)},
    {"per", offsetof(ticket_policy_t, per)},
    {"mode", offsetof(ticket_policy_t, mode)},
    {"paused", offsetof(ticket_policy_t, paused)},
    {"queue_all", offsetof(ticket_policy_t, queue_all)},
};

static uint64_t value_of(const ticket_policy_t *policy, size_t i)
{
    uint64_t value;

    memcpy(&value, (const char *)policy + settings[i].offset, sizeof(value));

    return value;
}

/* Each is in its range; written out and read, they are the same again. */
static void check_settings(const ticket_policy_t *policy,
                           const ticket_policy_t *before)
{
    char text[TICKET_SETTINGS_TEXT_MAX];
    ticket_policy_t again = *before;
    size_t len = 0;

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        const char *name = settings[i].name;
        uint64_t min, max, value = value_of(policy, i);

        REQUIRE(ticket_policy_range(name, strlen(name), &min, &max) == 0);
        REQUIRE(value >= min && value <= max);
        len += (size_t)snprintf(text + len, sizeof(text) - len,
                                "%s=%" PRIu64 " ", name, value);
    }

    REQUIRE(len < sizeof(text));
    REQUIRE(ticket_policy_apply(&again, text, len) == 0);
    REQUIRE(memcmp(&again, policy, sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ticket_policy_t before = {.slots = 100,
                                    .rate = 30,
                                    .per = 10000,
                                    .session = 600000,
                                    .claim = 60000,
                                    .liveness = 30000,
                                    .draw = 1,
                                    .opens = UINT64_MAX,
                                    .closes = UINT64_MAX};
    char text[TICKET_POLICY_TEXT_MAX];
    ticket_policy_t policy = before;
    size_t len;

    if (ticket_policy_apply(&policy, (const char *)data, size) != 0) {
        REQUIRE(memcmp(&policy, &before, sizeof(policy)) == 0);
    }

    check_settings(&policy, &before);

    len = ticket_policy_write(&policy, text);
    REQUIRE(len < sizeof(text) && strlen(text) == len);

    return 0;
}
