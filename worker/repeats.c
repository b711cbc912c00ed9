/*
 * A hash table with chains, of a fixed number of buckets: there are no more
 * entries than requests under way and refusals kept.  Of these the oldest goes
 * for the newest.
 */
#include <stdlib.h>
#include <string.h>

#include "repeats.h"

#define BUCKETS      16384
#define REFUSALS_MAX 8192

typedef struct entry_s entry_t;

struct entry_s {
    hold_id_t id;
    unsigned char fingerprint[FINGERPRINT_BYTES];
    entry_t *next;   /* in its bucket */
    entry_t *newer;  /* among the refusals */
    unsigned status; /* 0: under way */
    const char *content_type;
    char *body;
    size_t len;
};

struct repeats_s {
    entry_t *bucket[BUCKETS];
    entry_t *oldest, **newest; /* refusals */
    unsigned n_refusals;
};

repeats_t *repeats_new(void)
{
    repeats_t *repeats = calloc(1, sizeof(*repeats));

    if (repeats != NULL) {
        repeats->newest = &repeats->oldest;
    }

    return repeats;
}

static void free_entry(entry_t *entry)
{
    free(entry->body);
    free(entry);
}

void repeats_free(repeats_t *repeats)
{
    if (repeats == NULL) {
        return;
    }

    for (size_t i = 0; i < BUCKETS; i++) {
        while (repeats->bucket[i] != NULL) {
            entry_t *entry = repeats->bucket[i];

            repeats->bucket[i] = entry->next;
            free_entry(entry);
        }
    }

    free(repeats);
}

/* Where the pointer to the entry is, or would be.  The end of an id is a hash.
 */
static entry_t **find(repeats_t *repeats, const hold_id_t *id)
{
    uint32_t hash;
    entry_t **at;

    memcpy(&hash, id->byte + HOLD_ID_BYTES - sizeof(hash), sizeof(hash));
    at = &repeats->bucket[hash % BUCKETS];
    while (*at != NULL && !hold_id_equal(&(*at)->id, id)) {
        at = &(*at)->next;
    }

    return at;
}

static void unlink_entry(entry_t **at)
{
    entry_t *entry = *at;

    *at = entry->next;
    free_entry(entry);
}

static void copy_answer(const entry_t *entry, reply_t *reply)
{
    char *body = malloc(entry->len);

    if (body != NULL) {
        memcpy(body, entry->body, entry->len);
    }

    reply_text(reply, entry->status, entry->content_type, body, entry->len);
    reply->replayed = body != NULL;
}

repeats_result_t repeats_begin(repeats_t *repeats, const hold_id_t *id,
                               const unsigned char *fingerprint, reply_t *reply)
{
    entry_t **at = find(repeats, id), *entry = *at;

    if (entry != NULL) {
        if (memcmp(entry->fingerprint, fingerprint, FINGERPRINT_BYTES) != 0) {
            return REPEATS_OTHER;
        }

        if (entry->status == 0) {
            return REPEATS_RUNNING;
        }

        copy_answer(entry, reply);
        return REPEATS_REFUSED;
    }

    entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return REPEATS_FULL;
    }

    entry->id = *id;
    memcpy(entry->fingerprint, fingerprint, FINGERPRINT_BYTES);
    *at = entry;

    return REPEATS_NEW;
}

static void forget_oldest(repeats_t *repeats)
{
    entry_t *entry = repeats->oldest;

    repeats->oldest = entry->newer;
    if (repeats->oldest == NULL) {
        repeats->newest = &repeats->oldest;
    }

    repeats->n_refusals--;
    unlink_entry(find(repeats, &entry->id));
}

void repeats_end(repeats_t *repeats, const hold_id_t *id, const reply_t *reply)
{
    entry_t **at = find(repeats, id), *entry = *at;

    if (entry == NULL) {
        return;
    }

    if (reply->status >= 400 && reply->status < 500 && reply->body != NULL) {
        entry->body = malloc(reply->len);
    }

    if (entry->body == NULL) {
        unlink_entry(at);
        return;
    }

    memcpy(entry->body, reply->body, reply->len);
    entry->len = reply->len;
    entry->status = reply->status;
    entry->content_type = reply->content_type;
    *repeats->newest = entry;
    repeats->newest = &entry->newer;
    if (++repeats->n_refusals > REFUSALS_MAX) {
        forget_oldest(repeats);
    }
}
