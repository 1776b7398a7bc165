/* patch_merge: x (B,H,W,C) -> (B,ceil(H/2),ceil(W/2),4C). Every input goes to exactly one place. */
#include "backend/ref/ref.h"

/* Index in x of element i of the output, or -1 where x has no such row or column. */
static int64_t source(const ark_node *n, int64_t i) {
    const ark_tensor *x = n->in[0], *out = n->out;
    int64_t H = x->dims[1], W = x->dims[2], C = x->dims[3];
    int64_t quadrant = i % (4 * C) / C, ch = i % C;
    int64_t ox = i / (4 * C) % out->dims[2], oy = i / (4 * C) / out->dims[2] % out->dims[1];
    int64_t b = i / (4 * C) / out->dims[2] / out->dims[1];
    int64_t y = 2 * oy + quadrant % 2, xx = 2 * ox + quadrant / 2; /* order (0,0), (1,0), (0,1), (1,1) */
    return y < H && xx < W ? ((b * H + y) * W + xx) * C + ch : -1;
}

ark_status ark__ref_patch_merge_fwd(const ark_call *c, const ark_node *n) {
    ark_ref_view x = ark__ref_data(c, n->in[0]), out = ark__ref_data(c, n->out);
    for (int64_t i = 0; i < c->batch * ark_numel_per_sample(n->out); i++) {
        int64_t s = source(n, i);
        ark__ref_put(out, i, s >= 0 ? ark__ref_get(x, s) : 0.0);
    }
    return ARK_OK;
}

ark_status ark__ref_patch_merge_bwd(const ark_call *c, const ark_node *n) {
    ark_ref_view dout = ark__ref_dout(c, n);
    for (int64_t i = 0; n->want_grad[0] && i < c->batch * ark_numel_per_sample(n->out); i++) {
        int64_t s = source(n, i);
        if (s >= 0) {
            ark__ref_put(ark__ref_din(c, n, 0), s, ark__ref_get(dout, i));
        }
    }
    return ARK_OK;
}
