/*
 * Best available.  Free seats are bits of the hall, so that the runs of a row
 * are found a word at a time; rows are looked at from the nearest on, until
 * none can have anything nearer than what was found.
 */
#include "best.h"

/*
 * Neighbours that are wanted, first to end, and the run of free seats that
 * they are part of: longer where the tier changes within it.
 */
typedef struct {
    uint32_t first, end;
    uint32_t run_first, run_end;
} span_t;

/* Goes through the spans of a row. */
typedef struct {
    const hall_t *hall;
    const best_wish_t *wish;
    const uint64_t *bits; /* hall->open or hall->free */
    bool mixed;           /* not every seat of the row need be wanted */
    uint32_t at, row_end;
    uint32_t run_first, run_end;
} scan_t;

/* n neighbours from first on. */
typedef struct {
    uint32_t first;
    unsigned n; /* 0: there are none */
    bool orphans;
    uint64_t distance;
} piece_t;

typedef struct {
    hall_t *hall;
    const best_wish_t *wish;
    unsigned n; /* neighbours wanted */
    piece_t best;
    unsigned longest; /* none can be had that are more, should best be none */
    const piece_t *taken;
    unsigned n_taken;
    int32_t x, y; /* what to be near to, if some are taken */
} search_t;

static bool wants_tier(const best_wish_t *wish, uint16_t tier)
{
    for (unsigned i = 0; i < wish->n_tiers; i++) {
        if (wish->tier[i] == tier) {
            return true;
        }
    }

    return wish->n_tiers == 0;
}

/* The first bit from at on, or end. */
static uint32_t next_free(const uint64_t *bits, uint32_t at, uint32_t end)
{
    while (at < end) {
        uint64_t word = bits[at / 64] >> at % 64;

        if (word != 0) {
            at += (uint32_t)__builtin_ctzll(word);
            break;
        }

        at = (at / 64 + 1) * 64;
    }

    return at < end ? at : end;
}

/* Where the run that begins at first ends. */
static uint32_t end_of_run(const hall_t *hall, const uint64_t *bits,
                           uint32_t first, uint32_t end)
{
    uint32_t at = first + 1;

    while (at < end) {
        uint64_t breaks = ~(bits[at / 64] & hall->joined[at / 64]) >> at % 64;

        if (breaks != 0) {
            at += (uint32_t)__builtin_ctzll(breaks);
            break;
        }

        at = (at / 64 + 1) * 64;
    }

    return at < end ? at : end;
}

/* Returns false if nobody wants a seat of the row. */
static bool begin_scan(scan_t *scan, const hall_t *hall,
                       const best_wish_t *wish, const uint64_t *bits,
                       const hall_row_t *row)
{
    *scan = (scan_t){.hall = hall,
                     .wish = wish,
                     .bits = bits,
                     .mixed = row->tier == HALL_TIERS && wish->n_tiers > 0,
                     .at = row->first,
                     .row_end = row->first + row->n};

    return scan->mixed || wants_tier(wish, row->tier);
}

/* Goes on to the next seat whose tier is wanted, or not, within the run. */
static void skip_tiers(scan_t *scan, bool wanted)
{
    const hall_seat_t *seat = scan->hall->seat;

    while (scan->at < scan->run_end &&
           wants_tier(scan->wish, seat[scan->at].tier) == wanted) {
        scan->at++;
    }
}

static bool next_span(scan_t *scan, span_t *span)
{
    do {
        if (scan->at >= scan->run_end) {
            scan->at = next_free(scan->bits, scan->at, scan->row_end);
            if (scan->at == scan->row_end) {
                return false;
            }

            scan->run_first = scan->at;
            scan->run_end =
                end_of_run(scan->hall, scan->bits, scan->at, scan->row_end);
        }

        if (scan->mixed) {
            skip_tiers(scan, false);
        }
    } while (scan->at == scan->run_end);

    span->first = scan->at;
    if (scan->mixed) {
        skip_tiers(scan, true);
    } else {
        scan->at = scan->run_end;
    }
    span->end = scan->at;
    span->run_first = scan->run_first;
    span->run_end = scan->run_end;

    return true;
}

static uint64_t distance_of(const search_t *search, uint32_t seat_no)
{
    const hall_seat_t *seat;

    if (search->n_taken == 0) {
        return search->hall->distance[seat_no];
    }

    seat = &search->hall->seat[seat_no];

    return hall_distance(seat->x, seat->y, search->x, search->y);
}

static bool is_better(const piece_t *a, const piece_t *b)
{
    if (b->n == 0 || a->orphans != b->orphans) {
        return b->n == 0 || b->orphans;
    }

    return a->distance != b->distance ? a->distance < b->distance
                                      : a->first < b->first;
}

/* Tries each place in the span where the wanted number fits. */
static void try_span(search_t *search, const span_t *span)
{
    uint32_t last = span->end - search->n;
    piece_t piece = {.n = search->n};

    for (uint32_t i = span->first; i < span->first + search->n; i++) {
        piece.distance += distance_of(search, i);
    }

    for (uint32_t first = span->first;; first++) {
        piece.first = first;
        piece.orphans = first - span->run_first == 1 ||
                        span->run_end - (first + search->n) == 1;

        if (is_better(&piece, &search->best)) {
            search->best = piece;
        }

        if (first == last) {
            return;
        }

        piece.distance += distance_of(search, first + search->n);
        piece.distance -= distance_of(search, first);
    }
}

/* Pieces that are taken are whole spans, but for the last. */
static bool is_taken(const search_t *search, const span_t *span)
{
    for (unsigned i = 0; i < search->n_taken; i++) {
        if (search->taken[i].first == span->first) {
            return true;
        }
    }

    return false;
}

static void note_longest(search_t *search, uint32_t n)
{
    if (n > search->longest) {
        search->longest = n;
    }
}

/*
 * A row of single seats is looked at once: row->longest then says that nobody
 * who wants more need look again, until a seat of the row comes back.
 */
static void try_row(search_t *search, hall_row_t *row)
{
    uint32_t at_most = row->n_free < row->longest ? row->n_free : row->longest;
    uint32_t longest = 0;
    scan_t scan;
    span_t span;

    if (at_most < search->n) {
        note_longest(search, at_most);
        return;
    }

    if (!begin_scan(&scan, search->hall, search->wish, search->hall->open,
                    row)) {
        return;
    }

    while (next_span(&scan, &span)) {
        if (span.run_end - span.run_first > longest) {
            longest = span.run_end - span.run_first;
        }

        if (is_taken(search, &span)) {
            continue;
        }

        if (span.end - span.first >= search->n) {
            try_span(search, &span);
        } else {
            note_longest(search, span.end - span.first);
        }
    }

    if (!scan.mixed) {
        row->longest = longest;
    }
}

/* Whether seats that are each at least that far away need not be tried. */
static bool is_too_far(const search_t *search, uint64_t distance)
{
    return search->best.n > 0 && !search->best.orphans &&
           search->n * distance > search->best.distance;
}

static void search_from_focal(search_t *search)
{
    hall_t *hall = search->hall;

    for (unsigned i = 0; i < hall->n_rows; i++) {
        hall_row_t *row = &hall->row[hall->near_rows[i]];

        if (is_too_far(search, row->nearest)) {
            return;
        }

        try_row(search, row);
    }
}

static int32_t clamp(int32_t value, int32_t min, int32_t max)
{
    return value < min ? min : value > max ? max : value;
}

static void try_row_nearby(search_t *search, hall_row_t *row)
{
    uint64_t nearest = hall_distance(clamp(search->x, row->min_x, row->max_x),
                                     clamp(search->y, row->min_y, row->max_y),
                                     search->x, search->y);

    if (!is_too_far(search, nearest)) {
        try_row(search, row);
    }
}

/* From the row of the first piece on, in both directions: that finds near
 * ones soon, so that others need not be tried. */
static void search_from_taken(search_t *search)
{
    hall_t *hall = search->hall;
    uint32_t middle = hall->seat[search->taken[0].first].row;

    for (uint32_t i = 0; i < hall->n_rows; i++) {
        if (i <= middle) {
            try_row_nearby(search, &hall->row[middle - i]);
        }
        if (i > 0 && i < hall->n_rows - middle) {
            try_row_nearby(search, &hall->row[middle + i]);
        }
    }
}

/* Looks for n neighbours. */
static void run_search(search_t *search, unsigned n)
{
    search->n = n;
    search->best = (piece_t){0};
    search->longest = 0;

    if (search->n_taken == 0) {
        search_from_focal(search);
    } else {
        search_from_taken(search);
    }
}

/* As many as are free, but no more than n; false: there are none. */
static bool find_longest(search_t *search, unsigned n)
{
    while (n > 0) {
        run_search(search, n);
        if (search->best.n > 0) {
            return true;
        }

        n = search->longest < n ? search->longest : n - 1;
    }

    return false;
}

/* Half-way between the first piece's ends. */
static void be_near(search_t *search, const piece_t *piece)
{
    const hall_seat_t *first = &search->hall->seat[piece->first];
    const hall_seat_t *last = first + piece->n - 1;

    search->x = (int32_t)(((int64_t)first->x + last->x) / 2);
    search->y = (int32_t)(((int64_t)first->y + last->y) / 2);
}

/* Returns how many pieces make up the wish; 0: there are too few seats. */
static unsigned find_pieces(hall_t *hall, const best_wish_t *wish,
                            piece_t piece[BEST_QUANTITY_MAX])
{
    search_t search = {.hall = hall, .wish = wish, .taken = piece};
    unsigned missing = wish->quantity, longest = wish->quantity;

    if (wish->together) {
        run_search(&search, wish->quantity);
        piece[0] = search.best;
        return search.best.n > 0;
    }

    while (missing > 0) {
        if (!find_longest(&search, longest < missing ? longest : missing)) {
            return 0;
        }

        piece[search.n_taken++] = search.best;
        be_near(&search, &piece[0]);
        longest = search.best.n;
        missing -= longest;
    }

    return search.n_taken;
}

/* Writes the numbers of the pieces' seats, ascending. */
static void write_seats(const piece_t *piece, unsigned n_pieces,
                        uint32_t *seat_no)
{
    unsigned n = 0;

    for (unsigned i = 0; i < n_pieces; i++) {
        unsigned at = n;

        while (at > 0 && seat_no[at - 1] > piece[i].first) {
            at--;
        }

        memmove(seat_no + at + piece[i].n, seat_no + at,
                (n - at) * sizeof(*seat_no));
        for (unsigned k = 0; k < piece[i].n; k++) {
            seat_no[at + k] = piece[i].first + k;
        }
        n += piece[i].n;
    }
}

/*
 * Whether the wish, which cannot be met, could be if all batches under way
 * failed.
 */
static bool may_be_met(const hall_t *hall, const best_wish_t *wish)
{
    uint32_t in_all = 0;

    for (unsigned i = 0; i < hall->n_rows; i++) {
        const hall_row_t *row = &hall->row[i];
        bool is_known =
            row->n_marked == 0 && (wish->together || row->n_free == 0);
        scan_t scan;
        span_t span;

        if (is_known || !begin_scan(&scan, hall, wish, hall->free, row)) {
            continue;
        }

        while (next_span(&scan, &span)) {
            uint32_t n = span.end - span.first;

            in_all = wish->together ? n : in_all + n;
            if (in_all >= wish->quantity) {
                return true;
            }
        }
    }

    return false;
}

best_result_t best_choose(hall_t *hall, const best_wish_t *wish, int64_t now_ms,
                          uint32_t *seat_no)
{
    piece_t piece[BEST_QUANTITY_MAX];
    unsigned n_pieces;

    if (wish->quantity == 0 || wish->quantity > BEST_QUANTITY_MAX) {
        return BEST_NONE;
    }

    hall_lapse(hall, now_ms);
    n_pieces = find_pieces(hall, wish, piece);
    if (n_pieces == 0) {
        return may_be_met(hall, wish) ? BEST_WAIT : BEST_NONE;
    }

    write_seats(piece, n_pieces, seat_no);

    return BEST_FOUND;
}
