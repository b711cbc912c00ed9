
/*
 * Rooms: the "ticket_room" block, and which room instance a request is for.
 * An instance is "room" or "room:value", where the value usually comes from
 * a variable.
 */


#include "ngx_http_ticket_conf.h"


#define NGX_HTTP_TICKET_NAME_MAX  64


static ngx_int_t ngx_http_ticket_check_name(ngx_str_t *name);


char *
ngx_http_ticket_conf_room(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                         *rv;
    ngx_str_t                    *value;
    ngx_conf_t                    save;
    ngx_http_ticket_room_t       *room;
    ngx_http_ticket_block_t      *block;
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
    room->early = 1;

    block = ngx_pcalloc(cf->temp_pool, sizeof(ngx_http_ticket_block_t));
    if (block == NULL) {
        return NGX_CONF_ERROR;
    }

    block->room = room;

    save = *cf;
    cf->handler = ngx_http_ticket_room_setting;
    cf->handler_conf = (char *) block;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    return ngx_http_ticket_finish_room(cf, block);
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


ngx_http_ticket_room_t *
ngx_http_ticket_room_of(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance)
{
    u_char     *colon;
    ngx_str_t   name;

    name.data = instance->name;
    colon = ngx_strlchr(name.data, name.data + instance->len, ':');
    name.len = colon ? (size_t) (colon - name.data) : instance->len;

    return ngx_http_ticket_find_room(mcf, &name);
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
    if (ngx_http_complex_value(r, cv, &ctx->name) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_ticket_resolve_name(r, ctx);
}


ngx_int_t
ngx_http_ticket_resolve_name(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    u_char                       *colon, *last;
    ngx_str_t                     name, value;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);

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
