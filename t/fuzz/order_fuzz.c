/*
 * An operator's order, read as the body of a PATCH and as that of a POST.
 */
#include "fuzz.h"
#include "ticket_line.h"
#include "ticket_order.h"
#include "ticket_policy.h"

/* What is wrong is told in ASCII, so that any answer can carry it. */
static void check_wrong(const ticket_order_t *order)
{
    REQUIRE(order->len > 0 && order->text[order->len - 1] == '.');
    REQUIRE(order->n == 0);

    for (size_t i = 0; i < order->len; i++) {
        REQUIRE((unsigned char)order->text[i] < 0x80);
    }
}

/* Settings are such as come back from Redis and are taken. */
static void check_settings(const ticket_order_t *order)
{
    ticket_policy_t policy = {.per = 10000};

    REQUIRE(order->len > 0 && order->len <= TICKET_SETTINGS_TEXT_MAX);
    REQUIRE(order->n == 0);
    REQUIRE(ticket_policy_apply(&policy, order->text, order->len) == 0);
    REQUIRE(policy.mode < TICKET_MODES);
}

static void check(const ticket_order_t *order, ticket_order_form_t form)
{
    switch (order->what) {
    case TICKET_ORDER_WRONG:
        check_wrong(order);
        return;
    case TICKET_ORDER_SET:
        REQUIRE(form == TICKET_ORDER_PATCH);
        check_settings(order);
        return;
    case TICKET_ORDER_RESET:
        REQUIRE(order->n == 0);
        break;
    case TICKET_ORDER_CALL:
        REQUIRE(order->n >= 1 && order->n <= TICKET_ORDER_CALL_MAX);
        break;
    case TICKET_ORDER_REVOKE:
        REQUIRE(order->n >= 1 && order->n <= TICKET_NUMBER_MAX);
        break;
    default:
        REQUIRE(!"an order of no kind");
    }

    REQUIRE(form == TICKET_ORDER_POST && order->len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const ticket_order_form_t forms[] = {TICKET_ORDER_PATCH,
                                                TICKET_ORDER_POST};

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        ticket_order_t order;

        memset(&order, 0xff, sizeof(order));
        REQUIRE(ticket_order_read(&order, forms[i], data, size) == 0);
        REQUIRE(order.len < sizeof(order.text));
        check(&order, forms[i]);
    }

    return 0;
}
