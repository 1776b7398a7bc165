#include "data/near.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS = 16, BUCKETS = 1 << 16, CHUNK = 2048 };

typedef struct found {
    ark_near_pair *pairs;
    size_t n, cap;
    bool no_memory;
} found;

typedef struct search {
    const ark_phash *hashes;
    size_t n;
    int radius, slack; /* slack: bits that the key under work may differ by */
    int key;
    ark_phash turn;
    size_t limit;
    uint32_t *start; /* BUCKETS + 1 */
    uint32_t *ids;   /* in ascending order within a bucket */
    found *chunks;   /* what each chunk of hashes found, over all keys */
} search;

static uint32_t key_of(const ark_phash *h, int key) {
    return (uint32_t)(h->w[key / 4] >> (key % 4 * 16)) & 0xFFFFu;
}

static void fill_buckets(search *s) {
    memset(s->start, 0, (BUCKETS + 1) * sizeof *s->start);
    for (size_t i = 0; i < s->n; i++) {
        s->start[key_of(&s->hashes[i], s->key) + 1]++;
    }
    for (int b = 0; b < BUCKETS; b++) {
        s->start[b + 1] += s->start[b];
    }
    for (size_t i = 0; i < s->n; i++) {
        s->ids[s->start[key_of(&s->hashes[i], s->key)]++] = (uint32_t)i;
    }
    memmove(s->start + 1, s->start, BUCKETS * sizeof *s->start);
    s->start[0] = 0;
}

/* Was the pair already found by an earlier key? */
static bool seen(const search *s, const ark_phash *a, const ark_phash *b) {
    for (int k = 0; k < s->key; k++) {
        if (__builtin_popcount(key_of(a, k) ^ key_of(b, k)) <= s->slack) {
            return true;
        }
    }
    return false;
}

static void push(found *f, ark_near_pair p, size_t limit) {
    if (f->n == f->cap) {
        size_t cap = f->cap ? 2 * f->cap : 64;
        ark_near_pair *more = f->n > limit ? NULL : ark_realloc(f->pairs, cap * sizeof *more);
        if (!more) {
            f->no_memory = f->n <= limit;
            return;
        }
        f->pairs = more;
        f->cap = cap;
    }
    f->pairs[f->n++] = p;
}

/* Compare hash a, turned to ha, with the later ones of a bucket. */
static void scan(const search *s, uint32_t a, const ark_phash *ha, uint32_t bucket, found *out) {
    for (uint32_t at = s->start[bucket + 1]; at > s->start[bucket] && s->ids[at - 1] > a; at--) {
        uint32_t b = s->ids[at - 1];
        int d = ark_phash_distance(ha, &s->hashes[b]);
        if (d <= s->radius && !ark_phash_flat(&s->hashes[b]) && !seen(s, ha, &s->hashes[b])) {
            push(out, (ark_near_pair){.a = a, .b = b, .distance = (uint16_t)d}, s->limit);
        }
    }
}

static void search_chunk(void *ctx, int64_t chunk, int thread) {
    const search *s = ctx;
    (void)thread;
    found *out = &s->chunks[chunk];
    size_t end = ((size_t)chunk + 1) * CHUNK;
    for (size_t a = (size_t)chunk * CHUNK; a < end && a < s->n && !out->no_memory; a++) {
        if (ark_phash_flat(&s->hashes[a])) {
            continue;
        }
        ark_phash turned = s->hashes[a];
        for (int w = 0; w < ARK_PHASH_BITS / 64; w++) {
            turned.w[w] ^= s->turn.w[w];
        }
        uint32_t key = key_of(&turned, s->key);
        scan(s, (uint32_t)a, &turned, key, out);
        for (int i = 0; i < 16 && s->slack >= 1; i++) {
            scan(s, (uint32_t)a, &turned, key ^ 1u << i, out);
            for (int j = 0; j < i && s->slack >= 2; j++) {
                scan(s, (uint32_t)a, &turned, key ^ 1u << i ^ 1u << j, out);
            }
        }
    }
}

static int by_ids(const void *pa, const void *pb) {
    const ark_near_pair *a = pa, *b = pb;
    return a->a != b->a ? (a->a < b->a ? -1 : 1) : a->b != b->b ? (a->b < b->b ? -1 : 1) : 0;
}

static ark_status gather(search *s, size_t chunks, ark_near_pair **out, size_t *n_out, bool *complete) {
    size_t total = 0;
    for (size_t i = 0; i < chunks; i++) {
        if (s->chunks[i].no_memory) {
            return ARK_ERR(ARK_ENOMEM, "out of memory: %zu pairs of similar images", s->chunks[i].n);
        }
        total += s->chunks[i].n;
    }
    *complete = total <= s->limit;
    size_t room = total < s->limit ? total : s->limit;
    ARK_TRY(ARK_NEW(out, room, "pairs of similar images"));
    *n_out = 0;
    for (size_t i = 0; i < chunks && *n_out < room; i++) {
        size_t n = s->chunks[i].n < room - *n_out ? s->chunks[i].n : room - *n_out;
        if (n) {
            memcpy(*out + *n_out, s->chunks[i].pairs, n * sizeof **out);
        }
        *n_out += n;
    }
    qsort(*out, *n_out, sizeof **out, by_ids);
    return ARK_OK;
}

ark_status ark_near_pairs(const ark_phash *hashes, size_t n, int radius, const ark_phash *turn, size_t limit,
    int threads, ark_near_pair **out, size_t *n_out, bool *complete) {
    ARK_ASSERT(radius >= 0 && radius <= ARK_NEAR_MAX && n < UINT32_MAX);
    search s = {.hashes = hashes, .n = n, .radius = radius, .slack = radius / KEYS, .limit = limit};
    size_t chunks = (n + CHUNK - 1) / CHUNK;
    s.turn = turn ? *turn : s.turn;
    ark_status st = ARK_NEW(&s.start, (size_t)BUCKETS + 1, "buckets of hashes");
    st = st == ARK_OK ? ARK_NEW(&s.ids, n, "buckets of hashes") : st;
    st = st == ARK_OK ? ARK_NEW(&s.chunks, chunks, "pairs of similar images") : st;
    for (s.key = 0; st == ARK_OK && s.key < KEYS; s.key++) {
        fill_buckets(&s);
        ark_parallel(threads, (int64_t)chunks, search_chunk, &s);
    }
    st = st == ARK_OK ? gather(&s, chunks, out, n_out, complete) : st;
    for (size_t i = 0; s.chunks && i < chunks; i++) {
        ark_free(s.chunks[i].pairs);
    }
    ark_free(s.chunks);
    ark_free(s.start);
    ark_free(s.ids);
    return st;
}
