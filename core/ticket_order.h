/*
 * What an operator of a room orders: the JSON body of a PATCH, which changes
 * settings, or of a POST, which gives a command.  Either is one flat object.
 * It is read as it stands, member by member, so that nothing nested is ever
 * built; the first thing that is wrong is told by the name of its member.
 */
#ifndef TICKET_ORDER_H
#define TICKET_ORDER_H

#include <stddef.h>
#include <stdint.h>

/* Longest body, in bytes. */
#define TICKET_ORDER_BODY_MAX 4096
/* How many can be called at once. */
#define TICKET_ORDER_CALL_MAX 10000
/* Enough for settings as well as for what is wrong. */
#define TICKET_ORDER_TEXT_MAX 256

/* A setting that can be changed at run time. */
typedef enum {
    TICKET_SETTING_LIMIT = 0, /* 0: none */
    TICKET_SETTING_NUMBER,
    TICKET_SETTING_MODE, /* ticket_mode_t, in JSON its name */
    TICKET_SETTING_FLAG
} ticket_setting_kind_t;

typedef struct {
    const char *name;    /* in JSON */
    const char *setting; /* in text, as ticket_policy_apply takes it */
    ticket_setting_kind_t kind;
    size_t offset; /* in ticket_policy_t, of a uint64_t */
} ticket_setting_t;

#define TICKET_SETTINGS 6

extern const ticket_setting_t ticket_settings[TICKET_SETTINGS];

typedef enum {
    TICKET_ORDER_PATCH = 0,
    TICKET_ORDER_POST
} ticket_order_form_t;

typedef enum {
    TICKET_ORDER_WRONG = 0, /* text says what is, in ASCII */
    TICKET_ORDER_SET,       /* text: "slots=200 rate=", see ticket_policy.h */
    TICKET_ORDER_RESET,
    TICKET_ORDER_CALL,  /* n: how many, 1 to TICKET_ORDER_CALL_MAX */
    TICKET_ORDER_REVOKE /* n: the number, 1 to TICKET_NUMBER_MAX */
} ticket_order_what_t;

typedef struct {
    ticket_order_what_t what;
    uint64_t n;
    size_t len;
    char text[TICKET_ORDER_TEXT_MAX]; /* len of them; no terminating zero */
} ticket_order_t;

/*
 * Reads a body of any bytes (RFC 8259).  Returns -1 when there is no memory
 * for the parser, else 0, also when the body is wrong.
 */
int ticket_order_read(ticket_order_t *order, ticket_order_form_t form,
                      const void *body, size_t len);

#endif
