/* upsample: bilinear, corners not aligned: output i looks at (i + 0.5) h / H - 0.5, at least 0. */
#include "backend/ref/ref.h"

#include <math.h>

typedef struct {
    int64_t low, high;
    double share; /* of high */
} taps;

static taps locate(int64_t i, int64_t in, int64_t out) {
    double at = ((double)i + 0.5) * (double)in / (double)out - 0.5;
    at = at < 0 ? 0 : at;
    int64_t low = (int64_t)floor(at);
    low = low < in - 1 ? low : in - 1;
    return (taps){.low = low, .high = low + 1 < in ? low + 1 : low, .share = at - (double)low};
}

/* Visit the four inputs of every output: sum into the output, or spread the output's gradient. */
static void walk(const ark_call *c, const ark_node *n, bool backward) {
    const int64_t h = n->in[0]->dims[1], w = n->in[0]->dims[2], C = n->in[0]->dims[3];
    const int64_t H = n->out->dims[1], W = n->out->dims[2];
    ark_ref_view in = backward ? ark__ref_din(c, n, 0) : ark__ref_data(c, n->in[0]);
    ark_ref_view out = backward ? ark__ref_dout(c, n) : ark__ref_data(c, n->out);
    in.acc = true; /* only backward writes it */
    for (int64_t i = 0; i < c->batch * H * W * C; i++) {
        int64_t ch = i % C, x = i / C % W, y = i / (C * W) % H, b = i / (C * W * H);
        taps ty = locate(y, h, H), tx = locate(x, w, W);
        double sum = 0;
        for (int k = 0; k < 4; k++) {
            int64_t yy = k / 2 ? ty.high : ty.low, xx = k % 2 ? tx.high : tx.low;
            double weight = (k / 2 ? ty.share : 1 - ty.share) * (k % 2 ? tx.share : 1 - tx.share);
            int64_t at = ((b * h + yy) * w + xx) * C + ch;
            if (backward) {
                ark__ref_put(in, at, weight * ark__ref_get(out, i));
            } else {
                sum += weight * ark__ref_get(in, at);
            }
        }
        if (!backward) {
            ark__ref_put(out, i, sum);
        }
    }
}

ark_status ark__ref_upsample_fwd(const ark_call *c, const ark_node *n) {
    walk(c, n, false);
    return ARK_OK;
}

ark_status ark__ref_upsample_bwd(const ark_call *c, const ark_node *n) {
    if (!n->want_grad[0]) {
        return ARK_OK;
    }
    for (int64_t i = 0; !n->acc[0] && i < c->batch * ark_numel_per_sample(n->in[0]); i++) {
        ark__ref_put(ark__ref_din(c, n, 0), i, 0);
    }
    walk(c, n, true);
    return ARK_OK;
}
