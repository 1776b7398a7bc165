/* Layer normalisation of one row that fits in the cache. */
#include "backend/cpu/simd/level.h"

#include <math.h>

enum { SUMS = 4 }; /* independent sums: one alone would wait for each addition to end */

/* All lanes of all sums, by halves. */
ARK_INLINE float total(const ark_vec s[SUMS]) {
    ark_vec all = (s[0] + s[1]) + (s[2] + s[3]);
    float lane[ARK_LANES];
    ark_store(lane, all);
    for (int half = ARK_LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lane[i] += lane[i + half];
        }
    }
    return lane[0];
}

/* Sum of x - shift, or of its square. */
ARK_INLINE float sum_of(const float *x, float shift, bool square, int64_t n) {
    ark_vec s[SUMS] = {0};
    int64_t i = 0;
    for (; i + SUMS * ARK_LANES <= n; i += SUMS * ARK_LANES) {
        ARK_UNROLL
        for (int k = 0; k < SUMS; k++) {
            ark_vec d = ark_load(x + i + k * ARK_LANES) - shift;
            s[k] += square ? d * d : d;
        }
    }
    for (; i + ARK_LANES <= n; i += ARK_LANES) {
        ark_vec d = ark_load(x + i) - shift;
        s[0] += square ? d * d : d;
    }
    float sum = total(s);
    for (; i < n; i++) {
        float d = x[i] - shift;
        sum += square ? d * d : d;
    }
    return sum;
}

void ARK_FN(layernorm)(float *y, float *mean, float *rstd, const float *x, const float *gamma,
    const float *beta, float eps, int64_t n) {
    float m = sum_of(x, 0.0f, false, n) / (float)n;
    float r = 1.0f / sqrtf(sum_of(x, m, true, n) / (float)n + eps);
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
