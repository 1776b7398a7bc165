/* Constructors: the shape and type rules of every op, checked once here so that backends
 * see only valid nodes. */
#include "core/ops.h"

#include "core/ops_impl.h"

ark_tensor *ark_patchify(ark_plan *p, ark_tensor *x, int patch) {
    if (ark__poisoned(p, x)) {
        return &p->poison;
    }
    if (x->ndim != 4 || x->dtype != ARK_F32 || patch < 1 || x->dims[2] % patch || x->dims[3] % patch) {
        return ark__misfit(p, ARK_OP_PATCHIFY, "needs (B,C,S,S) f32 with S divisible by the patch", x, NULL);
    }
    int64_t dims[4] = {x->dims[0], x->dims[2] / patch, x->dims[3] / patch, x->dims[1] * patch * patch};
    ark_tensor *out = ark__emit(p, ARK_OP_PATCHIFY, 1, &x, 0, p->cdt, 4, dims);
    if (out != &p->poison) {
        ark__last_node(p)->a.patchify.patch = patch;
    }
    return out;
}

ark_tensor *ark_linear(
    ark_plan *p, ark_tensor *x, ark_tensor *w, ark_tensor *b, ark_act act, ark_dtype out_dt) {
    if (ark__poisoned(p, x) || ark__poisoned(p, w)) {
        return &p->poison;
    }
    if (w->ndim != 2 || w->kind != ARK_T_PARAM || x->ndim < 2 || ark_last_dim(x) != w->dims[1]) {
        return ark__misfit(p, ARK_OP_LINEAR, "x (...,K) needs a weight (N,K)", x, w);
    }
    if (b && !ark__is_vector(b, w->dims[0])) {
        return ark__misfit(p, ARK_OP_LINEAR, "weight (N,K) needs a bias (N) f32", w, b);
    }
    if (x->dtype == ARK_F32 && out_dt != ARK_F32) {
        return ark__misfit(p, ARK_OP_LINEAR, "an f32 input gives an f32 output", x, NULL);
    }
    int64_t dims[ARK_MAX_DIMS];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->ndim - 1] = w->dims[0];
    ark_tensor *in[3] = {x, w, b};
    ark_tensor *out = ark__emit(p, ARK_OP_LINEAR, 3, in, 0, out_dt, x->ndim, dims);
    if (out != &p->poison) {
        ark__last_node(p)->a.linear.act = act;
        if (act == ARK_ACT_GELU && !ark__save(p, 0, out_dt, x->ndim, dims)) {
            return &p->poison;
        }
    }
    return out;
}

ark_tensor *ark_layernorm(
    ark_plan *p, ark_tensor *x, ark_tensor *gamma, ark_tensor *beta, float eps, ark_dtype out_dt) {
    if (ark__poisoned(p, x) || ark__poisoned(p, gamma) || ark__poisoned(p, beta)) {
        return &p->poison;
    }
    if (x->ndim < 2 || !ark__is_vector(gamma, ark_last_dim(x)) || !ark__is_vector(beta, ark_last_dim(x))) {
        return ark__misfit(p, ARK_OP_LAYERNORM, "x (...,C) needs gamma and beta (C) f32", x, gamma);
    }
    ark_tensor *in[3] = {x, gamma, beta};
    ark_tensor *out = ark__emit(p, ARK_OP_LAYERNORM, 3, in, 0, out_dt, x->ndim, x->dims);
    if (out != &p->poison) {
        ark__last_node(p)->a.layernorm.eps = eps;
        int64_t rows[2] = {x->dims[0], ark_rows(x, 1)};
        if (!ark__save(p, 0, ARK_F32, 2, rows) || !ark__save(p, 1, ARK_F32, 2, rows)) {
            return &p->poison;
        }
    }
    return out;
}

ark_tensor *ark_window_attn(
    ark_plan *p, ark_tensor *qkv, ark_tensor *table, ark_tensor *qkv_bias, int heads, int window, int shift) {
    if (ark__poisoned(p, qkv) || ark__poisoned(p, table)) {
        return &p->poison;
    }
    int64_t side = 2 * (int64_t)window - 1;
    if (qkv->ndim != 4 || heads < 1 || ark_last_dim(qkv) % (3 * (int64_t)heads)) {
        return ark__misfit(p, ARK_OP_WINDOW_ATTN, "qkv must be (B,H,W,3*heads*D)", qkv, NULL);
    }
    if (window < 1 || shift < 0 || shift >= window || table->ndim != 2 || table->dims[0] != side * side ||
        table->dims[1] != heads) {
        return ark__misfit(
            p, ARK_OP_WINDOW_ATTN, "the bias table must be ((2M-1)^2,heads), 0 <= shift < M", qkv, table);
    }
    bool padded = qkv->dims[1] % window || qkv->dims[2] % window;
    if (padded ? !qkv_bias || !ark__is_vector(qkv_bias, ark_last_dim(qkv)) : false) {
        return ark__misfit(
            p, ARK_OP_WINDOW_ATTN, "a padded grid needs the bias (3C) of the qkv layer", qkv, qkv_bias);
    }
    int64_t dims[4] = {qkv->dims[0], qkv->dims[1], qkv->dims[2], qkv->dims[3] / 3};
    ark_tensor *in[3] = {qkv, table, padded ? qkv_bias : NULL};
    ark_tensor *out = ark__emit(p, ARK_OP_WINDOW_ATTN, 3, in, 0, qkv->dtype, 4, dims);
    if (out != &p->poison) {
        ark__last_node(p)->a.attn.heads = heads;
        ark__last_node(p)->a.attn.window = window;
        ark__last_node(p)->a.attn.shift = shift;
    }
    return out;
}

ark_tensor *ark_attention(ark_plan *p, ark_tensor *qkv, int heads) {
    if (ark__poisoned(p, qkv)) {
        return &p->poison;
    }
    if (qkv->ndim != 3 || heads < 1 || ark_last_dim(qkv) % (3 * (int64_t)heads)) {
        return ark__misfit(p, ARK_OP_ATTENTION, "qkv must be (B,N,3*heads*D)", qkv, NULL);
    }
    int64_t dims[3] = {qkv->dims[0], qkv->dims[1], qkv->dims[2] / 3};
    ark_tensor *out = ark__emit(p, ARK_OP_ATTENTION, 1, &qkv, 0, qkv->dtype, 3, dims);
    if (out != &p->poison) {
        ark__last_node(p)->a.attn.heads = heads;
    }
    return out;
}

ark_tensor *ark_token_embed(ark_plan *p, ark_tensor *x, ark_tensor *cls, ark_tensor *pos) {
    if (ark__poisoned(p, x) || ark__poisoned(p, cls) || ark__poisoned(p, pos)) {
        return &p->poison;
    }
    if (x->ndim != 4 || x->dtype != ARK_F32 || !ark__is_vector(cls, ark_last_dim(x))) {
        return ark__misfit(p, ARK_OP_TOKEN_EMBED, "x (B,H,W,C) f32 needs a class token (C)", x, cls);
    }
    int64_t dims[3] = {x->dims[0], x->dims[1] * x->dims[2] + 1, x->dims[3]};
    if (pos->ndim != 2 || pos->dims[0] != dims[1] || pos->dims[1] != dims[2]) {
        return ark__misfit(p, ARK_OP_TOKEN_EMBED, "x (B,H,W,C) needs positions (H*W+1,C)", x, pos);
    }
    ark_tensor *in[3] = {x, cls, pos};
    return ark__emit(p, ARK_OP_TOKEN_EMBED, 3, in, 0, ARK_F32, 3, dims);
}

static ark_tensor *token_slice(
    ark_plan *p, ark_tensor *x, int64_t from, int64_t rows, int ndim, const int64_t *dims) {
    if (x->ndim != 3 || from < 0 || rows < 1 || from + rows > x->dims[1]) {
        return ark__misfit(
            p, ARK_OP_TOKEN_SLICE, "needs tokens (B,N,C) that hold all rows asked for", x, NULL);
    }
    ark_tensor *out = ark__emit(p, ARK_OP_TOKEN_SLICE, 1, &x, 0, x->dtype, ndim, dims);
    if (out != &p->poison) {
        ark__last_node(p)->a.slice.from = from;
    }
    return out;
}

ark_tensor *ark_token_row(ark_plan *p, ark_tensor *x, int64_t from) {
    if (ark__poisoned(p, x)) {
        return &p->poison;
    }
    int64_t dims[2] = {x->dims[0], ark_last_dim(x)};
    return token_slice(p, x, from, 1, 2, dims);
}

ark_tensor *ark_token_grid(ark_plan *p, ark_tensor *x, int64_t from, int64_t h, int64_t w) {
    if (ark__poisoned(p, x)) {
        return &p->poison;
    }
    int64_t dims[4] = {x->dims[0], h, w, ark_last_dim(x)};
    return token_slice(p, x, from, h < 1 || w < 1 ? 0 : h * w, 4, dims);
}

ark_tensor *ark_patch_merge(ark_plan *p, ark_tensor *x) {
    if (ark__poisoned(p, x)) {
        return &p->poison;
    }
    if (x->ndim != 4) {
        return ark__misfit(p, ARK_OP_PATCH_MERGE, "needs (B,H,W,C)", x, NULL);
    }
    int64_t dims[4] = {x->dims[0], (x->dims[1] + 1) / 2, (x->dims[2] + 1) / 2, 4 * x->dims[3]};
    return ark__emit(p, ARK_OP_PATCH_MERGE, 1, &x, 0, x->dtype, 4, dims);
}

ark_tensor *ark_residual(ark_plan *p, ark_tensor *x, ark_tensor *h, float rate) {
    if (ark__poisoned(p, x) || ark__poisoned(p, h)) {
        return &p->poison;
    }
    if (!ark__same_shape(x, h) || x->dtype != ARK_F32) {
        return ark__misfit(p, ARK_OP_RESIDUAL, "needs two equal shapes, the first f32", x, h);
    }
    if (!(rate >= 0 && rate < 1)) {
        return ark_plan_poison(p, ARK_ERR(ARK_EINVAL, "drop-path rate %g is outside [0,1)", (double)rate));
    }
    ark_tensor *in[2] = {x, h};
    ark_tensor *out = ark__emit(p, ARK_OP_RESIDUAL, 2, in, 0, ARK_F32, x->ndim, x->dims);
    if (out != &p->poison) {
        ark__last_node(p)->a.residual.rate = rate;
    }
    return out;
}

ark_tensor *ark_avgpool(ark_plan *p, ark_tensor *x) {
    if (ark__poisoned(p, x)) {
        return &p->poison;
    }
    if (x->ndim != 4 || x->dtype != ARK_F32) {
        return ark__misfit(p, ARK_OP_AVGPOOL, "needs (B,H,W,C) f32", x, NULL);
    }
    int64_t dims[2] = {x->dims[0], x->dims[3]};
    return ark__emit(p, ARK_OP_AVGPOOL, 1, &x, 0, ARK_F32, 2, dims);
}

static ark_tensor *loss(ark_plan *p, ark_op op, int n_in, ark_tensor *const *in) {
    for (int i = 0; i < n_in; i++) {
        if (ark__poisoned(p, in[i])) {
            return &p->poison;
        }
        bool maps = op == ARK_OP_BCE_LOGITS && in[i]->ndim == 4;
        if ((in[i]->ndim != 2 && !maps) || in[i]->dtype != ARK_F32 || !ark__same_shape(in[i], in[0])) {
            return ark__misfit(p, op, "needs equal shapes (B,K) f32", in[0], in[i]);
        }
    }
    int64_t one = 1;
    ark_tensor *out = ark__emit(p, op, n_in, in, ~1u, ARK_F32, 1, &one);
    out->scalar = true;
    return out;
}

ark_tensor *ark_bce_logits(ark_plan *p, ark_tensor *z, ark_tensor *target, ark_tensor *mask) {
    return loss(p, ARK_OP_BCE_LOGITS, 3, (ark_tensor *[]){z, target, mask});
}

ark_tensor *ark_softmax_ce(ark_plan *p, ark_tensor *z, ark_tensor *target, ark_tensor *mask) {
    return loss(p, ARK_OP_SOFTMAX_CE, 3, (ark_tensor *[]){z, target, mask});
}

ark_tensor *ark_mse(ark_plan *p, ark_tensor *a, ark_tensor *b) {
    return loss(p, ARK_OP_MSE, 2, (ark_tensor *[]){a, b});
}
