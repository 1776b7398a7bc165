/* token_embed: x (B,H,W,C), cls (C), pos (T+1,C) -> (B,T+1,C), T = H*W. token_slice: x (B,N,C) -> some
 * rows. */
#include "backend/ref/ref.h"

enum { X, CLS, POS };

ark_status ark__ref_token_embed_fwd(const ark_call *c, const ark_node *n) {
    int64_t N = n->out->dims[1], C = n->out->dims[2];
    ark_ref_view x = ark__ref_data(c, n->in[X]), cls = ark__ref_data(c, n->in[CLS]);
    ark_ref_view pos = ark__ref_data(c, n->in[POS]), out = ark__ref_data(c, n->out);
    for (int64_t i = 0; i < c->batch * N * C; i++) {
        int64_t b = i / (N * C), t = i / C % N, k = i % C;
        double token = t == 0 ? ark__ref_get(cls, k) : ark__ref_get(x, (b * (N - 1) + t - 1) * C + k);
        ark__ref_put(out, i, token + ark__ref_get(pos, t * C + k));
    }
    return ARK_OK;
}

ark_status ark__ref_token_embed_bwd(const ark_call *c, const ark_node *n) {
    int64_t N = n->out->dims[1], C = n->out->dims[2];
    ark_ref_view dout = ark__ref_dout(c, n);
    for (int64_t i = 0; n->want_grad[X] && i < c->batch * (N - 1) * C; i++) {
        int64_t b = i / ((N - 1) * C), t = i / C % (N - 1);
        ark__ref_put(ark__ref_din(c, n, X), i, ark__ref_get(dout, (b * N + t + 1) * C + i % C));
    }
    for (int64_t i = 0; i < N * C; i++) {
        double sum = 0.0;
        for (int64_t b = 0; b < c->batch; b++) {
            sum += ark__ref_get(dout, b * N * C + i);
        }
        if (n->want_grad[POS]) {
            ark__ref_put(ark__ref_din(c, n, POS), i, sum);
        }
        if (n->want_grad[CLS] && i < C) {
            ark__ref_put(ark__ref_din(c, n, CLS), i, sum);
        }
    }
    return ARK_OK;
}

ark_status ark__ref_token_slice_fwd(const ark_call *c, const ark_node *n) {
    int64_t N = n->in[X]->dims[1], C = n->in[X]->dims[2], part = ark_numel_per_sample(n->out);
    ark_ref_view x = ark__ref_data(c, n->in[X]), out = ark__ref_data(c, n->out);
    for (int64_t i = 0; i < c->batch * part; i++) {
        ark__ref_put(out, i, ark__ref_get(x, (i / part * N + n->a.slice.from) * C + i % part));
    }
    return ARK_OK;
}

ark_status ark__ref_token_slice_bwd(const ark_call *c, const ark_node *n) {
    int64_t N = n->in[X]->dims[1], C = n->in[X]->dims[2], part = ark_numel_per_sample(n->out);
    ark_ref_view dout = ark__ref_dout(c, n);
    for (int64_t i = 0; n->want_grad[X] && i < c->batch * N * C; i++) {
        int64_t at = i % (N * C) - n->a.slice.from * C; /* in the part */
        bool inside = at >= 0 && at < part;
        ark__ref_put(ark__ref_din(c, n, X), i, inside ? ark__ref_get(dout, i / (N * C) * part + at) : 0.0);
    }
    return ARK_OK;
}
