/*
 * Listeners.  They are told in rounds, a quarter of a second apart or more:
 * what happens in between goes out as one message.  A round goes through the
 * listeners of one performance after another; those who heard the same event
 * last get the same text, which is made once.  It also says a word to who has
 * heard nothing for long, which is how the dead are found, and ends those
 * whose pass is over.
 *
 * A listener is either waiting, with its connection suspended, or it is being
 * sent a text.  Who is slow to take one misses rounds, and gets what was
 * missed with the next: nothing piles up but the one text.
 *
 * The library does not look at a suspended connection, so that it would not
 * notice who goes away; their descriptors are watched here.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "body.h"
#include "clock.h"
#include "listeners.h"

#define NEWS_US      250000   /* from one round with news to the next */
#define ROUND_US     1000000  /* from any round to one without */
#define HEARTBEAT_US 15000000 /* of silence to a listener */
#define CUT_US       1000000  /* after the end, before connections are cut */
#define SLICE        256      /* listeners woken in one turn */
#define BLOCK        1024     /* bytes that the library keeps for each */
#define GONE_MAX     64       /* who went away, looked at in one turn */

#define RETRY_MS        1000 /* before a browser comes back, at least */
#define RETRY_SPREAD_MS 4000 /* at most so much more */

#define GREETING                                                               \
    "retry: %u\n"                                                              \
    ": listening\n"

typedef struct channel_s channel_t;

/* What a round tells those of a channel who heard that event last. */
typedef struct {
    char from[STREAM_ID_MAX + 1];
    char to[STREAM_ID_MAX + 1];
    body_t *body; /* NULL: nothing */
} telling_t;

struct listener_s {
    listener_t *prev, *next; /* in the channel */
    listeners_t *all;
    channel_t *channel;
    struct MHD_Connection *connection;
    int fd;                     /* the connection's */
    char id[STREAM_ID_MAX + 1]; /* of the last event told */
    body_t *text;               /* being sent; NULL: none */
    size_t sent;
    bool waiting; /* suspended */
    bool ended;
    int64_t pass_ends_ms;
    int64_t told_us; /* when it was last given a text */
};

/* The listeners of a performance. */
struct channel_s {
    channel_t *next;
    uint32_t performance;
    listener_t *first;
    unsigned n_tellings, tellings_max;
    telling_t *telling; /* of the present round */
};

struct listeners_s {
    stream_t *stream;
    unsigned n, max;
    unsigned long messages;
    body_t *heartbeat;
    channel_t *channel;
    int gone_fd; /* epoll, of all listeners' descriptors */

    bool news;
    bool in_round;
    int64_t round_us;     /* when the last round began */
    int64_t news_us;      /* and the last one with news */
    channel_t *at;        /* where the round is */
    listener_t *at_first; /* who is next there */

    bool ending;
    int64_t end_us;
};

listeners_t *listeners_new(stream_t *stream, unsigned max)
{
    listeners_t *all = calloc(1, sizeof(*all));
    char *text = strdup(":\n\n");

    if (all != NULL) {
        all->stream = stream;
        all->max = max;
        all->gone_fd = epoll_create1(EPOLL_CLOEXEC);
        all->heartbeat = body_new(text, text == NULL ? 0 : strlen(text));
    } else {
        free(text);
    }

    if (all != NULL && (all->heartbeat == NULL || all->gone_fd < 0)) {
        listeners_free(all);
        return NULL;
    }

    return all;
}

static void forget_tellings(channel_t *channel)
{
    for (unsigned i = 0; i < channel->n_tellings; i++) {
        body_drop(channel->telling[i].body);
    }

    channel->n_tellings = 0;
}

static void free_channel(channel_t *channel)
{
    forget_tellings(channel);
    free(channel->telling);
    free(channel);
}

void listeners_free(listeners_t *all)
{
    channel_t *next;

    if (all == NULL) {
        return;
    }

    for (channel_t *channel = all->channel; channel != NULL; channel = next) {
        next = channel->next;
        free_channel(channel);
    }

    if (all->gone_fd >= 0) {
        close(all->gone_fd);
    }

    body_drop(all->heartbeat);
    free(all);
}

bool listeners_full(const listeners_t *all)
{
    return all->ending || all->n >= all->max;
}

unsigned listeners_count(const listeners_t *all)
{
    return all->n;
}

unsigned long listeners_messages(const listeners_t *all)
{
    return all->messages;
}

void listeners_news(listeners_t *all)
{
    all->news = true;
}

/* NULL without memory. */
static channel_t *get_channel(listeners_t *all, uint32_t performance)
{
    channel_t *channel = all->channel;

    while (channel != NULL && channel->performance != performance) {
        channel = channel->next;
    }

    if (channel == NULL) {
        channel = calloc(1, sizeof(*channel));
        if (channel != NULL) {
            channel->performance = performance;
            channel->next = all->channel;
            all->channel = channel;
        }
    }

    return channel;
}

/* The library's question for more of the body. */
static ssize_t on_read(void *ctx, uint64_t pos, char *buf, size_t max)
{
    listener_t *listener = ctx;
    size_t n;

    (void)pos;

    if (listener->text != NULL) {
        n = body_len(listener->text) - listener->sent;
        n = n < max ? n : max;
        memcpy(buf, body_text(listener->text) + listener->sent, n);
        listener->sent += n;
        if (listener->sent == body_len(listener->text)) {
            body_drop(listener->text);
            listener->text = NULL;
        }
        return (ssize_t)n;
    }

    if (listener->ended) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }

    listener->waiting = true;
    MHD_suspend_connection(listener->connection);

    return 0;
}

static void wake(listener_t *listener)
{
    if (listener->waiting) {
        listener->waiting = false;
        MHD_resume_connection(listener->connection);
    }
}

/* Gives a waiting listener a text, of which it gets a share. */
static void tell(listener_t *listener, body_t *text, int64_t now_us)
{
    listener->text = body_share(text);
    listener->sent = 0;
    listener->told_us = now_us;
    wake(listener);
}

/* Of its own for each listener, so that they do not all come back at once. */
static unsigned retry_ms(void)
{
    unsigned number;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
        number = 0;
    }

    return RETRY_MS + number % (RETRY_SPREAD_MS + 1);
}

/*
 * The first text of all.  Who heard nothing yet is told where the present is,
 * so as to come back to it after a break in the line.
 */
static body_t *make_greeting(const char *present)
{
    char *text = NULL;
    int len = *present == '\0'
                  ? asprintf(&text, GREETING "\n", retry_ms())
                  : asprintf(&text, GREETING "id: %s\n\n", retry_ms(), present);

    return len < 0 ? NULL : body_new(text, (size_t)len);
}

static struct MHD_Response *make_response(listener_t *listener)
{
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK, on_read, listener, NULL);

    if (response != NULL) {
        MHD_add_response_header(response, "Content-Type", "text/event-stream");
        MHD_add_response_header(response, "Cache-Control", "no-store");
        MHD_add_response_header(response, "X-Accel-Buffering", "no");
        /* Nothing comes after it, and the stop need not wait for what might. */
        MHD_add_response_header(response, "Connection", "close");
    }

    return response;
}

static int connection_fd(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info == NULL ? -1 : info->connect_fd;
}

static void link_listener(listeners_t *all, channel_t *channel,
                          listener_t *listener)
{
    listener->all = all;
    listener->channel = channel;
    listener->next = channel->first;
    if (channel->first != NULL) {
        channel->first->prev = listener;
    }
    channel->first = listener;
    all->n++;

    /* If it cannot be watched, the next heartbeat shows that it is gone. */
    listener->fd = connection_fd(listener->connection);
    epoll_ctl(all->gone_fd, EPOLL_CTL_ADD, listener->fd,
              &(struct epoll_event){.events = EPOLLRDHUP | EPOLLONESHOT,
                                    .data.ptr = listener});
}

listener_t *listeners_add(listeners_t *all, struct MHD_Connection *connection,
                          uint32_t performance, const char *last,
                          int64_t pass_ends_ms, struct MHD_Response **response)
{
    channel_t *channel = get_channel(all, performance);
    listener_t *listener = calloc(1, sizeof(*listener));
    bool resumes = last != NULL && *last != '\0';

    *response = NULL;

    if (listener != NULL && channel != NULL) {
        listener->connection = connection;
        listener->pass_ends_ms = pass_ends_ms;
        listener->told_us = clock_ms() * 1000;
        if (resumes) {
            /* An id that is too long is of no event, cut or not. */
            snprintf(listener->id, sizeof(listener->id), "%s", last);
            all->news = true;
        } else {
            stream_last(all->stream, performance, listener->id);
        }
        listener->text = make_greeting(resumes ? "" : listener->id);
        *response = listener->text == NULL ? NULL : make_response(listener);
    }

    if (*response == NULL) {
        if (listener != NULL) {
            body_drop(listener->text);
        }
        free(listener);
        return NULL;
    }

    link_listener(all, channel, listener);

    return listener;
}

void listeners_remove(listeners_t *all, listener_t *listener)
{
    if (listener == NULL) {
        return;
    }

    if (all->at_first == listener) {
        all->at_first = listener->next;
    }

    if (listener->prev != NULL) {
        listener->prev->next = listener->next;
    } else {
        listener->channel->first = listener->next;
    }
    if (listener->next != NULL) {
        listener->next->prev = listener->prev;
    }

    epoll_ctl(all->gone_fd, EPOLL_CTL_DEL, listener->fd, NULL);
    body_drop(listener->text);
    free(listener);
    all->n--;
}

int listeners_fd(const listeners_t *all)
{
    return all->gone_fd;
}

void listeners_gone(listeners_t *all)
{
    struct epoll_event event[GONE_MAX];
    int n = epoll_wait(all->gone_fd, event, GONE_MAX, 0);

    for (int i = 0; i < n; i++) {
        listener_t *listener = event[i].data.ptr;

        listener->ended = true;
        wake(listener);
    }
}

/* For those whose event is no longer known: the present, and to ask anew. */
static body_t *make_reset(listeners_t *all, const channel_t *channel, char *to)
{
    char *text = NULL;
    int len;

    stream_last(all->stream, channel->performance, to);
    len = asprintf(&text, "id: %s\nevent: reset\ndata: {}\n\n", to);

    return len < 0 ? NULL : body_new(text, (size_t)len);
}

/* What this round tells those who heard that event last; NULL: no memory. */
static const telling_t *get_telling(listeners_t *all, channel_t *channel,
                                    const char *from)
{
    telling_t *telling;
    char *text = NULL;
    size_t len = 0;

    for (unsigned i = 0; i < channel->n_tellings; i++) {
        if (strcmp(channel->telling[i].from, from) == 0) {
            return &channel->telling[i];
        }
    }

    if (channel->n_tellings == channel->tellings_max) {
        unsigned more = channel->tellings_max + 8;

        telling = reallocarray(channel->telling, more, sizeof(*telling));
        if (telling == NULL) {
            return NULL;
        }
        channel->telling = telling;
        channel->tellings_max = more;
    }

    telling = &channel->telling[channel->n_tellings++];
    *telling = (telling_t){0};
    strcpy(telling->from, from);
    strcpy(telling->to, from);

    switch (stream_after(all->stream, channel->performance, telling->to, &text,
                         &len)) {
    case STREAM_QUIET:
        return telling;
    case STREAM_EVENTS:
        telling->body = body_new(text, len);
        break;
    case STREAM_GONE:
        telling->body = make_reset(all, channel, telling->to);
        break;
    }

    /* Without memory it is tried again with the next round. */
    if (telling->body == NULL) {
        strcpy(telling->to, from);
    }

    return telling;
}

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);

    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* A listener's turn in the round.  Returns true when it was woken. */
static bool visit(listeners_t *all, listener_t *listener, int64_t now_us,
                  int64_t now_ms)
{
    const telling_t *telling;

    if (listener->pass_ends_ms <= now_ms) {
        listener->ended = true;
    }

    if (!listener->waiting) {
        return false;
    }

    if (listener->ended) {
        wake(listener);
        return true;
    }

    telling = get_telling(all, listener->channel, listener->id);
    if (telling != NULL) {
        strcpy(listener->id, telling->to);
    }

    if (telling != NULL && telling->body != NULL) {
        tell(listener, telling->body, now_us);
        all->messages++;
        return true;
    }

    if (now_us - listener->told_us >= HEARTBEAT_US) {
        tell(listener, all->heartbeat, now_us);
        return true;
    }

    return false;
}

/* Frees the channels without a listener, and begins with the first. */
static void begin_round(listeners_t *all, int64_t now_us)
{
    channel_t **link = &all->channel;

    while (*link != NULL) {
        channel_t *channel = *link;

        if (channel->first == NULL) {
            *link = channel->next;
            free_channel(channel);
        } else {
            forget_tellings(channel);
            link = &channel->next;
        }
    }

    if (all->news) {
        all->news_us = now_us;
    }

    all->in_round = true;
    all->news = false;
    all->round_us = now_us;
    all->at = all->channel;
    all->at_first = all->at == NULL ? NULL : all->at->first;
}

static void go_on(listeners_t *all, int64_t now_us)
{
    int64_t now_ms = wall_ms();
    unsigned woken = 0;

    while (all->at != NULL && woken < SLICE) {
        listener_t *listener = all->at_first;

        if (listener == NULL) {
            all->at = all->at->next;
            all->at_first = all->at == NULL ? NULL : all->at->first;
            continue;
        }

        all->at_first = listener->next;
        woken += visit(all, listener, now_us, now_ms);
    }

    all->in_round = all->at != NULL;
}

/* When the next round is due. */
static int64_t due_us(const listeners_t *all)
{
    return all->news ? all->news_us + NEWS_US : all->round_us + ROUND_US;
}

/* Cuts off those who do not take their last text. */
static void cut(listeners_t *all)
{
    for (channel_t *channel = all->channel; channel != NULL;
         channel = channel->next) {
        for (listener_t *listener = channel->first; listener != NULL;
             listener = listener->next) {
            shutdown(listener->fd, SHUT_RDWR);
        }
    }
}

void listeners_run(listeners_t *all, int64_t now_us)
{
    if (all->n == 0) {
        return;
    }

    if (all->ending) {
        if (now_us - all->end_us >= CUT_US) {
            cut(all);
        }
        return;
    }

    if (!all->in_round && now_us >= due_us(all)) {
        begin_round(all, now_us);
    }

    if (all->in_round) {
        go_on(all, now_us);
    }
}

int listeners_wait_ms(const listeners_t *all, int64_t now_us)
{
    int64_t wait_us = due_us(all) - now_us;

    if (all->n == 0 || all->ending) {
        return -1;
    }

    return all->in_round || wait_us <= 0 ? 0 : (int)((wait_us + 999) / 1000);
}

void listeners_end(listeners_t *all, int64_t now_us)
{
    all->ending = true;
    all->end_us = now_us;

    for (channel_t *channel = all->channel; channel != NULL;
         channel = channel->next) {
        for (listener_t *listener = channel->first; listener != NULL;
             listener = listener->next) {
            listener->ended = true;
            wake(listener);
        }
    }
}
