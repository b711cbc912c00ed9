
/*
 * The draw: numbers issued before the opening become places in a random
 * order that nobody chose.  Nothing of it is stored: the place is computed
 * from the number and a key that is shown when the draw has been held, with
 * the help of a table that each process makes for itself.  From then on the
 * line in Redis is kept by place, so the nodes deliver those whom they know to
 * be there anew.
 */


#include "ngx_http_ticket_module.h"


#define NGX_HTTP_TICKET_DRAW_STEP    8192   /* places computed in one tick */

/* more than the longest answer takes without the room's name */
#define NGX_HTTP_TICKET_DRAW_LEN     400

#define NGX_HTTP_TICKET_EXPANDED     32     /* draws at once, in a process */
#define NGX_HTTP_TICKET_EXPANDED_S   60     /* kept after their last use */


/* Those still to be delivered: a bit for each number that took part. */

typedef struct {
    ngx_queue_t                   queue;
    ngx_http_ticket_instance_t   *instance;
    uint64_t                      next;
    uint64_t                      entries;
    u_char                        bits[1];
} ngx_http_ticket_drawing_t;


/*
 * The places of one instance, of this process alone: in a queue with the last
 * used first, for as long as the instance's draw is the one of the copy.
 */

typedef struct {
    ngx_queue_t                   queue;
    ngx_http_ticket_instance_t   *instance;
    ngx_http_ticket_draw_t        draw;
    ticket_draw_t                *places;
    time_t                        used;
} ngx_http_ticket_expanded_t;


static ngx_int_t ngx_http_ticket_copy_draw(
    ngx_http_ticket_instance_t *instance, ngx_http_ticket_draw_t *copy);
static ticket_draw_t *ngx_http_ticket_places(
    ngx_http_ticket_instance_t *instance, ngx_http_ticket_draw_t *draw);
static ngx_http_ticket_expanded_t *ngx_http_ticket_get_expanded(
    ngx_http_ticket_process_t *process, ngx_http_ticket_instance_t *instance);
static void ngx_http_ticket_gather(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance, uint64_t entries);
static void ngx_http_ticket_draw_step(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_drawing_t *drawing);


uint64_t
ngx_http_ticket_place(ngx_http_ticket_instance_t *instance, uint64_t number)
{
    uint64_t                 place;
    ticket_draw_t           *places;
    ngx_http_ticket_draw_t   draw;

    if (ngx_http_ticket_copy_draw(instance, &draw) != NGX_OK
        || number > draw.entries)
    {
        return number;
    }

    places = ngx_http_ticket_places(instance, &draw);

    place = places ? ticket_draw_look(places, number)
                   : ticket_draw_place(draw.key, draw.entries, number);

    return place ? place : number;
}


/* NGX_DECLINED: it has not been held, or is being written at this moment. */

static ngx_int_t
ngx_http_ticket_copy_draw(ngx_http_ticket_instance_t *instance,
    ngx_http_ticket_draw_t *copy)
{
    ngx_http_ticket_draw_t  *draw;

    draw = &instance->draw;

    copy->held = __atomic_load_n(&draw->held, __ATOMIC_ACQUIRE);

    if (copy->held == 0) {
        return NGX_DECLINED;
    }

    copy->entries = draw->entries;
    ngx_memcpy(copy->key, draw->key, TICKET_DRAW_KEY_LEN);

    __atomic_thread_fence(__ATOMIC_ACQUIRE);

    return __atomic_load_n(&draw->held, __ATOMIC_RELAXED) == copy->held
           ? NGX_OK : NGX_DECLINED;
}


/* NULL: there is no memory for it, or too many draws are in use. */

static ticket_draw_t *
ngx_http_ticket_places(ngx_http_ticket_instance_t *instance,
    ngx_http_ticket_draw_t *draw)
{
    ngx_http_ticket_expanded_t   *expanded;
    ngx_http_ticket_main_conf_t  *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                              ngx_http_ticket_module);

    expanded = ngx_http_ticket_get_expanded(mcf->process, instance);
    if (expanded == NULL) {
        return NULL;
    }

    expanded->used = ngx_time();

    if (expanded->places
        && expanded->draw.held == draw->held
        && expanded->draw.entries == draw->entries
        && ngx_memcmp(expanded->draw.key, draw->key, TICKET_DRAW_KEY_LEN) == 0)
    {
        return expanded->places;
    }

    ticket_draw_close(expanded->places);

    expanded->draw = *draw;
    expanded->places = ticket_draw_open(draw->key, draw->entries);

    return expanded->places;
}


static ngx_http_ticket_expanded_t *
ngx_http_ticket_get_expanded(ngx_http_ticket_process_t *process,
    ngx_http_ticket_instance_t *instance)
{
    ngx_uint_t                   n;
    ngx_queue_t                 *q, *all;
    ngx_http_ticket_expanded_t  *expanded;

    n = 0;
    all = &process->expanded;

    for (q = ngx_queue_head(all);
         q != ngx_queue_sentinel(all);
         q = ngx_queue_next(q))
    {
        expanded = ngx_queue_data(q, ngx_http_ticket_expanded_t, queue);

        if (expanded->instance == instance) {
            ngx_queue_remove(q);
            ngx_queue_insert_head(all, q);
            return expanded;
        }

        n++;
    }

    if (n < NGX_HTTP_TICKET_EXPANDED) {
        expanded = ngx_calloc(sizeof(ngx_http_ticket_expanded_t),
                              ngx_cycle->log);
        if (expanded == NULL) {
            return NULL;
        }

    } else {
        q = ngx_queue_last(all);
        expanded = ngx_queue_data(q, ngx_http_ticket_expanded_t, queue);

        if (ngx_time() - expanded->used <= NGX_HTTP_TICKET_EXPANDED_S) {
            return NULL;
        }

        ngx_queue_remove(q);
        ticket_draw_close(expanded->places);
        expanded->places = NULL;
    }

    expanded->instance = instance;
    ngx_queue_insert_head(all, &expanded->queue);

    return expanded;
}


void
ngx_http_ticket_draw_exit(ngx_http_ticket_main_conf_t *mcf)
{
    ngx_queue_t                 *q, *all;
    ngx_http_ticket_expanded_t  *expanded;

    all = &mcf->process->expanded;

    while (!ngx_queue_empty(all)) {
        q = ngx_queue_head(all);
        ngx_queue_remove(q);

        expanded = ngx_queue_data(q, ngx_http_ticket_expanded_t, queue);

        ticket_draw_close(expanded->places);
        ngx_free(expanded);
    }
}


void
ngx_http_ticket_learn_draw(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance, ngx_http_ticket_draw_t *news)
{
    ngx_http_ticket_zone_t  *zone;
    ngx_http_ticket_draw_t  *draw;

    zone = mcf->zone->data;
    draw = &instance->draw;

    if (draw->held == news->held
        && draw->entries == news->entries
        && ngx_memcmp(draw->key, news->key, TICKET_DRAW_KEY_LEN) == 0)
    {
        return;
    }

    if (draw->held == 0 && news->held != 0) {
        ngx_http_ticket_gather(mcf, instance, news->entries);
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    __atomic_store_n(&draw->held, 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    draw->entries = news->entries;
    ngx_memcpy(draw->key, news->key, TICKET_DRAW_KEY_LEN);

    __atomic_store_n(&draw->held, news->held, __ATOMIC_RELEASE);

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/*
 * Takes everybody out of the bitmaps by number.  One who polls at this very
 * moment may be missed; the next poll makes up for it.
 */

static void
ngx_http_ticket_gather(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance, uint64_t entries)
{
    size_t                      i, len, last, offset;
    u_char                      bits[TICKET_SEG_BYTES];
    ticket_line_t              *line;
    ngx_http_ticket_zone_t     *zone;
    ngx_http_ticket_drawing_t  *drawing;

    line = &instance->line;
    zone = mcf->zone->data;

    if (entries == 0 || entries > TICKET_NUMBER_MAX) {
        return;
    }

    last = ticket_seg_of(entries);

    drawing = ngx_calloc(sizeof(ngx_http_ticket_drawing_t)
                         + (last + 1) * TICKET_SEG_BYTES, ngx_cycle->log);

    for (i = 0; i <= last; i++) {

        len = ticket_line_polled(line, i, 1, bits, &offset);
        if (len == 0) {
            continue;
        }

        ticket_line_delivered(line, i, bits + offset, offset, len);

        if (drawing) {
            ngx_memcpy(drawing->bits + i * TICKET_SEG_BYTES + offset,
                       bits + offset, len);
        }
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    (void) ticket_line_begin(line);
    ticket_line_clear(line);
    ticket_line_publish(line);

    ngx_shmtx_unlock(&zone->shpool->mutex);

    if (drawing == NULL) {

        /* each is there again with the next poll */

        return;
    }

    drawing->instance = instance;
    drawing->next = 1;
    drawing->entries = entries;

    ngx_queue_insert_tail(&mcf->process->draws, &drawing->queue);
}


void
ngx_http_ticket_draw_tick(ngx_http_ticket_main_conf_t *mcf)
{
    ngx_queue_t                *q, *next, *all;
    ngx_http_ticket_drawing_t  *drawing;

    all = &mcf->process->draws;

    for (q = ngx_queue_head(all); q != ngx_queue_sentinel(all); q = next) {
        next = ngx_queue_next(q);
        drawing = ngx_queue_data(q, ngx_http_ticket_drawing_t, queue);

        ngx_http_ticket_draw_step(mcf, drawing);

        if (drawing->next > drawing->entries) {
            ngx_queue_remove(q);
            ngx_free(drawing);
        }
    }
}


static void
ngx_http_ticket_draw_step(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_drawing_t *drawing)
{
    uint64_t    number, place;
    ngx_uint_t  n;

    n = 0;

    for (number = drawing->next;
         number <= drawing->entries && n < NGX_HTTP_TICKET_DRAW_STEP;
         number++)
    {
        if (!(drawing->bits[number / 8] & (0x80 >> number % 8))) {
            continue;
        }

        place = ngx_http_ticket_place(drawing->instance, number);

        if (ngx_http_ticket_reserve(mcf->zone->data, drawing->instance, place,
                                    place, ngx_cycle->log)
            == NGX_OK)
        {
            (void) ticket_line_mark(&drawing->instance->line, place);
        }

        n++;
    }

    drawing->next = number;
}


ngx_uint_t
ngx_http_ticket_drawing(ngx_http_ticket_main_conf_t *mcf,
    ngx_http_ticket_instance_t *instance)
{
    ngx_queue_t                *q, *all;
    ngx_http_ticket_drawing_t  *drawing;

    all = &mcf->process->draws;

    for (q = ngx_queue_head(all);
         q != ngx_queue_sentinel(all);
         q = ngx_queue_next(q))
    {
        drawing = ngx_queue_data(q, ngx_http_ticket_drawing_t, queue);

        if (drawing->instance == instance) {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_http_ticket_send_draw(ngx_http_request_t *r, ngx_http_ticket_ctx_t *ctx)
{
    u_char                       *p, commitment[TICKET_DRAW_KEY_LEN];
    uint64_t                      now;
    ngx_buf_t                    *b;
    ticket_view_t                 view;
    ticket_policy_t              *policy;
    ngx_http_ticket_draw_t        draw;
    ngx_http_ticket_zone_t       *zone;
    ngx_http_ticket_main_conf_t  *mcf;
    static ngx_str_t              type = ngx_string("application/json");

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ticket_module);
    zone = mcf->zone->data;
    policy = &ctx->room->policy;
    now = ngx_http_ticket_now(zone);

    if (!policy->draw) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_NO_DRAW, NULL);
    }

    if (ngx_http_ticket_visit(r, ctx) != NGX_OK) {
        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_IS_AWAY, NULL);
    }

    ticket_line_view(&ctx->instance->line, &view);

    if (view.life == 0 || view.epoch != ctx->instance->known.epoch) {

        /* which key counts is not known before the first exchange */

        return ngx_http_ticket_send_problem(r, NGX_HTTP_TICKET_IS_AWAY, NULL);
    }

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_TICKET_DRAW_LEN + ctx->name.len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_shmtx_lock(&zone->shpool->mutex);
    draw = ctx->instance->draw;
    ngx_shmtx_unlock(&zone->shpool->mutex);

    ticket_draw_commitment(draw.key, commitment);

    p = ngx_sprintf(b->last, "{\"room\":\"%V\",\"epoch\":%uD,"
                    "\"commitment\":\"", &ctx->name, view.epoch);
    p = ngx_hex_dump(p, commitment, TICKET_DRAW_KEY_LEN);

    if (draw.held) {
        p = ngx_cpymem(p, "\",\"key\":\"", sizeof("\",\"key\":\"") - 1);
        p = ngx_hex_dump(p, draw.key, TICKET_DRAW_KEY_LEN);
        p = ngx_sprintf(p, "\",\"entries\":%uL,\"held_at_ms\":%uA",
                        draw.entries, draw.held);

    } else {
        p = ngx_cpymem(p, "\",\"key\":null,\"entries\":null",
                       sizeof("\",\"key\":null,\"entries\":null") - 1);
    }

    if (now < policy->opens) {
        p = ngx_sprintf(p, ",\"opens_in_ms\":%uL}", policy->opens - now);

    } else {
        p = ngx_cpymem(p, ",\"opens_in_ms\":null}",
                       sizeof(",\"opens_in_ms\":null}") - 1);
    }

    b->last = p;

    return ngx_http_ticket_send_body(r, NGX_HTTP_OK, &type, b);
}
