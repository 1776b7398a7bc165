/* pool_bins: mean over bin (i,j), rows [i h / n, ceil((i+1) h / n)) and such columns; bins may overlap. */
#include "backend/ref/ref.h"

static int64_t first(int64_t i, int64_t size, int64_t bins) {
    return i * size / bins;
}

static int64_t past(int64_t i, int64_t size, int64_t bins) {
    return ((i + 1) * size + bins - 1) / bins;
}

static void walk(const ark_call *c, const ark_node *n, bool backward) {
    const int64_t h = n->in[0]->dims[1], w = n->in[0]->dims[2], C = n->in[0]->dims[3], bins = n->out->dims[1];
    ark_ref_view in = backward ? ark__ref_din(c, n, 0) : ark__ref_data(c, n->in[0]);
    ark_ref_view out = backward ? ark__ref_dout(c, n) : ark__ref_data(c, n->out);
    in.acc = true; /* only backward writes it */
    for (int64_t i = 0; i < c->batch * bins * bins * C; i++) {
        int64_t ch = i % C, bx = i / C % bins, by = i / (C * bins) % bins, b = i / (C * bins * bins);
        int64_t y0 = first(by, h, bins), y1 = past(by, h, bins), x0 = first(bx, w, bins),
                x1 = past(bx, w, bins);
        double sum = 0, share = 1.0 / (double)((y1 - y0) * (x1 - x0));
        for (int64_t y = y0; y < y1; y++) {
            for (int64_t x = x0; x < x1; x++) {
                int64_t at = ((b * h + y) * w + x) * C + ch;
                if (backward) {
                    ark__ref_put(in, at, share * ark__ref_get(out, i));
                } else {
                    sum += ark__ref_get(in, at);
                }
            }
        }
        if (!backward) {
            ark__ref_put(out, i, share * sum);
        }
    }
}

ark_status ark__ref_pool_bins_fwd(const ark_call *c, const ark_node *n) {
    walk(c, n, false);
    return ARK_OK;
}

ark_status ark__ref_pool_bins_bwd(const ark_call *c, const ark_node *n) {
    if (!n->want_grad[0]) {
        return ARK_OK;
    }
    for (int64_t i = 0; !n->acc[0] && i < c->batch * ark_numel_per_sample(n->in[0]); i++) {
        ark__ref_put(ark__ref_din(c, n, 0), i, 0);
    }
    walk(c, n, true);
    return ARK_OK;
}
