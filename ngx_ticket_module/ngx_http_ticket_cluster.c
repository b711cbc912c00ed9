
/*
 * The nodes of a cluster: a connection to each that has served something, and
 * for each slot the node that served it last, learnt from MOVED.  No table of
 * slots is fetched: a room instance lives in one slot, so that a first
 * command that asks the wrong node, once for each slot and process, is all
 * that a table would spare.  Where a node is not known, or fails, any other
 * is asked, which tells what has become of the slot.
 *
 * ASK is followed by commands that touch nothing but the key they name.  A
 * script reads the room's other keys too, of which some have not moved yet
 * while the slot is on its way: it would count too few sessions, and call
 * too many.  A room whose slot is on its way stands still until it is there.
 */


#include "ngx_http_ticket_cluster.h"


#define NGX_HTTP_TICKET_CLUSTER_SLOTS  16384
#define NGX_HTTP_TICKET_CLUSTER_NODES  64
#define NGX_HTTP_TICKET_CLUSTER_IDLE   60000   /* ms */


struct ngx_http_ticket_cluster_s {
    ngx_http_ticket_link_t        *link[NGX_HTTP_TICKET_CLUSTER_NODES];
    ngx_uint_t                     nodes;
    ngx_uint_t                     seeds;      /* the first; never dropped */
    ngx_uint_t                     first;      /* to ask where none is known */
    ngx_http_ticket_link_kind_t   *kind;
    ngx_pool_t                    *pool;

    /* index of the node and 1, or 0 where none is known */
    u_char                         owner[NGX_HTTP_TICKET_CLUSTER_SLOTS];
};


static ngx_http_ticket_link_t *ngx_http_ticket_cluster_any(
    ngx_http_ticket_cluster_t *cluster);
static ngx_uint_t ngx_http_ticket_cluster_usable(ngx_http_ticket_link_t *link);
static ngx_int_t ngx_http_ticket_cluster_ask(ngx_http_ticket_link_t *link,
    ngx_http_ticket_command_t *command);
static void ngx_http_ticket_cluster_asking(redisReply *reply, void *data);
static ngx_int_t ngx_http_ticket_cluster_read(ngx_http_ticket_addr_t *addr,
    ngx_http_ticket_link_t *link, redisReply *reply);
static ngx_int_t ngx_http_ticket_cluster_node(
    ngx_http_ticket_cluster_t *cluster, ngx_http_ticket_addr_t *addr);
static ngx_int_t ngx_http_ticket_cluster_place(
    ngx_http_ticket_cluster_t *cluster);
static void ngx_http_ticket_cluster_lost(ngx_http_ticket_link_t *link);
static void ngx_http_ticket_cluster_forget(ngx_http_ticket_cluster_t *cluster,
    ngx_http_ticket_link_t *link);


ngx_http_ticket_cluster_t *
ngx_http_ticket_cluster_create(ngx_cycle_t *cycle,
    ngx_http_ticket_redis_conf_t *conf, ngx_http_ticket_link_kind_t *kind)
{
    ngx_uint_t                  i;
    ngx_http_ticket_addr_t     *addr;
    ngx_http_ticket_cluster_t  *cluster;

    cluster = ngx_pcalloc(cycle->pool, sizeof(ngx_http_ticket_cluster_t));
    if (cluster == NULL) {
        return NULL;
    }

    cluster->kind = kind;
    cluster->pool = cycle->pool;

    kind->lost = ngx_http_ticket_cluster_lost;
    kind->data = cluster;

    addr = conf->addrs.elts;

    for (i = 0; i < conf->addrs.nelts; i++) {
        if (ngx_http_ticket_cluster_node(cluster, &addr[i]) == NGX_ERROR) {
            return NULL;
        }
    }

    cluster->seeds = cluster->nodes;

    /* processes begin at different seeds */

    cluster->first = ngx_process_slot % cluster->seeds;

    return cluster;
}


/* CRC-16/XMODEM of the hash tag, that is what stands between { and }. */

ngx_uint_t
ngx_http_ticket_cluster_slot(u_char *key, size_t len)
{
    u_char      *open, *close, *last;
    ngx_uint_t   i, crc;

    last = key + len;
    open = ngx_strlchr(key, last, '{');
    close = open ? ngx_strlchr(open, last, '}') : NULL;

    if (close && close > open + 1) {
        key = open + 1;
        last = close;
    }

    for (crc = 0; key < last; key++) {
        crc ^= (ngx_uint_t) *key << 8;

        for (i = 0; i < 8; i++) {
            crc = (crc & 0x8000) ? (crc << 1) ^ 0x1021 : crc << 1;
        }
    }

    return crc & (NGX_HTTP_TICKET_CLUSTER_SLOTS - 1);
}


ngx_int_t
ngx_http_ticket_cluster_send(ngx_http_ticket_cluster_t *cluster,
    ngx_http_ticket_command_t *command)
{
    ngx_uint_t               owner;
    ngx_http_ticket_link_t  *link;

    owner = cluster->owner[command->slot];

    if (owner && ngx_http_ticket_cluster_usable(cluster->link[owner - 1])) {
        return ngx_http_ticket_link_send(cluster->link[owner - 1], command);
    }

    link = ngx_http_ticket_cluster_any(cluster);

    return link ? ngx_http_ticket_link_send(link, command) : NGX_ERROR;
}


/* One that stands, or else one that can be connected to. */

static ngx_http_ticket_link_t *
ngx_http_ticket_cluster_any(ngx_http_ticket_cluster_t *cluster)
{
    ngx_uint_t               i;
    ngx_http_ticket_link_t  *link;

    for (i = 0; i < cluster->nodes; i++) {
        link = cluster->link[(cluster->first + i) % cluster->nodes];

        if (ngx_http_ticket_link_open(link)) {
            return link;
        }
    }

    for (i = 0; i < cluster->nodes; i++) {
        link = cluster->link[(cluster->first + i) % cluster->nodes];

        if (ngx_http_ticket_cluster_usable(link)) {
            return link;
        }
    }

    return NULL;
}


/* Nodes are connected to when there is something to send. */

static ngx_uint_t
ngx_http_ticket_cluster_usable(ngx_http_ticket_link_t *link)
{
    if (ngx_http_ticket_link_due(link)) {
        (void) ngx_http_ticket_link_connect(link);
    }

    return ngx_http_ticket_link_open(link);
}


ngx_int_t
ngx_http_ticket_cluster_redirect(ngx_http_ticket_cluster_t *cluster,
    ngx_http_ticket_command_t *command, redisReply *reply)
{
    ngx_int_t                n;
    ngx_uint_t               ask;
    ngx_http_ticket_addr_t   addr;
    ngx_http_ticket_link_t  *link;

    ask = ngx_http_ticket_reply_begins(reply, "ASK ");

    if (!ask && !ngx_http_ticket_reply_begins(reply, "MOVED ")) {

        if (ngx_http_ticket_reply_begins(reply, "CLUSTERDOWN")
            || ngx_http_ticket_reply_begins(reply, "LOADING"))
        {
            ngx_http_ticket_cluster_forget(cluster, command->link);
        }

        return NGX_DECLINED;
    }

    if (ask && command->script) {
        return NGX_DECLINED;
    }

    if (ngx_http_ticket_cluster_read(&addr, command->link, reply) != NGX_OK) {
        return NGX_DECLINED;
    }

    n = ngx_http_ticket_cluster_node(cluster, &addr);
    if (n == NGX_ERROR) {
        return NGX_DECLINED;
    }

    link = cluster->link[n];

    if (!ask) {
        cluster->owner[command->slot] = (u_char) (n + 1);
    }

    if (!ngx_http_ticket_cluster_usable(link)) {
        return NGX_DECLINED;
    }

    return ask ? ngx_http_ticket_cluster_ask(link, command)
               : ngx_http_ticket_link_send(link, command);
}


/* ASKING holds for the next command of the connection alone. */

static ngx_int_t
ngx_http_ticket_cluster_ask(ngx_http_ticket_link_t *link,
    ngx_http_ticket_command_t *command)
{
    size_t       len[1];
    const char  *argv[1];

    argv[0] = "ASKING";
    len[0] = 6;

    if (ngx_http_ticket_link_command(link, ngx_http_ticket_cluster_asking,
                                     NULL, 1, argv, len)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_ticket_link_send(link, command);
}


/* Were it refused, the command behind it would be, too. */

static void
ngx_http_ticket_cluster_asking(redisReply *reply, void *data)
{
}


/*
 * Reads the address of "MOVED slot host:port" or "ASK slot host:port".  Where
 * the host is empty it is that of the node that says so.
 */

static ngx_int_t
ngx_http_ticket_cluster_read(ngx_http_ticket_addr_t *addr,
    ngx_http_ticket_link_t *link, redisReply *reply)
{
    size_t   len;
    u_char  *host, *colon, *last;

    last = (u_char *) reply->str + reply->len;

    host = ngx_strlchr((u_char *) reply->str, last, ' ');
    host = host ? ngx_strlchr(host + 1, last, ' ') : NULL;

    if (host == NULL) {
        return NGX_ERROR;
    }

    host++;

    for (colon = last; colon > host && *(colon - 1) != ':'; colon--) {
        /* void */
    }

    if (colon == host) {
        return NGX_ERROR;
    }

    len = colon - 1 - host;

    if (ngx_http_ticket_read_addr(addr, len ? host : link->addr.host,
                                  len ? len : ngx_strlen(link->addr.host),
                                  colon, last - colon)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ERR, link->kind->log, 0,
                      "ticket: Redis \"%s\" names a node that is no numeric "
                      "address: %s", link->addr.name, reply->str);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Finds a node by its address, or makes it; returns its index. */

static ngx_int_t
ngx_http_ticket_cluster_node(ngx_http_ticket_cluster_t *cluster,
    ngx_http_ticket_addr_t *addr)
{
    ngx_int_t                n;
    ngx_uint_t               i;
    ngx_http_ticket_addr_t  *known;

    for (i = 0; i < cluster->nodes; i++) {
        known = &cluster->link[i]->addr;

        if (addr->path == NULL && known->path == NULL
            && known->port == addr->port
            && ngx_strcmp(known->host, addr->host) == 0)
        {
            return i;
        }
    }

    n = ngx_http_ticket_cluster_place(cluster);

    if (n != NGX_ERROR) {
        ngx_http_ticket_link_init(cluster->link[n], cluster->kind);
        cluster->link[n]->addr = *addr;
    }

    return n;
}


/* A new place, or when there are too many the one that was idle longest. */

static ngx_int_t
ngx_http_ticket_cluster_place(ngx_http_ticket_cluster_t *cluster)
{
    ngx_int_t                n;
    ngx_uint_t               i;
    ngx_http_ticket_link_t  *link;

    if (cluster->nodes < NGX_HTTP_TICKET_CLUSTER_NODES) {

        link = ngx_palloc(cluster->pool, sizeof(ngx_http_ticket_link_t));
        if (link == NULL) {
            return NGX_ERROR;
        }

        cluster->link[cluster->nodes] = link;

        return cluster->nodes++;
    }

    n = NGX_ERROR;

    for (i = cluster->seeds; i < cluster->nodes; i++) {
        link = cluster->link[i];

        if (link->ac == NULL
            && (n == NGX_ERROR
                || (ngx_msec_int_t) (link->used - cluster->link[n]->used) < 0))
        {
            n = i;
        }
    }

    if (n == NGX_ERROR) {
        ngx_log_error(NGX_LOG_ERR, cluster->kind->log, 0,
                      "ticket: more than %d nodes of the Redis cluster are in "
                      "use", NGX_HTTP_TICKET_CLUSTER_NODES);

    } else {
        ngx_http_ticket_cluster_forget(cluster, cluster->link[n]);
    }

    return n;
}


static void
ngx_http_ticket_cluster_lost(ngx_http_ticket_link_t *link)
{
    ngx_http_ticket_cluster_forget(link->kind->data, link);
}


/* Its slots are asked for at another node first. */

static void
ngx_http_ticket_cluster_forget(ngx_http_ticket_cluster_t *cluster,
    ngx_http_ticket_link_t *link)
{
    ngx_uint_t  i, n;

    for (n = 0; n < cluster->nodes && cluster->link[n] != link; n++) {
        /* void */
    }

    for (i = 0; i < NGX_HTTP_TICKET_CLUSTER_SLOTS; i++) {
        if (cluster->owner[i] == n + 1) {
            cluster->owner[i] = 0;
        }
    }

    cluster->first = (n + 1) % cluster->nodes;
}


void
ngx_http_ticket_cluster_tick(ngx_http_ticket_cluster_t *cluster)
{
    ngx_uint_t               i;
    ngx_http_ticket_link_t  *link;

    for (i = 0; i < cluster->nodes; i++) {
        link = cluster->link[i];

        ngx_http_ticket_link_tick(link);

        if (link->ac && ngx_queue_empty(&link->pending)
            && ngx_current_msec - link->used > NGX_HTTP_TICKET_CLUSTER_IDLE)
        {
            ngx_http_ticket_link_close(link);
        }
    }
}


void
ngx_http_ticket_cluster_close(ngx_http_ticket_cluster_t *cluster)
{
    ngx_uint_t  i;

    for (i = 0; i < cluster->nodes; i++) {
        ngx_http_ticket_link_close(cluster->link[i]);
    }
}
