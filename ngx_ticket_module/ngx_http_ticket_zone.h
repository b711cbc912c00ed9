
/*
 * Shared memory: what the worker processes of a node know of its rooms.
 * Instances are linked when complete and never unlinked, so that lookups need
 * no lock; who writes what, and under which lock, stands with each.
 */


#ifndef _NGX_HTTP_TICKET_ZONE_H_INCLUDED_
#define _NGX_HTTP_TICKET_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <ticket_draw.h>
#include <ticket_histogram.h>
#include <ticket_token.h>
#include <ticket_line.h>
#include <ticket_policy.h>


/*
 * Counters that must outlive a worker process; kept per room instance, in
 * the order of ngx_http_ticket_metrics.c.
 */

typedef enum {
    NGX_HTTP_TICKET_N_POLLS = 0,
    NGX_HTTP_TICKET_N_POLLS_EARLY,
    NGX_HTTP_TICKET_N_JOINS,
    NGX_HTTP_TICKET_N_JOINS_CLOSED,
    NGX_HTTP_TICKET_N_JOINS_FULL,
    NGX_HTTP_TICKET_N_JOINS_UNAVAILABLE,
    NGX_HTTP_TICKET_N_JOINS_PROOF,
    NGX_HTTP_TICKET_N_JOINS_ZONE_FULL,
    NGX_HTTP_TICKET_N_ADMITTED,
    NGX_HTTP_TICKET_N_LEFT,
    NGX_HTTP_TICKET_N_PASSED,
    NGX_HTTP_TICKET_N_HELD_BACK,
    NGX_HTTP_TICKET_N_PASSES_BAD,
    NGX_HTTP_TICKET_N_PASSES_EXPIRED,
    NGX_HTTP_TICKET_N_PASSES_PAST_EPOCH,
    NGX_HTTP_TICKET_N_PASSES_OVER,
    NGX_HTTP_TICKET_N_EXCHANGES,
    NGX_HTTP_TICKET_N_EXCHANGES_FAILED,
    NGX_HTTP_TICKET_N_LAST
} ngx_http_ticket_counter_e;


/*
 * Highest values this node has seen, sent with every script so that Redis
 * learns what it lost.  Written under the zone's mutex; "issued" is read
 * without it.
 */

typedef struct {
    ngx_atomic_t                       issued;
    uint32_t                           epoch;
    uint64_t                           called;
    uint64_t                           seq;
} ngx_http_ticket_known_t;


/*
 * Settings changed at run time, as the last exchange brought them; restored
 * in Redis when it has lost them.  Guarded by the zone's mutex.
 */

typedef struct {
    uint64_t                           version;
    size_t                             len;
    u_char                             text[TICKET_SETTINGS_TEXT_MAX];
} ngx_http_ticket_changes_t;


/*
 * The draw: a key that this node proposes, until an exchange brings the one
 * that counts.  Written by the exchanging process, "held" last; read without
 * a lock.
 */

typedef struct {
    ngx_atomic_t                       held;     /* Unix ms; 0: not yet */
    uint64_t                           entries;
    u_char                             key[TICKET_DRAW_KEY_LEN];
} ngx_http_ticket_draw_t;


/* How fast visitors join, for challenges; guarded by the zone's mutex. */

typedef struct {
    ngx_msec_t                         at;       /* of the last sample */
    uint64_t                           life;
    uint64_t                           issued;
    uint64_t                           rate;     /* thousandths a second */
    ngx_uint_t                         window;
    uint64_t                           lowest;   /* rate in this window */
    uint64_t                           before;   /* and in the last */
} ngx_http_ticket_effort_t;


/* Sessions ever begun, by time: how many in the last minute. */

#define NGX_HTTP_TICKET_MINUTE         16

typedef struct {
    ngx_msec_t                         at;
    uint64_t                           begun;
} ngx_http_ticket_begun_t;


/*
 * For those who watch the room: written by the exchanging process under the
 * zone's mutex, but "waits", to which every process adds, and "told...",
 * which is the exchanging process's own.
 */

typedef struct {
    ticket_histogram_t                 waits;      /* ms */
    ticket_histogram_t                 told_waits; /* when last logged */
    ngx_msec_t                         told;       /* 0: never */

    uint64_t                           calls;      /* ever, in the epoch */
    uint64_t                           seats;      /* if seats_known */
    ngx_http_ticket_begun_t            begun[NGX_HTTP_TICKET_MINUTE];
    ngx_uint_t                         n;
    ngx_uint_t                         seats_known; /* unsigned  :1 */
} ngx_http_ticket_watch_t;


/*
 * A room instance in shared memory.  Linked into its bucket when complete
 * and never unlinked, so that lookups need no lock.
 */

typedef struct ngx_http_ticket_instance_s  ngx_http_ticket_instance_t;

struct ngx_http_ticket_instance_s {
    ngx_http_ticket_instance_t        *next;
    ngx_uint_t                         hash;
    ngx_uint_t                         len;
    u_char                             name[TICKET_ROOM_MAX];

    ngx_http_ticket_known_t            known;
    ngx_http_ticket_changes_t          changes;
    ngx_http_ticket_draw_t             draw;
    ngx_http_ticket_effort_t           effort;
    ngx_atomic_t                       active;  /* last visit, ngx_time() */
    ngx_atomic_t                       counter[NGX_HTTP_TICKET_N_LAST];
    ngx_http_ticket_watch_t            watch;

    /* of the exchanging process alone */
    ticket_pace_t                      pace;
    uint64_t                           resend_life;  /* 0: nothing to resend */
    ngx_uint_t                         paced;        /* unsigned  paced:1 */
    ngx_pid_t                          exchanging;   /* 0: nothing under way */

    ticket_line_t                      line;
};


#define NGX_HTTP_TICKET_BUCKETS        1024

#define ngx_http_ticket_each(zone, i, instance)                               \
    for (i = 0; i < NGX_HTTP_TICKET_BUCKETS; i++)                             \
        for (instance = (zone)->sh->bucket[i];                                \
             instance;                                                        \
             instance = instance->next)

typedef struct {
    ngx_uint_t                         magic;
    ngx_uint_t                         size;

    ngx_atomic_t                       lease_owner;    /* pid */
    ngx_atomic_t                       lease_until;    /* ngx_current_msec */

    ngx_atomic_t                       clock_offset;   /* Redis's less ours */
    ngx_atomic_t                       redis_errors;
    ngx_atomic_t                       redis_seen;     /* of these */
    ngx_atomic_t                       redis_failed;   /* ngx_time() */
    ngx_atomic_t                       redis_connections;
    ngx_atomic_t                       redis_last;     /* round trip, us */
    ticket_histogram_t                 redis_trips;    /* us */
    ngx_atomic_t                       refused;        /* found no memory */
    ngx_atomic_t                       instances;
    ngx_atomic_t                       full_logged;    /* ngx_time() */

    uint64_t                          *proofs;         /* that were used */

    ngx_http_ticket_instance_t        *bucket[NGX_HTTP_TICKET_BUCKETS];
} ngx_http_ticket_shared_t;


typedef struct {
    ngx_http_ticket_shared_t          *sh;
    ngx_slab_pool_t                   *shpool;
    ngx_uint_t                         challenged;  /* a location asks for
                                                       proofs */
} ngx_http_ticket_zone_t;


#endif /* _NGX_HTTP_TICKET_ZONE_H_INCLUDED_ */
