/*
 * The line of one room instance as a node sees it, and its arithmetic: plain
 * C over memory that the processes of a node share.
 *
 * A visitor's number is an index into two bitmaps.  "waiting" says who stands
 * in line as of the last exchange: present, and not called, admitted or gone.
 * "polled" says who has polled since.  Bitmaps are cut into segments of
 * TICKET_SEG_BITS numbers, in the order Redis keeps bits (the highest bit of
 * a byte first), so that segments travel as they are.  A place is a rank in
 * the waiting bitmap, read with the help of counts kept for each segment and
 * each block of 512 numbers (the rank structure of Jacobson, "Space-efficient
 * static trees and graphs", 1989).
 *
 * What an exchange brought is kept twice.  The one writer fills the copy
 * nobody reads and then flips "gen"; readers take no lock, and start again in
 * the rare case that gen moved while they read.  A writer that dies half-way
 * leaves the copy in use untouched.
 */
#ifndef TICKET_LINE_H
#define TICKET_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "ticket_pace.h"

#define TICKET_SEG_BITS   32768
#define TICKET_SEG_BYTES  (TICKET_SEG_BITS / 8)
#define TICKET_SEG_WORDS  (TICKET_SEG_BITS / 64)
#define TICKET_SEG_BLOCKS (TICKET_SEG_BITS / 512)
#define TICKET_SEGS_MAX   1024
#define TICKET_SWEEP_MS   4000
/* The highest number that can be issued within an epoch. */
#define TICKET_NUMBER_MAX ((uint64_t)TICKET_SEGS_MAX * TICKET_SEG_BITS - 1)

/* Memory of one segment: both copies of waiting, polled, and when it was. */
typedef struct {
    uint64_t waiting[2][TICKET_SEG_WORDS];
    uint64_t polled[TICKET_SEG_WORDS];
    uint64_t stamp[TICKET_SEG_BITS / 8]; /* bytes; see ticket_line_early */
} ticket_bits_t;

typedef struct {
    ticket_bits_t *bits;
    uint64_t stamped_s;                  /* the last stamp, roughly; 0: none */
    uint32_t before[2];                  /* waiting in lower segments */
    uint16_t rank[2][TICKET_SEG_BLOCKS]; /* waiting in lower blocks */
} ticket_seg_t;

/* The line as of one exchange.  life is 0 until the first. */
typedef struct {
    uint32_t epoch;
    uint64_t issued;     /* highest number issued */
    uint64_t called;     /* highest number ever called */
    uint64_t life;       /* changes when Redis has lost something */
    uint64_t version;    /* of the waiting bitmap in Redis */
    uint64_t fetched_ms; /* when, by the node's monotonic clock */
    uint32_t sessions;   /* sessions in being */
    uint32_t calls;      /* called and not yet claimed */
    uint32_t waiting;    /* bits set in the waiting bitmap */
    ticket_speed_t speed;
    uint64_t begun;  /* sessions ever begun in the epoch */
    uint64_t missed; /* calls never claimed in the epoch */
    uint32_t rate;   /* in force, 0: none */
    uint8_t mode;    /* ticket_mode_t */
    uint8_t paused;
    uint8_t sold_out;
    uint8_t settling; /* Redis waits for what the nodes know */
} ticket_view_t;

typedef struct {
    uint64_t gen; /* view[gen & 1] is the one to read */
    ticket_view_t view[2];
    uint64_t swept_ms; /* last sweep of the stamps; 0: none yet */
    int counted;       /* of the writer: view[~gen & 1] is */
    ticket_seg_t *seg[TICKET_SEGS_MAX]; /* set once, never taken back */
} ticket_line_t;

/* What can be said of one number. */
typedef struct {
    ticket_view_t view;
    uint32_t ahead;   /* waiting visitors with a lower number */
    uint32_t waiting; /* all in line, this one included */
    int in_line;      /* its bit was set at the last exchange */
    int called;       /* at or below the boundary and not in line */
} ticket_place_t;

/* Index of a number's segment; the number is at most TICKET_NUMBER_MAX. */
static inline size_t ticket_seg_of(uint64_t number)
{
    return (size_t)(number / TICKET_SEG_BITS);
}

/*
 * Gives a segment its memory: all zeros but for seg->bits.  The memory stays
 * the caller's, who holds the writer's lock.
 */
void ticket_line_attach(ticket_line_t *line, size_t index, ticket_seg_t *seg);

/*
 * Marks a visitor as having polled.  Safe from many processes at once.
 * Returns 0, or -1 when the number is out of range or its segment has no
 * memory.
 */
int ticket_line_mark(ticket_line_t *line, uint64_t number);

/*
 * Where a number stands.  issued is the highest number this node knows of,
 * which may be above the view's: numbers issued since are counted as waiting,
 * so that a position told once never rises when their bits arrive.
 */
void ticket_line_look(const ticket_line_t *line, uint64_t number,
                      uint64_t issued, ticket_place_t *place);

/* The view in force, copied in one piece. */
void ticket_line_view(const ticket_line_t *line, ticket_view_t *view);

/*
 * Milliseconds since the view was fetched.  Never less than 0: each process
 * notes the time once per turn of its loop, so that a view which another has
 * just fetched may be a little ahead of now_ms.
 */
uint64_t ticket_view_age(const ticket_view_t *view, uint64_t now_ms);

/*
 * Writer, one at a time (the caller holds a lock for it): begin copies the
 * line as it is and returns the view to fill; clear empties the copied
 * bitmap; put replaces the waiting bits of one segment, whose memory must be
 * attached, by len bytes and zeros; count returns how many then wait, and
 * notes it in the view; publish counts, unless that was done, and shows it all
 * at once.
 */
ticket_view_t *ticket_line_begin(ticket_line_t *line);
void ticket_line_clear(ticket_line_t *line);
int ticket_line_put(ticket_line_t *line, size_t seg, const void *bytes,
                    size_t len);
uint32_t ticket_line_count(ticket_line_t *line);
void ticket_line_publish(ticket_line_t *line);

/*
 * Copies who polled in a segment to out, and with all != 0 who is waiting as
 * well.  Returns the length from *offset on without the zeros on both sides,
 * 0 when there is nobody.
 */
size_t ticket_line_polled(const ticket_line_t *line, size_t seg, int all,
                          unsigned char out[TICKET_SEG_BYTES], size_t *offset);

/* Forgets those that ticket_line_polled gave out, once they were delivered. */
void ticket_line_delivered(ticket_line_t *line, size_t seg,
                           const unsigned char *bytes, size_t offset,
                           size_t len);

/*
 * Is this poll too early?  0: no, and its time is kept; else milliseconds
 * after which it will not be.  gap_ms is the least time between two polls, at
 * most TICKET_GAP_MAX_MS, see ticket_poll_gap; now_ms the node's monotonic
 * clock.  Only of visitors who were told what ticket_poll_after says: a poll
 * that was told less is not asked about.  Rounds in the visitor's favour, by up
 * to an eighth of a second.  Numbers without memory, and all while sweeps are
 * overdue, are never too early.  Safe from many processes at once, without a
 * lock.
 */
uint32_t ticket_line_early(ticket_line_t *line, uint64_t number,
                           uint64_t now_ms, uint32_t gap_ms);

/*
 * Forgets the times of polls that cannot be too early any more.  Called by
 * one process at a time, at least every TICKET_SWEEP_MS; calls in between
 * cost nothing.
 */
void ticket_line_sweep(ticket_line_t *line, uint64_t now_ms);

#endif
