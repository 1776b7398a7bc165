/* conv2d and dwconv: y[b,oy,ox,o] = bias[o] + sum over (i,ky,kx) of x[b,oy s + ky - p,ox s + kx - p,i] w[o,i,ky,kx],
 * where dwconv has only i = o. Every sum runs over all its terms in double, whatever that costs. */
#include "backend/ref/ref.h"

enum { X, W, BIAS };

typedef struct {
    const ark_call *c;
    const ark_node *n;
    int64_t B, H, W, I, OH, OW, O, k, stride, pad;
    bool planar, depthwise;
    ark_ref_view x, w, dy;
} conv;

static conv conv_of(const ark_call *c, const ark_node *n, bool backward) {
    const ark_tensor *x = n->in[X], *w = n->in[W];
    const bool planar = n->a.conv.planar;
    conv v = {.c = c,
        .n = n,
        .B = c->batch,
        .H = x->dims[planar ? 2 : 1],
        .W = x->dims[planar ? 3 : 2],
        .I = x->dims[planar ? 1 : 3],
        .OH = n->out->dims[1],
        .OW = n->out->dims[2],
        .O = n->out->dims[3],
        .k = w->dims[2],
        .stride = n->a.conv.stride,
        .pad = n->a.conv.pad,
        .planar = planar,
        .depthwise = n->op == ARK_OP_DWCONV,
        .x = ark__ref_data(c, x),
        .w = ark__ref_data(c, w)};
    if (x->dtype == ARK_BF16) { /* as linear: the bf16 copy of the weights */
        v.w = (ark_ref_view){.p = (void *)(uintptr_t)(c->weights16 + w->offset), .dt = ARK_BF16};
    }
    if (backward) {
        v.dy = ark__ref_dout(c, n);
    }
    return v;
}

/* Index of an element of x, or -1 in the padding. */
static int64_t x_at(const conv *v, int64_t b, int64_t y, int64_t x, int64_t i) {
    if (y < 0 || y >= v->H || x < 0 || x >= v->W) {
        return -1;
    }
    return v->planar ? ((b * v->I + i) * v->H + y) * v->W + x : ((b * v->H + y) * v->W + x) * v->I + i;
}

static int64_t y_at(const conv *v, int64_t b, int64_t y, int64_t x, int64_t o) {
    return ((b * v->OH + y) * v->OW + x) * v->O + o;
}

static int64_t w_at(const conv *v, int64_t o, int64_t i, int64_t ky, int64_t kx) {
    return ((o * (v->depthwise ? 1 : v->I) + (v->depthwise ? 0 : i)) * v->k + ky) * v->k + kx;
}

static double output(const conv *v, int64_t b, int64_t oy, int64_t ox, int64_t o) {
    double sum = v->n->in[BIAS] ? ark__ref_get(ark__ref_data(v->c, v->n->in[BIAS]), o) : 0.0;
    for (int64_t t = 0; t < v->k * v->k; t++) {
        int64_t ky = t / v->k, kx = t % v->k;
        for (int64_t i = v->depthwise ? o : 0; i < (v->depthwise ? o + 1 : v->I); i++) {
            int64_t at = x_at(v, b, oy * v->stride + ky - v->pad, ox * v->stride + kx - v->pad, i);
            if (at >= 0) {
                sum += ark__ref_get(v->x, at) * ark__ref_get(v->w, w_at(v, o, i, ky, kx));
            }
        }
    }
    return sum;
}

ark_status ark__ref_conv2d_fwd(const ark_call *c, const ark_node *n) {
    conv v = conv_of(c, n, false);
    for (int64_t e = 0; e < v.B * v.OH * v.OW * v.O; e++) {
        int64_t o = e % v.O, ox = e / v.O % v.OW, oy = e / (v.O * v.OW) % v.OH, b = e / (v.O * v.OW * v.OH);
        ark__ref_put(ark__ref_data(c, n->out), e, output(&v, b, oy, ox, o));
    }
    return ARK_OK;
}

/* Of all outputs that read the element. */
static double input_grad(const conv *v, int64_t b, int64_t y, int64_t x, int64_t i) {
    double sum = 0.0;
    for (int64_t t = 0; t < v->k * v->k; t++) {
        int64_t ky = t / v->k, kx = t % v->k, fy = y + v->pad - ky, fx = x + v->pad - kx;
        if (fy < 0 || fx < 0 || fy % v->stride || fx % v->stride || fy / v->stride >= v->OH ||
            fx / v->stride >= v->OW) {
            continue;
        }
        for (int64_t o = v->depthwise ? i : 0; o < (v->depthwise ? i + 1 : v->O); o++) {
            sum += ark__ref_get(v->dy, y_at(v, b, fy / v->stride, fx / v->stride, o)) *
                   ark__ref_get(v->w, w_at(v, o, i, ky, kx));
        }
    }
    return sum;
}

static double weight_grad(const conv *v, int64_t o, int64_t i, int64_t ky, int64_t kx) {
    double sum = 0.0;
    for (int64_t p = 0; p < v->B * v->OH * v->OW; p++) {
        int64_t b = p / (v->OH * v->OW), oy = p / v->OW % v->OH, ox = p % v->OW;
        int64_t at = x_at(v, b, oy * v->stride + ky - v->pad, ox * v->stride + kx - v->pad, i);
        if (at >= 0) {
            sum += ark__ref_get(v->dy, y_at(v, b, oy, ox, o)) * ark__ref_get(v->x, at);
        }
    }
    return sum;
}

static double bias_grad(const conv *v, int64_t o) {
    double sum = 0.0;
    for (int64_t p = 0; p < v->B * v->OH * v->OW; p++) {
        sum += ark__ref_get(v->dy, p * v->O + o);
    }
    return sum;
}

ark_status ark__ref_conv2d_bwd(const ark_call *c, const ark_node *n) {
    conv v = conv_of(c, n, true);
    for (int64_t e = 0; n->want_grad[X] && e < v.B * v.H * v.W * v.I; e++) {
        int64_t i = e % v.I, x = e / v.I % v.W, y = e / (v.I * v.W) % v.H, b = e / (v.I * v.W * v.H);
        ark__ref_put(ark__ref_din(c, n, X), x_at(&v, b, y, x, i), input_grad(&v, b, y, x, i));
    }
    const int64_t taps = v.k * v.k, inputs = v.depthwise ? 1 : v.I;
    for (int64_t e = 0; n->want_grad[W] && e < v.O * inputs * taps; e++) {
        int64_t o = e / (inputs * taps), i = v.depthwise ? o : e / taps % inputs;
        ark__ref_put(ark__ref_din(c, n, W), e, weight_grad(&v, o, i, e / v.k % v.k, e % v.k));
    }
    for (int64_t o = 0; n->in[BIAS] && n->want_grad[BIAS] && o < v.O; o++) {
        ark__ref_put(ark__ref_din(c, n, BIAS), o, bias_grad(&v, o));
    }
    return ARK_OK;
}

ark_status ark__ref_dwconv_fwd(const ark_call *c, const ark_node *n) {
    return ark__ref_conv2d_fwd(c, n);
}

ark_status ark__ref_dwconv_bwd(const ark_call *c, const ark_node *n) {
    return ark__ref_conv2d_bwd(c, n);
}
