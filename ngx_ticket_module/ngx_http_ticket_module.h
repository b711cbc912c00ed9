
/*
 * What the files of the module share.  One job a file: _module.c the module
 * and the life of a process, _conf.c directives, _room.c rooms and their
 * instances, _zone.c shared memory, _redis.c hiredis on nginx's events,
 * _script.c the scripts in Redis, _line.c and _join.c what a request asks of
 * the line, _op.c such a question while it is under way, _exchange.c the
 * regular exchange, _visitor.c tokens and cookies of a request, _queue.c,
 * _gate.c and _metrics.c the three locations, _reply.c answers, _variables.c
 * variables.
 */


#ifndef _NGX_HTTP_TICKET_MODULE_H_INCLUDED_
#define _NGX_HTTP_TICKET_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <ticket_token.h>
#include <ticket_line.h>

#include "ngx_http_ticket_redis.h"


/* A room: the policy, as configured.  Zero slots or rate: no such limit. */

typedef struct {
    ngx_str_t                          name;
    ngx_uint_t                         slots;
    ngx_uint_t                         rate;
    ngx_msec_t                         per;
    ngx_msec_t                         session;
    ngx_msec_t                         claim;
    ngx_msec_t                         liveness;
} ngx_http_ticket_room_t;


/*
 * Counters that must outlive a worker process; kept per room instance, in
 * the order of ngx_http_ticket_metrics.c.
 */

typedef enum {
    NGX_HTTP_TICKET_N_POLLS = 0,
    NGX_HTTP_TICKET_N_JOINS,
    NGX_HTTP_TICKET_N_JOINS_FAILED,
    NGX_HTTP_TICKET_N_ADMITTED,
    NGX_HTTP_TICKET_N_LEFT,
    NGX_HTTP_TICKET_N_PASSED,
    NGX_HTTP_TICKET_N_HELD_BACK,
    NGX_HTTP_TICKET_N_REFUSED,
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


/* Calls ever made, by time: what the estimate is taken from. */

#define NGX_HTTP_TICKET_SAMPLES        16

typedef struct {
    ngx_msec_t                         at;
    uint64_t                           total;
} ngx_http_ticket_sample_t;


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
    ngx_atomic_t                       active;  /* last visit, ngx_time() */
    ngx_atomic_t                       counter[NGX_HTTP_TICKET_N_LAST];

    /* of the exchanging process alone */
    ngx_http_ticket_sample_t           sample[NGX_HTTP_TICKET_SAMPLES];
    ngx_uint_t                         samples;
    uint64_t                           resend_life;  /* 0: nothing to resend */

    ticket_line_t                      line;
};


#define NGX_HTTP_TICKET_BUCKETS        1024

typedef struct {
    ngx_uint_t                         magic;
    ngx_uint_t                         size;

    ngx_atomic_t                       lease_owner;    /* pid */
    ngx_atomic_t                       lease_until;    /* ngx_current_msec */

    ngx_atomic_t                       clock_offset;   /* Redis's less ours */
    ngx_atomic_t                       redis_errors;
    ngx_atomic_t                       instances;
    ngx_atomic_t                       full_logged;    /* ngx_time() */

    ngx_http_ticket_instance_t        *bucket[NGX_HTTP_TICKET_BUCKETS];
} ngx_http_ticket_shared_t;


typedef struct {
    ngx_http_ticket_shared_t          *sh;
    ngx_slab_pool_t                   *shpool;
} ngx_http_ticket_zone_t;


/* What one worker process owns: made in init_process, found by main conf. */

typedef struct {
    ngx_http_ticket_redis_t           *redis;
    ngx_event_t                        tick;
    ngx_queue_t                        joins;    /* batches under way */
    ngx_uint_t                         exchanges;  /* in flight */
    ngx_msec_t                         exchanged;
} ngx_http_ticket_process_t;


/* A value that names a room, checked when all rooms are known. */

typedef struct {
    ngx_http_complex_value_t          *cv;
    const char                        *directive;
} ngx_http_ticket_room_use_t;


typedef struct {
    ngx_shm_zone_t                    *zone;
    ngx_msec_t                         interval;
    ngx_str_t                          node;
    ngx_http_ticket_redis_conf_t      *redis;
    ticket_keys_t                     *keys;
    ngx_array_t                        rooms;    /* ngx_http_ticket_room_t */
    ngx_array_t                        uses;     /* ..._room_use_t */
    ngx_uint_t                         used;     /* unsigned  used:1 */
    ngx_int_t                          cookie_index;
    ngx_int_t                          accept_index;
    ngx_http_ticket_process_t         *process;
} ngx_http_ticket_main_conf_t;


#define NGX_HTTP_TICKET_CHECK_REDIS    0
#define NGX_HTTP_TICKET_CHECK_LOCAL    1

#define NGX_HTTP_TICKET_SECURE_OFF     0
#define NGX_HTTP_TICKET_SECURE_ON      1
#define NGX_HTTP_TICKET_SECURE_AUTO    2

typedef struct {
    ngx_http_complex_value_t          *queue;        /* room of ticket_queue */
    ngx_http_complex_value_t          *gate;         /* room of ticket_gate */
    ngx_http_complex_value_t          *gate_queue;   /* address of the queue */
    ngx_http_complex_value_t          *gate_page;
    ngx_uint_t                         gate_status;
    ngx_uint_t                         gate_check;
    ngx_uint_t                         secure;
} ngx_http_ticket_loc_conf_t;


typedef enum {
    NGX_HTTP_TICKET_UNKNOWN = 0,
    NGX_HTTP_TICKET_WAITING,
    NGX_HTTP_TICKET_CALLED,
    NGX_HTTP_TICKET_ADMITTED,
    NGX_HTTP_TICKET_SPENT,
    NGX_HTTP_TICKET_PAST,
    NGX_HTTP_TICKET_LEFT,
    NGX_HTTP_TICKET_REFUSED,
    NGX_HTTP_TICKET_UNAVAILABLE
} ngx_http_ticket_state_e;


/* How a token that came with the request was found. */

typedef enum {
    NGX_HTTP_TICKET_TOKEN_NONE = 0,
    NGX_HTTP_TICKET_TOKEN_GOOD,
    NGX_HTTP_TICKET_TOKEN_BAD,
    NGX_HTTP_TICKET_TOKEN_OVER       /* past epoch, or expired */
} ngx_http_ticket_found_e;

typedef struct {
    ngx_http_ticket_found_e            found;
    unsigned                           cookie:1;
    ngx_str_t                          text;
    ticket_token_t                     token;
} ngx_http_ticket_token_t;


/* A request to a queue or gate location, kept until the request ends. */

typedef struct ngx_http_ticket_op_s   ngx_http_ticket_op_t;
typedef struct ngx_http_ticket_ctx_s  ngx_http_ticket_ctx_t;

typedef ngx_int_t (*ngx_http_ticket_step_pt)(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

struct ngx_http_ticket_ctx_s {
    ngx_http_ticket_room_t            *room;
    ngx_str_t                          name;       /* of the instance */
    ngx_http_ticket_instance_t        *instance;
    ngx_http_ticket_token_t            queue;
    ngx_http_ticket_token_t            pass;

    ngx_http_ticket_state_e            state;
    ticket_place_t                     place;      /* when waiting */
    ngx_str_t                          queue_url;

    ngx_http_ticket_op_t              *op;         /* asked, not answered */
    ngx_http_ticket_step_pt            next;       /* after the answer */
    unsigned                           secure:1;
    unsigned                           joined:1;   /* number is a new one */
    unsigned                           decided:1;  /* gate decided: page */
};


/* _room.c */

ngx_http_ticket_room_t *ngx_http_ticket_find_room(
    ngx_http_ticket_main_conf_t *mcf, ngx_str_t *name);

/* Compiles the room argument of a directive, and keeps it to be checked. */
ngx_http_complex_value_t *ngx_http_ticket_room_value(ngx_conf_t *cf,
    ngx_str_t *value, const char *directive);
ngx_http_complex_value_t *ngx_http_ticket_value(ngx_conf_t *cf,
    ngx_str_t *value);
ngx_int_t ngx_http_ticket_check_rooms(ngx_conf_t *cf,
    ngx_http_ticket_main_conf_t *mcf);

/*
 * Names the room and the instance of a request.  NGX_DECLINED: there is no
 * such room, or the instance's name is not allowed.
 */
ngx_int_t ngx_http_ticket_resolve(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_http_ticket_ctx_t *ctx);


/* _zone.c */

/* The zone's init handler; shm_zone->data is an ngx_http_ticket_zone_t. */
ngx_int_t ngx_http_ticket_init_zone(ngx_shm_zone_t *shm_zone, void *data);

/* Without a lock; NULL when there is none. */
ngx_http_ticket_instance_t *ngx_http_ticket_find_instance(
    ngx_http_ticket_zone_t *zone, ngx_str_t *name);

/* Finds or makes; NULL when the zone is full, which is logged. */
ngx_http_ticket_instance_t *ngx_http_ticket_get_instance(
    ngx_http_ticket_zone_t *zone, ngx_str_t *name, ngx_log_t *log);

/* Sees to it that numbers up to this one have memory. */
ngx_int_t ngx_http_ticket_reserve(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, uint64_t from, uint64_t to,
    ngx_log_t *log);

/* Raises what the node knows; takes the zone's mutex. */
void ngx_http_ticket_learn(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, ngx_http_ticket_known_t *news);

#define ngx_http_ticket_count(instance, n)                                    \
    (void) ngx_atomic_fetch_add(&(instance)->counter[n], 1)

/*
 * A good token proves what was issued, to a node that knows less: one that
 * has been restarted, or whose next exchange is yet to come.  It proves
 * nothing about epochs once one is known.
 */
void ngx_http_ticket_learn_token(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, ticket_token_t *token);

/* Now by Redis's clock, in Unix milliseconds. */
uint64_t ngx_http_ticket_now(ngx_http_ticket_zone_t *zone);


/*
 * _line.c and _join.c: each returns NGX_AGAIN when done() will be called with
 * the state in the context, never from within the call, or NGX_OK with the
 * state set.
 */

typedef void (*ngx_http_ticket_done_pt)(ngx_http_request_t *r);

ngx_int_t ngx_http_ticket_join(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done);
ngx_int_t ngx_http_ticket_claim(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done);
ngx_int_t ngx_http_ticket_leave(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done);
ngx_int_t ngx_http_ticket_check(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done);

/* Marks presence and looks the place up; sends nothing to Redis. */
void ngx_http_ticket_poll(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx);

/* Looks the place up only; the instance is known. */
void ngx_http_ticket_refresh_place(ngx_http_ticket_ctx_t *ctx,
    uint64_t number);

/* Joins that wait for Redis to settle try again. */
void ngx_http_ticket_send_joins(ngx_http_ticket_main_conf_t *mcf);


/* _exchange.c */

void ngx_http_ticket_exchange_init(ngx_cycle_t *cycle,
    ngx_http_ticket_main_conf_t *mcf);
void ngx_http_ticket_exchange_exit(ngx_http_ticket_main_conf_t *mcf);


/* _visitor.c */

/* The context of a request, or NULL. */
ngx_http_ticket_ctx_t *ngx_http_ticket_get_ctx(ngx_http_request_t *r);

ngx_http_ticket_ctx_t *ngx_http_ticket_make_ctx(ngx_http_request_t *r);

/* Lets the context be found after an internal redirect, too. */
ngx_int_t ngx_http_ticket_keep_ctx(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

/* Finds and verifies both tokens; the room instance is known. */
void ngx_http_ticket_read_tokens(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

/* Sign, and set the cookie. */
ngx_int_t ngx_http_ticket_give_queue_token(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, uint32_t epoch, uint64_t number);
ngx_int_t ngx_http_ticket_give_pass(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, uint32_t epoch, uint64_t number,
    uint64_t ends);
ngx_int_t ngx_http_ticket_clear_cookie(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ticket_token_kind_t kind);


/* _queue.c, _gate.c, _metrics.c */

ngx_int_t ngx_http_ticket_queue_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_ticket_gate_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_ticket_metrics_handler(ngx_http_request_t *r);


/* _reply.c */

typedef enum {
    NGX_HTTP_TICKET_NO_TOKEN = 0,
    NGX_HTTP_TICKET_BAD_TOKEN,
    NGX_HTTP_TICKET_NOT_ADMITTED,
    NGX_HTTP_TICKET_NO_SUCH_ROOM,
    NGX_HTTP_TICKET_METHOD,
    NGX_HTTP_TICKET_PAST_EPOCH,
    NGX_HTTP_TICKET_IS_SPENT,
    NGX_HTTP_TICKET_IS_AWAY
} ngx_http_ticket_problem_e;

/* Both send the whole answer and return what to finalize with. */
ngx_int_t ngx_http_ticket_send_state(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_uint_t status);
ngx_int_t ngx_http_ticket_send_problem(ngx_http_request_t *r,
    ngx_http_ticket_problem_e problem, ngx_str_t *queue_url);
ngx_int_t ngx_http_ticket_send_body(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b);
ngx_table_elt_t *ngx_http_ticket_add_header(ngx_http_request_t *r,
    ngx_str_t *key, ngx_str_t *value);

/* When a page without JavaScript should reload, in seconds. */
uint32_t ngx_http_ticket_refresh(ngx_http_ticket_ctx_t *ctx);


/* _variables.c */

ngx_int_t ngx_http_ticket_add_variables(ngx_conf_t *cf);


extern ngx_module_t  ngx_http_ticket_module;


#endif /* _NGX_HTTP_TICKET_MODULE_H_INCLUDED_ */
