/* linear: y = act(z), z = x W^T + b. x (R,K), W (N,K), b (N), y (R,N); R = all leading dimensions of x. */
#include "backend/ref/ref.h"

#include <math.h>
#include <string.h>

enum { X, W, BIAS };

static double activate(ark_act act, double z) {
    switch (act) {
    case ARK_ACT_GELU:
        return 0.5 * z * (1.0 + erf(z * M_SQRT1_2));
    case ARK_ACT_RELU:
        return z > 0.0 || isnan(z) ? z : 0.0;
    default:
        return z;
    }
}

/* d act / dz at element i. GELU kept z; for ReLU the output serves: z > 0 exactly where y > 0. */
static double slope(const ark_call *c, const ark_node *n, int64_t i) {
    switch (n->a.linear.act) {
    case ARK_ACT_GELU: {
        double z = ark__ref_get(ark__ref_data(c, n->saved[0]), i);
        double cdf = 0.5 * (1.0 + erf(z * M_SQRT1_2));
        double pdf = exp(-0.5 * z * z) / sqrt(2.0 * M_PI);
        return cdf + z * pdf;
    }
    case ARK_ACT_RELU: {
        double y = ark__ref_get(ark__ref_data(c, n->out), i);
        return isnan(y) ? y : y > 0.0;
    }
    default:
        return 1.0;
    }
}

/* The weights as this call reads them: the bf16 copy when x is bf16. */
static ark_ref_view weights(const ark_call *c, const ark_node *n) {
    if (n->in[X]->dtype == ARK_BF16) {
        return (ark_ref_view){.p = (void *)(uintptr_t)(c->weights16 + n->in[W]->offset), .dt = ARK_BF16};
    }
    return ark__ref_data(c, n->in[W]);
}

static double rounded(double v, ark_dtype dt) {
    return dt == ARK_F32 ? (double)(float)v : (double)ark_bf16_to_f32(ark_f32_to_bf16((float)v));
}

static bool has_bias(const ark_node *n) {
    return n->n_in > BIAS && n->in[BIAS] != NULL;
}

/* Scratch of backward: dz of one row (N), then dW (N,K) and db (N) summed in double over all rows. */
ark_status ark__ref_linear_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    (void)dev;
    int64_t N = n->in[W]->dims[0], K = n->in[W]->dims[1];
    *scratch = (size_t)(N + N * K + N) * sizeof(double);
    return ARK_OK;
}

ark_status ark__ref_linear_fwd(const ark_call *c, const ark_node *n) {
    int64_t R = ark_rows(n->in[X], c->batch), N = n->in[W]->dims[0], K = n->in[W]->dims[1];
    ark_ref_view x = ark__ref_data(c, n->in[X]), w = weights(c, n), y = ark__ref_data(c, n->out);
    for (int64_t r = 0; r < R; r++) {
        for (int64_t o = 0; o < N; o++) {
            double z = has_bias(n) ? ark__ref_get(ark__ref_data(c, n->in[BIAS]), o) : 0.0;
            for (int64_t k = 0; k < K; k++) {
                z += ark__ref_get(x, r * K + k) * ark__ref_get(w, o * K + k);
            }
            if (n->a.linear.act == ARK_ACT_GELU) { /* of what is kept for backward, kept or not */
                z = rounded(z, y.dt);
            }
            if (n->saved[0] != NULL) {
                ark__ref_put(ark__ref_data(c, n->saved[0]), r * N + o, z);
            }
            ark__ref_put(y, r * N + o, activate(n->a.linear.act, z));
        }
    }
    return ARK_OK;
}

/* y = gelu(z) again. */
ark_status ark__ref_linear_remake(const ark_call *c, const ark_node *n) {
    int64_t elements = ark_rows(n->out, c->batch) * ark_last_dim(n->out);
    ark_ref_view z = ark__ref_data(c, n->saved[0]), y = ark__ref_data(c, n->out);
    for (int64_t i = 0; i < elements; i++) {
        ark__ref_put(y, i, activate(n->a.linear.act, ark__ref_get(z, i)));
    }
    return ARK_OK;
}

ark_status ark__ref_linear_bwd(const ark_call *c, const ark_node *n) {
    int64_t R = ark_rows(n->in[X], c->batch), N = n->in[W]->dims[0], K = n->in[W]->dims[1];
    ark_ref_view x = ark__ref_data(c, n->in[X]), w = weights(c, n), dy = ark__ref_dout(c, n);
    double *dz = c->scratch, *dw = dz + N, *db = dw + N * K;
    memset(dw, 0, (size_t)(N * K + N) * sizeof *dw);

    for (int64_t r = 0; r < R; r++) {
        for (int64_t o = 0; o < N; o++) {
            dz[o] = ark__ref_get(dy, r * N + o) * slope(c, n, r * N + o);
            db[o] += dz[o];
        }
        for (int64_t k = 0; k < K; k++) {
            double xk = ark__ref_get(x, r * K + k), dx = 0.0;
            for (int64_t o = 0; o < N; o++) {
                dx += dz[o] * ark__ref_get(w, o * K + k);
                dw[o * K + k] += dz[o] * xk;
            }
            if (n->want_grad[X]) {
                ark__ref_put(ark__ref_din(c, n, X), r * K + k, dx);
            }
        }
    }
    for (int64_t i = 0; n->want_grad[W] && i < N * K; i++) {
        ark__ref_put(ark__ref_din(c, n, W), i, dw[i]);
    }
    for (int64_t o = 0; has_bias(n) && n->want_grad[BIAS] && o < N; o++) {
        ark__ref_put(ark__ref_din(c, n, BIAS), o, db[o]);
    }
    return ARK_OK;
}
