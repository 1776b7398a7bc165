/* What attention needs of vectors beyond level.h: maxima, sums over lanes, the exponential of softmax, and
 * blocks of 4 x 4 transposed. */
#ifndef ARK_BACKEND_CPU_SIMD_ATTN_H
#define ARK_BACKEND_CPU_SIMD_ATTN_H

#include "backend/cpu/simd/math.h"

#include <math.h>

typedef int32_t ark_ivec __attribute__((vector_size(ARK_LANES * 4)));
typedef uint16_t ark_half_vec __attribute__((vector_size(ARK_LANES * 2)));

/* a > b ? a : b in every lane: a NaN in a is lost, one in b is kept. */
ARK_INLINE ark_vec ark_larger(ark_vec a, ark_vec b) {
    const ark_ivec wins = a > b;
    return (ark_vec)((wins & (ark_ivec)a) | (~wins & (ark_ivec)b));
}

/* Four lanes: the shape in which sums and maxima leave a vector, and in which blocks are transposed. */
typedef float ark_quad __attribute__((vector_size(16)));
typedef int32_t ark_quad_index __attribute__((vector_size(16)));

#if defined(__clang__)
#define ARK_QUAD_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define ARK_QUAD_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (ark_quad_index){i, j, k, l})
#endif

ARK_INLINE ark_quad ark_quad_load(const float *p) {
    ark_quad v;
    memcpy(&v, p, sizeof v);
    return v;
}

ARK_INLINE void ark_quad_store(float *p, ark_quad v) {
    memcpy(p, &v, sizeof v);
}

ARK_INLINE ark_quad ark_quad_larger(ark_quad a, ark_quad b) {
    const ark_quad_index wins = a > b;
    return (ark_quad)((wins & (ark_quad_index)a) | (~wins & (ark_quad_index)b));
}

/* Over the lanes of v, in a fixed order: quads, then within the quad. */
ARK_INLINE float ark_lanes_sum(ark_vec v) {
    float x[ARK_LANES];
    ark_store(x, v);
    ark_quad s = ark_quad_load(x);
    ARK_UNROLL
    for (int i = 4; i < ARK_LANES; i += 4) {
        s += ark_quad_load(x + i);
    }
    s += ARK_QUAD_SHUFFLE(s, s, 2, 3, 0, 1);
    s += ARK_QUAD_SHUFFLE(s, s, 1, 0, 3, 2);
    return s[0];
}

ARK_INLINE float ark_lanes_max(ark_vec v) {
    float x[ARK_LANES];
    ark_store(x, v);
    ark_quad s = ark_quad_load(x);
    ARK_UNROLL
    for (int i = 4; i < ARK_LANES; i += 4) {
        s = ark_quad_larger(s, ark_quad_load(x + i));
    }
    s = ark_quad_larger(s, ARK_QUAD_SHUFFLE(s, s, 2, 3, 0, 1));
    s = ark_quad_larger(s, ARK_QUAD_SHUFFLE(s, s, 1, 0, 3, 2));
    return s[0];
}

/* dst (4 n,ldd) gets four columns: the four rows of src (4; lds) turned. */
ARK_INLINE void ark_turn_rows(float *dst, int64_t ldd, const float *src, int64_t lds, int n) {
    for (int d = 0; d < 4 * n; d += 4, dst += 4 * ldd) {
        const ark_quad r0 = ark_quad_load(src + d), r1 = ark_quad_load(src + lds + d);
        const ark_quad r2 = ark_quad_load(src + 2 * lds + d), r3 = ark_quad_load(src + 3 * lds + d);
        const ark_quad a = ARK_QUAD_SHUFFLE(r0, r1, 0, 4, 1, 5), b = ARK_QUAD_SHUFFLE(r2, r3, 0, 4, 1, 5);
        const ark_quad c = ARK_QUAD_SHUFFLE(r0, r1, 2, 6, 3, 7), e = ARK_QUAD_SHUFFLE(r2, r3, 2, 6, 3, 7);
        ark_quad_store(dst, ARK_QUAD_SHUFFLE(a, b, 0, 1, 4, 5));
        ark_quad_store(dst + ldd, ARK_QUAD_SHUFFLE(a, b, 2, 3, 6, 7));
        ark_quad_store(dst + 2 * ldd, ARK_QUAD_SHUFFLE(c, e, 0, 1, 4, 5));
        ark_quad_store(dst + 3 * ldd, ARK_QUAD_SHUFFLE(c, e, 2, 3, 6, 7));
    }
}

/* e^x for x <= 0, up to a constant factor within 7e-8 of 1, relative error below 1.5e-7; zero below -87.7.
 * NaN gives NaN.
 *
 * x log2 e = n + r with |r| <= 1/2, 2^r by the minimax polynomial of degree 5 (error 7.5e-8). 127, the
 * offset of exponents, is in the magic number, so that 2^n is one shift away, and at the lower bound, where
 * n = -127, it is zero. 12 operations against the 18 of ark_exp. */
ARK_INLINE ark_vec ark_exp_falling(ark_vec x) {
    const float magic = 12582912.0f + 127.0f, log2e = 1.44269504f; /* 1.5 * 2^23: see ark_exp */
    x = ark_larger((ark_vec){0} - 88.0f, x);
    const ark_vec shifted = x * log2e + magic;
    const ark_vec r = x * log2e - (shifted - magic);
    ark_vec q = r * 1.327647198e-03f + 9.675541334e-03f;
    q = q * r + 5.550713274e-02f;
    q = q * r + 2.402211972e-01f;
    q = q * r + 6.931469671e-01f;
    q = q * r + 1.0f;
    return q * (ark_vec)((ark_ivec)shifted << 23);
}

#endif
