/*
 * Reading orders; see ticket_order.h.  yajl calls for each piece of JSON, and
 * a call that returns 0 ends the parse.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "ticket_line.h"
#include "ticket_order.h"
#include "ticket_policy.h"

#define NAME_MAX_LEN 32
#define DIGITS_MAX   9

#define SETTING_NAMES "slots, rate, per_ms, mode, paused and queue_all"

const ticket_setting_t ticket_settings[TICKET_SETTINGS] = {
    {"slots", "slots", TICKET_SETTING_LIMIT, offsetof(ticket_policy_t, slots)},
    {"rate", "rate", TICKET_SETTING_LIMIT, offsetof(ticket_policy_t, rate)},
    {"per_ms", "per", TICKET_SETTING_NUMBER, offsetof(ticket_policy_t, per)},
    {"mode", "mode", TICKET_SETTING_MODE, offsetof(ticket_policy_t, mode)},
    {"paused", "paused", TICKET_SETTING_FLAG,
     offsetof(ticket_policy_t, paused)},
    {"queue_all", "queue_all", TICKET_SETTING_FLAG,
     offsetof(ticket_policy_t, queue_all)},
};

/* Members of a POST follow those of a PATCH. */
enum {
    M_COMMAND = TICKET_SETTINGS,
    M_COUNT,
    M_NUMBER,
    MEMBERS
};

static const char *const post_members[] = {"command", "count", "number"};

/* In the order of TICKET_ORDER_RESET and those that follow. */
static const char *const commands[] = {"reset", "call", "revoke"};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The member that each command needs. */
static const unsigned needed[COMMANDS] = {M_COMMAND, M_COUNT, M_NUMBER};

typedef enum {
    IS_NULL,
    IS_FLAG,
    IS_NUMBER,
    IS_TEXT,
    IS_NESTED
} type_t;

typedef struct {
    ticket_order_t *order;
    ticket_order_form_t form;
    unsigned member; /* whose value comes next */
    unsigned seen;   /* bits, by member */
    unsigned nulls;  /* bits, by member */
    int is_open;     /* within the object */
    uint64_t value[MEMBERS];
} reader_t;

static int has(unsigned bits, unsigned member)
{
    return (bits >> member & 1) != 0;
}

static const char *name_of(unsigned member)
{
    return member < TICKET_SETTINGS ? ticket_settings[member].name
                                    : post_members[member - M_COMMAND];
}

/* Adds to the text, of which what does not fit is cut off. */
static void vadd(ticket_order_t *order, const char *format, va_list args)
{
    size_t room = sizeof(order->text) - order->len;
    int len = vsnprintf(order->text + order->len, room, format, args);

    if (len > 0) {
        order->len += (size_t)len < room ? (size_t)len : room - 1;
    }
}

__attribute__((format(printf, 2, 3))) static void add(ticket_order_t *order,
                                                      const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vadd(order, format, args);
    va_end(args);
}

/* Says what is wrong; returns 0, which makes yajl stop. */
__attribute__((format(printf, 2, 3))) static int wrong(reader_t *reader,
                                                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vadd(reader->order, format, args);
    va_end(args);

    return 0;
}

static void range_of(unsigned member, uint64_t *min, uint64_t *max)
{
    *min = 1;
    *max = member == M_COUNT ? TICKET_ORDER_CALL_MAX : TICKET_NUMBER_MAX;

    if (member < TICKET_SETTINGS) {
        const char *setting = ticket_settings[member].setting;

        (void)ticket_policy_range(setting, strlen(setting), min, max);
    }
}

/* Says what the member takes whose value is wrong. */
static int takes(reader_t *reader, unsigned member)
{
    const char *name = name_of(member);
    uint64_t min, max;

    if (member == M_COMMAND) {
        return wrong(reader, "%s takes \"reset\", \"call\" or \"revoke\".",
                     name);
    }

    range_of(member, &min, &max);

    if (member > M_COMMAND) {
        return wrong(reader,
                     "%s takes a whole number from %" PRIu64 " to %" PRIu64 ".",
                     name, min, max);
    }

    switch (ticket_settings[member].kind) {
    case TICKET_SETTING_MODE:
        return wrong(reader,
                     "%s takes \"fifo\", \"passthrough\", \"reject\", or null "
                     "for what nginx.conf says.",
                     name);
    case TICKET_SETTING_FLAG:
        return wrong(reader,
                     "%s takes true, false, or null for what nginx.conf says.",
                     name);
    default:
        return wrong(reader,
                     "%s takes a whole number from %" PRIu64 " to %" PRIu64
                     "%s, or null for what nginx.conf says.",
                     name, min, max,
                     ticket_settings[member].kind == TICKET_SETTING_LIMIT
                         ? " (0: no limit)"
                         : "");
    }
}

static int is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* Where in the list the text stands, or n. */
static size_t one_of(const char *text, size_t len, const char *const *list,
                     size_t n)
{
    size_t i = 0;

    while (i < n && !is(text, len, list[i])) {
        i++;
    }

    return i;
}

/* JSON's own forms "-0", "1.0" and "1e3" are not taken. */
static int read_digits(const char *text, size_t len, uint64_t *number)
{
    if (len == 0 || len > DIGITS_MAX) {
        return -1;
    }

    *number = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -1;
        }

        *number = *number * 10 + (uint64_t)(text[i] - '0');
    }

    return 0;
}

/* The type of a member's value that is not null. */
static type_t type_of(unsigned member)
{
    if (member == M_COMMAND) {
        return IS_TEXT;
    }

    if (member > M_COMMAND) {
        return IS_NUMBER;
    }

    switch (ticket_settings[member].kind) {
    case TICKET_SETTING_MODE:
        return IS_TEXT;
    case TICKET_SETTING_FLAG:
        return IS_FLAG;
    default:
        return IS_NUMBER;
    }
}

/* Reads a value of the member's own type.  Returns -1 when it takes others. */
static int read_value(unsigned member, const char *text, size_t len,
                      uint64_t *value)
{
    uint64_t min, max;

    if (member == M_COMMAND) {
        *value = one_of(text, len, commands, COMMANDS);
        return *value < COMMANDS ? 0 : -1;
    }

    if (type_of(member) == IS_TEXT) {
        *value = one_of(text, len, ticket_mode_names, TICKET_MODES);
        return *value < TICKET_MODES ? 0 : -1;
    }

    range_of(member, &min, &max);

    return read_digits(text, len, value) == 0 && *value >= min && *value <= max
               ? 0
               : -1;
}

static int on_value(reader_t *reader, type_t type, const char *text, size_t len)
{
    unsigned member = reader->member;

    if (!reader->is_open) {
        return wrong(reader, "The body must be one JSON object, {...}.");
    }

    if (type == IS_NULL && reader->form == TICKET_ORDER_PATCH) {
        reader->nulls |= 1u << member;
        return 1;
    }

    if (type != type_of(member) ||
        read_value(member, text, len, &reader->value[member]) != 0) {
        return takes(reader, member);
    }

    return 1;
}

static int on_null(void *ctx)
{
    return on_value(ctx, IS_NULL, "", 0);
}

static int on_flag(void *ctx, int flag)
{
    return on_value(ctx, IS_FLAG, flag ? "1" : "0", 1);
}

static int on_number(void *ctx, const char *text, size_t len)
{
    return on_value(ctx, IS_NUMBER, text, len);
}

static int on_text(void *ctx, const unsigned char *text, size_t len)
{
    return on_value(ctx, IS_TEXT, (const char *)text, len);
}

static int on_array(void *ctx)
{
    return on_value(ctx, IS_NESTED, "", 0);
}

static int on_map(void *ctx)
{
    reader_t *reader = ctx;

    if (!reader->is_open) {
        reader->is_open = 1;
        return 1;
    }

    return on_array(ctx);
}

static int on_end(void *ctx)
{
    (void)ctx;
    return 1;
}

/*
 * A name is told as it stands, which may have control characters, if it is in
 * ASCII: yajl lets pass, and makes of escapes, what is no UTF-8.
 */
static int unknown(reader_t *reader, const char *name, size_t len)
{
    ticket_order_t *order = reader->order;

    if (len > NAME_MAX_LEN) {
        add(order, "A long name");

    } else {
        for (size_t i = 0; i < len; i++) {
            if ((unsigned char)name[i] > 0x7f) {
                name = "A name beyond ASCII";
                len = strlen(name);
            }
        }

        memcpy(order->text, name, len);
        order->len = len;
    }

    return reader->form == TICKET_ORDER_PATCH
               ? wrong(reader, " is no setting: there are " SETTING_NAMES ".")
               : wrong(reader, " is no member of a command: there are command, "
                               "count and number.");
}

static int on_name(void *ctx, const unsigned char *text, size_t len)
{
    reader_t *reader = ctx;
    const char *name = (const char *)text;
    int is_patch = reader->form == TICKET_ORDER_PATCH;
    unsigned member = is_patch ? 0 : M_COMMAND;
    unsigned last = is_patch ? TICKET_SETTINGS : MEMBERS;

    while (member < last && !is(name, len, name_of(member))) {
        member++;
    }

    if (member == last) {
        return unknown(reader, name, len);
    }

    if (has(reader->seen, member)) {
        return wrong(reader, "%s stands there twice.", name_of(member));
    }

    reader->member = member;
    reader->seen |= 1u << member;

    return 1;
}

static void take_settings(reader_t *reader)
{
    ticket_order_t *order = reader->order;

    if (reader->seen == 0) {
        (void)wrong(reader, "The body names nothing to change: there "
                            "are " SETTING_NAMES ".");
        return;
    }

    for (unsigned i = 0; i < TICKET_SETTINGS; i++) {
        if (!has(reader->seen, i)) {
            continue;
        }

        add(order, "%s%s=", order->len > 0 ? " " : "",
            ticket_settings[i].setting);

        if (!has(reader->nulls, i)) {
            add(order, "%" PRIu64, reader->value[i]);
        }
    }

    order->what = TICKET_ORDER_SET;
}

/* Each command has its own member, and needs it. */
static void take_command(reader_t *reader)
{
    ticket_order_t *order = reader->order;
    uint64_t command = reader->value[M_COMMAND];

    if (!has(reader->seen, M_COMMAND)) {
        (void)takes(reader, M_COMMAND);
        return;
    }

    for (unsigned member = M_COUNT; member < MEMBERS; member++) {
        if (member != needed[command] && has(reader->seen, member)) {
            (void)wrong(reader, "The command %s does not take %s.",
                        commands[command], name_of(member));
            return;
        }
    }

    if (!has(reader->seen, needed[command])) {
        (void)takes(reader, needed[command]);
        return;
    }

    order->what = TICKET_ORDER_RESET + (unsigned)command;
    order->n =
        needed[command] == M_COMMAND ? 0 : reader->value[needed[command]];
}

int ticket_order_read(ticket_order_t *order, ticket_order_form_t form,
                      const void *body, size_t len)
{
    static const yajl_callbacks callbacks = {
        on_null, on_flag, NULL,   NULL,     on_number, on_text,
        on_map,  on_name, on_end, on_array, on_end};
    reader_t reader = {.order = order, .form = form};

    order->what = TICKET_ORDER_WRONG;
    order->n = 0;
    order->len = 0;

    if (len > TICKET_ORDER_BODY_MAX) {
        (void)wrong(&reader, "The body is longer than %d bytes.",
                    TICKET_ORDER_BODY_MAX);
        return 0;
    }

    yajl_handle json = yajl_alloc(&callbacks, NULL, &reader);

    if (json == NULL) {
        return -1;
    }

    yajl_status status = yajl_parse(json, body, len);
    size_t at = yajl_get_bytes_consumed(json);

    if (status == yajl_status_ok) {
        status = yajl_complete_parse(json);
    }

    yajl_free(json);

    if (status == yajl_status_ok) {
        form == TICKET_ORDER_PATCH ? take_settings(&reader)
                                   : take_command(&reader);

    } else if (order->len == 0) {
        (void)wrong(&reader, "The body is not JSON: byte %zu of %zu is wrong.",
                    at, len);
    }

    return 0;
}
