#include "base/rng.h"

#include <math.h>

void ark_philox(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4]) {
    uint32_t k0 = key[0], k1 = key[1];
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* splitmix64's finaliser: spreads seed, stream and a over the 64-bit key. */
static uint64_t mix(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

ark_rng ark_rng_at(uint64_t seed, ark_rng_stream stream, uint64_t a, uint32_t b, uint32_t c) {
    uint64_t key = mix(mix(mix(seed) ^ (uint64_t)stream) ^ a);
    return (ark_rng){
        .key = {(uint32_t)key, (uint32_t)(key >> 32)},
        .ctr = {0, (uint32_t)stream, b, c},
        .used = 4,
    };
}

uint32_t ark_rng_u32(ark_rng *r) {
    if (r->used == 4) {
        ark_philox(r->key, r->ctr, r->block);
        r->ctr[0]++;
        r->used = 0;
    }
    return r->block[r->used++];
}

float ark_rng_f32(ark_rng *r) {
    return (float)(ark_rng_u32(r) >> 8) * 0x1p-24f;
}

double ark_rng_f64(ark_rng *r) {
    uint64_t hi = ark_rng_u32(r);
    uint64_t lo = ark_rng_u32(r);
    return (double)((hi << 21) ^ (lo >> 11)) * 0x1p-53;
}

double ark_rng_range(ark_rng *r, double lo, double hi) {
    return lo + (hi - lo) * ark_rng_f64(r);
}

uint32_t ark_rng_below(ark_rng *r, uint32_t n) {
    /* Lemire's method: reject the few values that would favour small results. */
    uint32_t floor_of_reject = (uint32_t)(-n) % n;
    for (;;) {
        uint64_t m = (uint64_t)ark_rng_u32(r) * n;
        if ((uint32_t)m >= floor_of_reject) {
            return (uint32_t)(m >> 32);
        }
    }
}

double ark_rng_normal(ark_rng *r) {
    double u = 1.0 - ark_rng_f64(r); /* in (0,1] */
    double v = ark_rng_f64(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

void ark_rng_shuffle(ark_rng *r, uint32_t *items, uint32_t n) {
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = ark_rng_below(r, i);
        uint32_t t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}
