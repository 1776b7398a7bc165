/* window_attn: shifted-window attention, one window and head at a time. L = M*M tokens a window, D = C/NH. */
#include "backend/ref/ref.h"

#include <math.h>
#include <string.h>

enum { QKV, TABLE, BIAS };

typedef struct dims {
    int64_t B, H, W, C, NH, D, M, L, shift;
    int64_t Hp, Wp; /* padded to multiples of M */
} dims;

static dims dims_of(const ark_node *n, int64_t batch) {
    const ark_tensor *qkv = n->in[QKV];
    int64_t heads = n->a.attn.heads, M = n->a.attn.window;
    dims d = {.B = batch, .H = qkv->dims[1], .W = qkv->dims[2], .C = qkv->dims[3] / 3, .NH = heads, .M = M};
    d.D = d.C / heads;
    d.L = M * M;
    d.shift = n->a.attn.shift;
    d.Hp = (d.H + M - 1) / M * M;
    d.Wp = (d.W + M - 1) / M * M;
    return d;
}

/* Working memory in scratch, all double. The first eight belong to one window and head. */
typedef struct work {
    double *q, *k, *v, *dq, *dk, *dv; /* (L,D) */
    double *p, *dp;                   /* (L,L) attention weights, their gradient */
    double *dtable, *dbias;           /* ((2M-1)^2,NH), (3C): summed over the whole call */
    int64_t *token;                   /* (L) index in the grid, -1 for padding */
    int *region;                      /* (L) id of the region that the shift mask keeps apart */
} work;

static int64_t table_elems(dims d) {
    return (2 * d.M - 1) * (2 * d.M - 1) * d.NH;
}

/* Carve the work arrays out of scratch; with scratch NULL only their total size is wanted. */
static size_t carve(dims d, char *scratch, work *w) {
    double *at = (double *)(void *)scratch;
    double **lists[] = {&w->q, &w->k, &w->v, &w->dq, &w->dk, &w->dv, &w->p, &w->dp, &w->dtable, &w->dbias};
    size_t elems = 0;
    for (int i = 0; i < 10; i++) {
        int64_t n = i < 6 ? d.L * d.D : i < 8 ? d.L * d.L : i < 9 ? table_elems(d) : 3 * d.C;
        *lists[i] = at == NULL ? NULL : at + elems;
        elems += (size_t)n;
    }
    size_t bytes = elems * sizeof(double), list = (size_t)d.L * sizeof(int64_t);
    if (scratch != NULL) {
        w->token = (int64_t *)(void *)(scratch + bytes);
        w->region = (int *)(void *)(scratch + bytes + list);
    }
    return bytes + 2 * list;
}

ark_status ark__ref_window_attn_prepare(ark_dev *dev, ark_node *n, size_t *scratch) {
    (void)dev;
    work w;
    *scratch = carve(dims_of(n, 1), NULL, &w);
    return ARK_OK;
}

/* 0, 1, 2: before, inside and after the strip that the roll carried around, on one axis
 * of padded length `side`. */
static int strip(int64_t pos, int64_t side, dims d) {
    return pos < side - d.M ? 0 : pos < side - d.shift ? 1 : 2;
}

/* Which tokens window (wy,wx) of sample b holds: position (y,x) of the rolled grid came
 * from (y+shift, x+shift). */
static void locate(dims d, int64_t b, int64_t wy, int64_t wx, work *w) {
    for (int64_t i = 0; i < d.L; i++) {
        int64_t y = wy * d.M + i / d.M, x = wx * d.M + i % d.M;
        bool inside = y < d.H && x < d.W;
        w->token[i] = inside ? (b * d.H + (y + d.shift) % d.H) * d.W + (x + d.shift) % d.W : -1;
        w->region[i] = d.shift > 0 ? 3 * strip(y, d.Hp, d) + strip(x, d.Wp, d) : 0;
    }
}

/* q, k, v of one head: from the grid, or the bias for padding (its input was zero). */
static void gather(const ark_call *c, const ark_node *n, dims d, int64_t head, work *w) {
    ark_ref_view qkv = ark__ref_data(c, n->in[QKV]);
    double *parts[] = {w->q, w->k, w->v};
    for (int64_t i = 0; i < d.L; i++) {
        for (int64_t e = 0; e < 3 * d.D; e++) {
            int64_t col = e / d.D * d.C + head * d.D + e % d.D;
            parts[e / d.D][i * d.D + e % d.D] = w->token[i] >= 0
                                                    ? ark__ref_get(qkv, w->token[i] * 3 * d.C + col)
                                                    : ark__ref_get(ark__ref_data(c, n->in[BIAS]), col);
        }
    }
}

static int64_t table_index(dims d, int64_t i, int64_t j, int64_t head) {
    int64_t dy = i / d.M - j / d.M + d.M - 1, dx = i % d.M - j % d.M + d.M - 1;
    return (dy * (2 * d.M - 1) + dx) * d.NH + head;
}

/* p = softmax(D^-0.5 q k^T + relative bias + mask), rows sum to one. */
static void attend(const ark_call *c, const ark_node *n, dims d, int64_t head, work *w) {
    ark_ref_view table = ark__ref_data(c, n->in[TABLE]);
    for (int64_t i = 0; i < d.L; i++) {
        double *p = w->p + i * d.L, max = -INFINITY, sum = 0.0;
        for (int64_t j = 0; j < d.L; j++) {
            double dot = 0.0;
            for (int64_t e = 0; e < d.D; e++) {
                dot += w->q[i * d.D + e] * w->k[j * d.D + e];
            }
            double mask = w->region[i] == w->region[j] ? 0.0 : -100.0;
            p[j] = dot / sqrt((double)d.D) + ark__ref_get(table, table_index(d, i, j, head)) + mask;
            max = fmax(max, p[j]);
        }
        for (int64_t j = 0; j < d.L; j++) {
            p[j] = exp(p[j] - max);
            sum += p[j];
        }
        for (int64_t j = 0; j < d.L; j++) {
            p[j] /= sum;
        }
    }
}

static void head_fwd(const ark_call *c, const ark_node *n, dims d, int64_t head, work *w) {
    ark_ref_view out = ark__ref_data(c, n->out);
    gather(c, n, d, head, w);
    attend(c, n, d, head, w);
    for (int64_t i = 0; i < d.L; i++) {
        for (int64_t e = 0; w->token[i] >= 0 && e < d.D; e++) {
            double sum = 0.0;
            for (int64_t j = 0; j < d.L; j++) {
                sum += w->p[i * d.L + j] * w->v[j * d.D + e];
            }
            ark__ref_put(out, w->token[i] * d.C + head * d.D + e, sum);
        }
    }
}

/* Padded tokens' outputs are dropped, so their output gradient is zero; as keys and
 * values they still take part. */
static double dout_at(ark_ref_view dout, dims d, const work *w, int64_t head, int64_t i, int64_t e) {
    return w->token[i] >= 0 ? ark__ref_get(dout, w->token[i] * d.C + head * d.D + e) : 0.0;
}

static void head_bwd(const ark_call *c, const ark_node *n, dims d, int64_t head, work *w) {
    ark_ref_view dout = ark__ref_dout(c, n);
    double scale = 1.0 / sqrt((double)d.D);
    gather(c, n, d, head, w);
    attend(c, n, d, head, w);
    memset(w->dq, 0, (size_t)(3 * d.L * d.D) * sizeof *w->dq); /* dq, dk, dv are neighbours */
    for (int64_t i = 0; i < d.L; i++) {
        const double *p = w->p + i * d.L;
        double *dp = w->dp + i * d.L, dot = 0.0;
        for (int64_t j = 0; j < d.L; j++) {
            dp[j] = 0.0;
            for (int64_t e = 0; e < d.D; e++) {
                double g = dout_at(dout, d, w, head, i, e);
                dp[j] += g * w->v[j * d.D + e];
                w->dv[j * d.D + e] += p[j] * g;
            }
            dot += p[j] * dp[j];
        }
        for (int64_t j = 0; j < d.L; j++) {
            double ds = p[j] * (dp[j] - dot); /* gradient of the score before softmax */
            w->dtable[table_index(d, i, j, head)] += ds;
            for (int64_t e = 0; e < d.D; e++) {
                w->dq[i * d.D + e] += scale * ds * w->k[j * d.D + e];
                w->dk[j * d.D + e] += scale * ds * w->q[i * d.D + e];
            }
        }
    }
    const double *parts[] = {w->dq, w->dk, w->dv};
    for (int64_t i = 0; i < d.L; i++) {
        for (int64_t e = 0; e < 3 * d.D; e++) {
            int64_t col = e / d.D * d.C + head * d.D + e % d.D;
            double g = parts[e / d.D][i * d.D + e % d.D];
            if (w->token[i] < 0) {
                w->dbias[col] += g;
            } else if (n->want_grad[QKV]) {
                ark__ref_put(ark__ref_din(c, n, QKV), w->token[i] * 3 * d.C + col, g);
            }
        }
    }
}

static void each_head(const ark_call *c, const ark_node *n, dims d, work *w,
    void (*body)(const ark_call *, const ark_node *, dims, int64_t, work *)) {
    for (int64_t b = 0; b < d.B; b++) {
        for (int64_t wy = 0; wy < d.Hp / d.M; wy++) {
            for (int64_t wx = 0; wx < d.Wp / d.M; wx++) {
                locate(d, b, wy, wx, w);
                for (int64_t head = 0; head < d.NH; head++) {
                    body(c, n, d, head, w);
                }
            }
        }
    }
}

ark_status ark__ref_window_attn_fwd(const ark_call *c, const ark_node *n) {
    dims d = dims_of(n, c->batch);
    work w;
    carve(d, c->scratch, &w);
    each_head(c, n, d, &w, head_fwd);
    return ARK_OK;
}

ark_status ark__ref_window_attn_bwd(const ark_call *c, const ark_node *n) {
    dims d = dims_of(n, c->batch);
    work w;
    carve(d, c->scratch, &w);
    memset(w.dtable, 0, (size_t)table_elems(d) * sizeof *w.dtable);
    memset(w.dbias, 0, (size_t)(3 * d.C) * sizeof *w.dbias);
    each_head(c, n, d, &w, head_bwd);
    for (int64_t i = 0; n->want_grad[TABLE] && i < table_elems(d); i++) {
        ark__ref_put(ark__ref_din(c, n, TABLE), i, w.dtable[i]);
    }
    for (int64_t i = 0; n->in[BIAS] != NULL && n->want_grad[BIAS] && i < 3 * d.C; i++) {
        ark__ref_put(ark__ref_din(c, n, BIAS), i, w.dbias[i]);
    }
    return ARK_OK;
}
