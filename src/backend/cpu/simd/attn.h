/* What attention needs of vectors beyond level.h: maxima, sums over lanes, the exponential of softmax. */
#ifndef ARK_BACKEND_CPU_SIMD_ATTN_H
#define ARK_BACKEND_CPU_SIMD_ATTN_H

#include "backend/cpu/simd/math.h"
#include "backend/cpu/simd/quad.h"

#include <math.h>

typedef int32_t ark_ivec __attribute__((vector_size(ARK_LANES * 4)));
typedef uint16_t ark_half_vec __attribute__((vector_size(ARK_LANES * 2)));

/* a > b ? a : b in every lane: a NaN in a is lost, one in b is kept. */
ARK_INLINE ark_vec ark_larger(ark_vec a, ark_vec b) {
    const ark_ivec wins = a > b;
    return (ark_vec)((wins & (ark_ivec)a) | (~wins & (ark_ivec)b));
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

/* e^x for x <= 0, up to a constant factor within 7e-8 of 1, relative error below 1.5e-7; zero below -87.7.
 * NaN gives NaN.
 *
 * x log2 e = n + r with |r| <= 1/2, 2^r by the minimax polynomial of degree 5 (error 7.5e-8). 127, the
 * offset of exponents, is in the magic number, so that 2^n is one shift away, and at the lower bound, where
 * n = -127, it is zero. */
ARK_INLINE ark_vec ark_exp_falling(ark_vec x) {
    const float magic = 12582912.0f + 127.0f, log2e = 1.44269504f; /* 1.5 * 2^23: see ark_tail */
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
