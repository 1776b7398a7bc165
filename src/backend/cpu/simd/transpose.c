/* A matrix turned, in blocks of 4 x 4. */
#include "backend/cpu/simd/level.h"

typedef float quad __attribute__((vector_size(16)));
typedef int quad_index __attribute__((vector_size(16)));

ARK_INLINE quad load_quad(const float *p) {
    quad v;
    memcpy(&v, p, sizeof v);
    return v;
}

ARK_INLINE void store_quad(float *p, quad v) {
    memcpy(p, &v, sizeof v);
}

#if defined(__clang__)
#define ARK_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define ARK_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (quad_index){i, j, k, l})
#endif

/* Blocks of 4 x 4, each two rounds of interleaving; what is left over one by one. */
void ARK_FN(transpose)(
    float *restrict dst, int64_t ldd, const float *restrict src, int64_t lds, int64_t rows, int64_t cols) {
    const int64_t whole_rows = rows / 4 * 4, whole_cols = cols / 4 * 4;
    for (int64_t j = 0; j < whole_cols; j += 4) {
        for (int64_t i = 0; i < whole_rows; i += 4) {
            const float *s = src + i * lds + j;
            float *d = dst + j * ldd + i;
            quad r0 = load_quad(s), r1 = load_quad(s + lds), r2 = load_quad(s + 2 * lds),
                 r3 = load_quad(s + 3 * lds);
            quad a = ARK_SHUFFLE(r0, r1, 0, 4, 1, 5), b = ARK_SHUFFLE(r2, r3, 0, 4, 1, 5);
            quad c = ARK_SHUFFLE(r0, r1, 2, 6, 3, 7), e = ARK_SHUFFLE(r2, r3, 2, 6, 3, 7);
            store_quad(d, ARK_SHUFFLE(a, b, 0, 1, 4, 5));
            store_quad(d + ldd, ARK_SHUFFLE(a, b, 2, 3, 6, 7));
            store_quad(d + 2 * ldd, ARK_SHUFFLE(c, e, 0, 1, 4, 5));
            store_quad(d + 3 * ldd, ARK_SHUFFLE(c, e, 2, 3, 6, 7));
        }
    }
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = i < whole_rows ? whole_cols : 0; j < cols; j++) {
            dst[j * ldd + i] = src[i * lds + j];
        }
    }
}
