#include "data/image_cache.h"

#include "base/alloc.h"
#include "base/err.h"

#include <pthread.h>
#include <string.h>

/* One cached image; px NULL = free slot. */
typedef struct entry {
    uint64_t key;
    ark_image im;
} entry;

struct ark__image_cache {
    pthread_mutex_t lock;
    entry *slots; /* open addressing, a power of two, at most half full */
    size_t n_slots, n;
    size_t used, budget; /* bytes of pixels */
};

ark_status ark__image_cache_new(size_t budget_bytes, ark__image_cache **out) {
    ark__image_cache *c;
    ARK_TRY(ARK_NEW(&c, 1, "image cache"));
    c->budget = budget_bytes;
    c->n_slots = 1024;
    ark_status st = ARK_NEW(&c->slots, c->n_slots, "image cache");
    if (st != ARK_OK) {
        ark_free(c);
        return st;
    }
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return ARK_OK;
}

void ark__image_cache_free(ark__image_cache *c) {
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->n_slots; i++) {
        ark_image_free(&c->slots[i].im);
    }
    pthread_mutex_destroy(&c->lock);
    ark_free(c->slots);
    ark_free(c);
}

/* Slot of a key, or the free one where it belongs. */
static entry *find(entry *slots, size_t n_slots, uint64_t key) {
    uint64_t h = key * 0x9E3779B97F4A7C15u;
    for (size_t i = (size_t)(h >> 20);; i++) {
        entry *e = &slots[i & (n_slots - 1)];
        if (!e->im.px || e->key == key) {
            return e;
        }
    }
}

static uint64_t key_of(uint32_t dataset, uint32_t sample) {
    return (uint64_t)dataset << 32 | sample;
}

/* Twice the slots; false when there is no memory, which only ends the filling. */
static bool grow(ark__image_cache *c) {
    entry *slots = ark_calloc(c->n_slots * 2, sizeof *slots);
    if (!slots) {
        return false;
    }
    for (size_t i = 0; i < c->n_slots; i++) {
        if (c->slots[i].im.px) {
            *find(slots, c->n_slots * 2, c->slots[i].key) = c->slots[i];
        }
    }
    ark_free(c->slots);
    c->slots = slots;
    c->n_slots *= 2;
    return true;
}

bool ark__image_cache_get(ark__image_cache *c, uint32_t dataset, uint32_t sample, ark_image *out) {
    pthread_mutex_lock(&c->lock);
    entry *e = find(c->slots, c->n_slots, key_of(dataset, sample));
    bool hit = e->im.px != NULL;
    if (hit) {
        *out = e->im;
    }
    pthread_mutex_unlock(&c->lock);
    return hit;
}

bool ark__image_cache_put(ark__image_cache *c, uint32_t dataset, uint32_t sample, const ark_image *im) {
    size_t bytes = (size_t)im->width * (size_t)im->height * (size_t)(im->depth / 8);
    uint64_t key = key_of(dataset, sample);
    pthread_mutex_lock(&c->lock);
    bool room = bytes <= c->budget - c->used && (c->n < c->n_slots / 2 || grow(c));
    entry *e = room ? find(c->slots, c->n_slots, key) : NULL;
    bool take = e && !e->im.px;
    if (take) {
        *e = (entry){.key = key, .im = *im};
        c->used += bytes;
        c->n++;
    }
    pthread_mutex_unlock(&c->lock);
    return take;
}
