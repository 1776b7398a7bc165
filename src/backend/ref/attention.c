/* attention: softmax(D^-0.5 q k^T) v over all N tokens, one sample and head at a time. */
#include "backend/ref/ref.h"

#include <math.h>

typedef struct dims {
    int64_t N, C, NH, D;
} dims;

static dims dims_of(const ark_node *n) {
    dims d = {.N = n->out->dims[1], .C = n->out->dims[2], .NH = n->a.attn.heads};
    d.D = d.C / d.NH;
    return d;
}

/* In scratch: a row of weights and of their gradients, then sums of dk and dv of the head. */
ark_status ark__ref_attention_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    (void)dev;
    dims d = dims_of(n);
    *scratch = (size_t)(2 * d.N + 2 * d.N * d.D) * sizeof(double);
    return ARK_OK;
}

/* Element e of q (part 0), k or v of a token and head. */
static int64_t place(dims d, int64_t b, int64_t head, int64_t token, int part, int64_t e) {
    return ((b * d.N + token) * 3 + part) * d.C + head * d.D + e;
}

/* p (N) = weights of query i, summing to one. */
static void attend(ark_ref_view qkv, dims d, int64_t b, int64_t head, int64_t i, double *p) {
    double max = -INFINITY, sum = 0.0;
    for (int64_t j = 0; j < d.N; j++) {
        double dot = 0.0;
        for (int64_t e = 0; e < d.D; e++) {
            dot +=
                ark__ref_get(qkv, place(d, b, head, i, 0, e)) * ark__ref_get(qkv, place(d, b, head, j, 1, e));
        }
        p[j] = dot / sqrt((double)d.D);
        max = fmax(max, p[j]);
    }
    for (int64_t j = 0; j < d.N; j++) {
        p[j] = exp(p[j] - max);
        sum += p[j];
    }
    for (int64_t j = 0; j < d.N; j++) {
        p[j] /= sum;
    }
}

ark_status ark__ref_attention_fwd(const ark_call *c, const ark_node *n) {
    dims d = dims_of(n);
    double *p = c->scratch;
    ark_ref_view qkv = ark__ref_data(c, n->in[0]), out = ark__ref_data(c, n->out);
    for (int64_t r = 0; r < c->batch * d.NH * d.N; r++) {
        int64_t b = r / (d.NH * d.N), head = r / d.N % d.NH, i = r % d.N;
        attend(qkv, d, b, head, i, p);
        for (int64_t e = 0; e < d.D; e++) {
            double sum = 0.0;
            for (int64_t j = 0; j < d.N; j++) {
                sum += p[j] * ark__ref_get(qkv, place(d, b, head, j, 2, e));
            }
            ark__ref_put(out, (b * d.N + i) * d.C + head * d.D + e, sum);
        }
    }
    return ARK_OK;
}

/* dq of query i is written, its share of dk and dv added to the sums. */
static void query_bwd(const ark_call *c, const ark_node *n, dims d, int64_t b, int64_t head, int64_t i) {
    double *p = c->scratch, *dp = p + d.N, *dk = dp + d.N, *dv = dk + d.N * d.D, mean = 0.0;
    ark_ref_view qkv = ark__ref_data(c, n->in[0]), dout = ark__ref_dout(c, n), dqkv = ark__ref_din(c, n, 0);
    const int64_t row = (b * d.N + i) * d.C + head * d.D;
    attend(qkv, d, b, head, i, p);
    for (int64_t j = 0; j < d.N; j++) {
        dp[j] = 0.0;
        for (int64_t e = 0; e < d.D; e++) {
            dp[j] += ark__ref_get(dout, row + e) * ark__ref_get(qkv, place(d, b, head, j, 2, e));
            dv[j * d.D + e] += p[j] * ark__ref_get(dout, row + e);
        }
        mean += p[j] * dp[j];
    }
    for (int64_t e = 0; e < d.D; e++) {
        double dq = 0.0;
        for (int64_t j = 0; j < d.N; j++) {
            double ds = p[j] * (dp[j] - mean) / sqrt((double)d.D);
            dq += ds * ark__ref_get(qkv, place(d, b, head, j, 1, e));
            dk[j * d.D + e] += ds * ark__ref_get(qkv, place(d, b, head, i, 0, e));
        }
        ark__ref_put(dqkv, place(d, b, head, i, 0, e), dq);
    }
}

ark_status ark__ref_attention_bwd(const ark_call *c, const ark_node *n) {
    dims d = dims_of(n);
    double *dk = (double *)c->scratch + 2 * d.N, *dv = dk + d.N * d.D;
    for (int64_t r = 0; n->want_grad[0] && r < c->batch * d.NH; r++) {
        int64_t b = r / d.NH, head = r % d.NH;
        for (int64_t i = 0; i < 2 * d.N * d.D; i++) {
            dk[i] = 0.0;
        }
        for (int64_t i = 0; i < d.N; i++) {
            query_bwd(c, n, d, b, head, i);
        }
        for (int64_t i = 0; i < d.N * d.D; i++) {
            ark__ref_put(ark__ref_din(c, n, 0), place(d, b, head, i / d.D, 1, i % d.D), dk[i]);
            ark__ref_put(ark__ref_din(c, n, 0), place(d, b, head, i / d.D, 2, i % d.D), dv[i]);
        }
    }
    return ARK_OK;
}
