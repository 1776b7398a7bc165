/* Losses: a few thousand values at most, so one thread sums them in double. */
#include "backend/cpu/cpu.h"

#include <math.h>

/* Gradient of the scalar output times `value`, set or added. */
static void put(const ark_node *n, float *dst, int64_t i, double value) {
    dst[i] = n->acc[0] ? dst[i] + (float)value : (float)value;
}

static double count_ones(const float *mask, int64_t n, int64_t stride) {
    double count = 0.0;
    for (int64_t i = 0; i < n; i += stride) {
        count += mask[i] == 1.0f ? 1.0 : 0.0;
    }
    return count;
}

/* BCE with logits, stable: max(z,0) - z y + log(1 + e^-|z|). */
ark_status ark_cpu_bce_logits_fwd(const ark_call *c, const ark_node *n) {
    const float *z = ark_ptr(c, n->in[0]), *y = ark_ptr(c, n->in[1]), *mask = ark_ptr(c, n->in[2]);
    int64_t total = c->batch * ark_numel_per_sample(n->in[0]);
    double sum = 0.0, count = count_ones(mask, total, 1);
    for (int64_t i = 0; i < total; i++) {
        if (mask[i] == 1.0f) {
            sum += fmax((double)z[i], 0.0) - (double)z[i] * (double)y[i] + log1p(exp(-fabs((double)z[i])));
        }
    }
    *(float *)ark_ptr(c, n->out) = count > 0.0 ? (float)(sum / count) : 0.0f;
    return ARK_OK;
}

ark_status ark_cpu_bce_logits_bwd(const ark_call *c, const ark_node *n) {
    if (!n->want_grad[0]) {
        return ARK_OK;
    }
    const float *z = ark_ptr(c, n->in[0]), *y = ark_ptr(c, n->in[1]), *mask = ark_ptr(c, n->in[2]);
    float *dz = ark_grad_ptr(c, n->in[0]);
    int64_t total = c->batch * ark_numel_per_sample(n->in[0]);
    double count = count_ones(mask, total, 1);
    double scale = count > 0.0 ? (double)*(const float *)ark_grad_ptr(c, n->out) / count : 0.0;
    for (int64_t i = 0; i < total; i++) {
        double sigmoid = 1.0 / (1.0 + exp(-(double)z[i]));
        put(n, dz, i, mask[i] == 1.0f ? scale * (sigmoid - (double)y[i]) : 0.0);
    }
    return ARK_OK;
}

/* log of the sum of e^z over a row. */
static double log_sum_exp(const float *z, int64_t k) {
    double top = (double)z[0], sum = 0.0;
    for (int64_t i = 1; i < k; i++) {
        top = fmax(top, (double)z[i]);
    }
    for (int64_t i = 0; i < k; i++) {
        sum += exp((double)z[i] - top);
    }
    return top + log(sum);
}

ark_status ark_cpu_softmax_ce_fwd(const ark_call *c, const ark_node *n) {
    const float *z = ark_ptr(c, n->in[0]), *y = ark_ptr(c, n->in[1]), *mask = ark_ptr(c, n->in[2]);
    int64_t k = ark_last_dim(n->in[0]);
    double sum = 0.0, count = count_ones(mask, c->batch * k, k);
    for (int64_t b = 0; b < c->batch; b++, z += k, y += k, mask += k) {
        if (mask[0] == 1.0f) {
            double norm = log_sum_exp(z, k);
            for (int64_t i = 0; i < k; i++) {
                sum += (double)y[i] * (norm - (double)z[i]);
            }
        }
    }
    *(float *)ark_ptr(c, n->out) = count > 0.0 ? (float)(sum / count) : 0.0f;
    return ARK_OK;
}

/* d/dz of sum_i y_i (norm - z_i) is softmax(z) sum(y) - y. */
ark_status ark_cpu_softmax_ce_bwd(const ark_call *c, const ark_node *n) {
    if (!n->want_grad[0]) {
        return ARK_OK;
    }
    const float *z = ark_ptr(c, n->in[0]), *y = ark_ptr(c, n->in[1]), *mask = ark_ptr(c, n->in[2]);
    float *dz = ark_grad_ptr(c, n->in[0]);
    int64_t k = ark_last_dim(n->in[0]);
    double count = count_ones(mask, c->batch * k, k);
    double scale = count > 0.0 ? (double)*(const float *)ark_grad_ptr(c, n->out) / count : 0.0;
    for (int64_t b = 0; b < c->batch; b++, z += k, y += k, mask += k, dz += k) {
        bool counts = mask[0] == 1.0f;
        double norm = log_sum_exp(z, k), mass = 0.0;
        for (int64_t i = 0; i < k; i++) {
            mass += (double)y[i];
        }
        for (int64_t i = 0; i < k; i++) {
            put(n, dz, i, counts ? scale * (exp((double)z[i] - norm) * mass - (double)y[i]) : 0.0);
        }
    }
    return ARK_OK;
}

ark_status ark_cpu_mse_fwd(const ark_call *c, const ark_node *n) {
    const float *a = ark_ptr(c, n->in[0]), *b = ark_ptr(c, n->in[1]);
    int64_t total = c->batch * ark_numel_per_sample(n->in[0]);
    double sum = 0.0;
    for (int64_t i = 0; i < total; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    *(float *)ark_ptr(c, n->out) = (float)(sum / (double)total);
    return ARK_OK;
}

ark_status ark_cpu_mse_bwd(const ark_call *c, const ark_node *n) {
    if (!n->want_grad[0]) {
        return ARK_OK;
    }
    const float *a = ark_ptr(c, n->in[0]), *b = ark_ptr(c, n->in[1]);
    float *da = ark_grad_ptr(c, n->in[0]);
    int64_t total = c->batch * ark_numel_per_sample(n->in[0]);
    double scale = 2.0 * (double)*(const float *)ark_grad_ptr(c, n->out) / (double)total;
    for (int64_t i = 0; i < total; i++) {
        put(n, da, i, scale * ((double)a[i] - (double)b[i]));
    }
    return ARK_OK;
}
