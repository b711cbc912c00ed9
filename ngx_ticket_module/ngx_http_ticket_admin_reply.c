
/*
 * What an operator is told: rooms, the state of one, a number, the latest
 * changes, as JSON.  Names of rooms and settings need no escaping.
 */


#include "ngx_http_ticket_admin.h"


/* more than the longest texts take without the room's name */
#define NGX_HTTP_TICKET_ADMIN_STATE_LEN   1280
#define NGX_HTTP_TICKET_ADMIN_NUMBER_LEN  128
#define NGX_HTTP_TICKET_ADMIN_CHANGE_LEN  64


static u_char *ngx_http_ticket_put_settings(u_char *p, const char *name,
    ticket_policy_t *policy);
static u_char *ngx_http_ticket_put_changed(u_char *p, ngx_str_t *set);
static ngx_uint_t ngx_http_ticket_is_changed(ngx_str_t *set,
    const char *name);
static u_char *ngx_http_ticket_put_held(u_char *p, ticket_policy_t *policy,
    ngx_http_ticket_answer_t *answer);
static size_t ngx_http_ticket_json_len(ngx_str_t *text);
static u_char *ngx_http_ticket_put_json(u_char *p, ngx_str_t *text);


/* in the order of ticket_phase_t */

static const char  *ngx_http_ticket_phases[] = {
    "early", "prequeue", "open", "closed"
};


/* The rooms of nginx.conf, and the further instances that this node knows. */

ngx_buf_t *
ngx_http_ticket_admin_list(ngx_http_request_t *r)
{
    ngx_buf_t                    *b;
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_http_ticket_room_t       *room;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_instance_t   *instance;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    zone = mcf->zone->data;

    /* instances may be added while this is written: room for some more */

    b = ngx_create_temp_buf(r->pool, sizeof("{\"rooms\":[]}")
                                     + (TICKET_ROOM_MAX + sizeof(",\"\""))
                                       * (mcf->rooms.nelts
                                          + zone->sh->instances + 4));
    if (b == NULL) {
        return NULL;
    }

    room = mcf->rooms.elts;

    b->last = ngx_sprintf(b->last, "{\"rooms\":[");

    for (i = 0; i < mcf->rooms.nelts; i++) {
        b->last = ngx_sprintf(b->last, "%s\"%V\"", i ? "," : "",
                              &room[i].name);
    }

    ngx_http_ticket_each(zone, i, instance) {
        name.data = instance->name;
        name.len = instance->len;

        if (ngx_http_ticket_find_room(mcf, &name)
            || ngx_http_ticket_room_of(mcf, instance) == NULL)
        {
            continue;
        }

        b->last = ngx_slprintf(b->last, b->end - 2, ",\"%V\"", &name);
    }

    b->last = ngx_sprintf(b->last, "]}");

    return b;
}


ngx_buf_t *
ngx_http_ticket_admin_state(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_answer_t *answer)
{
    u_char           *p;
    ngx_buf_t        *b;
    ngx_str_t         set;
    redisReply       *stock;
    ticket_policy_t   policy, *configured;

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_TICKET_ADMIN_STATE_LEN
                                     + ctx->name.len);
    if (b == NULL) {
        return NULL;
    }

    configured = &ctx->room->policy;
    policy = *configured;

    set = ngx_http_ticket_answer_text(answer, NGX_HTTP_TICKET_ADMIN_V_SET);

    if (ticket_policy_apply(&policy, (char *) set.data, set.len) != 0) {
        ngx_str_null(&set);
    }

    p = ngx_sprintf(b->last, "{\"room\":\"%V\",\"epoch\":%uD,"
                    "\"phase\":\"%s\",\"issued\":%uL,\"called\":%uL",
                    &ctx->name, answer->epoch,
                    ngx_http_ticket_phases[ticket_policy_phase(configured,
                                                               answer->now)],
                    answer->issued, answer->called);

#define ngx_http_ticket_put_own(p, name, i)                                   \
    ngx_sprintf(p, ",\"" name "\":%uL", ngx_http_ticket_answer_uint(answer, i))

    p = ngx_http_ticket_put_own(p, "in_line", NGX_HTTP_TICKET_ADMIN_V_IN_LINE);
    p = ngx_http_ticket_put_own(p, "calls", NGX_HTTP_TICKET_ADMIN_V_CALLS);
    p = ngx_http_ticket_put_own(p, "sessions",
                                NGX_HTTP_TICKET_ADMIN_V_SESSIONS);
    p = ngx_http_ticket_put_own(p, "calls_total",
                                NGX_HTTP_TICKET_ADMIN_V_TOTAL);
    p = ngx_http_ticket_put_own(p, "sessions_total",
                                NGX_HTTP_TICKET_ADMIN_V_BEGUN);
    p = ngx_http_ticket_put_own(p, "missed_total",
                                NGX_HTTP_TICKET_ADMIN_V_MISSED);

#undef ngx_http_ticket_put_own

    p = ngx_sprintf(p, ",\"settling\":%s",
                    ngx_http_ticket_answer_uint(answer,
                                            NGX_HTTP_TICKET_ADMIN_V_SETTLING)
                    ? "true" : "false");

    stock = answer->value[NGX_HTTP_TICKET_ADMIN_V_STOCK];

    if (stock->type == REDIS_REPLY_INTEGER && stock->integer >= 0) {
        p = ngx_sprintf(p, ",\"seats\":%L,\"sold_out\":%s", stock->integer,
                        stock->integer == 0 ? "true" : "false");

    } else {
        p = ngx_sprintf(p, ",\"seats\":null,\"sold_out\":false");
    }

    p = ngx_http_ticket_put_held(p, configured, answer);
    p = ngx_http_ticket_put_settings(p, "settings", &policy);
    p = ngx_http_ticket_put_changed(p, &set);
    p = ngx_http_ticket_put_settings(p, "defaults", configured);

    if (r->method == NGX_HTTP_POST) {
        p = ngx_sprintf(p, ",\"done\":%uL",
                        ngx_http_ticket_answer_uint(answer,
                                               NGX_HTTP_TICKET_ADMIN_V_DONE));
    }

    *p++ = '}';

    b->last = p;

    return b;
}


static u_char *
ngx_http_ticket_put_settings(u_char *p, const char *name,
    ticket_policy_t *policy)
{
    uint64_t                 value;
    ngx_uint_t               i;
    const ticket_setting_t  *set;

    p = ngx_sprintf(p, ",\"%s\":", name);

    for (i = 0; i < TICKET_SETTINGS; i++) {
        set = &ticket_settings[i];
        value = *(uint64_t *) ((u_char *) policy + set->offset);

        p = ngx_sprintf(p, "%c\"%s\":", i ? ',' : '{', set->name);

        if (set->kind == TICKET_SETTING_MODE) {
            p = ngx_sprintf(p, "\"%s\"", ticket_mode_names[value]);

        } else if (set->kind == TICKET_SETTING_FLAG) {
            p = ngx_sprintf(p, "%s", value ? "true" : "false");

        } else if (set->kind == TICKET_SETTING_LIMIT && value == 0) {
            p = ngx_sprintf(p, "null");

        } else {
            p = ngx_sprintf(p, "%uL", value);
        }
    }

    *p++ = '}';

    return p;
}


/* What has been set at run time, of "name=value name=value". */

static u_char *
ngx_http_ticket_put_changed(u_char *p, ngx_str_t *set)
{
    ngx_uint_t  i;

    p = ngx_sprintf(p, ",\"changed\":[");

    for (i = 0; i < TICKET_SETTINGS; i++) {
        if (ngx_http_ticket_is_changed(set, ticket_settings[i].setting)) {
            p = ngx_sprintf(p, "%s\"%s\"", p[-1] == '[' ? "" : ",",
                            ticket_settings[i].name);
        }
    }

    *p++ = ']';

    return p;
}


static ngx_uint_t
ngx_http_ticket_is_changed(ngx_str_t *set, const char *name)
{
    size_t   len;
    u_char  *p, *last;

    len = ngx_strlen(name);
    last = set->data + set->len;

    for (p = set->data; p && p < last; p++) {

        if ((size_t) (last - p) > len
            && ngx_memcmp(p, name, len) == 0
            && p[len] == '=')
        {
            return 1;
        }

        p = ngx_strlchr(p, last, ' ');
        if (p == NULL) {
            break;
        }
    }

    return 0;
}


static u_char *
ngx_http_ticket_put_held(u_char *p, ticket_policy_t *policy,
    ngx_http_ticket_answer_t *answer)
{
    uint64_t  held;

    held = ngx_http_ticket_answer_uint(answer, NGX_HTTP_TICKET_ADMIN_V_HELD);

    if (!policy->draw) {
        return ngx_sprintf(p, ",\"draw\":null");
    }

    if (held == 0) {
        return ngx_sprintf(p, ",\"draw\":{\"held_at_ms\":null,"
                           "\"entries\":null}");
    }

    return ngx_sprintf(p, ",\"draw\":{\"held_at_ms\":%uL,\"entries\":%uL}",
                       held,
                       ngx_http_ticket_answer_uint(answer,
                                              NGX_HTTP_TICKET_ADMIN_V_DRAWN));
}


/* The place as this node sees it. */

ngx_buf_t *
ngx_http_ticket_admin_number(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    size_t                       len;
    ngx_buf_t                   *b;
    ticket_place_t               place;
    ngx_http_ticket_instance_t  *instance;

    instance = ctx->instance;
    len = ctx->events->last - ctx->events->pos;

    b = ngx_create_temp_buf(r->pool, len + NGX_HTTP_TICKET_ADMIN_NUMBER_LEN);
    if (b == NULL) {
        return NULL;
    }

    ticket_line_look(&instance->line,
                     ngx_http_ticket_place(instance, ctx->admin->n),
                     instance->known.issued, &place);

    /* the object goes on */

    b->last = ngx_cpymem(b->last, ctx->events->pos, len - 1);

    if (place.view.life == 0
        || place.view.epoch != instance->known.epoch
        || ctx->admin->n > place.view.issued)
    {
        b->last = ngx_sprintf(b->last, ",\"in_line\":null,\"position\":null}");

    } else if (place.in_line) {
        b->last = ngx_sprintf(b->last, ",\"in_line\":true,\"position\":%uD}",
                              place.ahead + 1);

    } else {
        b->last = ngx_sprintf(b->last,
                              ",\"in_line\":false,\"position\":null}");
    }

    return b;
}


/* Latest first. */

ngx_buf_t *
ngx_http_ticket_admin_audit(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx,
    ngx_http_ticket_answer_t *answer)
{
    u_char      *p;
    size_t       len;
    ngx_buf_t   *b;
    ngx_int_t    at;
    ngx_str_t    text[4];
    ngx_uint_t   i, n;

    len = sizeof("{\"room\":\"\",\"changes\":[]}") + ctx->name.len;

    for (i = NGX_HTTP_TICKET_ADMIN_V_CHANGES; i < answer->n; i++) {
        text[0] = ngx_http_ticket_answer_text(answer, i);
        len += NGX_HTTP_TICKET_ADMIN_CHANGE_LEN
               + ngx_http_ticket_json_len(&text[0]);
    }

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NULL;
    }

    p = ngx_sprintf(b->last, "{\"room\":\"%V\",\"changes\":[", &ctx->name);

    for (i = NGX_HTTP_TICKET_ADMIN_V_CHANGES; i + 3 < answer->n; i += 4) {

        for (n = 0; n < 4; n++) {
            text[n] = ngx_http_ticket_answer_text(answer, i + n);
        }

        at = ngx_atoi(text[0].data, text[0].len);

        p = ngx_sprintf(p, "%s{\"at_ms\":%i,\"who\":\"",
                        p[-1] == '[' ? "" : ",", at);
        p = ngx_http_ticket_put_json(p, &text[1]);
        p = ngx_sprintf(p, "\",\"what\":\"");
        p = ngx_http_ticket_put_json(p, &text[2]);
        p = ngx_sprintf(p, "\",\"more\":\"");
        p = ngx_http_ticket_put_json(p, &text[3]);
        p = ngx_sprintf(p, "\"}");
    }

    b->last = ngx_sprintf(p, "]}");

    return b;
}


static size_t
ngx_http_ticket_json_len(ngx_str_t *text)
{
    return text->len + ngx_escape_json(NULL, text->data, text->len);
}


static u_char *
ngx_http_ticket_put_json(u_char *p, ngx_str_t *text)
{
    return (u_char *) ngx_escape_json(p, text->data, text->len);
}
