#include "data/strset.h"

#include "base/alloc.h"
#include "base/err.h"

#include <string.h>
#include <unistd.h>

/* Polynomial hash modulo the prime 2^61 - 1 at a secret point: two strings of length L collide with
 * probability at most (L+1) / 2^61 (Carter and Wegman, 1979). Bytes are offset by one so that length counts.
 */
static uint64_t hash_of(uint64_t key, const char *s) {
    const uint64_t p = ((uint64_t)1 << 61) - 1;
    uint64_t h = 0;
    for (; *s; s++) {
        unsigned __int128 x = (unsigned __int128)h * key + (unsigned char)*s + 1u;
        h = (uint64_t)(x & p) + (uint64_t)(x >> 61);
        h = h >= p ? h - p : h;
    }
    return h;
}

static uint64_t secret_key(void) {
    uint64_t key = 0x1234567890abcdefu; /* without entropy: still correct, only attackable */
    if (getentropy(&key, sizeof key) != 0) {
        key ^= (uint64_t)(uintptr_t)&key;
    }
    return (key >> 4) | 1;
}

/* Slot of s, or the free slot where it belongs. */
static size_t slot_of(const ark__strset *set, const char *s, uint64_t hash) {
    size_t mask = set->n_slots - 1;
    for (size_t i = (size_t)(hash * 0x9E3779B97F4A7C15u >> 20) & mask;; i = (i + 1) & mask) {
        if (set->slots[i] == 0) {
            return i;
        }
        const struct ark__strset_item *it = &set->items[set->slots[i] - 1];
        if (it->hash == hash && !strcmp(set->text + it->at, s)) {
            return i;
        }
    }
}

static ark_status out_of_memory(size_t bytes) {
    return ARK_ERR(ARK_ENOMEM, "out of memory: %zu bytes for a table of names", bytes);
}

/* Twice the room for strings and slots. */
static ark_status grow(ark__strset *set) {
    if (set->n >= (uint32_t)1 << 31) {
        return ARK_ERR(ARK_EFORMAT, "more than %u different names", set->n);
    }
    uint32_t cap = set->cap ? set->cap * 2 : 64;
    struct ark__strset_item *items = ark_realloc(set->items, cap * sizeof *items);
    if (!items) {
        return out_of_memory(cap * sizeof *items);
    }
    set->items = items;
    size_t n_slots = (size_t)cap * 2;
    uint32_t *slots = ark_calloc(n_slots, sizeof *slots);
    if (!slots) {
        return out_of_memory(n_slots * sizeof *slots);
    }
    ark_free(set->slots);
    set->slots = slots;
    set->n_slots = n_slots;
    set->cap = cap;
    if (!set->key) {
        set->key = secret_key();
    }
    for (uint32_t id = 0; id < set->n; id++) {
        slots[slot_of(set, set->text + items[id].at, items[id].hash)] = id + 1;
    }
    return ARK_OK;
}

ark_status ark__strset_add(ark__strset *set, const char *s, uint32_t *id) {
    if (set->n == set->cap) {
        ARK_TRY(grow(set));
    }
    uint64_t hash = hash_of(set->key, s);
    size_t slot = slot_of(set, s, hash);
    if (set->slots[slot]) {
        *id = set->slots[slot] - 1;
        return ARK_OK;
    }
    size_t bytes = strlen(s) + 1;
    if (set->text_cap - set->text_len < bytes) {
        size_t cap = 2 * set->text_cap + bytes + 1024;
        char *text = ark_realloc(set->text, cap);
        if (!text) {
            return out_of_memory(cap);
        }
        set->text = text;
        set->text_cap = cap;
    }
    memcpy(set->text + set->text_len, s, bytes);
    set->items[set->n] = (struct ark__strset_item){.hash = hash, .at = set->text_len};
    set->text_len += bytes;
    *id = set->n++;
    set->slots[slot] = set->n;
    return ARK_OK;
}

uint32_t ark__strset_find(const ark__strset *set, const char *s) {
    uint32_t slot = set->n ? set->slots[slot_of(set, s, hash_of(set->key, s))] : 0;
    return slot ? slot - 1 : UINT32_MAX;
}

bool ark__strset_has(const ark__strset *set, const char *s) {
    return ark__strset_find(set, s) != UINT32_MAX;
}

const char *ark__strset_at(const ark__strset *set, uint32_t id) {
    ARK_ASSERT(id < set->n);
    return set->text + set->items[id].at;
}

void ark__strset_free(ark__strset *set) {
    ark_free(set->text);
    ark_free(set->items);
    ark_free(set->slots);
    *set = (ark__strset){0};
}
