/* Losses: scalars over the samples of the run. The gradient of the output is one value, the loss's weight. */
#include "backend/ref/ref.h"

#include <math.h>

enum { Z, TARGET, MASK };

static double ratio(double sum, int64_t count) {
    return count > 0 ? sum / (double)count : 0.0;
}

/* bce_logits: max(z,0) - z t + log(1 + exp(-|z|)), mean over entries whose mask is not 0;
 * others are not even read. */

static int64_t counted_entries(const ark_call *c, const ark_node *n) {
    int64_t count = 0;
    for (int64_t i = 0; i < c->batch * ark_numel_per_sample(n->in[Z]); i++) {
        count += ark__ref_get(ark__ref_data(c, n->in[MASK]), i) != 0.0;
    }
    return count;
}

ark_status ark__ref_bce_logits_fwd(const ark_call *c, const ark_node *n) {
    ark_ref_view z = ark__ref_data(c, n->in[Z]), target = ark__ref_data(c, n->in[TARGET]);
    ark_ref_view mask = ark__ref_data(c, n->in[MASK]);
    double sum = 0.0;
    for (int64_t i = 0; i < c->batch * ark_numel_per_sample(n->in[Z]); i++) {
        if (ark__ref_get(mask, i) != 0.0) {
            double x = ark__ref_get(z, i), positive = x > 0.0 || isnan(x) ? x : 0.0;
            sum += positive - x * ark__ref_get(target, i) + log1p(exp(-fabs(x)));
        }
    }
    ark__ref_put(ark__ref_data(c, n->out), 0, ratio(sum, counted_entries(c, n)));
    return ARK_OK;
}

ark_status ark__ref_bce_logits_bwd(const ark_call *c, const ark_node *n) {
    ark_ref_view z = ark__ref_data(c, n->in[Z]), target = ark__ref_data(c, n->in[TARGET]);
    ark_ref_view mask = ark__ref_data(c, n->in[MASK]);
    double weight = ratio(ark__ref_get(ark__ref_dout(c, n), 0), counted_entries(c, n));
    for (int64_t i = 0; n->want_grad[Z] && i < c->batch * ark_numel_per_sample(n->in[Z]); i++) {
        double g = 0.0;
        if (ark__ref_get(mask, i) != 0.0) {
            g = weight * (1.0 / (1.0 + exp(-ark__ref_get(z, i))) - ark__ref_get(target, i));
        }
        ark__ref_put(ark__ref_din(c, n, Z), i, g);
    }
    return ARK_OK;
}

/* softmax_ce: -sum_k t_k log softmax(z)_k, mean over rows with mask[row][0] != 0. */

static bool row_counts(const ark_call *c, const ark_node *n, int64_t row) {
    return ark__ref_get(ark__ref_data(c, n->in[MASK]), row * ark_last_dim(n->in[Z])) != 0.0;
}

static int64_t counted_rows(const ark_call *c, const ark_node *n) {
    int64_t count = 0;
    for (int64_t b = 0; b < c->batch; b++) {
        count += row_counts(c, n, b);
    }
    return count;
}

/* log sum_k exp(z_k) of one row. */
static double log_sum_exp(ark_ref_view z, int64_t row, int64_t K) {
    double max = -INFINITY, sum = 0.0;
    for (int64_t k = 0; k < K; k++) {
        max = fmax(max, ark__ref_get(z, row * K + k));
    }
    for (int64_t k = 0; k < K; k++) {
        sum += exp(ark__ref_get(z, row * K + k) - max);
    }
    return max + log(sum);
}

ark_status ark__ref_softmax_ce_fwd(const ark_call *c, const ark_node *n) {
    int64_t K = ark_last_dim(n->in[Z]);
    ark_ref_view z = ark__ref_data(c, n->in[Z]), target = ark__ref_data(c, n->in[TARGET]);
    double sum = 0.0;
    for (int64_t b = 0; b < c->batch; b++) {
        double lse = row_counts(c, n, b) ? log_sum_exp(z, b, K) : 0.0;
        for (int64_t i = b * K; row_counts(c, n, b) && i < (b + 1) * K; i++) {
            sum += ark__ref_get(target, i) * (lse - ark__ref_get(z, i));
        }
    }
    ark__ref_put(ark__ref_data(c, n->out), 0, ratio(sum, counted_rows(c, n)));
    return ARK_OK;
}

ark_status ark__ref_softmax_ce_bwd(const ark_call *c, const ark_node *n) {
    int64_t K = ark_last_dim(n->in[Z]);
    ark_ref_view z = ark__ref_data(c, n->in[Z]), target = ark__ref_data(c, n->in[TARGET]);
    double weight = ratio(ark__ref_get(ark__ref_dout(c, n), 0), counted_rows(c, n));
    for (int64_t b = 0; n->want_grad[Z] && b < c->batch; b++) {
        bool counts = row_counts(c, n, b);
        double lse = counts ? log_sum_exp(z, b, K) : 0.0, mass = 0.0; /* mass: sum of the row's targets */
        for (int64_t i = b * K; counts && i < (b + 1) * K; i++) {
            mass += ark__ref_get(target, i);
        }
        for (int64_t i = b * K; i < (b + 1) * K; i++) {
            double g = 0.0;
            if (counts) {
                g = weight * (mass * exp(ark__ref_get(z, i) - lse) - ark__ref_get(target, i));
            }
            ark__ref_put(ark__ref_din(c, n, Z), i, g);
        }
    }
    return ARK_OK;
}

/* mse: mean of (a - b)^2 over all elements. */

ark_status ark__ref_mse_fwd(const ark_call *c, const ark_node *n) {
    ark_ref_view a = ark__ref_data(c, n->in[0]), b = ark__ref_data(c, n->in[1]);
    int64_t count = c->batch * ark_numel_per_sample(n->in[0]);
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double d = ark__ref_get(a, i) - ark__ref_get(b, i);
        sum += d * d;
    }
    ark__ref_put(ark__ref_data(c, n->out), 0, ratio(sum, count));
    return ARK_OK;
}

ark_status ark__ref_mse_bwd(const ark_call *c, const ark_node *n) {
    ark_ref_view a = ark__ref_data(c, n->in[0]), b = ark__ref_data(c, n->in[1]);
    int64_t count = c->batch * ark_numel_per_sample(n->in[0]);
    double weight = 2.0 * ratio(ark__ref_get(ark__ref_dout(c, n), 0), count);
    for (int64_t i = 0; n->want_grad[0] && i < count; i++) {
        ark__ref_put(ark__ref_din(c, n, 0), i, weight * (ark__ref_get(a, i) - ark__ref_get(b, i)));
    }
    return ARK_OK;
}
