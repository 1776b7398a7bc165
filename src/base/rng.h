/* Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011).
 *
 * A draw is a pure function of (seed, stream, a, b, c, index), so results do not depend on the order or
 * the thread in which samples are processed, and resuming needs no stored state. */
#ifndef ARK_BASE_RNG_H
#define ARK_BASE_RNG_H

#include <stdint.h>

/* What a stream is used for; adding one at the end changes no existing result. */
typedef enum ark_rng_stream {
    ARK_RNG_INIT = 1,  /* a = parameter index */
    ARK_RNG_ORDER,     /* a = epoch, b = dataset */
    ARK_RNG_AUGMENT,   /* a = epoch, b = dataset, c = sample */
    ARK_RNG_LABEL,     /* a = dataset, b = sample, c = class */
    ARK_RNG_DROP_PATH, /* a = step, b = node, c = sample in batch */
    ARK_RNG_BOOTSTRAP, /* a = replicate */
    ARK_RNG_SYNTH,     /* a = dataset, b = image */
    ARK_RNG_TEST,
    ARK_RNG_PROBE_ORDER, /* a = epoch */
    ARK_RNG_SHOTS,       /* a = repeat, b = class, c = use */
} ark_rng_stream;

typedef struct ark_rng {
    uint32_t key[2];
    uint32_t ctr[4]; /* ctr[0] counts blocks */
    uint32_t block[4];
    int used; /* words of block already given out */
} ark_rng;

/** The generator of one stream. b and c are 32 bits wide, a 64 bits are folded into the key. */
ark_rng ark_rng_at(uint64_t seed, ark_rng_stream stream, uint64_t a, uint32_t b, uint32_t c);

uint32_t ark_rng_u32(ark_rng *r);
/** Uniform in [0,1), 24 bits. */
float ark_rng_f32(ark_rng *r);
/** Uniform in [0,1), 53 bits. */
double ark_rng_f64(ark_rng *r);
/** Uniform in [lo,hi). */
double ark_rng_range(ark_rng *r, double lo, double hi);
/** Uniform integer in [0,n) without modulo bias; n > 0. */
uint32_t ark_rng_below(ark_rng *r, uint32_t n);
/** Standard normal (Box-Muller). */
double ark_rng_normal(ark_rng *r);
/** Fisher-Yates over n indices. */
void ark_rng_shuffle(ark_rng *r, uint32_t *items, uint32_t n);

/** One raw block, for kernels: 10 rounds of Philox4x32 on ctr under key. */
void ark_philox(const uint32_t key[2], const uint32_t ctr[4], uint32_t out[4]);

#endif
