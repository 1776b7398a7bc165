/* Matrix product of small tiles that lie in the cache: a tile of c stays in registers while k runs.
 *
 * b is read as whole vectors, a one element at a time, so either orientation of a costs the same. The tile is
 * as large as the registers allow: with 32 of them 8 x 2 or 6 x 4 vectors, with 16 of them 6 x 2. */
#include "backend/cpu/simd/level.h"

typedef struct {
    float *c;
    int64_t ldc;
    const float *a;
    int64_t a_row, a_col;
    const float *b;
    int64_t ldb, k;
    bool accumulate;
} tile;

#define ARK_TILE_ROWS 8
#define ARK_TILE_COLS 1
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 4
#define ARK_TILE_COLS 1
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 1
#define ARK_TILE_COLS 1
#include "backend/cpu/simd/tile.inc"
#if defined(__AVX512F__) || defined(__aarch64__)
#define ARK_TILE_ROWS 6
#define ARK_TILE_COLS 4
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 3
#define ARK_TILE_COLS 4
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 1
#define ARK_TILE_COLS 4
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 8
#define ARK_TILE_COLS 2
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 4
#define ARK_TILE_COLS 2
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 1
#define ARK_TILE_COLS 2
#include "backend/cpu/simd/tile.inc"
#else
#define ARK_TILE_ROWS 6
#define ARK_TILE_COLS 2
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 3
#define ARK_TILE_COLS 2
#include "backend/cpu/simd/tile.inc"
#define ARK_TILE_ROWS 1
#define ARK_TILE_COLS 2
#include "backend/cpu/simd/tile.inc"
#endif

/* All rows of a strip of c that is `cols` vectors wide, by tiles of two heights, then single rows. */
#define ARK_STRIP(rows, half, cols)                                                                          \
    static void strip##cols(tile t, int64_t m) {                                                             \
        int64_t i = 0;                                                                                       \
        for (; i + rows <= m; i += rows, t.a += rows * t.a_row, t.c += rows * t.ldc) {                       \
            tile_##rows##x##cols(&t);                                                                        \
        }                                                                                                    \
        for (; i + half <= m; i += half, t.a += half * t.a_row, t.c += half * t.ldc) {                       \
            tile_##half##x##cols(&t);                                                                        \
        }                                                                                                    \
        for (; i < m; i++, t.a += t.a_row, t.c += t.ldc) {                                                   \
            tile_1x##cols(&t);                                                                               \
        }                                                                                                    \
    }

ARK_STRIP(8, 4, 1)
#if defined(__AVX512F__) || defined(__aarch64__)
ARK_STRIP(8, 4, 2)
ARK_STRIP(6, 3, 4)
#else
ARK_STRIP(6, 3, 2)
#endif

/* The last n % ARK_LANES columns. */
static void ragged(tile t, int64_t m, int64_t n) {
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            float s = t.accumulate ? t.c[i * t.ldc + j] : 0.0f;
            for (int64_t l = 0; l < t.k; l++) {
                s += t.a[i * t.a_row + l * t.a_col] * t.b[l * t.ldb + j];
            }
            t.c[i * t.ldc + j] = s;
        }
    }
}

void ARK_FN(gemm)(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col, const float *b,
    int64_t ldb, int64_t m, int64_t n, int64_t k, bool accumulate) {
    tile t = {c, ldc, a, a_row, a_col, b, ldb, k, accumulate};
    int64_t j = 0;
#if defined(__AVX512F__) || defined(__aarch64__)
    for (; j + 4 * ARK_LANES <= n; j += 4 * ARK_LANES, t.b += 4 * ARK_LANES, t.c += 4 * ARK_LANES) {
        strip4(t, m);
    }
#endif
    for (; j + 2 * ARK_LANES <= n; j += 2 * ARK_LANES, t.b += 2 * ARK_LANES, t.c += 2 * ARK_LANES) {
        strip2(t, m);
    }
    for (; j + ARK_LANES <= n; j += ARK_LANES, t.b += ARK_LANES, t.c += ARK_LANES) {
        strip1(t, m);
    }
    if (j < n) {
        ragged(t, m, n - j);
    }
}

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
