/*
 * Tokens, as they come in a cookie.  The first byte of an input says what the
 * rest is: the text of a token, or what to seal one from and which bit of its
 * text to turn over.
 */
#include "fuzz.h"
#include "key_file.h"
#include "ticket_token.h"

#define ROOM "concert:20261201"
#define BIND "visitor 42"

enum {
    SEAL = 1,  /* the rest is a sealed_t, room and bound value */
    PASS = 2,  /* the kind asked for is a pass */
    BOUND = 4, /* a text is opened with a bound value */
};

typedef struct {
    uint64_t number;
    uint64_t time_ms;
    uint64_t id;
    uint32_t epoch;
    uint8_t at; /* character of the text */
    uint8_t flip;
    uint8_t room_len;
    uint8_t unused;
} sealed_t;

/* What opens was sealed here, so sealing it anew gives the same text. */
static void check_text(const ticket_keys_t *keys, ticket_token_kind_t kind,
                       size_t bind_len, const char *text, size_t len)
{
    char again[TICKET_TOKEN_TEXT_LEN];
    ticket_token_t token;

    if (ticket_token_open(keys, kind, text, len, ROOM, strlen(ROOM), BIND,
                          bind_len, &token) != TICKET_TOKEN_OK) {
        return;
    }

    REQUIRE(len == sizeof(again) && token.kind == kind);
    REQUIRE(ticket_token_seal(keys, &token, ROOM, strlen(ROOM), BIND, bind_len,
                              again) == 0);
    REQUIRE(memcmp(text, again, len) == 0);
}

static void check_opened(const ticket_token_t *is, const ticket_token_t *was)
{
    REQUIRE(is->kind == was->kind && is->epoch == was->epoch &&
            is->number == was->number && is->time_ms == was->time_ms &&
            is->id == was->id);
}

/* Opens for what it was sealed for, and for nothing else. */
static void check_sealed(const ticket_keys_t *keys, const ticket_token_t *token,
                         const sealed_t *from, const char *rest, size_t len)
{
    size_t room_len = from->room_len < len ? from->room_len : len;
    const char *bind = rest + room_len;
    size_t bind_len = len - room_len;
    char text[TICKET_TOKEN_TEXT_LEN];
    ticket_token_t opened;

    if (ticket_token_seal(keys, token, rest, room_len, bind, bind_len, text) !=
        0) {
        REQUIRE(room_len == 0 || room_len > TICKET_ROOM_MAX ||
                bind_len > TICKET_BIND_MAX);
        return;
    }

    REQUIRE(ticket_token_open(keys, token->kind, text, sizeof(text), rest,
                              room_len, bind, bind_len,
                              &opened) == TICKET_TOKEN_OK);
    check_opened(&opened, token);
    REQUIRE(ticket_token_open(keys,
                              token->kind == TICKET_TOKEN_PASS
                                  ? TICKET_TOKEN_QUEUE
                                  : TICKET_TOKEN_PASS,
                              text, sizeof(text), rest, room_len, bind,
                              bind_len, &opened) == TICKET_TOKEN_KIND);

    /* A byte that belonged to the name now belongs to the bound value. */
    REQUIRE(ticket_token_open(keys, token->kind, text, sizeof(text), rest,
                              room_len - 1, bind - 1, bind_len + 1,
                              &opened) == TICKET_TOKEN_FORGED);

    text[from->at % sizeof(text)] ^= (char)(1 << from->flip % 8);
    REQUIRE(ticket_token_open(keys, token->kind, text, sizeof(text), rest,
                              room_len, bind, bind_len,
                              &opened) != TICKET_TOKEN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ticket_keys_t *keys;
    sealed_t from;

    if (keys == NULL) {
        keys = good_keys("7 " SECRET_A "\n");
        REQUIRE(keys != NULL);
    }

    if (size == 0) {
        return 0;
    }

    uint8_t flags = *data++;
    ticket_token_kind_t kind =
        flags & PASS ? TICKET_TOKEN_PASS : TICKET_TOKEN_QUEUE;

    size--;
    if (!(flags & SEAL)) {
        check_text(keys, kind, flags & BOUND ? strlen(BIND) : 0,
                   (const char *)data, size);
        return 0;
    }

    if (size < sizeof(from)) {
        return 0;
    }

    memcpy(&from, data, sizeof(from));

    const ticket_token_t token = {kind, from.epoch, from.number, from.time_ms,
                                  from.id};

    check_sealed(keys, &token, &from, (const char *)data + sizeof(from),
                 size - sizeof(from));

    return 0;
}
