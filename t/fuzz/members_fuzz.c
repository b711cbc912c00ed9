/*
 * Operators' JSON: the first byte chooses between an object of members and a
 * list of seats.
 */
#include "fuzz.h"
#include "members.h"
#include "text.h"

static void read_object(const char *body, size_t len)
{
    member_t members[] = {{.name = "name",
                           .type = MEMBER_TEXT,
                           .min = 1,
                           .max = 200,
                           .needed = true},
                          {.name = "limit",
                           .type = MEMBER_NUMBER,
                           .min = 1,
                           .max = 65535,
                           .nullable = true}};
    char err[MEMBERS_ERR_LEN];
    size_t text;

    if (members_read(members, 2, body, len, err) != 0) {
        REQUIRE(*err != '\0' &&
                text_utf8_prefix(err, strlen(err)) == strlen(err));
        return;
    }

    text = strlen(members[0].text);
    REQUIRE(members[0].given && text_is_label(members[0].text, text, 200));
    REQUIRE(!members[1].given || members[1].is_null ||
            (members[1].number >= 1 && members[1].number <= 65535));
}

static void read_list(const char *body, size_t len)
{
    char err[MEMBERS_ERR_LEN];
    listed_seat_t *seats;
    unsigned n;

    if (seat_list_read(&seats, &n, body, len, err) != 0) {
        REQUIRE(*err != '\0' &&
                text_utf8_prefix(err, strlen(err)) == strlen(err));
        return;
    }

    REQUIRE(n >= 1 && n <= SEAT_LIST_MAX);
    for (unsigned i = 0; i < n; i++) {
        REQUIRE(text_is_name(seats[i].name, strlen(seats[i].name)));
        REQUIRE(i == 0 || strcmp(seats[i - 1].name, seats[i].name) < 0);
    }
    free(seats);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        (data[0] % 2 ? read_object : read_list)((const char *)data + 1,
                                                size - 1);
    }

    return 0;
}
