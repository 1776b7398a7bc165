/* Four lanes on every level, and blocks of 4 x 4 transposed. */
#ifndef ARK_BACKEND_CPU_SIMD_QUAD_H
#define ARK_BACKEND_CPU_SIMD_QUAD_H

#include "backend/cpu/simd/level.h"

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

#endif
