/* maxpool 3x3/2 with padding 1, and avgpool2 2x2/2. x (B,H,W,C). */
#include "backend/ref/ref.h"

#include <math.h>

/* Which of the nine neighbours of output (oy,ox) is the largest, and where it is in x. */
static int64_t largest(
    ark_ref_view x, const ark_tensor *t, int64_t b, int64_t oy, int64_t ox, int64_t ch, int *tap) {
    int64_t best = -1, H = t->dims[1], W = t->dims[2], C = t->dims[3];
    for (int k = 0; k < 9; k++) {
        int64_t y = 2 * oy + k / 3 - 1, xx = 2 * ox + k % 3 - 1, at = ((b * H + y) * W + xx) * C + ch;
        if (y < 0 || y >= H || xx < 0 || xx >= W) {
            continue;
        }
        double v = ark__ref_get(x, at);
        if (best < 0 || v > ark__ref_get(x, best) || (isnan(v) && !isnan(ark__ref_get(x, best)))) {
            best = at;
            *tap = k;
        }
    }
    return best;
}

ark_status ark__ref_maxpool_fwd(const ark_call *c, const ark_node *n) {
    const ark_tensor *x = n->in[0], *y = n->out;
    const int64_t OH = y->dims[1], OW = y->dims[2], C = y->dims[3];
    for (int64_t e = 0; e < c->batch * OH * OW * C; e++) {
        int tap = 0;
        int64_t at =
            largest(ark__ref_data(c, x), x, e / (C * OW * OH), e / (C * OW) % OH, e / C % OW, e % C, &tap);
        ark__ref_put(ark__ref_data(c, y), e, ark__ref_get(ark__ref_data(c, x), at));
        if (n->saved[0]) {
            ark__ref_put(ark__ref_data(c, n->saved[0]), e, tap);
        }
    }
    return ARK_OK;
}

/* Sum of the gradients of the windows whose largest element is (y,x). */
static double max_grad(const ark_call *c, const ark_node *n, int64_t b, int64_t y, int64_t x, int64_t ch) {
    const int64_t OH = n->out->dims[1], OW = n->out->dims[2], C = n->out->dims[3];
    double sum = 0.0;
    for (int k = 0; k < 9; k++) {
        int64_t fy = y + 1 - k / 3, fx = x + 1 - k % 3, at = ((b * OH + fy / 2) * OW + fx / 2) * C + ch;
        if (fy >= 0 && fx >= 0 && fy % 2 == 0 && fx % 2 == 0 && fy / 2 < OH && fx / 2 < OW &&
            ark__ref_get(ark__ref_data(c, n->saved[0]), at) == k) {
            sum += ark__ref_get(ark__ref_dout(c, n), at);
        }
    }
    return sum;
}

ark_status ark__ref_maxpool_bwd(const ark_call *c, const ark_node *n) {
    const int64_t H = n->in[0]->dims[1], W = n->in[0]->dims[2], C = n->in[0]->dims[3];
    for (int64_t e = 0; n->want_grad[0] && e < c->batch * H * W * C; e++) {
        ark__ref_put(
            ark__ref_din(c, n, 0), e, max_grad(c, n, e / (C * W * H), e / (C * W) % H, e / C % W, e % C));
    }
    return ARK_OK;
}

ark_status ark__ref_avgpool2_fwd(const ark_call *c, const ark_node *n) {
    const int64_t H = n->in[0]->dims[1], W = n->in[0]->dims[2], C = n->in[0]->dims[3];
    const int64_t OH = n->out->dims[1], OW = n->out->dims[2];
    for (int64_t e = 0; e < c->batch * OH * OW * C; e++) {
        int64_t b = e / (C * OW * OH), oy = e / (C * OW) % OH, ox = e / C % OW;
        double sum = 0.0;
        for (int k = 0; k < 4; k++) {
            sum += ark__ref_get(
                ark__ref_data(c, n->in[0]), ((b * H + 2 * oy + k / 2) * W + 2 * ox + k % 2) * C + e % C);
        }
        ark__ref_put(ark__ref_data(c, n->out), e, sum / 4.0);
    }
    return ARK_OK;
}

ark_status ark__ref_avgpool2_bwd(const ark_call *c, const ark_node *n) {
    const int64_t H = n->in[0]->dims[1], W = n->in[0]->dims[2], C = n->in[0]->dims[3];
    const int64_t OH = n->out->dims[1], OW = n->out->dims[2];
    for (int64_t e = 0; n->want_grad[0] && e < c->batch * H * W * C; e++) {
        int64_t b = e / (C * W * H), oy = e / (C * W) % H / 2, ox = e / C % W / 2;
        bool read = oy < OH && ox < OW;
        double g = read ? ark__ref_get(ark__ref_dout(c, n), ((b * OH + oy) * OW + ox) * C + e % C) : 0.0;
        ark__ref_put(ark__ref_din(c, n, 0), e, g / 4.0);
    }
    return ARK_OK;
}
