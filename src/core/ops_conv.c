/* Constructors of the ops of convolutional networks: their shape and type rules. */
#include "core/ops.h"
#include "core/ops_impl.h"

enum { MAX_KERNEL = 15, MAX_STRIDE = 16 };

/* A square kernel (_,_,k,k). */
static bool is_kernel(const ark_tensor *w) {
    return w->kind == ARK_T_PARAM && w->ndim == 4 && w->dims[2] == w->dims[3] && w->dims[2] <= MAX_KERNEL;
}

ark_tensor *ark_conv2d(ark_plan *p, ark_tensor *x, ark_tensor *w, ark_tensor *bias, int stride, int pad,
    bool planar, ark_dtype out_dt) {
    if (poisoned(p, x) || poisoned(p, w)) {
        return &p->poison;
    }
    if (x->ndim != 4 || !is_kernel(w) || x->dims[planar ? 1 : 3] != w->dims[1]) {
        return misfit(p, ARK_OP_CONV2D, "x (B,H,W,I) needs a weight (O,I,k,k), k at most 15", x, w);
    }
    const int64_t k = w->dims[2], H = x->dims[planar ? 2 : 1], W = x->dims[planar ? 3 : 2];
    if (stride < 1 || stride > MAX_STRIDE || pad < 0 || pad >= k || H + 2 * pad < k || W + 2 * pad < k) {
        return misfit(
            p, ARK_OP_CONV2D, "needs 1 <= stride <= 16, padding below k and an input of at least k", x, w);
    }
    if (bias && !is_vector(bias, w->dims[0])) {
        return misfit(p, ARK_OP_CONV2D, "weight (O,I,k,k) needs a bias (O) f32", w, bias);
    }
    if (x->dtype == ARK_F32 && out_dt != ARK_F32) {
        return misfit(p, ARK_OP_CONV2D, "an f32 input gives an f32 output", x, NULL);
    }
    int64_t dims[4] = {
        x->dims[0], (H + 2 * pad - k) / stride + 1, (W + 2 * pad - k) / stride + 1, w->dims[0]};
    ark_tensor *in[3] = {x, w, bias};
    ark_tensor *out = emit(p, ARK_OP_CONV2D, 3, in, 0, out_dt, 4, dims);
    if (out != &p->poison) {
        last_node(p)->a.conv.stride = stride;
        last_node(p)->a.conv.pad = pad;
        last_node(p)->a.conv.planar = planar;
    }
    return out;
}

ark_tensor *ark_dwconv(ark_plan *p, ark_tensor *x, ark_tensor *w, ark_tensor *bias) {
    if (poisoned(p, x) || poisoned(p, w)) {
        return &p->poison;
    }
    if (x->ndim != 4 || x->dtype != ARK_F32 || !is_kernel(w) || w->dims[0] != x->dims[3] || w->dims[1] != 1 ||
        w->dims[2] % 2 == 0) {
        return misfit(
            p, ARK_OP_DWCONV, "x (B,H,W,C) f32 needs a weight (C,1,k,k), k odd and at most 15", x, w);
    }
    if (bias && !is_vector(bias, x->dims[3])) {
        return misfit(p, ARK_OP_DWCONV, "weight (C,1,k,k) needs a bias (C) f32", w, bias);
    }
    ark_tensor *in[3] = {x, w, bias};
    ark_tensor *out = emit(p, ARK_OP_DWCONV, 3, in, 0, ARK_F32, 4, x->dims);
    if (out != &p->poison) {
        last_node(p)->a.conv.stride = 1;
        last_node(p)->a.conv.pad = (int)w->dims[2] / 2;
        last_node(p)->a.conv.planar = false;
    }
    return out;
}

ark_tensor *ark_batchnorm(ark_plan *p, ark_tensor *x, ark_tensor *gamma, ark_tensor *beta, ark_tensor *mean,
    ark_tensor *var, float eps, float momentum, bool relu, ark_dtype out_dt) {
    ark_tensor *in[5] = {x, gamma, beta, mean, var};
    for (int i = 0; i < 5; i++) {
        if (poisoned(p, in[i])) {
            return &p->poison;
        }
        if (x->ndim < 2 || (i > 0 && !is_vector(in[i], ark_last_dim(x)))) {
            return misfit(p, ARK_OP_BATCHNORM, "x (...,C) needs gamma, beta, mean and var (C) f32", x, in[i]);
        }
    }
    const unsigned buffers = 1u << 3 | 1u << 4;
    ark_tensor *out = emit(p, ARK_OP_BATCHNORM, 5, in, buffers, out_dt, x->ndim, x->dims);
    if (out != &p->poison) {
        ark_node *n = last_node(p);
        int64_t channels = ark_last_dim(x);
        n->a.batchnorm.eps = eps;
        n->a.batchnorm.momentum = momentum;
        n->a.batchnorm.relu = relu;
        if (!save(p, 0, ARK_F32, 1, &channels) || !save(p, 1, ARK_F32, 1, &channels)) {
            return &p->poison;
        }
    }
    return out;
}

ark_tensor *ark_maxpool(ark_plan *p, ark_tensor *x) {
    if (poisoned(p, x)) {
        return &p->poison;
    }
    if (x->ndim != 4) {
        return misfit(p, ARK_OP_MAXPOOL, "needs (B,H,W,C)", x, NULL);
    }
    int64_t dims[4] = {x->dims[0], (x->dims[1] + 1) / 2, (x->dims[2] + 1) / 2, x->dims[3]};
    ark_tensor *out = emit(p, ARK_OP_MAXPOOL, 1, &x, 0, x->dtype, 4, dims);
    return out == &p->poison || save(p, 0, ARK_BF16, 4, dims) ? out : &p->poison;
}

ark_tensor *ark_avgpool2(ark_plan *p, ark_tensor *x) {
    if (poisoned(p, x)) {
        return &p->poison;
    }
    if (x->ndim != 4 || x->dims[1] < 2 || x->dims[2] < 2) {
        return misfit(p, ARK_OP_AVGPOOL2, "needs (B,H,W,C) with H and W at least 2", x, NULL);
    }
    int64_t dims[4] = {x->dims[0], x->dims[1] / 2, x->dims[2] / 2, x->dims[3]};
    return emit(p, ARK_OP_AVGPOOL2, 1, &x, 0, x->dtype, 4, dims);
}

ark_tensor *ark_concat(ark_plan *p, ark_tensor *a, ark_tensor *b) {
    if (poisoned(p, a) || poisoned(p, b)) {
        return &p->poison;
    }
    if (a->ndim != 4 || b->ndim != 4 || a->dtype != b->dtype || a->dims[0] != b->dims[0] ||
        a->dims[1] != b->dims[1] || a->dims[2] != b->dims[2]) {
        return misfit(p, ARK_OP_CONCAT, "needs (B,H,W,Ca) and (B,H,W,Cb) of one type", a, b);
    }
    int64_t dims[4] = {a->dims[0], a->dims[1], a->dims[2], a->dims[3] + b->dims[3]};
    ark_tensor *in[2] = {a, b};
    return emit(p, ARK_OP_CONCAT, 2, in, 0, a->dtype, 4, dims);
}

ark_tensor *ark_add_relu(ark_plan *p, ark_tensor *x, ark_tensor *h, ark_dtype out_dt) {
    if (poisoned(p, x) || poisoned(p, h)) {
        return &p->poison;
    }
    if (!same_shape(x, h) || x->dtype != h->dtype || (x->dtype == ARK_F32 && out_dt != ARK_F32)) {
        return misfit(
            p, ARK_OP_ADD_RELU, "needs two equal shapes of one type; f32 inputs give an f32 output", x, h);
    }
    ark_tensor *in[2] = {x, h};
    return emit(p, ARK_OP_ADD_RELU, 2, in, 0, out_dt, x->ndim, x->dims);
}

ark_tensor *ark_layer_scale(ark_plan *p, ark_tensor *x, ark_tensor *h, ark_tensor *gamma, float rate) {
    if (poisoned(p, x) || poisoned(p, h) || poisoned(p, gamma)) {
        return &p->poison;
    }
    if (!same_shape(x, h) || x->dtype != ARK_F32 || x->ndim < 2 || !is_vector(gamma, ark_last_dim(x))) {
        return misfit(
            p, ARK_OP_LAYER_SCALE, "needs two equal shapes (B,...,C), the first f32, and gamma (C)", x, h);
    }
    if (!(rate >= 0 && rate < 1)) {
        return ark_plan_poison(p, ARK_ERR(ARK_EINVAL, "drop-path rate %g is outside [0,1)", (double)rate));
    }
    ark_tensor *in[3] = {x, h, gamma};
    ark_tensor *out = emit(p, ARK_OP_LAYER_SCALE, 3, in, 0, ARK_F32, x->ndim, x->dims);
    if (out != &p->poison) {
        last_node(p)->a.residual.rate = rate;
    }
    return out;
}
