/* layernorm: y = xhat * gamma + beta, xhat = (x - mean) * rstd over the last dimension. x (R,C). */
#include "backend/ref/ref.h"

#include <math.h>
#include <string.h>

enum { X, GAMMA, BETA };

/* Scratch of backward: dgamma (C) and dbeta (C) summed in double over all rows. */
ark_status ark__ref_layernorm_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    (void)dev;
    *scratch = (size_t)(2 * ark_last_dim(n->in[X])) * sizeof(double);
    return ARK_OK;
}

ark_status ark__ref_layernorm_fwd(const ark_call *c, const ark_node *n) {
    int64_t R = ark_rows(n->in[X], c->batch), C = ark_last_dim(n->in[X]);
    ark_ref_view x = ark__ref_data(c, n->in[X]), y = ark__ref_data(c, n->out);
    ark_ref_view gamma = ark__ref_data(c, n->in[GAMMA]), beta = ark__ref_data(c, n->in[BETA]);
    for (int64_t r = 0; r < R; r++) {
        double mean = 0.0, var = 0.0;
        for (int64_t i = 0; i < C; i++) {
            mean += ark__ref_get(x, r * C + i);
        }
        mean /= (double)C;
        for (int64_t i = 0; i < C; i++) {
            double d = ark__ref_get(x, r * C + i) - mean;
            var += d * d;
        }
        var /= (double)C;
        double rstd = 1.0 / sqrt(var + (double)n->a.layernorm.eps);
        for (int64_t i = 0; i < C; i++) {
            double xhat = (ark__ref_get(x, r * C + i) - mean) * rstd;
            ark__ref_put(y, r * C + i, xhat * ark__ref_get(gamma, i) + ark__ref_get(beta, i));
        }
        if (n->saved[0] != NULL) {
            ark__ref_put(ark__ref_data(c, n->saved[0]), r, mean);
            ark__ref_put(ark__ref_data(c, n->saved[1]), r, rstd);
        }
    }
    return ARK_OK;
}

/* With g = dy * gamma: dx = rstd * (g - mean(g) - xhat * mean(g * xhat)). */
ark_status ark__ref_layernorm_bwd(const ark_call *c, const ark_node *n) {
    int64_t R = ark_rows(n->in[X], c->batch), C = ark_last_dim(n->in[X]);
    ark_ref_view x = ark__ref_data(c, n->in[X]), gamma = ark__ref_data(c, n->in[GAMMA]);
    ark_ref_view dy = ark__ref_dout(c, n);
    double *dgamma = c->scratch, *dbeta = dgamma + C;
    memset(dgamma, 0, (size_t)(2 * C) * sizeof *dgamma);

    for (int64_t r = 0; r < R; r++) {
        double mean = ark__ref_get(ark__ref_data(c, n->saved[0]), r);
        double rstd = ark__ref_get(ark__ref_data(c, n->saved[1]), r);
        double g_mean = 0.0, gx_mean = 0.0;
        for (int64_t i = 0; i < C; i++) {
            double xhat = (ark__ref_get(x, r * C + i) - mean) * rstd, d = ark__ref_get(dy, r * C + i);
            dgamma[i] += d * xhat;
            dbeta[i] += d;
            g_mean += d * ark__ref_get(gamma, i);
            gx_mean += d * ark__ref_get(gamma, i) * xhat;
        }
        g_mean /= (double)C;
        gx_mean /= (double)C;
        for (int64_t i = 0; n->want_grad[X] && i < C; i++) {
            double xhat = (ark__ref_get(x, r * C + i) - mean) * rstd;
            double g = ark__ref_get(dy, r * C + i) * ark__ref_get(gamma, i);
            ark__ref_put(ark__ref_din(c, n, X), r * C + i, rstd * (g - g_mean - xhat * gx_mean));
        }
    }
    for (int64_t i = 0; i < C; i++) {
        if (n->want_grad[GAMMA]) {
            ark__ref_put(ark__ref_din(c, n, GAMMA), i, dgamma[i]);
        }
        if (n->want_grad[BETA]) {
            ark__ref_put(ark__ref_din(c, n, BETA), i, dbeta[i]);
        }
    }
    return ARK_OK;
}
