/* Batch norm and the element-wise ops of convolutional networks. */
#include "backend/cpu/simd/level.h"

enum { CHUNK = 16 }; /* rows whose sums stay in float32 */

ARK_INLINE void add_wide(double *sum, const float *part, int64_t n) {
#pragma omp simd
    for (int64_t j = 0; j < n; j++) {
        sum[j] += (double)part[j];
    }
}

/* CHUNK rows at a time, a vector of columns at a time: the sums stay in registers, then go to double. */
void ARK_FN(moments)(double *restrict sum, double *restrict squares, const float *restrict x,
    const float *restrict shift, int64_t rows, int64_t cols) {
    for (int64_t i = 0; i < rows; i += CHUNK) {
        const int64_t n = rows - i < CHUNK ? rows - i : CHUNK;
        const float *block = x + i * cols;
        int64_t j = 0;
        for (; j + ARK_LANES <= cols; j += ARK_LANES) {
            ark_vec s = {0}, q = {0}, z = ark_load(shift + j);
            for (int64_t r = 0; r < n; r++) {
                ark_vec v = ark_load(block + r * cols + j) - z;
                s += v;
                q += v * v;
            }
            float parts[2][ARK_LANES];
            ark_store(parts[0], s);
            ark_store(parts[1], q);
            add_wide(sum + j, parts[0], ARK_LANES);
            add_wide(squares + j, parts[1], ARK_LANES);
        }
        for (; j < cols; j++) {
            float s = 0.0f, q = 0.0f;
            for (int64_t r = 0; r < n; r++) {
                float v = block[r * cols + j] - shift[j];
                s += v;
                q += v * v;
            }
            sum[j] += (double)s;
            squares[j] += (double)q;
        }
    }
}

ARK_INLINE float rectify(float z, bool relu) {
    return relu && z < 0.0f ? 0.0f : z;
}

void ARK_FN(affine)(
    float *y, const float *x, const float *s, const float *t, const float *h, bool relu, int64_t n) {
    if (h) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            y[i] = rectify(x[i] * s[i] + t[i] + h[i], relu);
        }
    } else if (relu) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            y[i] = rectify(x[i] * s[i] + t[i], true);
        }
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            y[i] = x[i] * s[i] + t[i];
        }
    }
}

/* What passes the ReLU. */
ARK_INLINE ark_vec passed(ark_vec dy, ark_vec x, ark_vec s, ark_vec t, bool relu) {
    return relu ? (ark_vec)((x * s + t > 0.0f) & (__typeof__(x > s))dy) : dy;
}

ARK_INLINE float passed1(float dy, float x, float s, float t, bool relu) {
    return !relu || x * s + t > 0.0f ? dy : 0.0f;
}

ARK_INLINE void sums(double *restrict sum, double *restrict product, const float *restrict dy,
    const float *restrict x, const ark_norm_line *v, int64_t rows, int64_t cols, bool relu) {
    for (int64_t i = 0; i < rows; i += CHUNK) {
        const int64_t n = rows - i < CHUNK ? rows - i : CHUNK;
        int64_t j = 0;
        for (; j + ARK_LANES <= cols; j += ARK_LANES) {
            const ark_vec s = ark_load(v->s + j), t = ark_load(v->t + j), mean = ark_load(v->mean + j);
            ark_vec a = {0}, b = {0};
            for (int64_t r = i; r < i + n; r++) {
                const ark_vec xv = ark_load(x + r * cols + j);
                const ark_vec dz = passed(ark_load(dy + r * cols + j), xv, s, t, relu);
                a += dz;
                b += dz * (xv - mean);
            }
            float parts[2][ARK_LANES];
            ark_store(parts[0], a);
            ark_store(parts[1], b);
            add_wide(sum + j, parts[0], ARK_LANES);
            add_wide(product + j, parts[1], ARK_LANES);
        }
        for (; j < cols; j++) {
            float a = 0.0f, b = 0.0f;
            for (int64_t r = i; r < i + n; r++) {
                const float xv = x[r * cols + j], dz = passed1(dy[r * cols + j], xv, v->s[j], v->t[j], relu);
                a += dz;
                b += dz * (xv - v->mean[j]);
            }
            sum[j] += (double)a;
            product[j] += (double)b;
        }
    }
}

void ARK_FN(norm_sums)(double *sum, double *product, const float *dy, const float *x, const ark_norm_line *v,
    int64_t rows, int64_t cols) {
    if (v->relu) {
        sums(sum, product, dy, x, v, rows, cols, true);
    } else {
        sums(sum, product, dy, x, v, rows, cols, false);
    }
}

void ARK_FN(norm_grad)(float *restrict dx, const float *restrict dy, const float *restrict x,
    const ark_norm_line *v, int64_t n) {
    const bool relu = v->relu;
    int64_t j = 0;
    for (; j + ARK_LANES <= n; j += ARK_LANES) {
        const ark_vec xv = ark_load(x + j);
        const ark_vec dz = passed(ark_load(dy + j), xv, ark_load(v->s + j), ark_load(v->t + j), relu);
        ark_store(dx + j,
            ark_load(v->a + j) * dz + ark_load(v->b + j) * (xv - ark_load(v->mean + j)) + ark_load(v->c + j));
    }
    for (; j < n; j++) {
        const float dz = passed1(dy[j], x[j], v->s[j], v->t[j], relu);
        dx[j] = v->a[j] * dz + v->b[j] * (x[j] - v->mean[j]) + v->c[j];
    }
}

void ARK_FN(add_product)(float *restrict y, const float *restrict s, const float *restrict x, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] += s[i] * x[i];
    }
}

void ARK_FN(add_scaled_each)(float *y, const float *a, const float *h, const float *s, float f, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = a[i] + s[i] * f * h[i];
    }
}

void ARK_FN(keep_larger)(
    float *restrict y, float *restrict tap, const float *restrict x, float k, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        const bool larger = (x[i] > y[i]) | ((x[i] != x[i]) & (y[i] == y[i]));
        y[i] = larger ? x[i] : y[i];
        tap[i] = larger ? k : tap[i];
    }
}

void ARK_FN(add_where)(
    float *restrict dx, const float *restrict dy, const float *restrict tap, float k, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        dx[i] += tap[i] == k ? dy[i] : 0.0f;
    }
}
