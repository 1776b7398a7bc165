/* Ops that join two branches: concat along channels, add_relu, and layer_scale with its stochastic depth. */
#include "backend/ref/ref.h"
#include "base/rng.h"

#include <math.h>

static int64_t elements(const ark_call *c, const ark_tensor *t) {
    return c->batch * ark_numel_per_sample(t);
}

ark_status ark__ref_concat_fwd(const ark_call *c, const ark_node *n) {
    const int64_t A = ark_last_dim(n->in[0]), C = ark_last_dim(n->out), B = C - A;
    for (int64_t e = 0; e < elements(c, n->out); e++) {
        int64_t row = e / C, ch = e % C;
        ark__ref_put(ark__ref_data(c, n->out), e,
            ch < A ? ark__ref_get(ark__ref_data(c, n->in[0]), row * A + ch)
                   : ark__ref_get(ark__ref_data(c, n->in[1]), row * B + ch - A));
    }
    return ARK_OK;
}

ark_status ark__ref_concat_bwd(const ark_call *c, const ark_node *n) {
    const int64_t A = ark_last_dim(n->in[0]), C = ark_last_dim(n->out), B = C - A;
    for (int64_t e = 0; e < elements(c, n->out); e++) {
        int64_t row = e / C, ch = e % C;
        int k = ch < A ? 0 : 1;
        if (n->want_grad[k]) {
            ark__ref_put(ark__ref_din(c, n, k), ch < A ? row * A + ch : row * B + ch - A,
                ark__ref_get(ark__ref_dout(c, n), e));
        }
    }
    return ARK_OK;
}

ark_status ark__ref_add_relu_fwd(const ark_call *c, const ark_node *n) {
    for (int64_t e = 0; e < elements(c, n->out); e++) {
        double z = ark__ref_get(ark__ref_data(c, n->in[0]), e) + ark__ref_get(ark__ref_data(c, n->in[1]), e);
        ark__ref_put(ark__ref_data(c, n->out), e, z < 0.0 ? 0.0 : z);
    }
    return ARK_OK;
}

ark_status ark__ref_add_relu_bwd(const ark_call *c, const ark_node *n) {
    for (int64_t e = 0; e < elements(c, n->out); e++) {
        double y = ark__ref_get(ark__ref_data(c, n->out), e), g = ark__ref_get(ark__ref_dout(c, n), e);
        for (int k = 0; k < 2; k++) {
            if (n->want_grad[k]) {
                ark__ref_put(ark__ref_din(c, n, k), e, isnan(y) ? y : y > 0.0 ? g : 0.0);
            }
        }
    }
    return ARK_OK;
}

/* What gamma h of sample b is multiplied by (as residual's). */
static double keep(const ark_call *c, const ark_node *n, int64_t b) {
    float rate = n->a.residual.rate;
    if (!c->stochastic || rate <= 0.0f) {
        return 1.0;
    }
    ark_rng rng = ark_rng_at(c->seed, ARK_RNG_DROP_PATH, c->step, (uint32_t)n->id, (uint32_t)b);
    return ark_rng_f32(&rng) >= rate ? 1.0 / (1.0 - (double)rate) : 0.0;
}

ark_status ark__ref_layer_scale_fwd(const ark_call *c, const ark_node *n) {
    const int64_t C = ark_last_dim(n->out), size = ark_numel_per_sample(n->out);
    for (int64_t e = 0; e < elements(c, n->out); e++) {
        double s = keep(c, n, e / size) * ark__ref_get(ark__ref_data(c, n->in[2]), e % C);
        ark__ref_put(ark__ref_data(c, n->out), e,
            ark__ref_get(ark__ref_data(c, n->in[0]), e) + s * ark__ref_get(ark__ref_data(c, n->in[1]), e));
    }
    return ARK_OK;
}

ark_status ark__ref_layer_scale_bwd(const ark_call *c, const ark_node *n) {
    const int64_t C = ark_last_dim(n->out), size = ark_numel_per_sample(n->out),
                  rows = elements(c, n->out) / C;
    for (int64_t ch = 0; ch < C; ch++) {
        double sum = 0.0, gamma = ark__ref_get(ark__ref_data(c, n->in[2]), ch);
        for (int64_t e = ch; e < rows * C; e += C) {
            double g = ark__ref_get(ark__ref_dout(c, n), e), s = keep(c, n, e / size);
            sum += g * s * ark__ref_get(ark__ref_data(c, n->in[1]), e);
            if (n->want_grad[0]) {
                ark__ref_put(ark__ref_din(c, n, 0), e, g);
            }
            if (n->want_grad[1]) {
                ark__ref_put(ark__ref_din(c, n, 1), e, gamma * s * g);
            }
        }
        if (n->want_grad[2]) {
            ark__ref_put(ark__ref_din(c, n, 2), ch, sum);
        }
    }
    return ARK_OK;
}
