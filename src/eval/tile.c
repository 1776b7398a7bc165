#include "eval/tile.h"

#include <stdbool.h>
#include <string.h>

/* Four doubles: one AVX register, or two SSE registers where there is no more. Memory may be unaligned. */
typedef double v4 __attribute__((vector_size(32)));
typedef double v4u __attribute__((vector_size(32), aligned(8), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* Macros and pointers: a function that takes or returns such a vector has no one calling convention. */
#define LOAD(p) (*(const v4u *)(p))
#define STORE(p, v) (*(v4u *)(p) = (v))
#define SUM(v) (((v)[0] + (v)[2]) + ((v)[1] + (v)[3]))

/* --- z = t w^T: 4 rows x 3 weight rows in registers --- */

INLINE void logits_block(
    const double *t, size_t rows, const double *w, size_t outs, size_t width, double *z, size_t ldz) {
    v4 acc[4][3];
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < outs; k++) {
            acc[r][k] = (v4){0};
        }
    }
    for (size_t j = 0; j < width; j += 4) {
        v4 b[3];
        for (size_t k = 0; k < outs; k++) {
            b[k] = LOAD(w + k * width + j);
        }
        for (size_t r = 0; r < rows; r++) {
            v4 a = LOAD(t + r * width + j);
            for (size_t k = 0; k < outs; k++) {
                acc[r][k] += a * b[k];
            }
        }
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < outs; k++) {
            z[r * ldz + k] = SUM(acc[r][k]);
        }
    }
}

INLINE void logits_rows(
    const double *t, size_t rows, const double *w, size_t A, size_t width, double *z, size_t ldz) {
    size_t k = 0;
    for (; k + 3 <= A; k += 3) {
        logits_block(t, rows, w + k * width, 3, width, z + k, ldz);
    }
    for (; k < A; k++) {
        logits_block(t, rows, w + k * width, 1, width, z + k, ldz);
    }
}

INLINE void logits(
    const double *t, size_t n, const double *w, size_t A, size_t width, double *z, size_t ldz) {
    size_t r = 0;
    for (; r + 4 <= n; r += 4) {
        logits_rows(t + r * width, 4, w, A, width, z + r * ldz, ldz);
    }
    for (; r < n; r++) {
        logits_rows(t + r * width, 1, w, A, width, z + r * ldz, ldz);
    }
}

/* --- g += e^T t: 5 outputs x 8 columns in registers, over all rows of the tile --- */

INLINE void gradient_block(
    const double *e, size_t lde, const double *t, size_t n, size_t outs, size_t width, double *g) {
    v4 acc[5][2];
    for (size_t k = 0; k < outs; k++) {
        acc[k][0] = LOAD(g + k * width);
        acc[k][1] = LOAD(g + k * width + 4);
    }
    for (size_t r = 0; r < n; r++) {
        v4 a = LOAD(t + r * width), b = LOAD(t + r * width + 4);
        for (size_t k = 0; k < outs; k++) {
            double x = e[r * lde + k];
            v4 s = {x, x, x, x};
            acc[k][0] += s * a;
            acc[k][1] += s * b;
        }
    }
    for (size_t k = 0; k < outs; k++) {
        STORE(g + k * width, acc[k][0]);
        STORE(g + k * width + 4, acc[k][1]);
    }
}

INLINE void gradient(
    const double *e, size_t lde, const double *t, size_t n, size_t A, size_t width, double *g) {
    for (size_t j = 0; j < width; j += 8) {
        size_t k = 0;
        for (; k + 5 <= A; k += 5) {
            gradient_block(e + k, lde, t + j, n, 5, width, g + k * width + j);
        }
        for (; k < A; k++) {
            gradient_block(e + k, lde, t + j, n, 1, width, g + k * width + j);
        }
    }
}

INLINE double dot(const double *a, const double *b, size_t n) {
    v4 s[4] = {{0}};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (size_t j = 0; j < 4; j++) {
            s[j] += LOAD(a + i + 4 * j) * LOAD(b + i + 4 * j);
        }
    }
    v4 all = (s[0] + s[2]) + (s[1] + s[3]);
    double rest = 0;
    for (; i < n; i++) {
        rest += a[i] * b[i];
    }
    return SUM(all) + rest;
}

/* --- the copies --- */

#define COPIES(suffix, attribute)                                                                            \
    attribute static void logits_##suffix(                                                                   \
        const double *t, size_t n, const double *w, size_t A, size_t width, double *z, size_t ldz) {         \
        logits(t, n, w, A, width, z, ldz);                                                                   \
    }                                                                                                        \
    attribute static void gradient_##suffix(                                                                 \
        const double *e, size_t lde, const double *t, size_t n, size_t A, size_t width, double *g) {         \
        gradient(e, lde, t, n, A, width, g);                                                                 \
    }                                                                                                        \
    attribute static double dot_##suffix(const double *a, const double *b, size_t n) {                       \
        return dot(a, b, n);                                                                                 \
    }

COPIES(plain, )
#ifdef __x86_64__
COPIES(avx2, __attribute__((target("avx2,fma"))))

static bool have_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#define CHOOSE(name, ...) (have_avx2() ? name##_avx2(__VA_ARGS__) : name##_plain(__VA_ARGS__))
#else
#define CHOOSE(name, ...) name##_plain(__VA_ARGS__)
#endif

void ark_tile_logits(
    const double *t, size_t n, const double *w, size_t A, size_t width, double *z, size_t ldz) {
    CHOOSE(logits, t, n, w, A, width, z, ldz);
}

void ark_tile_gradient(
    const double *e, size_t lde, const double *t, size_t n, size_t A, size_t width, double *g) {
    CHOOSE(gradient, e, lde, t, n, A, width, g);
}

double ark_tile_dot(const double *a, const double *b, size_t n) {
    return CHOOSE(dot, a, b, n);
}

/* --- rows --- */

void ark_tile_load(
    const ark_labelled *data, size_t first, size_t n, const double *mean, const double *inverse, double *t) {
    size_t d = data->d, width = ark_tile_width(d);
    for (size_t i = 0; i < n; i++, t += width) {
        size_t at = ark_labelled_row(data, first + i) * d;
        const float *x = data->f32 ? data->f32 + at : NULL;
        for (size_t j = 0; x && mean && j < d; j++) {
            t[j] = ((double)x[j] - mean[j]) * inverse[j];
        }
        for (size_t j = 0; x && !mean && j < d; j++) {
            t[j] = (double)x[j];
        }
        for (size_t j = 0; !x && j < d; j++) {
            double v = data->f64[at + j];
            t[j] = mean ? (v - mean[j]) * inverse[j] : v;
        }
        memset(t + d, 0, (width - d) * sizeof *t);
    }
}
