
/*
 * Reads ticket_redis: where Redis is, and how to log in.
 */


#include "ngx_http_ticket_conf.h"


#define NGX_HTTP_TICKET_REDIS_ADDRS  16


static ngx_uint_t ngx_http_ticket_conf_redis_mode(
    ngx_http_ticket_redis_conf_t *rcf, ngx_str_t *value);
static ngx_uint_t ngx_http_ticket_conf_redis_is_address(
    ngx_http_ticket_redis_conf_t *rcf, ngx_str_t *value);
static ngx_int_t ngx_http_ticket_conf_redis_address(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf, ngx_str_t *value);
static ngx_int_t ngx_http_ticket_conf_redis_resolved(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf, ngx_url_t *u);
static ngx_int_t ngx_http_ticket_conf_redis_parameter(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf, ngx_str_t *value);
static ngx_int_t ngx_http_ticket_conf_redis_login(ngx_conf_t *cf,
    ngx_http_ticket_login_t *login, ngx_str_t *value);
static ngx_int_t ngx_http_ticket_conf_redis_password(ngx_conf_t *cf,
    ngx_str_t *name, ngx_str_t *password);


/*
 * ticket_redis address | sentinel=name address ... | cluster address ...
 *     [user=] [password_file=] [db=] [timeout=]
 *     [sentinel_user=] [sentinel_password_file=]
 */

char *
ngx_http_ticket_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                      rc;
    ngx_str_t                     *value;
    ngx_uint_t                     i;
    ngx_http_ticket_redis_conf_t  *rcf;
    ngx_http_ticket_main_conf_t   *mcf = conf;

    if (mcf->redis) {
        return "is duplicate";
    }

    rcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ticket_redis_conf_t));
    if (rcf == NULL
        || ngx_array_init(&rcf->addrs, cf->pool, 4,
                          sizeof(ngx_http_ticket_addr_t))
           != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    rcf->timeout = 2000;

    for (i = ngx_http_ticket_conf_redis_mode(rcf, &value[1]);
         i < cf->args->nelts;
         i++)
    {
        if (ngx_http_ticket_conf_redis_is_address(rcf, &value[i])) {
            rc = ngx_http_ticket_conf_redis_address(cf, rcf, &value[i]);

        } else {
            rc = ngx_http_ticket_conf_redis_parameter(cf, rcf, &value[i]);
        }

        if (rc == NGX_DECLINED) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" in \"ticket_redis\": "
                           "there are user=, password_file=, db= (not in a "
                           "cluster), timeout= (100ms to 60s), and with "
                           "sentinel= also sentinel_user= and "
                           "sentinel_password_file=", &value[i]);
        }

        if (rc != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (rcf->addrs.nelts == 0) {
        return "takes an address, or \"sentinel=name\" or \"cluster\" and "
               "one or more addresses";
    }

    mcf->redis = rcf;

    return NGX_CONF_OK;
}


/* Returns the index of the argument to go on with. */

static ngx_uint_t
ngx_http_ticket_conf_redis_mode(ngx_http_ticket_redis_conf_t *rcf,
    ngx_str_t *value)
{
    if (ngx_strcmp(value->data, "cluster") == 0) {
        rcf->mode = NGX_HTTP_TICKET_REDIS_CLUSTER;
        return 2;
    }

    if (ngx_strncmp(value->data, "sentinel=", 9) == 0 && value->len > 9) {
        rcf->mode = NGX_HTTP_TICKET_REDIS_SENTINEL;
        rcf->master.data = value->data + 9;
        rcf->master.len = value->len - 9;
        return 2;
    }

    return 1;
}


static ngx_uint_t
ngx_http_ticket_conf_redis_is_address(ngx_http_ticket_redis_conf_t *rcf,
    ngx_str_t *value)
{
    if (rcf->mode == NGX_HTTP_TICKET_REDIS_SINGLE) {
        return rcf->addrs.nelts == 0;
    }

    return ngx_strncmp(value->data, "unix:", 5) == 0
           || ngx_strchr(value->data, '=') == NULL;
}


/* Names are resolved here, since hiredis would block a worker for it. */

static ngx_int_t
ngx_http_ticket_conf_redis_address(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf, ngx_str_t *value)
{
    ngx_url_t  u;

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url = *value;
    u.default_port = (rcf->mode == NGX_HTTP_TICKET_REDIS_SENTINEL) ? 26379
                                                                   : 6379;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid address \"%V\" in \"ticket_redis\": %s",
                           &u.url, u.err ? u.err : "no memory");
        return NGX_ERROR;
    }

    return ngx_http_ticket_conf_redis_resolved(cf, rcf, &u);
}


/* Of sentinels and seeds all addresses a name has are taken. */

static ngx_int_t
ngx_http_ticket_conf_redis_resolved(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf, ngx_url_t *u)
{
    ngx_uint_t               i;
    ngx_http_ticket_addr_t  *addr;

    for (i = 0; i < u->naddrs; i++) {

        if (i > 0 && rcf->mode == NGX_HTTP_TICKET_REDIS_SINGLE) {
            break;
        }

        if (rcf->addrs.nelts == NGX_HTTP_TICKET_REDIS_ADDRS) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "too many addresses in \"ticket_redis\": at "
                               "most %d are taken",
                               NGX_HTTP_TICKET_REDIS_ADDRS);
            return NGX_ERROR;
        }

        addr = ngx_array_push(&rcf->addrs);
        if (addr == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(addr, sizeof(ngx_http_ticket_addr_t));

        (void) ngx_snprintf(addr->name, sizeof(addr->name) - 1, "%V", &u->url);

        if (u->family == AF_UNIX) {
            addr->path = u->url.data + 5;
            continue;
        }

        (void) ngx_sock_ntop(u->addrs[i].sockaddr, u->addrs[i].socklen,
                             addr->host, NGX_INET6_ADDRSTRLEN, 0);
        addr->port = ngx_inet_get_port(u->addrs[i].sockaddr);
    }

    return NGX_OK;
}


/* NGX_DECLINED: there is no such parameter, or its value is wrong. */

static ngx_int_t
ngx_http_ticket_conf_redis_parameter(ngx_conf_t *cf,
    ngx_http_ticket_redis_conf_t *rcf, ngx_str_t *value)
{
    ngx_int_t  n;
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "db=", 3) == 0
        && rcf->mode != NGX_HTTP_TICKET_REDIS_CLUSTER)
    {
        n = ngx_atoi(value->data + 3, value->len - 3);

        if (n != NGX_ERROR && n <= 1000000) {
            rcf->db = n;
            return NGX_OK;
        }

        return NGX_DECLINED;
    }

    if (ngx_strncmp(value->data, "timeout=", 8) == 0) {
        s.data = value->data + 8;
        s.len = value->len - 8;
        n = ngx_parse_time(&s, 0);

        if (n >= 100 && n <= 60000) {
            rcf->timeout = n;
            return NGX_OK;
        }

        return NGX_DECLINED;
    }

    if (ngx_strncmp(value->data, "sentinel_", 9) == 0
        && rcf->mode == NGX_HTTP_TICKET_REDIS_SENTINEL)
    {
        s.data = value->data + 9;
        s.len = value->len - 9;

        return ngx_http_ticket_conf_redis_login(cf, &rcf->sentinel_login, &s);
    }

    return ngx_http_ticket_conf_redis_login(cf, &rcf->login, value);
}


/* user=, password_file= */

static ngx_int_t
ngx_http_ticket_conf_redis_login(ngx_conf_t *cf,
    ngx_http_ticket_login_t *login, ngx_str_t *value)
{
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "user=", 5) == 0) {
        login->user.data = value->data + 5;
        login->user.len = value->len - 5;
        return NGX_OK;
    }

    if (ngx_strncmp(value->data, "password_file=", 14) == 0) {
        s.data = value->data + 14;
        s.len = value->len - 14;

        return ngx_http_ticket_conf_redis_password(cf, &s, &login->password);
    }

    return NGX_DECLINED;
}


/* The first line of the file. */

static ngx_int_t
ngx_http_ticket_conf_redis_password(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *password)
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
                           "cannot read the password file \"%V\" of "
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
                           "the password file \"%V\" of \"ticket_redis\" must "
                           "hold a password in its first line and must not be "
                           "readable by everybody", name);
        return NGX_ERROR;
    }

    password->data = ngx_pnalloc(cf->pool, len);
    if (password->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(password->data, buf, len);
    password->len = len;

    ngx_explicit_memzero(buf, sizeof(buf));

    return NGX_OK;
}
