/* Parameter updates over one range. */
#include "backend/cpu/simd/level.h"

#include <math.h>

void ARK_FN(ema)(float *restrict teacher, const float *restrict student, float m, int64_t n) {
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        teacher[i] = m * teacher[i] + (1.0f - m) * student[i];
    }
}

void ARK_FN(sgd)(
    float *restrict w, const float *restrict g, float *restrict buf, int64_t n, const ark_sgd *o) {
    const float lr = o->lr, momentum = o->momentum, decay = o->decay, gs = o->grad_scale;
    /* The first update keeps nothing of the buffer, whatever it holds. */
    const bool plain = momentum == 0.0f;
    const float keep = o->first ? 0.0f : momentum;
    if (plain || !buf) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            w[i] -= lr * (g[i] * gs + decay * w[i]);
        }
        return;
    }
    if (o->first) {
        memset(buf, 0, (size_t)n * sizeof *buf);
    }
    const float direct = o->nesterov ? 1.0f : 0.0f;
    const float through = o->nesterov ? momentum : 1.0f;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float d = g[i] * gs + decay * w[i];
        float b = keep * buf[i] + d;
        buf[i] = b;
        w[i] -= lr * (direct * d + through * b);
    }
}

void ARK_FN(adamw)(float *restrict w, const float *restrict g, float *restrict m, float *restrict v,
    int64_t n, const ark_adamw *o) {
    const float lr = o->lr, b1 = o->beta1, b2 = o->beta2, eps = o->eps, gs = o->grad_scale;
    const float step = (float)(lr / (1.0 - pow(b1, (double)o->t)));
    const float root = (float)(1.0 / sqrt(1.0 - pow(b2, (double)o->t)));
    const float shrink = 1.0f - lr * o->decay;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float d = g[i] * gs;
        float mi = b1 * m[i] + (1.0f - b1) * d;
        float vi = b2 * v[i] + (1.0f - b2) * d * d;
        m[i] = mi;
        v[i] = vi;
        w[i] = w[i] * shrink - step * mi / (sqrtf(vi) * root + eps);
    }
}

void ARK_FN(sum_squares)(double *out, const float *g, int64_t n) {
    double s = 0.0;
#pragma omp simd reduction(+ : s)
    for (int64_t i = 0; i < n; i++) {
        s += (double)g[i] * (double)g[i];
    }
    *out = s;
}
