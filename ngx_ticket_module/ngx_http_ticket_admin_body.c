
/*
 * What an operator wants: the JSON body of a PATCH or POST, one flat object.
 * It is read as it stands, member by member, so that nothing nested is ever
 * built; the first thing that is wrong is told by the name of its member.
 */


#include "ngx_http_ticket_admin.h"

#include <yajl/yajl_parse.h>


#define NGX_HTTP_TICKET_ADMIN_WRONG_LEN  256
#define NGX_HTTP_TICKET_ADMIN_NAME_MAX   32
#define NGX_HTTP_TICKET_ADMIN_DIGITS     9


/* Members of a POST follow those of a PATCH. */

#define NGX_HTTP_TICKET_M_COMMAND   NGX_HTTP_TICKET_SETS
#define NGX_HTTP_TICKET_M_COUNT     (NGX_HTTP_TICKET_SETS + 1)
#define NGX_HTTP_TICKET_M_NUMBER    (NGX_HTTP_TICKET_SETS + 2)
#define NGX_HTTP_TICKET_MEMBERS     (NGX_HTTP_TICKET_SETS + 3)

#define ngx_http_ticket_has(reader, i)                                        \
    ((reader)->seen & ((ngx_uint_t) 1 << (i)))


typedef enum {
    NGX_HTTP_TICKET_JSON_NULL = 0,
    NGX_HTTP_TICKET_JSON_FLAG,
    NGX_HTTP_TICKET_JSON_NUMBER,
    NGX_HTTP_TICKET_JSON_TEXT,
    NGX_HTTP_TICKET_JSON_NESTED
} ngx_http_ticket_json_e;


typedef struct {
    ngx_http_request_t       *request;
    ngx_http_ticket_admin_t  *admin;
    ngx_uint_t                member;    /* whose value comes next */
    ngx_uint_t                seen;      /* bits, by member */
    ngx_uint_t                nulls;     /* bits, by member */
    uint64_t                  value[NGX_HTTP_TICKET_MEMBERS];
    unsigned                  open:1;    /* within the object */
    unsigned                  patch:1;
} ngx_http_ticket_reader_t;


static int ngx_http_ticket_json_null(void *data);
static int ngx_http_ticket_json_flag(void *data, int flag);
static int ngx_http_ticket_json_number(void *data, const char *text,
    size_t len);
static int ngx_http_ticket_json_text(void *data, const unsigned char *text,
    size_t len);
static int ngx_http_ticket_json_map(void *data);
static int ngx_http_ticket_json_name(void *data, const unsigned char *text,
    size_t len);
static int ngx_http_ticket_json_end(void *data);
static int ngx_http_ticket_json_array(void *data);
static int ngx_http_ticket_json_value(ngx_http_ticket_reader_t *reader,
    ngx_http_ticket_json_e type, ngx_str_t *text);
static ngx_uint_t ngx_http_ticket_json_one_of(ngx_str_t *text, ngx_str_t *list,
    ngx_uint_t n);
static ngx_int_t ngx_http_ticket_json_digits(ngx_str_t *text, uint64_t min,
    uint64_t max, uint64_t *n);
static int ngx_http_ticket_json_takes(ngx_http_ticket_reader_t *reader);
static void ngx_http_ticket_admin_range(ngx_uint_t member, uint64_t *min,
    uint64_t *max);
static ngx_int_t ngx_http_ticket_admin_settings(
    ngx_http_ticket_reader_t *reader);
static void ngx_http_ticket_admin_command(ngx_http_ticket_reader_t *reader);
static int ngx_cdecl ngx_http_ticket_admin_wrong(
    ngx_http_ticket_reader_t *reader, const char *fmt, ...);


ngx_http_ticket_set_t  ngx_http_ticket_sets[NGX_HTTP_TICKET_SETS] = {

    { ngx_string("slots"), ngx_string("slots"), NGX_HTTP_TICKET_SET_LIMIT,
      offsetof(ticket_policy_t, slots) },

    { ngx_string("rate"), ngx_string("rate"), NGX_HTTP_TICKET_SET_LIMIT,
      offsetof(ticket_policy_t, rate) },

    { ngx_string("per_ms"), ngx_string("per"), NGX_HTTP_TICKET_SET_NUMBER,
      offsetof(ticket_policy_t, per) },

    { ngx_string("mode"), ngx_string("mode"), NGX_HTTP_TICKET_SET_MODE,
      offsetof(ticket_policy_t, mode) },

    { ngx_string("paused"), ngx_string("paused"), NGX_HTTP_TICKET_SET_FLAG,
      offsetof(ticket_policy_t, paused) },

    { ngx_string("queue_all"), ngx_string("queue_all"),
      NGX_HTTP_TICKET_SET_FLAG, offsetof(ticket_policy_t, queue_all) }
};


/* in the order of the members from NGX_HTTP_TICKET_M_COMMAND on */

static ngx_str_t  ngx_http_ticket_post_members[] = {
    ngx_string("command"),
    ngx_string("count"),
    ngx_string("number")
};


static ngx_str_t  ngx_http_ticket_post_commands[] = {
    ngx_string("reset"),
    ngx_string("call"),
    ngx_string("revoke")
};


static yajl_callbacks  ngx_http_ticket_json_callbacks = {
    ngx_http_ticket_json_null,
    ngx_http_ticket_json_flag,
    NULL,
    NULL,
    ngx_http_ticket_json_number,
    ngx_http_ticket_json_text,
    ngx_http_ticket_json_map,
    ngx_http_ticket_json_name,
    ngx_http_ticket_json_end,
    ngx_http_ticket_json_array,
    ngx_http_ticket_json_end
};


ngx_int_t
ngx_http_ticket_admin_read(ngx_http_request_t *r,
    ngx_http_ticket_admin_t *admin, ngx_str_t *body)
{
    size_t                     at;
    yajl_handle                json;
    yajl_status                status;
    ngx_http_ticket_reader_t   reader;

    ngx_memzero(&reader, sizeof(ngx_http_ticket_reader_t));

    reader.request = r;
    reader.admin = admin;
    reader.patch = (r->method == NGX_HTTP_PATCH);

    json = yajl_alloc(&ngx_http_ticket_json_callbacks, NULL, &reader);
    if (json == NULL) {
        return NGX_ERROR;
    }

    status = yajl_parse(json, body->data, body->len);
    at = yajl_get_bytes_consumed(json);

    if (status == yajl_status_ok) {
        status = yajl_complete_parse(json);
    }

    yajl_free(json);

    if (status != yajl_status_ok) {

        if (admin->wrong.len == 0) {
            ngx_http_ticket_admin_wrong(&reader, "The body is not JSON: byte "
                                        "%uz of %uz is wrong.", at,
                                        body->len);
        }

    } else if (reader.patch) {
        return ngx_http_ticket_admin_settings(&reader);

    } else {
        ngx_http_ticket_admin_command(&reader);
    }

    return NGX_OK;
}


static int
ngx_http_ticket_json_null(void *data)
{
    return ngx_http_ticket_json_value(data, NGX_HTTP_TICKET_JSON_NULL, NULL);
}


static int
ngx_http_ticket_json_flag(void *data, int flag)
{
    ngx_str_t  text;

    text.data = (u_char *) (flag ? "1" : "0");
    text.len = 1;

    return ngx_http_ticket_json_value(data, NGX_HTTP_TICKET_JSON_FLAG, &text);
}


static int
ngx_http_ticket_json_number(void *data, const char *number, size_t len)
{
    ngx_str_t  text;

    text.data = (u_char *) number;
    text.len = len;

    return ngx_http_ticket_json_value(data, NGX_HTTP_TICKET_JSON_NUMBER,
                                      &text);
}


static int
ngx_http_ticket_json_text(void *data, const unsigned char *string, size_t len)
{
    ngx_str_t  text;

    text.data = (u_char *) string;
    text.len = len;

    return ngx_http_ticket_json_value(data, NGX_HTTP_TICKET_JSON_TEXT, &text);
}


static int
ngx_http_ticket_json_array(void *data)
{
    return ngx_http_ticket_json_value(data, NGX_HTTP_TICKET_JSON_NESTED, NULL);
}


static int
ngx_http_ticket_json_map(void *data)
{
    ngx_http_ticket_reader_t  *reader = data;

    if (!reader->open) {
        reader->open = 1;
        return 1;
    }

    return ngx_http_ticket_json_array(data);
}


static int
ngx_http_ticket_json_end(void *data)
{
    return 1;
}


static int
ngx_http_ticket_json_name(void *data, const unsigned char *string, size_t len)
{
    ngx_str_t                  name, *known;
    ngx_uint_t                 i, from, to;
    ngx_http_ticket_reader_t  *reader = data;

    from = reader->patch ? 0 : NGX_HTTP_TICKET_M_COMMAND;
    to = reader->patch ? NGX_HTTP_TICKET_SETS : NGX_HTTP_TICKET_MEMBERS;

    name.data = (u_char *) string;
    name.len = len;

    for (i = from; i < to; i++) {
        known = (i < NGX_HTTP_TICKET_SETS)
                ? &ngx_http_ticket_sets[i].name
                : &ngx_http_ticket_post_members[i - NGX_HTTP_TICKET_M_COMMAND];

        if (ngx_http_ticket_json_one_of(&name, known, 1) == 1) {
            continue;
        }

        if (ngx_http_ticket_has(reader, i)) {
            return ngx_http_ticket_admin_wrong(reader, "%V stands there "
                                               "twice.", known);
        }

        reader->member = i;
        reader->seen |= (ngx_uint_t) 1 << i;

        return 1;
    }

    if (name.len > NGX_HTTP_TICKET_ADMIN_NAME_MAX) {
        ngx_str_set(&name, "A long name");
    }

    return ngx_http_ticket_admin_wrong(reader, reader->patch
                       ? "%V is no setting: there are slots, rate, per_ms, "
                         "mode, paused and queue_all."
                       : "%V is no member of a command: there are command, "
                         "count and number.", &name);
}


/* 0, with what the member takes, when the value is not of its kind. */

static int
ngx_http_ticket_json_value(ngx_http_ticket_reader_t *reader,
    ngx_http_ticket_json_e type, ngx_str_t *text)
{
    uint64_t                    n, min, max;
    ngx_uint_t                  member;
    ngx_http_ticket_json_e      wants;
    ngx_http_ticket_set_kind_e  kind;

    member = reader->member;

    if (!reader->open) {
        return ngx_http_ticket_admin_wrong(reader, "The body must be one JSON "
                                           "object, {...}.");
    }

    if (type == NGX_HTTP_TICKET_JSON_NULL && reader->patch) {
        reader->nulls |= (ngx_uint_t) 1 << member;
        return 1;
    }

    kind = (member < NGX_HTTP_TICKET_SETS) ? ngx_http_ticket_sets[member].kind
                                           : NGX_HTTP_TICKET_SET_NUMBER;

    wants = (kind == NGX_HTTP_TICKET_SET_FLAG) ? NGX_HTTP_TICKET_JSON_FLAG
            : (kind == NGX_HTTP_TICKET_SET_MODE
               || member == NGX_HTTP_TICKET_M_COMMAND)
              ? NGX_HTTP_TICKET_JSON_TEXT : NGX_HTTP_TICKET_JSON_NUMBER;

    if (type != wants) {
        return ngx_http_ticket_json_takes(reader);
    }

    if (kind == NGX_HTTP_TICKET_SET_MODE) {
        n = ngx_http_ticket_json_one_of(text, ngx_http_ticket_modes,
                                        TICKET_MODE_REJECT + 1);

        if (n > TICKET_MODE_REJECT) {
            return ngx_http_ticket_json_takes(reader);
        }

    } else if (member == NGX_HTTP_TICKET_M_COMMAND) {
        n = ngx_http_ticket_json_one_of(text, ngx_http_ticket_post_commands,
                                        3);

        if (n > 2) {
            return ngx_http_ticket_json_takes(reader);
        }

    } else {
        ngx_http_ticket_admin_range(member, &min, &max);

        if (ngx_http_ticket_json_digits(text, min, max, &n) != NGX_OK) {
            return ngx_http_ticket_json_takes(reader);
        }
    }

    reader->value[member] = n;

    return 1;
}


/* Where in the list the text stands, or n. */

static ngx_uint_t
ngx_http_ticket_json_one_of(ngx_str_t *text, ngx_str_t *list, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (list[i].len == text->len
            && ngx_memcmp(list[i].data, text->data, text->len) == 0)
        {
            break;
        }
    }

    return i;
}


/* JSON's own forms "-0", "1.0" and "1e3" are not taken. */

static ngx_int_t
ngx_http_ticket_json_digits(ngx_str_t *text, uint64_t min, uint64_t max,
    uint64_t *n)
{
    ngx_int_t  value;

    if (text->len > NGX_HTTP_TICKET_ADMIN_DIGITS) {
        return NGX_ERROR;
    }

    value = ngx_atoi(text->data, text->len);

    if (value == NGX_ERROR
        || (uint64_t) value < min || (uint64_t) value > max)
    {
        return NGX_ERROR;
    }

    *n = value;

    return NGX_OK;
}


static void
ngx_http_ticket_admin_range(ngx_uint_t member, uint64_t *min, uint64_t *max)
{
    ngx_str_t  *setting;

    *min = 1;
    *max = (member == NGX_HTTP_TICKET_M_COUNT) ? NGX_HTTP_TICKET_ADMIN_CALL_MAX
                                               : TICKET_NUMBER_MAX;

    if (member < NGX_HTTP_TICKET_SETS) {
        setting = &ngx_http_ticket_sets[member].setting;

        (void) ticket_policy_range((char *) setting->data, setting->len, min,
                                   max);
    }
}


/* Says what the member takes whose value is wrong. */

static int
ngx_http_ticket_json_takes(ngx_http_ticket_reader_t *reader)
{
    uint64_t                min, max;
    ngx_str_t              *name;
    ngx_uint_t              member;
    ngx_http_ticket_set_t  *set;

    member = reader->member;

    if (member == NGX_HTTP_TICKET_M_COMMAND) {
        return ngx_http_ticket_admin_wrong(reader, "command takes \"reset\", "
                                           "\"call\" or \"revoke\".");
    }

    ngx_http_ticket_admin_range(member, &min, &max);

    if (member > NGX_HTTP_TICKET_M_COMMAND) {
        name = &ngx_http_ticket_post_members[member
                                             - NGX_HTTP_TICKET_M_COMMAND];

        return ngx_http_ticket_admin_wrong(reader, "%V takes a whole number "
                                           "from %uL to %uL.", name, min, max);
    }

    set = &ngx_http_ticket_sets[member];

    switch (set->kind) {

    case NGX_HTTP_TICKET_SET_MODE:
        return ngx_http_ticket_admin_wrong(reader, "%V takes \"fifo\", "
                           "\"passthrough\", \"reject\", or null for what "
                           "nginx.conf says.", &set->name);

    case NGX_HTTP_TICKET_SET_FLAG:
        return ngx_http_ticket_admin_wrong(reader, "%V takes true, false, or "
                           "null for what nginx.conf says.", &set->name);

    default:
        return ngx_http_ticket_admin_wrong(reader, "%V takes a whole number "
                           "from %uL to %uL%s, or null for what nginx.conf "
                           "says.", &set->name, min, max,
                           set->kind == NGX_HTTP_TICKET_SET_LIMIT
                           ? " (0: no limit)" : "");
    }
}


/* Settings as lua/admin.lua takes them. */

static ngx_int_t
ngx_http_ticket_admin_settings(ngx_http_ticket_reader_t *reader)
{
    u_char      *p;
    ngx_str_t   *settings;
    ngx_uint_t   i;

    if (reader->seen == 0) {
        ngx_http_ticket_admin_wrong(reader, "The body names nothing to "
                                    "change: there are slots, rate, per_ms, "
                                    "mode, paused and queue_all.");
        return NGX_OK;
    }

    settings = &reader->admin->settings;

    p = ngx_pnalloc(reader->request->pool, TICKET_SETTINGS_TEXT_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    settings->data = p;

    for (i = 0; i < NGX_HTTP_TICKET_SETS; i++) {

        if (!ngx_http_ticket_has(reader, i)) {
            continue;
        }

        p = ngx_sprintf(p, "%s%V=", p == settings->data ? "" : " ",
                        &ngx_http_ticket_sets[i].setting);

        if (!(reader->nulls & ((ngx_uint_t) 1 << i))) {
            p = ngx_sprintf(p, "%uL", reader->value[i]);
        }
    }

    settings->len = p - settings->data;
    reader->admin->command = NGX_HTTP_TICKET_ADMIN_SET;

    return NGX_OK;
}


/* Each command has its own member, and needs it. */

static void
ngx_http_ticket_admin_command(ngx_http_ticket_reader_t *reader)
{
    ngx_uint_t                 i, wanted;
    ngx_http_ticket_admin_t   *admin;

    static ngx_uint_t  member[] = {
        NGX_HTTP_TICKET_M_COMMAND,
        NGX_HTTP_TICKET_M_COUNT,
        NGX_HTTP_TICKET_M_NUMBER
    };

    admin = reader->admin;

    if (!ngx_http_ticket_has(reader, NGX_HTTP_TICKET_M_COMMAND)) {
        reader->member = NGX_HTTP_TICKET_M_COMMAND;
        (void) ngx_http_ticket_json_takes(reader);
        return;
    }

    wanted = reader->value[NGX_HTTP_TICKET_M_COMMAND];

    for (i = 1; i < 3; i++) {
        if (i != wanted && ngx_http_ticket_has(reader, member[i])) {
            ngx_http_ticket_admin_wrong(reader, "The command %V does not "
                                        "take %V.",
                                        &ngx_http_ticket_post_commands[wanted],
                                        &ngx_http_ticket_post_members[i]);
            return;
        }
    }

    if (!ngx_http_ticket_has(reader, member[wanted])) {
        reader->member = member[wanted];
        (void) ngx_http_ticket_json_takes(reader);
        return;
    }

    admin->command = NGX_HTTP_TICKET_ADMIN_RESET + wanted;
    admin->n = reader->value[member[wanted]];
}


/* Returns 0, which makes yajl stop. */

static int ngx_cdecl
ngx_http_ticket_admin_wrong(ngx_http_ticket_reader_t *reader, const char *fmt,
    ...)
{
    u_char     *p;
    va_list     args;
    ngx_str_t  *wrong;

    wrong = &reader->admin->wrong;

    p = ngx_pnalloc(reader->request->pool, NGX_HTTP_TICKET_ADMIN_WRONG_LEN);

    if (p == NULL) {
        ngx_str_set(wrong, "The body is not understood.");
        return 0;
    }

    va_start(args, fmt);
    wrong->data = p;
    wrong->len = ngx_vslprintf(p, p + NGX_HTTP_TICKET_ADMIN_WRONG_LEN, fmt,
                               args)
                 - p;
    va_end(args);

    return 0;
}
