
/*
 * Settings: what may stand in a "ticket_room" block.
 */


#include "ngx_http_ticket_conf.h"

#include <ticket_time.h>


typedef struct ngx_http_ticket_setting_s  ngx_http_ticket_setting_t;

typedef char *(*ngx_http_ticket_setting_pt)(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);

struct ngx_http_ticket_setting_s {
    ngx_str_t                    name;
    ngx_http_ticket_setting_pt   read;
    ngx_uint_t                   offset;   /* in the policy */
    ngx_uint_t                   min;
    ngx_uint_t                   max;
};


static char *ngx_http_ticket_setting_number(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_time(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_flag(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_rate(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_session(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_mode(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_per_seat(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_date(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_timezone(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static char *ngx_http_ticket_setting_early(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting);
static ngx_int_t ngx_http_ticket_read_dates(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block);
static char *ngx_http_ticket_check_hours(ngx_conf_t *cf,
    ticket_policy_t *policy);


#define ngx_http_ticket_setting(name, read, field, min, max)                  \
    { ngx_string(name), ngx_http_ticket_setting_##read,                       \
      offsetof(ticket_policy_t, field), min, max }

static ngx_http_ticket_setting_t  ngx_http_ticket_settings[] = {
    ngx_http_ticket_setting("slots", number, slots, 1, 10000000),
    ngx_http_ticket_setting("rate", rate, rate, 1, 10000000),
    ngx_http_ticket_setting("session", session, session, 1000, 86400000),
    ngx_http_ticket_setting("claim", time, claim, 1000, 3600000),
    ngx_http_ticket_setting("liveness", time, liveness, 1000, 3600000),
    ngx_http_ticket_setting("mode", mode, mode, 0, 0),
    ngx_http_ticket_setting("paused", flag, paused, 0, 1),
    ngx_http_ticket_setting("queue_all", flag, queue_all, 0, 1),
    ngx_http_ticket_setting("draw", flag, draw, 0, 1),
    ngx_http_ticket_setting("admit_per_seat", per_seat, per_seat, 1, 1000000),
    ngx_http_ticket_setting("timezone", timezone, opens, 0, 0),
    ngx_http_ticket_setting("prequeue", date, prequeue,
                            NGX_HTTP_TICKET_PREQUEUE_DATE, 0),
    ngx_http_ticket_setting("opens", date, opens,
                            NGX_HTTP_TICKET_OPENS_DATE, 0),
    ngx_http_ticket_setting("closes", date, closes,
                            NGX_HTTP_TICKET_CLOSES_DATE, 0),
    ngx_http_ticket_setting("early_polls", early, opens, 0, 0)
};

#define NGX_HTTP_TICKET_SETTINGS                                              \
    (sizeof(ngx_http_ticket_settings) / sizeof(ngx_http_ticket_setting_t))


#define ngx_http_ticket_field(block, setting)                                 \
    (uint64_t *) ((u_char *) &(block)->room->policy + (setting)->offset)


char *
ngx_http_ticket_room_setting(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_str_t                  *value;
    ngx_uint_t                  i;
    ngx_http_ticket_block_t    *block = conf;
    ngx_http_ticket_setting_t  *setting;

    value = cf->args->elts;

    for (i = 0; i < NGX_HTTP_TICKET_SETTINGS; i++) {
        setting = &ngx_http_ticket_settings[i];

        if (ngx_strcmp(value[0].data, setting->name.data) != 0) {
            continue;
        }

        if (block->seen & ((ngx_uint_t) 1 << i)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"%V\" is set twice in \"ticket_room\"",
                               &setting->name);
            return NGX_CONF_ERROR;
        }

        block->seen |= (ngx_uint_t) 1 << i;

        return setting->read(cf, block, setting);
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "unknown setting \"%V\" in \"ticket_room\": there are "
                       "slots, rate, session, claim, liveness, mode, paused, "
                       "queue_all, admit_per_seat, timezone, prequeue, opens, "
                       "closes, draw and early_polls", &value[0]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_ticket_setting_number(ngx_conf_t *cf, ngx_http_ticket_block_t *block,
    ngx_http_ticket_setting_t *setting)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;

    n = (cf->args->nelts == 2) ? ngx_atoi(value[1].data, value[1].len)
                               : NGX_ERROR;

    if (n == NGX_ERROR
        || (ngx_uint_t) n < setting->min || (ngx_uint_t) n > setting->max)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"ticket_room\" takes one number from "
                           "%ui to %ui", &setting->name, setting->min,
                           setting->max);
        return NGX_CONF_ERROR;
    }

    *ngx_http_ticket_field(block, setting) = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_setting_time(ngx_conf_t *cf, ngx_http_ticket_block_t *block,
    ngx_http_ticket_setting_t *setting)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;

    n = (cf->args->nelts == 2) ? ngx_parse_time(&value[1], 0) : NGX_ERROR;

    if (n == NGX_ERROR
        || (ngx_uint_t) n < setting->min || (ngx_uint_t) n > setting->max)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"ticket_room\" takes one time from "
                           "%ui to %ui milliseconds", &setting->name,
                           setting->min, setting->max);
        return NGX_CONF_ERROR;
    }

    *ngx_http_ticket_field(block, setting) = n;

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_setting_flag(ngx_conf_t *cf, ngx_http_ticket_block_t *block,
    ngx_http_ticket_setting_t *setting)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "on") == 0) {
        *ngx_http_ticket_field(block, setting) = 1;
        return NGX_CONF_OK;
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" in \"ticket_room\" takes on or off",
                       &setting->name);

    return NGX_CONF_ERROR;
}


/* rate 300 10s; */

static char *
ngx_http_ticket_setting_rate(ngx_conf_t *cf, ngx_http_ticket_block_t *block,
    ngx_http_ticket_setting_t *setting)
{
    ngx_int_t   n, per;
    ngx_str_t  *value;

    value = cf->args->elts;

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

    block->room->policy.rate = n;
    block->room->policy.per = per;

    return NGX_CONF_OK;
}


/* session 10m [renew=on max=30m]; */

static char *
ngx_http_ticket_setting_session(ngx_conf_t *cf, ngx_http_ticket_block_t *block,
    ngx_http_ticket_setting_t *setting)
{
    ngx_int_t         session, max, renew;
    ngx_str_t        *value, s;
    ngx_uint_t        i;
    ticket_policy_t  *policy;

    value = cf->args->elts;
    policy = &block->room->policy;

    session = (cf->args->nelts >= 2) ? ngx_parse_time(&value[1], 0)
                                     : NGX_ERROR;
    renew = 0;
    max = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "renew=on") == 0) {
            renew = 1;

        } else if (ngx_strcmp(value[i].data, "renew=off") == 0) {
            renew = 0;

        } else if (ngx_strncmp(value[i].data, "max=", 4) == 0) {
            s.data = value[i].data + 4;
            s.len = value[i].len - 4;
            max = ngx_parse_time(&s, 0);

        } else {
            session = NGX_ERROR;
        }
    }

    if (session == NGX_ERROR
        || (ngx_uint_t) session < setting->min
        || (ngx_uint_t) session > setting->max
        || (renew && (max < session || (ngx_uint_t) max > setting->max))
        || (!renew && max != 0))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"session\" in \"ticket_room\" takes one time "
                           "from %ui to %ui milliseconds, and to be renewed "
                           "\"renew=on max=time\" with a time that is not "
                           "shorter", setting->min, setting->max);
        return NGX_CONF_ERROR;
    }

    policy->session = session;
    policy->max = max;

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_setting_mode(ngx_conf_t *cf, ngx_http_ticket_block_t *block,
    ngx_http_ticket_setting_t *setting)
{
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;

    for (i = 0; cf->args->nelts == 2 && i < TICKET_MODES; i++) {
        if (ngx_strcmp(value[1].data, ticket_mode_names[i]) == 0) {
            block->room->policy.mode = i;
            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"mode\" in \"ticket_room\" takes fifo, passthrough "
                       "or reject");

    return NGX_CONF_ERROR;
}


/* admit_per_seat 1.5; is kept in thousandths */

static char *
ngx_http_ticket_setting_per_seat(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;

    n = (cf->args->nelts == 2) ? ngx_atofp(value[1].data, value[1].len, 3)
                               : NGX_ERROR;

    if (n == NGX_ERROR
        || (ngx_uint_t) n < setting->min || (ngx_uint_t) n > setting->max)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"admit_per_seat\" in \"ticket_room\" takes one "
                           "number from 0.001 to 1000");
        return NGX_CONF_ERROR;
    }

    block->room->policy.per_seat = n;

    return NGX_CONF_OK;
}


/* Read when the block ends, since the time zone may stand behind it. */

static char *
ngx_http_ticket_setting_date(ngx_conf_t *cf, ngx_http_ticket_block_t *block,
    ngx_http_ticket_setting_t *setting)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts != 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" in \"ticket_room\" takes one date and "
                           "time, for example 2026-12-01T10:00:00+09:00",
                           &setting->name);
        return NGX_CONF_ERROR;
    }

    block->date[setting->min] = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_setting_timezone(ngx_conf_t *cf,
    ngx_http_ticket_block_t *block, ngx_http_ticket_setting_t *setting)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts != 2) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"timezone\" in \"ticket_room\" takes one name, "
                           "for example Asia/Seoul");
        return NGX_CONF_ERROR;
    }

    block->timezone = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_setting_early(ngx_conf_t *cf, ngx_http_ticket_block_t *block,
    ngx_http_ticket_setting_t *setting)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "refuse") == 0) {
        return NGX_CONF_OK;
    }

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "allow") == 0) {
        block->room->early = 0;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"early_polls\" in \"ticket_room\" takes refuse or "
                       "allow");

    return NGX_CONF_ERROR;
}


char *
ngx_http_ticket_finish_room(ngx_conf_t *cf, ngx_http_ticket_block_t *block)
{
    char                     text[TICKET_POLICY_TEXT_MAX];
    char                    *rv;
    ticket_policy_t         *policy;
    ngx_http_ticket_room_t  *room;

    room = block->room;
    policy = &room->policy;

    policy->session = policy->session ? policy->session : 600000;
    policy->claim = policy->claim ? policy->claim : 120000;
    policy->liveness = policy->liveness ? policy->liveness : 120000;
    policy->per = policy->per ? policy->per : 1000;

    if (ngx_http_ticket_read_dates(cf, block) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    rv = ngx_http_ticket_check_hours(cf, policy);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    room->text.len = ticket_policy_write(policy, text);
    room->text.data = ngx_pnalloc(cf->pool, room->text.len);
    if (room->text.data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(room->text.data, text, room->text.len);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ticket_read_dates(ngx_conf_t *cf, ngx_http_ticket_block_t *block)
{
    int               rc;
    char              err[256];
    int64_t           ms;
    ngx_uint_t        i;
    ticket_policy_t  *policy;
    uint64_t         *field[NGX_HTTP_TICKET_DATES];

    policy = &block->room->policy;

    field[NGX_HTTP_TICKET_PREQUEUE_DATE] = &policy->prequeue;
    field[NGX_HTTP_TICKET_OPENS_DATE] = &policy->opens;
    field[NGX_HTTP_TICKET_CLOSES_DATE] = &policy->closes;

    for (i = 0; i < NGX_HTTP_TICKET_DATES; i++) {

        if (block->date[i].len == 0) {
            continue;
        }

        rc = ticket_time_parse((char *) block->date[i].data,
                               block->date[i].len,
                               (char *) block->timezone.data, &ms, err,
                               sizeof(err));

        if (rc != 0 || ms <= 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"ticket_room\" \"%V\" cannot use the date "
                               "\"%V\": %s", &block->room->name,
                               &block->date[i],
                               rc != 0 ? err : "it is before 1970");
            return NGX_ERROR;
        }

        *field[i] = ms;
    }

    return NGX_OK;
}


static char *
ngx_http_ticket_check_hours(ngx_conf_t *cf, ticket_policy_t *policy)
{
    char  *wrong;

    wrong = NULL;

    if (policy->prequeue && policy->prequeue >= policy->opens) {
        wrong = "\"prequeue\" in \"ticket_room\" needs \"opens\" with a "
                "later time";

    } else if (policy->closes
               && policy->closes <= ngx_max(policy->opens, policy->prequeue))
    {
        wrong = "\"closes\" in \"ticket_room\" must be later than \"opens\"";

    } else if (policy->draw && policy->prequeue == 0) {
        wrong = "\"draw\" in \"ticket_room\" needs \"prequeue\" and "
                "\"opens\": places are drawn among those who came between";
    }

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", wrong);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
