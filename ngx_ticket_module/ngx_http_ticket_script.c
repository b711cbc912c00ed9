
/*
 * Calls the Redis scripts.  They are loaded on every new connection, so that
 * EVALSHA finds them.
 */


#include "ngx_http_ticket_script.h"

#include <ngx_http_ticket_lua.h>


#define NGX_HTTP_TICKET_ARGS         13   /* arguments every script takes */
#define NGX_HTTP_TICKET_KEY_PREFIX   "ticket:{"


typedef struct {
    const char  *name;
    const char  *sha;
    const char  *text;
    size_t       len;
} ngx_http_ticket_lua_t;


static void ngx_http_ticket_loaded(redisReply *reply, void *data);
static void ngx_http_ticket_common_args(ngx_http_ticket_subject_t *subject,
    u_char *p, ngx_str_t *arg);


#define ngx_http_ticket_lua(name, NAME)                                       \
    { #name, NGX_HTTP_TICKET_LUA_##NAME##_SHA, ngx_http_ticket_lua_##name,    \
      sizeof(ngx_http_ticket_lua_##name) - 1 }

/* in the order of ngx_http_ticket_script_e */

static const ngx_http_ticket_lua_t  ngx_http_ticket_scripts[] = {
    ngx_http_ticket_lua(exchange, EXCHANGE),
    ngx_http_ticket_lua(join, JOIN),
    ngx_http_ticket_lua(claim, CLAIM),
    ngx_http_ticket_lua(leave, LEAVE),
    ngx_http_ticket_lua(resume, RESUME),
    ngx_http_ticket_lua(why, WHY),
    ngx_http_ticket_lua(admin, ADMIN)
};

#define NGX_HTTP_TICKET_SCRIPTS                                               \
    (sizeof(ngx_http_ticket_scripts) / sizeof(ngx_http_ticket_lua_t))


void
ngx_http_ticket_load_scripts(ngx_http_ticket_link_t *link)
{
    size_t       len[3];
    ngx_uint_t   i;
    const char  *argv[3];

    argv[0] = "SCRIPT";
    len[0] = 6;
    argv[1] = "LOAD";
    len[1] = 4;

    for (i = 0; i < NGX_HTTP_TICKET_SCRIPTS; i++) {
        argv[2] = ngx_http_ticket_scripts[i].text;
        len[2] = ngx_http_ticket_scripts[i].len;

        (void) ngx_http_ticket_link_command(link, ngx_http_ticket_loaded,
                               (void *) ngx_http_ticket_scripts[i].name,
                               3, argv, len);
    }
}


static void
ngx_http_ticket_loaded(redisReply *reply, void *data)
{
    const char  *name = data;

    if (reply && reply->type == REDIS_REPLY_ERROR) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ticket: Redis refused script \"%s\": %s",
                      name, reply->str);
    }
}


ngx_int_t
ngx_http_ticket_script(ngx_http_ticket_script_e script,
    ngx_http_ticket_subject_t *subject, ngx_http_ticket_reply_pt handler,
    void *data, ngx_uint_t n, ngx_str_t *args)
{
    u_char       *p, buf[TICKET_ROOM_MAX + 64
                         + NGX_HTTP_TICKET_ARGS * NGX_INT64_LEN
                         + TICKET_SETTINGS_TEXT_MAX
                         + 2 * TICKET_DRAW_KEY_LEN];
    size_t        *len;
    ngx_int_t      rc;
    ngx_str_t      arg[NGX_HTTP_TICKET_ARGS];
    ngx_uint_t     i, argc;
    const char   **argv;

    argc = 4 + NGX_HTTP_TICKET_ARGS + n;

    argv = ngx_alloc(argc * (sizeof(char *) + sizeof(size_t)),
                     ngx_cycle->log);
    if (argv == NULL) {
        return NGX_ERROR;
    }

    len = (size_t *) (argv + argc);

    argv[0] = "EVALSHA";
    len[0] = 7;
    argv[1] = ngx_http_ticket_scripts[script].sha;
    len[1] = 40;
    argv[2] = "1";
    len[2] = 1;

    p = ngx_sprintf(buf, NGX_HTTP_TICKET_KEY_PREFIX "%*s}",
                    subject->instance->len, subject->instance->name);
    argv[3] = (char *) buf;
    len[3] = p - buf;

    ngx_http_ticket_common_args(subject, p, arg);

    for (i = 0; i < NGX_HTTP_TICKET_ARGS; i++) {
        argv[4 + i] = (char *) arg[i].data;
        len[4 + i] = arg[i].len;
    }

    for (i = 0; i < n; i++) {
        argv[4 + NGX_HTTP_TICKET_ARGS + i] = (char *) args[i].data;
        len[4 + NGX_HTTP_TICKET_ARGS + i] = args[i].len;
    }

    rc = ngx_http_ticket_redis_command(subject->mcf->process->redis, 3,
                                       handler, data, argc, argv, len);

    ngx_free(argv);

    return rc;
}


/* The arguments as lua/line.lua lists them. */

static void
ngx_http_ticket_common_args(ngx_http_ticket_subject_t *subject, u_char *p,
    ngx_str_t *arg)
{
    ngx_http_ticket_zone_t      *zone;
    ngx_http_ticket_instance_t  *instance;

    instance = subject->instance;
    zone = subject->mcf->zone->data;

    arg[0] = subject->mcf->node;
    arg[7] = subject->room->text;

    ngx_shmtx_lock(&zone->shpool->mutex);

    p = ngx_http_ticket_uint_arg(instance->known.epoch, p, &arg[1]);
    p = ngx_http_ticket_uint_arg(instance->known.issued, p, &arg[2]);
    p = ngx_http_ticket_uint_arg(instance->known.called, p, &arg[3]);
    p = ngx_http_ticket_uint_arg(instance->known.seq, p, &arg[4]);
    p = ngx_http_ticket_uint_arg(instance->changes.version, p, &arg[8]);

    arg[9].data = p;
    p = ngx_cpymem(p, instance->changes.text, instance->changes.len);
    arg[9].len = p - arg[9].data;

    p = ngx_http_ticket_uint_arg(instance->draw.held, p, &arg[10]);
    p = ngx_http_ticket_uint_arg(instance->draw.entries, p, &arg[11]);

    arg[12].data = p;
    p = ngx_hex_dump(p, instance->draw.key, TICKET_DRAW_KEY_LEN);
    arg[12].len = p - arg[12].data;

    ngx_shmtx_unlock(&zone->shpool->mutex);

    p = ngx_http_ticket_uint_arg(subject->life, p, &arg[5]);
    (void) ngx_http_ticket_uint_arg(ngx_http_ticket_is_doubtful(zone), p,
                                    &arg[6]);
}


ngx_int_t
ngx_http_ticket_read_answer(ngx_http_ticket_subject_t *subject,
    redisReply *reply, ngx_http_ticket_answer_t *answer)
{
    ngx_time_t                *tp;
    ngx_http_ticket_zone_t    *zone;
    ngx_http_ticket_known_t    news;

    if (reply == NULL) {
        return NGX_ERROR;
    }

    zone = subject->mcf->zone->data;

    if (reply->type == REDIS_REPLY_ERROR) {
        (void) ngx_atomic_fetch_add(&zone->sh->redis_errors, 1);

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ticket: Redis failed for room \"%*s\": %s",
                      subject->instance->len, subject->instance->name,
                      reply->str);

        return NGX_ERROR;
    }

    if (ticket_answer_read(reply, answer) != 0) {
        ngx_http_ticket_malformed(subject);
        return NGX_ERROR;
    }

    news.epoch = answer->epoch;
    news.seq = answer->seq;
    news.issued = answer->issued;
    news.called = answer->called;

    ngx_http_ticket_learn(zone, subject->instance, &news);

    tp = ngx_timeofday();
    zone->sh->clock_offset = (ngx_atomic_uint_t)
                  (answer->now - ((uint64_t) tp->sec * 1000 + tp->msec));

    return NGX_OK;
}


void
ngx_http_ticket_malformed(ngx_http_ticket_subject_t *subject)
{
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "ticket: Redis gave an answer of an unknown form for room "
                  "\"%*s\"", subject->instance->len, subject->instance->name);
}


ngx_str_t
ngx_http_ticket_answer_text(ngx_http_ticket_answer_t *answer, ngx_uint_t i)
{
    ngx_str_t      s;
    ticket_text_t  text;

    text = ticket_answer_text(answer, i);

    s.len = text.len;
    s.data = (u_char *) text.data;

    return s;
}


u_char *
ngx_http_ticket_uint_arg(uint64_t n, u_char *p, ngx_str_t *arg)
{
    arg->data = p;
    p = ngx_sprintf(p, "%uL", n);
    arg->len = p - arg->data;

    return p;
}
