
/*
 * Reads the directives: every wrong value is refused with a message that
 * names the directive and says what it takes.
 */


#include "ngx_http_ticket_conf.h"

#include <ticket_proof.h>


static ngx_int_t ngx_http_ticket_conf_zone_size(ngx_conf_t *cf,
    ngx_str_t *value, ngx_str_t *name, ssize_t *size);
static void ngx_http_ticket_conf_free_keys(void *data);
static ngx_int_t ngx_http_ticket_conf_challenge_parameter(
    ngx_http_ticket_challenge_t *challenge, ngx_str_t *value);
static char *ngx_http_ticket_conf_gate_parameter(ngx_conf_t *cf,
    ngx_http_ticket_loc_conf_t *tlcf, ngx_str_t *value);


/* ticket_zone name:size [interval=] [node=] */

char *
ngx_http_ticket_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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

    if (ngx_http_ticket_conf_zone_size(cf, &value[1], &name, &size) != NGX_OK) {
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

    mcf->zone->init = ngx_http_ticket_init_zone;
    mcf->zone->data = zone;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ticket_conf_zone_size(ngx_conf_t *cf, ngx_str_t *value,
    ngx_str_t *name, ssize_t *size)
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


char *
ngx_http_ticket_conf_keys(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                          err[256];
    ngx_str_t                    *value, file;
    ngx_pool_cleanup_t           *cln;
    ngx_http_ticket_main_conf_t  *mcf = conf;

    if (mcf->keys) {
        return "is duplicate";
    }

    value = cf->args->elts;

    file = value[1];

    if (ngx_conf_full_name(cf->cycle, &file, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->keys = ticket_keys_load((char *) file.data, err,
                                 sizeof(err));
    if (mcf->keys == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"ticket_keys\" cannot use \"%V\": %s",
                           &file, err);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_ticket_conf_free_keys;
    cln->data = mcf->keys;

    return NGX_CONF_OK;
}


static void
ngx_http_ticket_conf_free_keys(void *data)
{
    ticket_keys_free(data);
}


char *
ngx_http_ticket_conf_queue(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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

char *
ngx_http_ticket_conf_gate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
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
        rv = ngx_http_ticket_conf_gate_parameter(cf, tlcf, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ticket_conf_gate_parameter(ngx_conf_t *cf,
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


/* ticket_identity and ticket_bind */

char *
ngx_http_ticket_conf_visitor(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                  *value;
    ngx_http_complex_value_t  **cv;

    cv = (ngx_http_complex_value_t **) (p + cmd->offset);

    if (*cv != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *cv = ngx_http_ticket_value(cf, &value[1]);

    return *cv ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* ticket_challenge off | pow | $mode [difficulty=] [max=] [rate=] */

char *
ngx_http_ticket_conf_challenge(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value;
    ngx_uint_t                    i;
    ngx_http_ticket_challenge_t  *challenge;
    ngx_http_ticket_loc_conf_t   *tlcf = conf;
    ngx_http_ticket_main_conf_t  *mcf;

    if (tlcf->challenge != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        tlcf->challenge = NULL;
        return NGX_CONF_OK;
    }

    if (ngx_strcmp(value[1].data, "pow") != 0
        && ngx_http_script_variables_count(&value[1]) == 0)
    {
        return "takes off (alone), pow, or a variable";
    }

    challenge = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_challenge_t));
    if (challenge == NULL) {
        return NGX_CONF_ERROR;
    }

    challenge->mode = ngx_http_ticket_value(cf, &value[1]);
    if (challenge->mode == NULL) {
        return NGX_CONF_ERROR;
    }

    challenge->difficulty = 18;
    challenge->rate = 100 * 1000;

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_ticket_conf_challenge_parameter(challenge, &value[i])
            != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in "
                               "\"ticket_challenge\": there are difficulty= "
                               "and max= (1 to 32 bits), and rate= (joins per "
                               "second, 1 to 1000000)", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (challenge->max == 0) {
        challenge->max = ngx_max(challenge->difficulty, 22);
    }

    if (challenge->max < challenge->difficulty) {
        return "has a \"max\" below its \"difficulty\"";
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);
    mcf->challenged = 1;

    tlcf->challenge = challenge;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ticket_conf_challenge_parameter(
    ngx_http_ticket_challenge_t *challenge, ngx_str_t *value)
{
    ngx_int_t  n;

    if (ngx_strncmp(value->data, "difficulty=", 11) == 0) {
        n = ngx_atoi(value->data + 11, value->len - 11);

        if (n >= 1 && n <= TICKET_PROOF_BITS_MAX) {
            challenge->difficulty = n;
            return NGX_OK;
        }

    } else if (ngx_strncmp(value->data, "max=", 4) == 0) {
        n = ngx_atoi(value->data + 4, value->len - 4);

        if (n >= 1 && n <= TICKET_PROOF_BITS_MAX) {
            challenge->max = n;
            return NGX_OK;
        }

    } else if (ngx_strncmp(value->data, "rate=", 5) == 0) {
        n = ngx_atoi(value->data + 5, value->len - 5);

        if (n >= 1 && n <= 1000000) {
            challenge->rate = (uint64_t) n * 1000;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


char *
ngx_http_ticket_conf_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);
    mcf->used = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ticket_metrics_handler;

    return NGX_CONF_OK;
}


char *
ngx_http_ticket_conf_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);
    mcf->used = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ticket_status_handler;

    return NGX_CONF_OK;
}


/* ticket_admin [who=]; rooms are named by what follows the location's name */

char *
ngx_http_ticket_conf_admin(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                    *value, s;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_ticket_loc_conf_t   *tlcf = conf;
    ngx_http_ticket_main_conf_t  *mcf;

    if (tlcf->admin) {
        return "is duplicate";
    }

    value = cf->args->elts;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->exact_match
#if (NGX_PCRE)
        || clcf->regex
#endif
        || clcf->named || clcf->noname
        || clcf->name.len == 0 || clcf->name.data[clcf->name.len - 1] != '/')
    {
        return "needs a location that is a prefix and ends in \"/\", for "
               "example \"location /room/admin/\"";
    }

    if (cf->args->nelts == 2) {

        if (ngx_strncmp(value[1].data, "who=", 4) != 0 || value[1].len == 4) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" in "
                               "\"ticket_admin\": there is who=, for example "
                               "who=$remote_user", &value[1]);
            return NGX_CONF_ERROR;
        }

        s.data = value[1].data + 4;
        s.len = value[1].len - 4;

        tlcf->admin_who = ngx_http_ticket_value(cf, &s);
        if (tlcf->admin_who == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ticket_module);
    mcf->used = 1;

    tlcf->admin = 1;
    clcf->handler = ngx_http_ticket_admin_handler;

    return NGX_CONF_OK;
}


/* nginx's message about a wrong value does not name the directive. */

char *
ngx_http_ticket_conf_cookie_secure(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char  *rv;

    rv = ngx_conf_set_enum_slot(cf, cmd, conf);

    return (rv == NGX_CONF_ERROR) ? "takes on, off or auto" : rv;
}
