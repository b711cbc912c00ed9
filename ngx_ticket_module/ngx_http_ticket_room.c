
/*
 * Rooms: the "ticket_room" block, and which room instance a request is for.
 * An instance is "room" or "room:value", where the value usually comes from
 * a variable.
 */


#include "ngx_http_ticket_conf.h"


#define NGX_HTTP_TICKET_NAME_MAX  64


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   offset;
    ngx_uint_t   min;
    ngx_uint_t   max;
    ngx_uint_t   time;      /* unsigned  time:1; a time, else a count */
} ngx_http_ticket_setting_t;


static char *ngx_http_ticket_room_setting(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);
static char *ngx_http_ticket_room_rate(ngx_conf_t *cf,
    ngx_http_ticket_room_t *room);
static char *ngx_http_ticket_room_number(ngx_conf_t *cf,
    ngx_http_ticket_room_t *room, ngx_http_ticket_setting_t *setting);
static ngx_int_t ngx_http_ticket_check_name(ngx_str_t *name);


#define ngx_http_ticket_setting(name, min, max, time)                         \
    { ngx_string(#name), offsetof(ngx_http_ticket_room_t, name), min, max,    \
      time }

static ngx_http_ticket_setting_t  ngx_http_ticket_settings[] = {
    ngx_http_ticket_setting(slots, 1, 10000000, 0),
    ngx_http_ticket_setting(session, 1000, 86400000, 1),
    ngx_http_ticket_setting(claim, 1000, 3600000, 1),
    ngx_http_ticket_setting(liveness, 1000, 3600000, 1)
};

#define NGX_HTTP_TICKET_SETTINGS                                              \
    (sizeof(ngx_http_ticket_settings) / sizeof(ngx_http_ticket_setting_t))


char *
ngx_http_ticket_conf_room(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                         *rv;
    ngx_str_t                    *value;
    ngx_conf_t                    save;
    ngx_http_ticket_room_t       *room;
    ngx_http_ticket_main_conf_t  *mcf = conf;

    value = cf->args->elts;

    if (ngx_http_ticket_check_name(&value[1]) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" in \"ticket_room\": 1 to %d "
                           "letters, digits, \".\", \"_\" and \"-\" are "
                           "allowed", &value[1], NGX_HTTP_TICKET_NAME_MAX);
        return NGX_CONF_ERROR;
    }

    if (ngx_http_ticket_find_room(mcf, &value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ticket_room\" \"%V\" is defined twice",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    room = ngx_array_push(&mcf->rooms);
    if (room == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(room, sizeof(ngx_http_ticket_room_t));
    room->name = value[1];

    save = *cf;
    cf->handler = ngx_http_ticket_room_setting;
    cf->handler_conf = (char *) room;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    room->session = room->session ? room->session : 600000;
    room->claim = room->claim ? room->claim : 120000;
    room->liveness = room->liveness ? room->liveness : 120000;

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_room_setting(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_http_ticket_setting_t  *setting;

    value = cf->args->elts;

    if (ngx_strcmp(value[0].data, "rate") == 0) {
        return ngx_http_ticket_room_rate(cf, conf);
    }

    for (i = 0; i < NGX_HTTP_TICKET_SETTINGS; i++) {
        setting = &ngx_http_ticket_settings[i];

        if (ngx_strcmp(value[0].data, setting->name.data) == 0) {
            return ngx_http_ticket_room_number(cf, conf, setting);
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown setting \"%V\" in \"ticket_room\": there are "
                       "slots, rate, session, claim and liveness", &value[0]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_ticket_room_number(ngx_conf_t *cf, ngx_http_ticket_room_t *room,
    ngx_http_ticket_setting_t *setting)
{
    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t  *field;

    value = cf->args->elts;
    field = (ngx_uint_t *) ((u_char *) room + setting->offset);

    if (*field != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is set twice in \"ticket_room\"",
                           &setting->name);
        return NGX_CONF_ERROR;
    }

    n = NGX_ERROR;

    if (cf->args->nelts == 2) {
        n = setting->time ? ngx_parse_time(&value[1], 0)
                          : ngx_atoi(value[1].data, value[1].len);
    }

    if (n == NGX_ERROR
        || (ngx_uint_t) n < setting->min || (ngx_uint_t) n > setting->max)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"ticket_room\" takes one %s from %ui "
                           "to %ui%s", &setting->name,
                           setting->time ? "time" : "number",
                           setting->min, setting->max,
                           setting->time ? " milliseconds" : "");
        return NGX_CONF_ERROR;
    }

    *field = n;

    return NGX_CONF_OK;
}


/* rate 300 10s; */

static char *
ngx_http_ticket_room_rate(ngx_conf_t *cf, ngx_http_ticket_room_t *room)
{
    ngx_int_t   n, per;
    ngx_str_t  *value;

    value = cf->args->elts;

    if (room->rate) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"rate\" is set twice in \"ticket_room\"");
        return NGX_CONF_ERROR;
    }

    n = NGX_ERROR;
    per = NGX_ERROR;

    if (cf->args->nelts == 3) {
        n = ngx_atoi(value[1].data, value[1].len);
        per = ngx_parse_time(&value[2], 0);
    }

    if (n < 1 || n > 10000000 || per < 100 || per > 86400000) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"rate\" in \"ticket_room\" takes a number from 1 "
                           "to 10000000 and a time from 100ms to 1d");
        return NGX_CONF_ERROR;
    }

    room->rate = n;
    room->per = per;

    return NGX_CONF_OK;
}


ngx_http_ticket_room_t *
ngx_http_ticket_find_room(ngx_http_ticket_main_conf_t *mcf, ngx_str_t *name)
{
    ngx_uint_t               i;
    ngx_http_ticket_room_t  *room;

    room = mcf->rooms.elts;

    for (i = 0; i < mcf->rooms.nelts; i++) {
        if (room[i].name.len == name->len
            && ngx_memcmp(room[i].name.data, name->data, name->len) == 0)
        {
            return &room[i];
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_ticket_check_name(ngx_str_t *name)
{
    u_char      c;
    ngx_uint_t  i;

    if (name->len == 0 || name->len > NGX_HTTP_TICKET_NAME_MAX) {
        return NGX_ERROR;
    }

    for (i = 0; i < name->len; i++) {
        c = name->data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')
        {
            continue;
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_http_complex_value_t *
ngx_http_ticket_value(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_http_complex_value_t          *cv;
    ngx_http_compile_complex_value_t   ccv;

    cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (cv == NULL) {
        return NULL;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    return (ngx_http_compile_complex_value(&ccv) == NGX_OK) ? cv : NULL;
}


ngx_http_complex_value_t *
ngx_http_ticket_room_value(ngx_conf_t *cf, ngx_str_t *value,
    const char *directive)
{
    ngx_http_complex_value_t     *cv;
    ngx_http_ticket_room_use_t   *use;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);

    cv = ngx_http_ticket_value(cf, value);
    if (cv == NULL) {
        return NULL;
    }

    use = ngx_array_push(&mcf->uses);
    if (use == NULL) {
        return NULL;
    }

    use->cv = cv;
    use->directive = directive;
    mcf->used = 1;

    return cv;
}


/*
 * What stands before a ":" or a variable must name a room; a value without
 * variables must be one that a room instance can have.
 */

ngx_int_t
ngx_http_ticket_check_rooms(ngx_conf_t *cf, ngx_http_ticket_main_conf_t *mcf)
{
    u_char                      *last, *dollar, *colon;
    ngx_str_t                    name, value;
    ngx_uint_t                   i;
    ngx_http_ticket_room_use_t  *use;

    use = mcf->uses.elts;

    for (i = 0; i < mcf->uses.nelts; i++) {
        name = use[i].cv->value;
        last = name.data + name.len;

        dollar = ngx_strlchr(name.data, last, '$');
        colon = ngx_strlchr(name.data, dollar ? dollar : last, ':');

        if (colon) {
            name.len = colon - name.data;
            value.data = colon + 1;
            value.len = last - value.data;

            if (dollar == NULL && ngx_http_ticket_check_name(&value) != NGX_OK)
            {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "\"%s %V\" has an invalid value after the "
                              "\":\": 1 to %d letters, digits, \".\", \"_\" "
                              "and \"-\" are allowed", use[i].directive,
                              &use[i].cv->value, NGX_HTTP_TICKET_NAME_MAX);
                return NGX_ERROR;
            }

        } else if (dollar) {
            continue;
        }

        if (ngx_http_ticket_find_room(mcf, &name) == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"%s %V\" refers to room \"%V\", which no "
                          "\"ticket_room\" defines", use[i].directive,
                          &use[i].cv->value, &name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_ticket_resolve(ngx_http_request_t *r, ngx_http_complex_value_t *cv,
    ngx_http_ticket_ctx_t *ctx)
{
    u_char                       *colon, *last;
    ngx_str_t                     name, value;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

    if (ngx_http_complex_value(r, cv, &ctx->name) != NGX_OK) {
        return NGX_ERROR;
    }

    name = ctx->name;
    last = name.data + name.len;

    colon = ngx_strlchr(name.data, last, ':');

    if (colon) {
        name.len = colon - name.data;
        value.data = colon + 1;
        value.len = last - value.data;

        if (ngx_http_ticket_check_name(&value) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    ctx->room = ngx_http_ticket_find_room(mcf, &name);
    if (ctx->room == NULL) {
        return NGX_DECLINED;
    }

    ctx->instance = ngx_http_ticket_find_instance(mcf->zone->data, &ctx->name);

    return NGX_OK;
}
