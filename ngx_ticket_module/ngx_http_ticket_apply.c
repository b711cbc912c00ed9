
/*
 * What an exchange has brought is shown to all processes of the node: the
 * line, the policy in force, the draw, and how fast the line moves.
 */


#include "ngx_http_ticket_script.h"


static void ngx_http_ticket_apply_policy(ngx_http_ticket_subject_t *subject,
    ticket_answer_line_t *told, ticket_view_t *view);
static void ngx_http_ticket_sample(ngx_http_ticket_subject_t *subject,
    ngx_http_ticket_answer_t *answer, uint64_t calls, ticket_view_t *view);


void
ngx_http_ticket_apply_line(ngx_http_ticket_subject_t *subject,
    ngx_http_ticket_answer_t *answer, ticket_answer_line_t *told)
{
    uint64_t                     first;
    ngx_uint_t                   i, calling;
    ticket_line_t               *line;
    ticket_view_t               *view;
    ngx_http_ticket_zone_t      *zone;
    ngx_http_ticket_instance_t  *instance;

    instance = subject->instance;
    zone = subject->mcf->zone->data;
    line = &instance->line;

    for (i = 0; i < told->segments; i++) {
        first = (uint64_t) ticket_answer_segment(answer, i) * TICKET_SEG_BITS;

        /* in a full zone those who have memory go on */

        (void) ngx_http_ticket_reserve(zone, instance, first, first,
                                       ngx_cycle->log);
    }

    ngx_shmtx_lock(&zone->shpool->mutex);

    view = ticket_line_begin(line);

    if (view->epoch != answer->epoch || view->life != told->life) {
        ticket_line_clear(line);
    }

    ticket_answer_put(answer, line);

    view->epoch = answer->epoch;
    view->issued = answer->issued;
    view->called = answer->called;
    view->life = told->life;
    view->version = told->version;
    view->sessions = told->sessions;
    view->calls = told->calls;
    view->fetched_ms = ngx_current_msec;

    calling = (instance->watch.calls != told->total);

    ngx_http_ticket_apply_policy(subject, told, view);
    ngx_http_ticket_sample(subject, answer, told->total, view);

    ngx_http_ticket_watch(instance, view, told->total, told->stock);

    ticket_line_publish(line);

    instance->paced = (view->waiting != 0 && (view->rate != 0 || calling));

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/* Under the mutex. */

static void
ngx_http_ticket_apply_policy(ngx_http_ticket_subject_t *subject,
    ticket_answer_line_t *told, ticket_view_t *view)
{
    ticket_policy_t              policy;
    ngx_http_ticket_instance_t  *instance;

    instance = subject->instance;
    policy = subject->room->policy;

    if (ticket_policy_apply(&policy, told->set.data, told->set.len) == 0) {
        instance->changes.version = told->set_version;
        instance->changes.len = told->set.len;
        ngx_memcpy(instance->changes.text, told->set.data, told->set.len);
    }

    view->mode = policy.mode;
    view->paused = policy.paused;
    view->rate = policy.rate;
    view->sold_out = (told->stock == 0);
    view->settling = told->settling;
    view->begun = told->begun;
    view->missed = told->missed;
}


/* From value i on. */

void
ngx_http_ticket_apply_draw(ngx_http_ticket_subject_t *subject,
    ngx_http_ticket_answer_t *answer, ngx_uint_t i)
{
    ticket_answer_draw_t    told;
    ngx_http_ticket_draw_t  draw;

    if (ticket_answer_draw(answer, i, &told) != 0) {
        return;
    }

    draw.held = told.held;
    draw.entries = told.entries;
    ngx_memcpy(draw.key, told.key, TICKET_DRAW_KEY_LEN);

    ngx_http_ticket_learn_draw(subject->mcf,
                               subject->instance, &draw);
}


/* How fast the line moves; the answer's segments are in the view's copy. */

static void
ngx_http_ticket_sample(ngx_http_ticket_subject_t *subject,
    ngx_http_ticket_answer_t *answer, uint64_t calls, ticket_view_t *view)
{
    ticket_news_t                news;
    ngx_http_ticket_instance_t  *instance;

    instance = subject->instance;

    news.now_ms = view->fetched_ms;
    news.life = view->life;
    news.liveness_ms = subject->room->policy.liveness;
    news.issued = view->issued;
    news.calls = calls;
    news.waiting = ticket_line_count(&instance->line);
    news.held = view->settling || view->paused || view->sold_out
                || view->mode == TICKET_MODE_REJECT
                || ticket_policy_phase(&subject->room->policy,
                                       answer->now)
                   != TICKET_PHASE_OPEN;

    ticket_pace_sample(&instance->pace, &news, &view->speed);
}
