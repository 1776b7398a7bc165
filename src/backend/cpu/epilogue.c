#include "backend/cpu/epilogue.h"

#include <math.h>

enum { LINE = 1024 };

void ark_norm_scale(float *s, float *t, const float *gamma, const float *beta, const float *mean,
    const float *var, float eps, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        float rstd = (float)(1.0 / sqrt((double)var[i] + (double)eps));
        s[i] = gamma[i] * rstd;
        t[i] = (float)((double)beta[i] - (double)mean[i] * (double)s[i]);
    }
}

int64_t ark_epilogue_floats(const ark_node *n) {
    return n->norm ? 2 * ark_simd_pad(ark_last_dim(n->out)) : 0;
}

ark_status ark_epilogue_begin(const ark_call *c, const ark_node *n, float *scale) {
    enum { GAMMA = 1, BETA, MEAN, VAR };
    const ark_node *b = n->norm;
    if (!b) {
        return ARK_OK;
    }
    if (c->stochastic) {
        return ARK_ERR(ARK_EINVAL, "batch statistics need a plan made for training");
    }
    const int64_t C = ark_last_dim(n->out);
    ark_norm_scale(scale, scale + ark_simd_pad(C), ark_ptr(c, b->in[GAMMA]), ark_ptr(c, b->in[BETA]),
        ark_ptr(c, b->in[MEAN]), ark_ptr(c, b->in[VAR]), b->a.batchnorm.eps, C);
    return ARK_OK;
}

void ark_epilogue(const ark_call *c, const ark_node *n, const float *scale, int64_t row, int64_t rows,
    int64_t col, int64_t cols) {
    const ark_simd *k = ark_simd_of(c);
    const int64_t C = ark_last_dim(n->out);
    const ark_tensor *other = n->sum;
    const bool relu = n->norm->a.batchnorm.relu || other;
    float z[LINE], h[LINE];
    for (int64_t r = row; r < row + rows; r++) {
        for (int64_t j = col; j < col + cols; j += LINE) {
            const int64_t m = ark_min64(LINE, col + cols - j), at = r * C + j;
            const float *x = ark_read(k, n->out->dtype, ark_ptr(c, n->out), at, m, z);
            const float *add = other ? ark_read(k, other->dtype, ark_ptr(c, other), at, m, h) : NULL;
            float *y = ark_write_begin(n->out->dtype, ark_ptr(c, n->out), at, false, z);
            k->affine(y, x, scale + j, scale + ark_simd_pad(C) + j, add, relu, m);
            ark_write_end(k, n->out->dtype, ark_ptr(c, n->out), at, m, false, y, NULL);
        }
    }
}
