/* One row per op: what backward reads and how much arithmetic there is. Shape rules are
 * in the constructors (ops_*.c). */
#include "core/plan_impl.h"

static bool never(const ark_node *n) {
    (void)n;
    return false;
}

/* ReLU's derivative is read off its output; GELU keeps the pre-activation instead. */
static bool linear_reads_out(const ark_node *n) {
    return n->a.linear.act == ARK_ACT_RELU;
}

/* GELU keeps the pre-activation, so its output is one pass over that. */
static bool linear_remakes(const ark_node *n) {
    return n->a.linear.act == ARK_ACT_GELU;
}

static bool always(const ark_node *n) {
    (void)n;
    return true;
}

static double linear_flops(const ark_node *n, int64_t batch) {
    return 2.0 * (double)ark_rows(n->in[0], batch) * (double)ark_last_dim(n->in[0]) *
           (double)ark_last_dim(n->out);
}

/* q k^T and attention times v: two products of (M^2 x D) by (D x M^2) per window and head. */
static double attn_flops(const ark_node *n, int64_t batch) {
    int64_t m = n->a.attn.window, h = n->out->dims[1], w = n->out->dims[2], c = n->out->dims[3];
    int64_t windows = ((h + m - 1) / m) * ((w + m - 1) / m);
    return 4.0 * (double)batch * (double)windows * (double)(m * m) * (double)(m * m) * (double)c;
}

/* A sum of kh kw I products per element of the output. */
static double conv_flops(const ark_node *n, int64_t batch) {
    const ark_tensor *w = n->in[1];
    return 2.0 * (double)ark_rows(n->out, batch) * (double)ark_numel(w);
}

/* The same two products over all N tokens. */
static double full_attn_flops(const ark_node *n, int64_t batch) {
    double tokens = (double)n->out->dims[1];
    return 4.0 * (double)batch * tokens * tokens * (double)n->out->dims[2];
}

static double none(const ark_node *n, int64_t batch) {
    (void)n;
    (void)batch;
    return 0;
}

const ark_opdef ark__opdefs[ARK_OP_COUNT] = {
    [ARK_OP_PATCHIFY] = {"patchify", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_LINEAR] = {"linear", true, 1u << 0 | 1u << 1, linear_reads_out, linear_remakes, 0, false,
        linear_flops, 2},
    [ARK_OP_LAYERNORM] = {"layernorm", true, 1u << 0 | 1u << 1, never, always, 1u << 0, false, none, 0},
    [ARK_OP_WINDOW_ATTN] = {"window_attn", true, 1u << 0 | 1u << 1 | 1u << 2, never, never, 0, false,
        attn_flops, 2},
    [ARK_OP_ATTENTION] = {"attention", true, 1u << 0, never, never, 0, false, full_attn_flops, 2},
    [ARK_OP_TOKEN_EMBED] = {"token_embed", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_TOKEN_SLICE] = {"token_slice", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_PATCH_MERGE] = {"patch_merge", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_RESIDUAL] = {"residual", true, 0, never, never, 0, true, none, 0},
    [ARK_OP_AVGPOOL] = {"avgpool", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_CONV2D] = {"conv2d", true, 1u << 0 | 1u << 1, never, never, 0, false, conv_flops, 2},
    [ARK_OP_DWCONV] = {"dwconv", true, 1u << 0 | 1u << 1, never, never, 0, false, conv_flops, 2},
    [ARK_OP_BATCHNORM] = {"batchnorm", true, 1u << 0 | 1u << 1 | 1u << 2, never, always, 1u << 0, false, none,
        0},
    [ARK_OP_MAXPOOL] = {"maxpool", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_AVGPOOL2] = {"avgpool2", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_CONCAT] = {"concat", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_ADD_RELU] = {"add_relu", true, 0, always, never, 0, false, none, 0},
    [ARK_OP_LAYER_SCALE] = {"layer_scale", true, 1u << 1 | 1u << 2, never, never, 0, true, none, 0},
    [ARK_OP_UPSAMPLE] = {"upsample", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_POOL_BINS] = {"pool_bins", true, 0, never, never, 0, false, none, 0},
    [ARK_OP_BCE_LOGITS] = {"bce_logits", true, 1u << 0 | 1u << 1 | 1u << 2, never, never, 0, false, none, 0},
    [ARK_OP_SOFTMAX_CE] = {"softmax_ce", true, 1u << 0 | 1u << 1 | 1u << 2, never, never, 0, false, none, 0},
    [ARK_OP_MSE] = {"mse", true, 1u << 0 | 1u << 1, never, never, 0, false, none, 0},
    [ARK_OP_DICE_LOGITS] = {"dice_logits", true, 1u << 0 | 1u << 1 | 1u << 2, never, never, 0, false, none,
        0},
};

#define ARK_OP(NAME, name, grad) _Static_assert(ARK_OP_##NAME < ARK_OP_COUNT, #name);
#include "core/ops.def"
#undef ARK_OP

const char *ark_op_name(ark_op op) {
    return ark__opdefs[op].name;
}

double ark_node_flops_fwd(const ark_node *n, int64_t batch) {
    return ark__opdefs[n->op].flops_fwd(n, batch);
}

/* The backward of a linear or a convolution is one product per wanted gradient of its two operands; others
 * count their ratio once. */
double ark_node_flops_bwd(const ark_node *n, int64_t batch) {
    double fwd = ark_node_flops_fwd(n, batch);
    if (n->op == ARK_OP_LINEAR || n->op == ARK_OP_CONV2D || n->op == ARK_OP_DWCONV) {
        return fwd * (n->want_grad[0] + n->want_grad[1]);
    }
    return n->want_grad[0] ? fwd * ark__opdefs[n->op].bwd_ratio : 0;
}
