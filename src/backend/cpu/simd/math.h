/* Branch-free float32 functions that compilers vectorise. Bounds are verified in
 * tests/unit/test_simd_math.c. */
#ifndef ARK_BACKEND_CPU_SIMD_MATH_H
#define ARK_BACKEND_CPU_SIMD_MATH_H

#include "backend/cpu/simd/level.h"

ARK_INLINE float ark_from_bits(int32_t i) {
    float f;
    memcpy(&f, &i, sizeof f);
    return f;
}

ARK_INLINE int32_t ark_to_bits(float f) {
    int32_t i;
    memcpy(&i, &f, sizeof i);
    return i;
}

/* The normal distribution's tail Phi(-t) for t = |x|, and its bell e^(-t^2/2). Relative error below 1e-6
 * for t <= 5 (below 1e-5 further out, where the rounding of t^2 is multiplied by t^2). From 13.18 on both
 * keep the value they have there, some 1e-38: what is beyond would be subnormal and only cost time. NaN is
 * taken for that too.
 *
 * Phi(-t) = e^(-t^2/2) h(t), h(t) = erfcx(t/sqrt 2)/2 falling smoothly from 1/2 like Mills' ratio. h is a
 * degree-8 minimax polynomial in u = 1/(1 + 0.3 t) without a constant term, relative error 1.3e-7 on
 * [0,13.3]. The tail is computed itself, so no digits cancel there; erf(x) = 2 Phi(x sqrt 2) - 1.
 *
 * The bell e^s, s in [-86.9,0]: s = n ln2 + r with |r| <= ln2/2 (Cody and Waite's two-part ln2), e^r = 1
 * + r + r^2 q(r) with the degree-4 minimax q of relative error 3e-9, and n added to the exponent field. */
ARK_INLINE float ark_tail(float x, float *t, float *bell) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, in the low bits */
    float far = ark_from_bits(ark_to_bits(x) & 0x7fffffff);
    float near = far < 13.18f ? far : 13.18f;
    float u = 1.0f / (1.0f + 0.3f * near);
    float s = -0.5f * near * near;
    float shifted = s * 1.44269504f + magic;
    float n = shifted - magic;
    float r = s - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    float q = 1.381446751e-03f;
    q = q * r + 8.368780438e-03f;
    q = q * r + 4.166839420e-02f;
    q = q * r + 1.666652011e-01f;
    q = q * r + 4.999999341e-01f;
    q = q * r + 1.0f;
    q = q * r + 1.0f;
    float e = ark_from_bits((int32_t)((uint32_t)ark_to_bits(q) + ((uint32_t)ark_to_bits(shifted) << 23)));
    float h = 3.603620996e-02f;
    h = h * u + -1.587132557e-01f;
    h = h * u + 2.089640250e-01f;
    h = h * u + -5.609539967e-02f;
    h = h * u + 1.298431809e-01f;
    h = h * u + 9.952313011e-02f;
    h = h * u + 1.208168822e-01f;
    h = h * u + 1.196251662e-01f;
    *t = near;
    *bell = e;
    return h * u * e;
}

/* x Phi(x) = max(x,0) - |x| Phi(-|x|): no digits cancel on the negative side. NaN gives NaN. */
ARK_INLINE float ark_gelu1(float x) {
    float t, bell, tail = ark_tail(x, &t, &bell);
    return (x < 0.0f ? 0.0f : x) - t * tail;
}

/* d/dx (x Phi(x)) = Phi(x) + x e^(-x^2/2) / sqrt(2 pi). */
ARK_INLINE float ark_gelu1_grad(float x) {
    float t, bell, tail = ark_tail(x, &t, &bell);
    return (x < 0.0f ? tail : 1.0f - tail) + x * 0.398942280f * bell;
}

#endif
