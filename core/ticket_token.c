/*
 * Token codec: layout in ticket_token.h.  The text form is decoded by a table
 * that knows exactly the 64 characters of base64url, so that a token has one
 * spelling only.
 */
#include <string.h>

#include <nettle/memops.h>

#include "ticket_bytes.h"
#include "ticket_token.h"

#define SIGNED_BYTES (TICKET_TOKEN_BYTES - TICKET_MAC_LEN)

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Where a token is good. */
typedef struct {
    ticket_part_t room;
    ticket_part_t bind;
} ticket_context_t;

static void encode_text(const unsigned char raw[TICKET_TOKEN_BYTES],
                        char text[TICKET_TOKEN_TEXT_LEN])
{
    for (int i = 0; i < TICKET_TOKEN_BYTES; i += 3) {
        uint32_t group =
            (uint32_t)raw[i] << 16 | (uint32_t)raw[i + 1] << 8 | raw[i + 2];

        *text++ = alphabet[group >> 18];
        *text++ = alphabet[group >> 12 & 63];
        *text++ = alphabet[group >> 6 & 63];
        *text++ = alphabet[group & 63];
    }
}

/* Values of the characters, one higher; 0 for those not of the alphabet. */
static const unsigned char decoded[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,
    ['G'] = 7,  ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12,
    ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18,
    ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30,
    ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36,
    ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
    ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54,
    ['2'] = 55, ['3'] = 56, ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60,
    ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

/* Value of one character, with bits above the lowest six when it is none. */
static uint32_t decode_char(char c)
{
    return (uint32_t)decoded[(unsigned char)c] - 1;
}

static int decode_text(const char *text, unsigned char raw[TICKET_TOKEN_BYTES])
{
    for (int i = 0; i < TICKET_TOKEN_BYTES; i += 3, text += 4) {
        uint32_t a = decode_char(text[0]), b = decode_char(text[1]);
        uint32_t c = decode_char(text[2]), d = decode_char(text[3]);

        if ((a | b | c | d) & ~63u) {
            return -1;
        }

        raw[i] = (unsigned char)(a << 2 | b >> 4);
        raw[i + 1] = (unsigned char)(b << 4 | c >> 2);
        raw[i + 2] = (unsigned char)(c << 6 | d);
    }

    return 0;
}

/*
 * Room and bound value are each signed as their length, then their bytes, so
 * that no two pairs of them read the same.  No bound value, no length of it.
 */
static int sign(const ticket_keys_t *keys, uint16_t key_id,
                const unsigned char raw[SIGNED_BYTES],
                const ticket_context_t *context,
                unsigned char mac[TICKET_MAC_LEN])
{
    unsigned char room_len, bind_len[2];
    const ticket_part_t parts[] = {
        {raw, SIGNED_BYTES}, {&room_len, sizeof(room_len)},
        context->room,       {bind_len, sizeof(bind_len)},
        context->bind,
    };

    if (context->room.len == 0 || context->room.len > TICKET_ROOM_MAX ||
        context->bind.len > TICKET_BIND_MAX) {
        return -1;
    }

    room_len = (unsigned char)context->room.len;
    ticket_put_uint(bind_len, context->bind.len, sizeof(bind_len));

    return ticket_keys_mac(keys, key_id, parts, context->bind.len ? 5 : 3, mac);
}

int ticket_token_seal(const ticket_keys_t *keys, const ticket_token_t *token,
                      const char *room, size_t room_len, const void *bind,
                      size_t bind_len, char text[TICKET_TOKEN_TEXT_LEN])
{
    const ticket_context_t context = {{room, room_len}, {bind, bind_len}};
    unsigned char raw[TICKET_TOKEN_BYTES];
    uint16_t key_id = ticket_keys_signing_id(keys);

    raw[0] = TICKET_TOKEN_VERSION;
    raw[1] = (unsigned char)token->kind;
    ticket_put_uint(raw + 2, key_id, 2);
    ticket_put_uint(raw + 4, token->epoch, 4);
    ticket_put_uint(raw + 8, token->number, 8);
    ticket_put_uint(raw + 16, token->time_ms, 8);
    ticket_put_uint(raw + 24, token->id, 8);

    if (sign(keys, key_id, raw, &context, raw + SIGNED_BYTES) != 0) {
        return -1;
    }

    encode_text(raw, text);

    return 0;
}

ticket_token_verdict_t ticket_token_open(const ticket_keys_t *keys,
                                         ticket_token_kind_t kind,
                                         const char *text, size_t len,
                                         const char *room, size_t room_len,
                                         const void *bind, size_t bind_len,
                                         ticket_token_t *token)
{
    const ticket_context_t context = {{room, room_len}, {bind, bind_len}};
    unsigned char raw[TICKET_TOKEN_BYTES], mac[TICKET_MAC_LEN];

    if (len != TICKET_TOKEN_TEXT_LEN || decode_text(text, raw) != 0 ||
        raw[0] != TICKET_TOKEN_VERSION) {
        return TICKET_TOKEN_MALFORMED;
    }

    if (sign(keys, (uint16_t)ticket_get_uint(raw + 2, 2), raw, &context, mac) !=
            0 ||
        !memeql_sec(mac, raw + SIGNED_BYTES, TICKET_MAC_LEN)) {
        return TICKET_TOKEN_FORGED;
    }

    if (raw[1] != (unsigned char)kind) {
        return TICKET_TOKEN_KIND;
    }

    token->kind = kind;
    token->epoch = (uint32_t)ticket_get_uint(raw + 4, 4);
    token->number = ticket_get_uint(raw + 8, 8);
    token->time_ms = ticket_get_uint(raw + 16, 8);
    token->id = ticket_get_uint(raw + 24, 8);

    return TICKET_TOKEN_OK;
}
