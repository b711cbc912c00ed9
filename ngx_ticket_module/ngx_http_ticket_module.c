
/*
 * A waiting room: the module, its directives, and the life of a process.
 */


#include "ngx_http_ticket_conf.h"
#include "ngx_http_ticket_script.h"


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
      ngx_http_ticket_conf_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_ticket_conf_zone,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_keys"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_conf_keys,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_room"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_BLOCK|NGX_CONF_TAKE1,
      ngx_http_ticket_conf_room,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_queue"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_conf_queue,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_gate"),
      NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_ticket_conf_gate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ticket_conf_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ticket_conf_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_admin"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_ticket_conf_admin,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_identity"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_conf_visitor,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ticket_loc_conf_t, identity),
      NULL },

    { ngx_string("ticket_bind"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_conf_visitor,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_ticket_loc_conf_t, bind),
      NULL },

    { ngx_string("ticket_challenge"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1234,
      ngx_http_ticket_conf_challenge,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ticket_cookie_secure"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_ticket_conf_cookie_secure,
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
    tlcf->identity = NGX_CONF_UNSET_PTR;
    tlcf->bind = NGX_CONF_UNSET_PTR;
    tlcf->challenge = NGX_CONF_UNSET_PTR;
    tlcf->secure = NGX_CONF_UNSET_UINT;

    return tlcf;
}


/*
 * Neither the queue nor an operator is ever behind an inherited gate.  Inside
 * "limit_except" a location goes on to be what it is.
 */

static char *
ngx_http_ticket_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_ticket_loc_conf_t  *prev = parent;
    ngx_http_ticket_loc_conf_t  *conf = child;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->lmt_excpt && clcf->handler == NULL && prev->admin) {
        clcf->handler = ngx_http_ticket_admin_handler;
        conf->admin = 1;
        conf->admin_who = prev->admin_who;
    }

    ngx_conf_merge_uint_value(conf->secure, prev->secure,
                              NGX_HTTP_TICKET_SECURE_AUTO);
    ngx_conf_merge_ptr_value(conf->identity, prev->identity, NULL);
    ngx_conf_merge_ptr_value(conf->bind, prev->bind, NULL);
    ngx_conf_merge_ptr_value(conf->challenge, prev->challenge, NULL);

    if (conf->gate == NGX_CONF_UNSET_PTR) {

        if (conf->queue || conf->admin
            || prev->gate == NGX_CONF_UNSET_PTR)
        {
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
    ngx_array_t                  *handlers;
    ngx_http_handler_pt          *h;
    ngx_http_ticket_zone_t       *zone;
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

    zone = mcf->zone->data;
    zone->challenged = mcf->challenged;

    mcf->cookie_index = ngx_http_ticket_variable_index(cf, "http_cookie");
    mcf->accept_index = ngx_http_ticket_variable_index(cf, "http_accept");

    if (mcf->cookie_index == NGX_ERROR || mcf->accept_index == NGX_ERROR) {
        return NGX_ERROR;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    handlers = &cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    /*
     * The last one runs first: the gate goes behind realip, limit_req and
     * limit_conn, so that these apply to those who join at it.
     */

    h = handlers->elts;
    ngx_memmove(h + 1, h, (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));
    *h = ngx_http_ticket_gate_handler;

    ngx_http_ticket_release_init();

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
    ngx_queue_init(&process->draws);
    ngx_queue_init(&process->expanded);

    mcf->process = process;
    zone = mcf->zone->data;

    process->redis = ngx_http_ticket_redis_create(cycle, mcf->redis,
                                            ngx_http_ticket_load_scripts,
                                            &zone->sh->redis_errors,
                                            &zone->sh->redis_connections);
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
    ngx_http_ticket_draw_exit(mcf);
}
