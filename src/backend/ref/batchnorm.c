/* batchnorm: y = act(gamma (x - mean) / sqrt(var + eps) + beta) per channel. x (R,C); R = batch and grid. */
#include "backend/ref/ref.h"
#include "base/err.h"

#include <math.h>

enum { X, GAMMA, BETA, MEAN, VAR };

typedef struct {
    int64_t R, C;
    ark_ref_view x, gamma, beta;
} norm;

static norm norm_of(const ark_call *c, const ark_node *n) {
    return (norm){.R = ark_rows(n->in[X], c->batch),
        .C = ark_last_dim(n->in[X]),
        .x = ark__ref_data(c, n->in[X]),
        .gamma = ark__ref_data(c, n->in[GAMMA]),
        .beta = ark__ref_data(c, n->in[BETA])};
}

/* Mean and biased variance of channel k in this batch. */
static void statistics(const norm *v, int64_t k, double *mean, double *var) {
    double sum = 0.0, squares = 0.0;
    for (int64_t r = 0; r < v->R; r++) {
        sum += ark__ref_get(v->x, r * v->C + k);
    }
    *mean = sum / (double)v->R;
    for (int64_t r = 0; r < v->R; r++) {
        double d = ark__ref_get(v->x, r * v->C + k) - *mean;
        squares += d * d;
    }
    *var = squares / (double)v->R;
}

static void update(const ark_call *c, const ark_node *n, const norm *v, int64_t k, double mean, double var) {
    double m = n->a.batchnorm.momentum, unbiased = var * (double)v->R / (double)(v->R - 1);
    ark_ref_view old_mean = ark__ref_data(c, n->in[MEAN]), old_var = ark__ref_data(c, n->in[VAR]);
    if (!c->replay) {
        ark__ref_put(old_mean, k, (1.0 - m) * ark__ref_get(old_mean, k) + m * mean);
        ark__ref_put(old_var, k, (1.0 - m) * ark__ref_get(old_var, k) + m * unbiased);
    }
}

static double affine(const norm *v, double mean, double rstd, int64_t r, int64_t k) {
    return (ark__ref_get(v->x, r * v->C + k) - mean) * rstd * ark__ref_get(v->gamma, k) +
           ark__ref_get(v->beta, k);
}

ark_status ark__ref_batchnorm_fwd(const ark_call *c, const ark_node *n) {
    norm v = norm_of(c, n);
    if (c->stochastic && v.R < 2) {
        return ARK_ERR(ARK_ESHAPE, "batch norm needs more than one value per channel in training");
    }
    for (int64_t k = 0; k < v.C; k++) {
        double mean = ark__ref_get(ark__ref_data(c, n->in[MEAN]), k),
               var = ark__ref_get(ark__ref_data(c, n->in[VAR]), k);
        if (c->stochastic) {
            statistics(&v, k, &mean, &var);
            update(c, n, &v, k, mean, var);
        }
        double rstd = 1.0 / sqrt(var + (double)n->a.batchnorm.eps);
        if (n->saved[0]) {
            ark__ref_put(ark__ref_data(c, n->saved[0]), k, mean);
            ark__ref_put(ark__ref_data(c, n->saved[1]), k, rstd);
            mean = ark__ref_get(ark__ref_data(c, n->saved[0]), k); /* as remake will read them */
            rstd = ark__ref_get(ark__ref_data(c, n->saved[1]), k);
        } else {
            mean = (float)mean;
            rstd = (float)rstd;
        }
        for (int64_t r = 0; r < v.R; r++) {
            double y = affine(&v, mean, rstd, r, k);
            ark__ref_put(ark__ref_data(c, n->out), r * v.C + k, n->a.batchnorm.relu && y < 0.0 ? 0.0 : y);
        }
    }
    return ARK_OK;
}

ark_status ark__ref_batchnorm_remake(const ark_call *c, const ark_node *n) {
    norm v = norm_of(c, n);
    ark_ref_view mean = ark__ref_data(c, n->saved[0]), rstd = ark__ref_data(c, n->saved[1]);
    for (int64_t i = 0; i < v.R * v.C; i++) {
        double y = affine(&v, ark__ref_get(mean, i % v.C), ark__ref_get(rstd, i % v.C), i / v.C, i % v.C);
        ark__ref_put(ark__ref_data(c, n->out), i, n->a.batchnorm.relu && y < 0.0 ? 0.0 : y);
    }
    return ARK_OK;
}

/* With batch statistics dx = gamma rstd (dz - mean(dz) - xhat mean(dz xhat)); with running ones they are constants. */
ark_status ark__ref_batchnorm_bwd(const ark_call *c, const ark_node *n) {
    norm v = norm_of(c, n);
    ark_ref_view dy = ark__ref_dout(c, n);
    for (int64_t k = 0; k < v.C; k++) {
        double mean = ark__ref_get(ark__ref_data(c, n->saved[0]), k),
               rstd = ark__ref_get(ark__ref_data(c, n->saved[1]), k), sum = 0.0, product = 0.0;
        for (int64_t pass = 0; pass < 2; pass++) {
            for (int64_t r = 0; r < v.R; r++) {
                double y = affine(&v, mean, rstd, r, k), dz = ark__ref_get(dy, r * v.C + k);
                double hat = (ark__ref_get(v.x, r * v.C + k) - mean) * rstd;
                if (n->a.batchnorm.relu && !(y > 0.0)) {
                    dz = isnan(y) ? y : 0.0;
                }
                if (pass == 0) {
                    sum += dz;
                    product += dz * hat;
                } else if (n->want_grad[X]) {
                    double centred =
                        c->stochastic ? dz - sum / (double)v.R - hat * product / (double)v.R : dz;
                    ark__ref_put(
                        ark__ref_din(c, n, X), r * v.C + k, ark__ref_get(v.gamma, k) * rstd * centred);
                }
            }
        }
        if (n->want_grad[GAMMA]) {
            ark__ref_put(ark__ref_din(c, n, GAMMA), k, product);
        }
        if (n->want_grad[BETA]) {
            ark__ref_put(ark__ref_din(c, n, BETA), k, sum);
        }
    }
    return ARK_OK;
}
