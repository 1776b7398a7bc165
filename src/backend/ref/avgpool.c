/* avgpool: x (B,H,W,C) -> (B,C), mean over the T = H*W tokens. */
#include "backend/ref/ref.h"

ark_status ark__ref_avgpool_fwd(const ark_call *c, const ark_node *n) {
    int64_t T = n->in[0]->dims[1] * n->in[0]->dims[2], C = n->in[0]->dims[3];
    ark_ref_view x = ark__ref_data(c, n->in[0]), out = ark__ref_data(c, n->out);
    for (int64_t b = 0; b < c->batch; b++) {
        for (int64_t i = 0; i < C; i++) {
            double sum = 0.0;
            for (int64_t t = 0; t < T; t++) {
                sum += ark__ref_get(x, (b * T + t) * C + i);
            }
            ark__ref_put(out, b * C + i, sum / (double)T);
        }
    }
    return ARK_OK;
}

ark_status ark__ref_avgpool_bwd(const ark_call *c, const ark_node *n) {
    int64_t T = n->in[0]->dims[1] * n->in[0]->dims[2], C = n->in[0]->dims[3];
    ark_ref_view dout = ark__ref_dout(c, n);
    for (int64_t i = 0; n->want_grad[0] && i < c->batch * T * C; i++) {
        ark__ref_put(ark__ref_din(c, n, 0), i, ark__ref_get(dout, i / (T * C) * C + i % C) / (double)T);
    }
    return ARK_OK;
}
