/*
 * Times of a configuration: the input is a zone, a zero, and the time.
 */
#include <time.h>

#include "fuzz.h"
#include "ticket_time.h"

#define TZ        "Asia/Seoul"
#define YEAR_9999 253402300800000 /* its end, in Unix milliseconds */
#define DAY_MS    86400000

/* A time that was read, written with a 'Z', is the same time. */
static void check_again(int64_t ms)
{
    char text[32], err[256];
    time_t when = (time_t)(ms / 1000);
    int64_t again;
    struct tm tm;

    REQUIRE(gmtime_r(&when, &tm) != NULL);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    REQUIRE(ticket_time_parse(text, strlen(text), NULL, &again, err,
                              sizeof(err)) == 0);
    REQUIRE(again == ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char zone[256], err[256] = "";
    const uint8_t *zero = memchr(data, 0, size);
    size_t zone_len = zero != NULL ? (size_t)(zero - data) : 0;
    int64_t ms = 0;

    if (zone_len >= sizeof(zone)) {
        return 0;
    }

    memcpy(zone, data, zone_len);
    zone[zone_len] = '\0';

    const char *text =
        zero != NULL ? (const char *)zero + 1 : (const char *)data;
    size_t len = (size_t)((const char *)data + size - text);

    setenv("TZ", TZ, 1);
    if (ticket_time_parse(text, len, zero != NULL ? zone : NULL, &ms, err,
                          sizeof(err)) != 0) {
        REQUIRE(*err != '\0' && strlen(err) < sizeof(err));
    } else {
        /* local times of the first and the last day lie beyond their year */
        REQUIRE(ms >= -DAY_MS && ms < YEAR_9999 + DAY_MS);
        if (ms >= 0 && ms < YEAR_9999) {
            check_again(ms);
        }
    }

    REQUIRE(strcmp(getenv("TZ"), TZ) == 0);

    return 0;
}
