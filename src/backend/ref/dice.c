/* dice_logits: 1 - (2 sum m p y + s) / (sum m p + sum m y + s), p = sigmoid(z), mean over the planes (sample,
 * channel) of which any pixel counts. */
#include "backend/ref/ref.h"

#include <math.h>

enum { Z, TARGET, MASK };

/* Sums of one plane. */
typedef struct {
    double both, probability, target; /* sums of m p y, m p, m y */
    bool counts;
} sums;

static double sigmoid(double z) {
    return 1.0 / (1.0 + exp(-z));
}

static sums of_plane(const ark_call *c, const ark_node *n, int64_t b, int64_t ch) {
    const int64_t C = ark_last_dim(n->in[Z]), pixels = ark_rows(n->in[Z], 1);
    sums s = {0};
    for (int64_t i = 0; i < pixels; i++) {
        int64_t at = (b * pixels + i) * C + ch;
        if (ark__ref_get(ark__ref_data(c, n->in[MASK]), at) != 0.0) {
            double p = sigmoid(ark__ref_get(ark__ref_data(c, n->in[Z]), at));
            double y = ark__ref_get(ark__ref_data(c, n->in[TARGET]), at);
            s.both += p * y;
            s.probability += p;
            s.target += y;
            s.counts = true;
        }
    }
    return s;
}

static int64_t planes_that_count(const ark_call *c, const ark_node *n) {
    int64_t count = 0;
    for (int64_t i = 0; i < c->batch * ark_last_dim(n->in[Z]); i++) {
        count += of_plane(c, n, i / ark_last_dim(n->in[Z]), i % ark_last_dim(n->in[Z])).counts;
    }
    return count;
}

ark_status ark__ref_dice_logits_fwd(const ark_call *c, const ark_node *n) {
    const int64_t C = ark_last_dim(n->in[Z]), count = planes_that_count(c, n);
    const double smooth = n->a.dice.smooth;
    double loss = 0.0;
    for (int64_t i = 0; i < c->batch * C; i++) {
        sums s = of_plane(c, n, i / C, i % C);
        loss += s.counts ? 1.0 - (2.0 * s.both + smooth) / (s.probability + s.target + smooth) : 0.0;
    }
    ark__ref_put(ark__ref_data(c, n->out), 0, count > 0 ? loss / (double)count : 0.0);
    return ARK_OK;
}

/* With N = 2 both + s and D = probability + target + s: d loss / d p = m (N - 2 y D) / D^2. */
ark_status ark__ref_dice_logits_bwd(const ark_call *c, const ark_node *n) {
    const int64_t C = ark_last_dim(n->in[Z]), pixels = ark_rows(n->in[Z], 1), count = planes_that_count(c, n);
    const double smooth = n->a.dice.smooth, weight = ark__ref_get(ark__ref_dout(c, n), 0);
    for (int64_t plane = 0; n->want_grad[Z] && plane < c->batch * C; plane++) {
        sums s = of_plane(c, n, plane / C, plane % C);
        double N = 2.0 * s.both + smooth, D = s.probability + s.target + smooth;
        for (int64_t i = 0; i < pixels; i++) {
            int64_t at = (plane / C * pixels + i) * C + plane % C;
            double g = 0.0;
            if (ark__ref_get(ark__ref_data(c, n->in[MASK]), at) != 0.0) {
                double p = sigmoid(ark__ref_get(ark__ref_data(c, n->in[Z]), at));
                double y = ark__ref_get(ark__ref_data(c, n->in[TARGET]), at);
                g = weight / (double)count * (N - 2.0 * y * D) / (D * D) * p * (1.0 - p);
            }
            ark__ref_put(ark__ref_din(c, n, Z), at, g);
        }
    }
    return ARK_OK;
}
