/* Conversions, sums and activations over flat arrays. */
#include "backend/cpu/simd/math.h"

void ARK_FN(widen)(float *restrict dst, const uint16_t *restrict src, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        dst[i] = ark_from_bits((int32_t)((uint32_t)src[i] << 16));
    }
}

void ARK_FN(narrow)(uint16_t *restrict dst, const float *restrict src, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        uint32_t u = (uint32_t)ark_to_bits(src[i]);
        uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
        uint32_t quiet = (u >> 16) | 0x40u;
        dst[i] = (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
    }
}

void ARK_FN(add)(float *restrict y, const float *restrict x, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] += x[i];
    }
}

void ARK_FN(add_scaled)(float *y, const float *x, const float *h, float s, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = x[i] + s * h[i];
    }
}

void ARK_FN(scale)(float *y, const float *h, float s, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = s * h[i];
    }
}

void ARK_FN(column_sums)(float *restrict s, const float *restrict x, int64_t rows, int64_t cols, int64_t ld) {
    for (int64_t i = 0; i < rows; i++) {
        const float *row = x + i * ld;
#pragma omp simd
        for (int64_t j = 0; j < cols; j++) {
            s[j] += row[j];
        }
    }
}

void ARK_FN(gelu)(float *y, const float *z, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = ark_gelu1(z[i]);
    }
}

void ARK_FN(gelu_grad)(float *dz, const float *dy, const float *z, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        dz[i] = dy[i] * ark_gelu1_grad(z[i]);
    }
}

void ARK_FN(relu)(float *y, const float *z, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = z[i] < 0.0f ? 0.0f : z[i];
    }
}

void ARK_FN(relu_grad)(float *dz, const float *dy, const float *y, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        dz[i] = y[i] > 0.0f ? dy[i] : 0.0f;
    }
}
