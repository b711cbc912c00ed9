
/*
 * A waiting room: directives, configuration, and the life of a process.
 */


#include "ngx_http_ticket_script.h"


static char *ngx_http_ticket_redis(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_ticket_redis_address(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf);
static ngx_int_t ngx_http_ticket_redis_password(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf, ngx_str_t *name);
static char *ngx_http_ticket_zone(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_ticket_zone_size(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *name, ssize_t *size);
static char *ngx_http_ticket_keys(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_ticket_free_keys(void *data);
static char *ngx_http_ticket_queue(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_ticket_gate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_http_ticket_gate_parameter(ngx_conf_t *cf,
    ngx_http_ticket_loc_conf_t *tlcf, ngx_str_t *value);
static char *ngx_http_ticket_metrics(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

static void *ngx_http_ticket_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_ticket_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_ticket_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_ticket_init(ngx_conf_t *cf);
static ngx_int_t ngx_http_ticket_check_conf(ngx_conf_t *cf,
    ngx_http_ticket_main_conf_t *mcf);
static ngx_int_t ngx_http_ticket_variable_index(ngx_conf_t *cf, char *name);
static ngx_int_t ngx_http_ticket_init_process(ngx_cycle_t *cycle);
static void ngx_http_ticket_exit_process(ngx_cycle_t *cycle);


static ngx_conf_enum_t  ngx_http_ticket_secure[] = {
    { ngx_string("off"), NGX_HTTP_TICKET_SECURE_OFF },
    { ngx_string("on"), NGX_HTTP_TICKET_SECURE_ON },
    { ngx_string("auto"), NGX_HTTP_TICKET_SECURE_AUTO },
    { ngx_null_string, 0 }
};


static ngx_command_t  ngx_http_ticket_commands[] = {

    { ngx_string("ticket_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_ticket_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_ticket_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_keys"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_keys,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_room"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_ticket_room,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_queue"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_queue,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_gate"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_ticket_gate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ticket_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_cookie_secure"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ticket_loc_conf_t, secure),
      &ngx_http_ticket_secure },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_ticket_module_ctx = {
    ngx_http_ticket_add_variables,         /* preconfiguration */
    ngx_http_ticket_init,                  /* postconfiguration */

    ngx_http_ticket_create_main_conf,      /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_ticket_create_loc_conf,       /* create location configuration */
    ngx_http_ticket_merge_loc_conf         /* merge location configuration */
};


ngx_module_t  ngx_http_ticket_module = {
    NGX_MODULE_V1,
    &ngx_http_ticket_module_ctx,           /* module context */
    ngx_http_ticket_commands,              /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_ticket_init_process,          /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_ticket_exit_process,          /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* ticket_redis address [user=] [password_file=] [db=] [timeout=] */

static char *
ngx_http_ticket_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                      n;
    ngx_str_t                     *value, s;
    ngx_uint_t                     i;
    ngx_http_ticket_redis_conf_t  *rcf;
    ngx_http_ticket_main_conf_t   *mcf = conf;

    if (mcf->redis) {
        return "is duplicate";
    }

    rcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_redis_conf_t));
    if (rcf == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    rcf->name = value[1];
    rcf->timeout = 2000;

    if (ngx_http_ticket_redis_address(cf, rcf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "user=", 5) == 0) {
            rcf->user.data = value[i].data + 5;
            rcf->user.len = value[i].len - 5;
            continue;
        }

        if (ngx_strncmp(value[i].data, "password_file=", 14) == 0) {
            s.data = value[i].data + 14;
            s.len = value[i].len - 14;

            if (ngx_http_ticket_redis_password(cf, rcf, &s) != NGX_OK) {
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "db=", 3) == 0) {
            n = ngx_atoi(value[i].data + 3, value[i].len - 3);

            if (n != NGX_ERROR && n <= 1000000) {
                rcf->db = n;
                continue;
            }
        }

        if (ngx_strncmp(value[i].data, "timeout=", 8) == 0) {
            s.data = value[i].data + 8;
            s.len = value[i].len - 8;
            n = ngx_parse_time(&s, 0);

            if (n >= 100 && n <= 60000) {
                rcf->timeout = n;
                continue;
            }
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"ticket_redis\": "
                           "there are user=, password_file=, db= and "
                           "timeout= (100ms to 60s)", &value[i]);
        return NGX_CONF_ERROR;
    }

    mcf->redis = rcf;

    return NGX_CONF_OK;
}


/* Names are resolved here, since hiredis would block a worker for it. */

static ngx_int_t
ngx_http_ticket_redis_address(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf)
{
    u_char     *p;
    ngx_url_t   u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = rcf->name;
    u.default_port = 6379;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\" in \"ticket_redis\": %s",
                           &u.url, u.err ? u.err : "no memory");
        return NGX_ERROR;
    }

    if (ngx_strncmp(rcf->name.data, "unix:", 5) == 0) {
        rcf->path.data = rcf->name.data + 5;
        rcf->path.len = rcf->name.len - 5;
        return NGX_OK;
    }

    p = ngx_pcalloc(cf->pool, NGX_SOCKADDR_STRLEN + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    rcf->host.data = p;
    rcf->host.len = ngx_sock_ntop(u.addrs[0].sockaddr, u.addrs[0].socklen, p,
                                  NGX_SOCKADDR_STRLEN, 0);
    rcf->port = ngx_inet_get_port(u.addrs[0].sockaddr);

    if (rcf->host.data[0] == '[') {

        /* hiredis takes IPv6 addresses bare */

        rcf->host.data[rcf->host.len - 1] = '\0';
        rcf->host.data++;
        rcf->host.len -= 2;
    }

    return NGX_OK;
}


/* The first line of the file. */

static ngx_int_t
ngx_http_ticket_redis_password(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf, ngx_str_t *name)
{
    u_char           buf[512];
    size_t           len;
    ssize_t          n;
    ngx_fd_t         fd;
    ngx_file_info_t  fi;

    if (ngx_conf_full_name(cf->cycle, name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    fd = ngx_open_file(name->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "cannot read the password_file \"%V\" of "
                           "\"ticket_redis\"", name);
        return NGX_ERROR;
    }

    n = (ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) ? NGX_ERROR
                                                  : ngx_read_fd(fd, buf,
                                                                sizeof(buf));

    (void) ngx_close_file(fd);

    for (len = 0; n > 0 && len < (size_t) n; len++) {
        if (buf[len] == '\n' || buf[len] == '\r') {
            break;
        }
    }

    if (n <= 0 || len == 0 || len == sizeof(buf)
        || (ngx_file_access(&fi) & S_IROTH))
    {
        ngx_explicit_memzero(buf, sizeof(buf));

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the password_file \"%V\" of \"ticket_redis\" must "
                           "hold a password in its first line and must not be "
                           "readable by everybody", name);
        return NGX_ERROR;
    }

    rcf->password.data = ngx_pnalloc(cf->pool, len);
    if (rcf->password.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(rcf->password.data, buf, len);
    rcf->password.len = len;

    ngx_explicit_memzero(buf, sizeof(buf));

    return NGX_OK;
}


/* ticket_zone name:size [interval=] [node=] */

static char *
ngx_http_ticket_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char                       *p;
    ssize_t                       size;
    ngx_int_t                     n;
    ngx_str_t                    *value, name, s;
    ngx_uint_t                    i;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_main_conf_t  *mcf = conf;

    if (mcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_http_ticket_zone_size(cf, &value[1], &name, &size) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "interval=", 9) == 0) {
            s.data = value[i].data + 9;
            s.len = value[i].len - 9;
            n = ngx_parse_time(&s, 0);

            if (n >= 50 && n <= 1000) {
                mcf->interval = n;
                continue;
            }
        }

        if (ngx_strncmp(value[i].data, "node=", 5) == 0
            && value[i].len > 5 && value[i].len <= 128)
        {
            mcf->node.data = value[i].data + 5;
            mcf->node.len = value[i].len - 5;
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"ticket_zone\": "
                           "there are interval= (50ms to 1s) and node= (a "
                           "name)", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (mcf->node.len == 0) {

        /* the same after a restart, and another for each nginx of a host */

        p = ngx_pnalloc(cf->pool, cf->cycle->hostname.len + 9);
        if (p == NULL) {
            return NGX_CONF_ERROR;
        }

        mcf->node.data = p;
        p = ngx_sprintf(p, "%V-%08XD", &cf->cycle->hostname,
                        ngx_crc32_long(cf->cycle->conf_file.data,
                                       cf->cycle->conf_file.len));
        mcf->node.len = p - mcf->node.data;
    }

    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_zone_t));
    if (zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->zone = ngx_shared_memory_add(cf, &name, size,
                                      &ngx_http_ticket_module);
    if (mcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (mcf->zone->data) {
        return "uses a zone that is already in use";
    }

    mcf->zone->init = ngx_http_ticket_init_zone;
    mcf->zone->data = zone;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ticket_zone_size(ngx_conf_t *cf, ngx_str_t *value, ngx_str_t *name,
    ssize_t *size)
{
    u_char     *colon;
    ngx_str_t   s;

    *size = NGX_ERROR;

    colon = (u_char *) ngx_strchr(value->data, ':');

    if (colon && colon != value->data) {
        name->data = value->data;
        name->len = colon - value->data;

        s.data = colon + 1;
        s.len = value->data + value->len - s.data;

        *size = ngx_parse_size(&s);
    }

    if (*size < (ssize_t) (32 * ngx_pagesize)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\" in \"ticket_zone\": write "
                           "name:size with a size of %uz bytes or more, for "
                           "example rooms:16m", value, 32 * ngx_pagesize);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static char *
ngx_http_ticket_keys(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          err[256];
    ngx_str_t                    *value;
    ngx_pool_cleanup_t           *cln;
    ngx_http_ticket_main_conf_t  *mcf = conf;

    if (mcf->keys) {
        return "is duplicate";
    }

    value = cf->args->elts;

    mcf->keys_file = value[1];

    if (ngx_conf_full_name(cf->cycle, &mcf->keys_file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->keys = ticket_keys_load((char *) mcf->keys_file.data, err,
                                 sizeof(err));
    if (mcf->keys == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ticket_keys\" cannot use \"%V\": %s",
                           &mcf->keys_file, err);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_ticket_free_keys;
    cln->data = mcf->keys;

    return NGX_CONF_OK;
}


static void
ngx_http_ticket_free_keys(void *data)
{
    ticket_keys_free(data);
}


static char *
ngx_http_ticket_queue(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                   *value;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_ticket_loc_conf_t  *tlcf = conf;

    if (tlcf->queue) {
        return "is duplicate";
    }

    value = cf->args->elts;

    tlcf->queue = ngx_http_ticket_room_value(cf, &value[1], "ticket_queue");
    if (tlcf->queue == NULL) {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ticket_queue_handler;

    return NGX_CONF_OK;
}


/* ticket_gate off | room [queue=] [page=] [status=] [check=] */

static char *
ngx_http_ticket_gate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                        *rv;
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_ticket_loc_conf_t  *tlcf = conf;

    if (tlcf->gate != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        tlcf->gate = NULL;
        return NGX_CONF_OK;
    }

    tlcf->gate = ngx_http_ticket_room_value(cf, &value[1], "ticket_gate");
    if (tlcf->gate == NULL) {
        return NGX_CONF_ERROR;
    }

    tlcf->gate_status = NGX_HTTP_OK;

    for (i = 2; i < cf->args->nelts; i++) {
        rv = ngx_http_ticket_gate_parameter(cf, tlcf, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_gate_parameter(ngx_conf_t *cf,
    ngx_http_ticket_loc_conf_t *tlcf, ngx_str_t *value)
{
    ngx_int_t   n;
    ngx_str_t   s;

    if (ngx_strncmp(value->data, "queue=/", 7) == 0) {
        s.data = value->data + 6;
        s.len = value->len - 6;

        tlcf->gate_queue = ngx_http_ticket_value(cf, &s);

        return tlcf->gate_queue ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "page=/", 6) == 0) {
        s.data = value->data + 5;
        s.len = value->len - 5;

        tlcf->gate_page = ngx_http_ticket_value(cf, &s);

        return tlcf->gate_page ? NGX_CONF_OK : NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "status=", 7) == 0) {
        n = ngx_atoi(value->data + 7, value->len - 7);

        if (n == 200 || n == 202 || n == 429 || n == 503) {
            tlcf->gate_status = n;
            return NGX_CONF_OK;
        }
    }

    if (ngx_strcmp(value->data, "check=redis") == 0) {
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value->data, "check=local") == 0) {
        tlcf->gate_check = NGX_HTTP_TICKET_CHECK_LOCAL;
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" in \"ticket_gate\": there are "
                       "queue=/uri, page=/uri, status=200, 202, 429 or 503, "
                       "and check=redis or local", value);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_ticket_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);
    mcf->used = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ticket_metrics_handler;

    return NGX_CONF_OK;
}


static void *
ngx_http_ticket_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    mcf->interval = 500;

    if (ngx_array_init(&mcf->rooms, cf->pool, 4,
                       sizeof(ngx_http_ticket_room_t))
        != NGX_OK
        || ngx_array_init(&mcf->uses, cf->pool, 4,
                          sizeof(ngx_http_ticket_room_use_t))
           != NGX_OK)
    {
        return NULL;
    }

    return mcf;
}


static void *
ngx_http_ticket_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_ticket_loc_conf_t  *tlcf;

    tlcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_loc_conf_t));
    if (tlcf == NULL) {
        return NULL;
    }

    tlcf->gate = NGX_CONF_UNSET_PTR;
    tlcf->secure = NGX_CONF_UNSET_UINT;

    return tlcf;
}


/* The queue itself is never behind an inherited gate. */

static char *
ngx_http_ticket_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ticket_loc_conf_t  *prev = parent;
    ngx_http_ticket_loc_conf_t  *conf = child;

    ngx_conf_merge_uint_value(conf->secure, prev->secure,
                              NGX_HTTP_TICKET_SECURE_AUTO);

    if (conf->gate == NGX_CONF_UNSET_PTR) {

        if (conf->queue || prev->gate == NGX_CONF_UNSET_PTR) {
            conf->gate = NULL;

        } else {
            conf->gate = prev->gate;
            conf->gate_queue = prev->gate_queue;
            conf->gate_page = prev->gate_page;
            conf->gate_status = prev->gate_status;
            conf->gate_check = prev->gate_check;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ticket_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt          *h;
    ngx_http_core_main_conf_t    *cmcf;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);

    if (!mcf->used) {
        return NGX_OK;
    }

    if (ngx_http_ticket_check_conf(cf, mcf) != NGX_OK
        || ngx_http_ticket_check_rooms(cf, mcf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    mcf->cookie_index = ngx_http_ticket_variable_index(cf, "http_cookie");
    mcf->accept_index = ngx_http_ticket_variable_index(cf, "http_accept");

    if (mcf->cookie_index == NGX_ERROR || mcf->accept_index == NGX_ERROR) {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_ticket_gate_handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ticket_check_conf(ngx_conf_t *cf, ngx_http_ticket_main_conf_t *mcf)
{
    char  *missing;

    missing = mcf->redis == NULL ? "ticket_redis"
              : mcf->zone == NULL ? "ticket_zone"
              : mcf->keys == NULL ? "ticket_keys"
              : NULL;

    if (missing == NULL) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"%s\" is missing at the http level: a waiting room needs "
                  "\"ticket_redis\", \"ticket_zone\" and \"ticket_keys\"",
                  missing);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_ticket_variable_index(ngx_conf_t *cf, char *name)
{
    ngx_str_t  s;

    s.data = (u_char *) name;
    s.len = ngx_strlen(name);

    return ngx_http_get_variable_index(cf, &s);
}


static ngx_int_t
ngx_http_ticket_init_process(ngx_cycle_t *cycle)
{
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_process_t    *process;
    ngx_http_ticket_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ticket_module);

    if (mcf == NULL || !mcf->used) {
        return NGX_OK;
    }

    process = ngx_pcalloc(cycle->pool, sizeof(ngx_http_ticket_process_t));
    if (process == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_init(&process->joins);

    mcf->process = process;
    zone = mcf->zone->data;

    process->redis = ngx_http_ticket_redis_create(cycle, mcf->redis,
                                            ngx_http_ticket_load_scripts,
                                            &zone->sh->redis_errors);
    if (process->redis == NULL) {
        return NGX_ERROR;
    }

    ngx_http_ticket_exchange_init(cycle, mcf);

    return NGX_OK;
}


static void
ngx_http_ticket_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ticket_module);

    if (mcf == NULL || mcf->process == NULL) {
        return;
    }

    ngx_http_ticket_exchange_exit(mcf);
    ngx_http_ticket_redis_close(mcf->process->redis);
}
