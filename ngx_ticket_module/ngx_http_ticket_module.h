
/*
 * What the files of the module share.  One job a file:
 *
 *   _module.c    the module, and the life of a process
 *   _conf.c      directives; _redis_conf.c, _setting.c those with more to say
 *   _room.c      rooms, and which instance a request is for
 *   _zone.c      shared memory, laid out in _zone.h
 *   _redis.c     commands and their replies; _link.c one connection,
 *                _sentinel.c and _cluster.c where to connect
 *   _script.c    the scripts in Redis
 *   _line.c      what a request asks of the line, _join.c a place in it,
 *                _why.c its history; _op.c such a question under way
 *   _exchange.c  the regular exchange, _apply.c what it brought, _draw.c what
 *                the draw makes of it, _watch.c what is noted of it
 *   _visitor.c   tokens and cookies of a request, _challenge.c what is asked
 *                of a visitor before, _headers.c what an upstream is told and
 *                _release.c what it orders
 *   _queue.c, _gate.c, _metrics.c, _status.c, _admin.c  the locations
 *   _reply.c     answers, _problem.c refusals, _text.c texts that grow,
 *                _variables.c variables
 */


#ifndef _NGX_HTTP_TICKET_MODULE_H_INCLUDED_
#define _NGX_HTTP_TICKET_MODULE_H_INCLUDED_


#include "ngx_http_ticket_redis.h"
#include "ngx_http_ticket_zone.h"


#define NGX_HTTP_TICKET_VERSION        "0.1.0"


/* A room: its policy as configured, and the same as text for Redis. */

typedef struct {
    ngx_str_t                          name;
    ticket_policy_t                    policy;
    ngx_str_t                          text;
    ngx_uint_t                         early;    /* refuse polls too early */
} ngx_http_ticket_room_t;


/* What one worker process owns: made in init_process, found by main conf. */

typedef struct {
    ngx_http_ticket_redis_t           *redis;
    ngx_event_t                        tick;
    ngx_queue_t                        joins;    /* batches under way */
    ngx_queue_t                        draws;    /* places to be delivered */
    ngx_queue_t                        expanded;   /* draws, last used first */
    ngx_msec_t                         exchanged;
    ngx_msec_t                         paced;
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
    ngx_uint_t                         challenged;
    ngx_int_t                          cookie_index;
    ngx_int_t                          accept_index;
    ngx_http_ticket_process_t         *process;
} ngx_http_ticket_main_conf_t;


#define NGX_HTTP_TICKET_CHECK_REDIS    0
#define NGX_HTTP_TICKET_CHECK_LOCAL    1

#define NGX_HTTP_TICKET_SECURE_OFF     0
#define NGX_HTTP_TICKET_SECURE_ON      1
#define NGX_HTTP_TICKET_SECURE_AUTO    2

/* ticket_challenge; the rate is in thousandths a second. */

typedef struct {
    ngx_http_complex_value_t          *mode;
    ngx_uint_t                         difficulty;   /* bits */
    ngx_uint_t                         max;
    uint64_t                           rate;
} ngx_http_ticket_challenge_t;


typedef struct {
    ngx_http_complex_value_t          *queue;        /* room of ticket_queue */
    ngx_http_complex_value_t          *gate;         /* room of ticket_gate */
    ngx_http_complex_value_t          *gate_queue;   /* address of the queue */
    ngx_http_complex_value_t          *gate_page;
    ngx_uint_t                         gate_status;
    ngx_uint_t                         gate_check;
    ngx_http_complex_value_t          *identity;
    ngx_http_complex_value_t          *bind;
    ngx_http_ticket_challenge_t       *challenge;
    ngx_uint_t                         secure;
    ngx_uint_t                         admin;        /* unsigned  admin:1 */
    ngx_http_complex_value_t          *admin_who;
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
    NGX_HTTP_TICKET_PREQUEUE,
    NGX_HTTP_TICKET_CLOSED,
    NGX_HTTP_TICKET_EARLY,
    NGX_HTTP_TICKET_UNPROVEN,
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

typedef struct ngx_http_ticket_op_s     ngx_http_ticket_op_t;
typedef struct ngx_http_ticket_ctx_s    ngx_http_ticket_ctx_t;
typedef struct ngx_http_ticket_admin_s  ngx_http_ticket_admin_t;

typedef ngx_int_t (*ngx_http_ticket_step_pt)(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

struct ngx_http_ticket_ctx_s {
    ngx_http_ticket_room_t            *room;
    ngx_str_t                          name;       /* of the instance */
    ngx_http_ticket_instance_t        *instance;
    ngx_http_ticket_token_t            queue;
    ngx_http_ticket_token_t            pass;
    ngx_str_t                          bind;       /* tokens are bound to */
    ngx_str_t                          identity;
    uint64_t                           spent;      /* number it had before */

    ngx_http_ticket_state_e            state;
    ticket_place_t                     place;      /* when waiting */
    uint64_t                           ends;       /* of the session */
    ngx_str_t                          queue_url;
    ngx_str_t                          challenge;  /* when unproven */
    ngx_uint_t                         difficulty;

    ngx_http_upstream_t               *before;     /* of an earlier location */
    ngx_buf_t                         *events;     /* told by "why" */
    ngx_http_ticket_admin_t           *admin;      /* what an operator asks */
    ngx_http_ticket_op_t              *op;         /* asked, not answered */
    ngx_http_ticket_step_pt            next;       /* after the answer */
    unsigned                           secure:1;
    unsigned                           identified:1;
    unsigned                           known:1;    /* by the identity */
    unsigned                           gated:1;
    unsigned                           release:1;  /* ordered by the upstream */
    unsigned                           released:1;
    unsigned                           joined:1;   /* number is a new one */
    unsigned                           decided:1;  /* gate decided: page */
};


/* _room.c */

ngx_http_ticket_room_t *ngx_http_ticket_find_room(
    ngx_http_ticket_main_conf_t *mcf, ngx_str_t *name);

/* The room whose instance this is, or NULL when it is not configured. */
ngx_http_ticket_room_t *ngx_http_ticket_room_of(
    ngx_http_ticket_main_conf_t *mcf, ngx_http_ticket_instance_t *instance);

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

/* The same for ctx->name. */
ngx_int_t ngx_http_ticket_resolve_name(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


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

#define ngx_http_ticket_count_known(ctx, n)                                   \
    if ((ctx)->instance) {                                                    \
        ngx_http_ticket_count((ctx)->instance, n);                            \
    }

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
 * Redis failed a moment ago: perhaps it has lost what other nodes know and
 * this one does not.
 */
ngx_uint_t ngx_http_ticket_is_doubtful(ngx_http_ticket_zone_t *zone);

/* Finds or makes the instance of a request, and has it exchanged. */
ngx_int_t ngx_http_ticket_visit(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


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

/*
 * Looks the place up only, and sets the state of a visitor who is neither
 * called nor admitted; the instance is known.
 */
void ngx_http_ticket_refresh_place(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_ctx_t *ctx);

/* NGX_OK: the room takes visitors now, as far as this node knows. */
ngx_int_t ngx_http_ticket_takes_joins(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_ctx_t *ctx);

/* Joins that wait for Redis to settle try again. */
void ngx_http_ticket_send_joins(ngx_http_ticket_main_conf_t *mcf);


/* _why.c: what has happened to a place. */

ngx_int_t ngx_http_ticket_why(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_http_ticket_done_pt done);
ngx_int_t ngx_http_ticket_send_why(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


/* _draw.c */

/* The place of a number: the number itself, or what the draw made of it. */
uint64_t ngx_http_ticket_place(ngx_http_ticket_instance_t *instance,
    uint64_t number);

/*
 * The draw as an exchange tells of it.  When it has just been held, those
 * whom this node knows to be there are delivered anew, by place, a part with
 * each tick.
 */
void ngx_http_ticket_learn_draw(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance, ngx_http_ticket_draw_t *draw);
void ngx_http_ticket_draw_tick(ngx_http_ticket_main_conf_t *mcf);

/* Frees what the process has computed. */
void ngx_http_ticket_draw_exit(ngx_http_ticket_main_conf_t *mcf);

/* True while a part is still to be delivered. */
ngx_uint_t ngx_http_ticket_drawing(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance);

/* GET {queue}/draw: what is published. */
ngx_int_t ngx_http_ticket_send_draw(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


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

/* The context kept before this one, or with NULL the last; NULL: no more. */
ngx_http_ticket_ctx_t *ngx_http_ticket_kept_ctx(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

/*
 * Finds and verifies both tokens; the room instance is known.  Returns NGX_OK,
 * or the status to answer with.
 */
ngx_int_t ngx_http_ticket_read_tokens(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

/* Redis has said that the pass is over. */
ngx_int_t ngx_http_ticket_drop_pass(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

/* Sets the identity, once; it stays empty where the visitor has none. */
ngx_int_t ngx_http_ticket_identify(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

/* Sign, and set the cookie. */
ngx_int_t ngx_http_ticket_give_queue_token(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, uint32_t epoch, uint64_t number);
ngx_int_t ngx_http_ticket_give_pass(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, uint32_t epoch, uint64_t number,
    uint64_t ends, uint64_t last);
ngx_int_t ngx_http_ticket_clear_cookie(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ticket_token_kind_t kind);


/* _watch.c */

/* What is known of a room instance, read in one piece. */
typedef struct {
    ngx_http_ticket_instance_t        *instance;
    ticket_policy_t                    policy;      /* in force */
    ticket_phase_t                     phase;
    ticket_view_t                      view;
    uint64_t                           in_line;
    uint64_t                           issued;
    ngx_uint_t                         seats_known;
    uint64_t                           seats;
    uint64_t                           calls;       /* ever, in the epoch */
    uint64_t                           admitted;    /* during "span" ms */
    ngx_msec_t                         span;        /* 0: not known */
    ticket_histogram_t                 waits;
} ngx_http_ticket_seen_t;

/* NGX_DECLINED: its room is not configured any more. */
ngx_int_t ngx_http_ticket_see(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance, ngx_http_ticket_seen_t *seen);

/* Microseconds of a clock that only goes on. */
uint64_t ngx_http_ticket_clock(void);

/* An exchange that was sent at this time has been answered. */
void ngx_http_ticket_watch_trip(ngx_http_ticket_zone_t *zone, uint64_t sent);

/*
 * What an exchange brought; the caller holds the mutex.  seats below 0 are
 * not known.
 */
void ngx_http_ticket_watch(ngx_http_ticket_instance_t *instance,
    ticket_view_t *view, uint64_t calls, int64_t seats);

/* One line a minute in the log; of the exchanging process. */
void ngx_http_ticket_watch_tell(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance);

/* Counts a pass that was found to be bad, expired, or of another epoch. */
void ngx_http_ticket_watch_pass(ngx_http_ticket_ctx_t *ctx);

/* A room that takes nobody has refused a join. */
void ngx_http_ticket_watch_closed(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

/* The visitor's number was issued at this time, and is admitted now. */
void ngx_http_ticket_watch_admitted(ngx_http_ticket_zone_t *zone,
    ngx_http_ticket_instance_t *instance, uint64_t issued_ms);


/* _text.c */

/* A text in a pool, which grows; "failed" when there is no memory. */
typedef struct {
    ngx_pool_t                        *pool;
    u_char                            *start;
    u_char                            *last;
    u_char                            *end;
    ngx_uint_t                         failed;      /* unsigned  failed:1 */
} ngx_http_ticket_text_t;

void ngx_http_ticket_text_init(ngx_http_ticket_text_t *text, ngx_pool_t *pool,
    size_t size);

/* As ngx_sprintf() does. */
void ngx_http_ticket_text_add(ngx_http_ticket_text_t *text, const char *fmt,
    ...);

/* n / parts, a power of ten, with as many decimals as it has. */
void ngx_http_ticket_text_decimal(ngx_http_ticket_text_t *text, uint64_t n,
    uint64_t parts);

ngx_int_t ngx_http_ticket_text_send(ngx_http_request_t *r,
    ngx_http_ticket_text_t *text, ngx_str_t *type);


/* _headers.c: the request headers that tell the upstream who the visitor is */

/* Removes all that the client made up under these names. */
ngx_int_t ngx_http_ticket_remove_headers(ngx_http_request_t *r);
ngx_int_t ngx_http_ticket_set_headers(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


/* _challenge.c */

/* Sees to it that the zone has the table of used proofs. */
ngx_int_t ngx_http_ticket_alloc_proofs(ngx_http_ticket_zone_t *zone);

/*
 * NGX_OK: this visitor may join.  NGX_DECLINED: not without a proof, and the
 * context has the challenge.
 */
ngx_int_t ngx_http_ticket_prove(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


/* _release.c */

void ngx_http_ticket_release_init(void);

/* Marks the context where the upstream that has answered orders a release. */
void ngx_http_ticket_note_command(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


/* _queue.c, _gate.c, _metrics.c, _status.c, _admin.c */

ngx_int_t ngx_http_ticket_queue_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_ticket_gate_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_ticket_metrics_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_ticket_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_ticket_admin_handler(ngx_http_request_t *r);


/* _problem.c */

typedef enum {
    NGX_HTTP_TICKET_NO_TOKEN = 0,
    NGX_HTTP_TICKET_BAD_TOKEN,
    NGX_HTTP_TICKET_NOT_ADMITTED,
    NGX_HTTP_TICKET_NO_SUCH_ROOM,
    NGX_HTTP_TICKET_NO_SUCH_NUMBER,
    NGX_HTTP_TICKET_NOT_FOUND,
    NGX_HTTP_TICKET_NO_DRAW,
    NGX_HTTP_TICKET_BAD_REQUEST,
    NGX_HTTP_TICKET_TOO_LARGE,
    NGX_HTTP_TICKET_MEDIA_TYPE,
    NGX_HTTP_TICKET_METHOD,
    NGX_HTTP_TICKET_PAST_EPOCH,
    NGX_HTTP_TICKET_IS_SPENT,
    NGX_HTTP_TICKET_IS_CLOSED,
    NGX_HTTP_TICKET_IS_EARLY,
    NGX_HTTP_TICKET_NO_PROOF,
    NGX_HTTP_TICKET_IS_AWAY
} ngx_http_ticket_problem_e;

/*
 * These send the whole answer and return what to finalize with.  "more" is
 * further members as JSON, each with a comma before it; retry_after is in
 * seconds, 0: not told.
 */
ngx_int_t ngx_http_ticket_send_problem(ngx_http_request_t *r,
    ngx_http_ticket_problem_e problem, ngx_str_t *queue_url);
ngx_int_t ngx_http_ticket_send_closed(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
ngx_int_t ngx_http_ticket_send_unproven(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);
ngx_int_t ngx_http_ticket_send_early(ngx_http_request_t *r, uint32_t ms);
ngx_int_t ngx_http_ticket_send_details(ngx_http_request_t *r,
    ngx_http_ticket_problem_e problem, ngx_str_t *more, uint64_t retry_after);

/* With another sentence, not yet escaped, in place of the usual one. */
ngx_int_t ngx_http_ticket_send_wrong(ngx_http_request_t *r,
    ngx_http_ticket_problem_e problem, ngx_str_t *detail);

/* Says which methods there are. */
ngx_int_t ngx_http_ticket_send_methods(ngx_http_request_t *r,
    ngx_str_t *methods);


/* _reply.c */

ngx_int_t ngx_http_ticket_send_state(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx, ngx_uint_t status);
ngx_int_t ngx_http_ticket_send_body(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b);
ngx_table_elt_t *ngx_http_ticket_add_header(ngx_http_request_t *r,
    ngx_str_t *key, ngx_str_t *value);

/* When to poll again, in milliseconds. */
uint32_t ngx_http_ticket_poll_after(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);

/* When a page without JavaScript should reload, in seconds. */
uint32_t ngx_http_ticket_refresh(ngx_http_request_t *r,
    ngx_http_ticket_ctx_t *ctx);


/* _variables.c */

ngx_int_t ngx_http_ticket_add_variables(ngx_conf_t *cf);


extern ngx_module_t  ngx_http_ticket_module;


#endif /* _NGX_HTTP_TICKET_MODULE_H_INCLUDED_ */
