/*
 * Set of hold ids: open addressing over half of each id's bits, which a hash
 * made.  Eight bytes an id, at most half full.  Two halves, so that the oldest
 * go without being looked for: with a million in each it has 32 MB.
 */
#include <stdlib.h>
#include <string.h>

#include "known.h"

#define SIZE_MIN 65536

/* What stands for the id in the set; never 0. */
static uint64_t fold(const hold_id_t *id)
{
    uint64_t half[2];

    memcpy(half, id->byte, sizeof(half));
    half[1] ^= half[0] * UINT64_C(0x9e3779b97f4a7c15);

    return half[1] ? half[1] : 1;
}

/* The place of the value, or the empty one where it belongs. */
static size_t find_place(const uint64_t *slot, size_t size, uint64_t value)
{
    size_t i = (size_t)(value ^ value >> 32) & (size - 1);

    while (slot[i] != 0 && slot[i] != value) {
        i = (i + 1) & (size - 1);
    }

    return i;
}

static int grow(known_half_t *half)
{
    size_t size = half->size ? half->size * 2 : SIZE_MIN;
    uint64_t *slot = calloc(size, sizeof(*slot));

    if (slot == NULL) {
        return -1;
    }

    for (size_t i = 0; i < half->size; i++) {
        if (half->slot[i] != 0) {
            slot[find_place(slot, size, half->slot[i])] = half->slot[i];
        }
    }

    free(half->slot);
    half->slot = slot;
    half->size = size;

    return 0;
}

int known_add(known_t *known, const hold_id_t *id)
{
    known_half_t *young = &known->young;
    uint64_t value = fold(id);
    size_t place;

    if (young->n == KNOWN_MAX) {
        free(known->old.slot);
        known->old = *young;
        *young = (known_half_t){0};
    }

    if (young->n * 2 >= young->size && grow(young) != 0) {
        return -1;
    }

    place = find_place(young->slot, young->size, value);
    if (young->slot[place] == 0) {
        young->slot[place] = value;
        young->n++;
    }

    return 0;
}

static bool half_has(const known_half_t *half, uint64_t value)
{
    return half->size > 0 &&
           half->slot[find_place(half->slot, half->size, value)] == value;
}

bool known_has(const known_t *known, const hold_id_t *id)
{
    uint64_t value = fold(id);

    return half_has(&known->young, value) || half_has(&known->old, value);
}

void known_free(known_t *known)
{
    free(known->young.slot);
    free(known->old.slot);
    *known = (known_t){0};
}
