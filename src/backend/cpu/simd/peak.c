/* What the arithmetic units do when nothing else is in their way: chains of multiply-adds, enough of them
 * side by side to hide the latency. */
#include "backend/cpu/simd/level.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Keeps v in a register and unknown to the optimiser. */
#if defined(__x86_64__)
#define ARK_OPAQUE(v) __asm__ volatile("" : "+x"(v))
#define ARK_OPAQUE_WIDE(v) __asm__ volatile("" : "+v"(v))
#else
#define ARK_OPAQUE(v) __asm__ volatile("" : "+w"(v))
#endif

void ARK_FN(peak_f32)(double *flops, int64_t rounds) {
    ark_vec x = (ark_vec){0} + 0.999f, y = (ark_vec){0} + 0.001f;
    ark_vec a0 = x, a1 = x + 1, a2 = x + 2, a3 = x + 3,
            a4 = x + 4; /* all different: equal chains would be one */
    ark_vec a5 = x + 5, a6 = x + 6, a7 = x + 7, a8 = x + 8, a9 = x + 9;
    ARK_OPAQUE(x);
    ARK_OPAQUE(y);
    for (int64_t i = 0; i < rounds; i++) {
        a0 = a0 * x + y;
        a1 = a1 * x + y;
        a2 = a2 * x + y;
        a3 = a3 * x + y;
        a4 = a4 * x + y;
        a5 = a5 * x + y;
        a6 = a6 * x + y;
        a7 = a7 * x + y;
        a8 = a8 * x + y;
        a9 = a9 * x + y;
    }
    ark_vec sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9;
    ARK_OPAQUE(sum);
    *flops += (double)rounds * 10 * ARK_LANES * 2;
}

#if defined(__AVX512F__)
__attribute__((target("avx512bf16"))) void ARK_FN(peak_bf16)(double *flops, int64_t rounds) {
    if (!__builtin_cpu_supports("avx512bf16")) {
        return;
    }
    __m512 a0 = _mm512_set1_ps(1.0f), bits = a0;
    ARK_OPAQUE_WIDE(bits);
    __m512bh x = (__m512bh)bits;
    __m512 a1 = a0 + 1, a2 = a0 + 2, a3 = a0 + 3, a4 = a0 + 4;
    __m512 a5 = a0 + 5, a6 = a0 + 6, a7 = a0 + 7, a8 = a0 + 8, a9 = a0 + 9;
    for (int64_t i = 0; i < rounds; i++) {
        a0 = _mm512_dpbf16_ps(a0, x, x);
        a1 = _mm512_dpbf16_ps(a1, x, x);
        a2 = _mm512_dpbf16_ps(a2, x, x);
        a3 = _mm512_dpbf16_ps(a3, x, x);
        a4 = _mm512_dpbf16_ps(a4, x, x);
        a5 = _mm512_dpbf16_ps(a5, x, x);
        a6 = _mm512_dpbf16_ps(a6, x, x);
        a7 = _mm512_dpbf16_ps(a7, x, x);
        a8 = _mm512_dpbf16_ps(a8, x, x);
        a9 = _mm512_dpbf16_ps(a9, x, x);
    }
    __m512 sum = a0 + a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9;
    ARK_OPAQUE_WIDE(sum);
    *flops += (double)rounds * 10 * 16 * 4;
}
#else
void ARK_FN(peak_bf16)(double *flops, int64_t rounds) {
    (void)flops;
    (void)rounds;
}
#endif

void ARK_FN(peak_copy)(float *restrict dst, const float *restrict src, int64_t n) {
#if defined(__x86_64__)
    for (int64_t i = 0; i < n; i += ARK_LANES) {
        ark_vec v = ark_load(src + i);
#if defined(__AVX512F__)
        _mm512_stream_ps(dst + i, v);
#elif defined(__AVX2__)
        _mm256_stream_ps(dst + i, v);
#else
        _mm_stream_ps(dst + i, v);
#endif
    }
    _mm_sfence();
#else
    memcpy(dst, src, (size_t)n * sizeof *dst);
#endif
}
