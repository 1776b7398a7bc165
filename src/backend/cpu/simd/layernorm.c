/* Layer normalisation of one row that fits in the cache. */
#include "backend/cpu/simd/level.h"

#include <math.h>

void ARK_FN(layernorm)(float *y, float *mean, float *rstd, const float *x, const float *gamma,
    const float *beta, float eps, int64_t n) {
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
    }
    float m = sum / (float)n;
    float squares = 0.0f;
#pragma omp simd reduction(+ : squares)
    for (int64_t i = 0; i < n; i++) {
        squares += (x[i] - m) * (x[i] - m);
    }
    float r = 1.0f / sqrtf(squares / (float)n + eps);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        y[i] = (x[i] - m) * r * gamma[i] + beta[i];
    }
    if (mean) {
        *mean = m;
        *rstd = r;
    }
}

/* With xhat = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - xhat mean(g
 * xhat)). g rests in dx between the passes, rounded as its mean was: where g equals its
 * mean the difference is then zero, whatever rstd. */
void ARK_FN(layernorm_grad)(float *restrict dx, float *restrict dgamma, float *restrict dbeta,
    const float *restrict dy, const float *restrict x, const float *restrict gamma, float mean, float rstd,
    int64_t n) {
    float sum_g = 0.0f, sum_gx = 0.0f;
#pragma omp simd reduction(+ : sum_g, sum_gx)
    for (int64_t i = 0; i < n; i++) {
        float xhat = (x[i] - mean) * rstd;
        float g = dy[i] * gamma[i];
        dx[i] = g;
        dgamma[i] += dy[i] * xhat;
        dbeta[i] += dy[i];
        sum_g += g;
        sum_gx += g * xhat;
    }
    float mean_g = sum_g / (float)n, mean_gx = sum_gx / (float)n;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float xhat = (x[i] - mean) * rstd;
        dx[i] = rstd * (dx[i] - mean_g - xhat * mean_gx);
    }
}
