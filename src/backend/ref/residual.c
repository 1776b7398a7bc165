/* residual: out = x + h * keep[b] / (1 - rate), all (B,...). */
#include "backend/ref/ref.h"
#include "base/rng.h"

/* What h of sample b is multiplied by. */
static double scale(const ark_call *c, const ark_node *n, int64_t b) {
    float rate = n->a.residual.rate;
    if (!c->stochastic || rate <= 0.0f) {
        return 1.0;
    }
    ark_rng rng = ark_rng_at(c->seed, ARK_RNG_DROP_PATH, c->step, (uint32_t)n->id, (uint32_t)b);
    return ark_rng_f32(&rng) >= rate ? 1.0 / (1.0 - (double)rate) : 0.0;
}

ark_status ark__ref_residual_fwd(const ark_call *c, const ark_node *n) {
    ark_ref_view x = ark__ref_data(c, n->in[0]), h = ark__ref_data(c, n->in[1]),
                 out = ark__ref_data(c, n->out);
    int64_t size = ark_numel_per_sample(n->out);
    for (int64_t b = 0; b < c->batch; b++) {
        double s = scale(c, n, b);
        for (int64_t i = b * size; i < (b + 1) * size; i++) {
            ark__ref_put(out, i, ark__ref_get(x, i) + s * ark__ref_get(h, i));
        }
    }
    return ARK_OK;
}

ark_status ark__ref_residual_bwd(const ark_call *c, const ark_node *n) {
    ark_ref_view dout = ark__ref_dout(c, n);
    int64_t size = ark_numel_per_sample(n->out);
    for (int64_t b = 0; b < c->batch; b++) {
        double s = scale(c, n, b);
        for (int64_t i = b * size; i < (b + 1) * size; i++) {
            double g = ark__ref_get(dout, i);
            if (n->want_grad[0]) {
                ark__ref_put(ark__ref_din(c, n, 0), i, g);
            }
            if (n->want_grad[1]) {
                ark__ref_put(ark__ref_din(c, n, 1), i, s * g);
            }
        }
    }
    return ARK_OK;
}
