/* The CPU backend's table, and memory, which is simply the host's. */
#include "backend/cpu/cpu.h"

#include <string.h>

static ark_status cpu_open(int threads, ark_dev **out) {
    ark_cpu *d = NULL;
    ARK_TRY(ARK_NEW(&d, 1, "the cpu device"));
    d->dev.backend = &ark_backend_cpu;
    d->dev.threads = threads > 0 ? threads : ark_cpu_count();
    ark_status st = ark_simd_pick(&d->simd);
    if (st == ARK_OK) {
        st = ark_gemm_pool_new(d->dev.threads, d->simd, &d->gemms);
    }
    if (st != ARK_OK) {
        ark_free(d);
        return st;
    }
    *out = &d->dev;
    return ARK_OK;
}

static void cpu_close(ark_dev *dev) {
    if (dev) {
        ark_gemm_pool_free(ark_cpu_of(dev)->gemms);
        ark_free(dev);
    }
}

static ark_status cpu_alloc(ark_dev *dev, size_t bytes, void **out) {
    (void)dev;
    void *p = ark_malloc_aligned(bytes);
    if (!p) {
        return ARK_ERR(ARK_ENOMEM, "out of memory: %zu bytes on the cpu device", bytes);
    }
    memset(p, 0, bytes);
    *out = p;
    return ARK_OK;
}

static void cpu_free(ark_dev *dev, void *p) {
    (void)dev;
    ark_free(p);
}

static ark_status cpu_copy(ark_dev *dev, void *dst, const void *src, size_t bytes) {
    (void)dev;
    memcpy(dst, src, bytes);
    return ARK_OK;
}

static ark_status cpu_fill(ark_dev *dev, float *p, float value, int64_t n) {
    (void)dev;
    for (int64_t i = 0; i < n; i++) {
        p[i] = value;
    }
    return ARK_OK;
}

static ark_status cpu_sync(ark_dev *dev) {
    (void)dev;
    return ARK_OK;
}

void ark_cpu_release(ark_dev *dev, ark_node *n) {
    (void)dev;
    ark_free(n->priv);
    n->priv = NULL;
}

static const ark_kernel kernels[] = {
    [ARK_OP_PATCHIFY] = {.impl = "simd", .fwd = ark_cpu_patchify_fwd, .bwd = ark_cpu_patchify_bwd},
    [ARK_OP_LINEAR] = {.impl = "simd",
        .prepare = ark_cpu_linear_prepare,
        .fwd = ark_cpu_linear_fwd,
        .bwd = ark_cpu_linear_bwd,
        .remake = ark_cpu_linear_remake,
        .release = ark_cpu_linear_release,
        .fuses = true},
    [ARK_OP_LAYERNORM] = {.impl = "simd",
        .prepare = ark_cpu_layernorm_prepare,
        .fwd = ark_cpu_layernorm_fwd,
        .bwd = ark_cpu_layernorm_bwd,
        .remake = ark_cpu_layernorm_fwd}, /* the statistics come out as they were */
    [ARK_OP_WINDOW_ATTN] = {.impl = "simd",
        .prepare = ark_cpu_window_attn_prepare,
        .fwd = ark_cpu_window_attn_fwd,
        .bwd = ark_cpu_window_attn_bwd,
        .release = ark_cpu_release},
    [ARK_OP_ATTENTION] = {.impl = "simd",
        .prepare = ark_cpu_attention_prepare,
        .fwd = ark_cpu_attention_fwd,
        .bwd = ark_cpu_attention_bwd,
        .release = ark_cpu_release},
    [ARK_OP_TOKEN_EMBED] = {.impl = "simd", .fwd = ark_cpu_token_embed_fwd, .bwd = ark_cpu_token_embed_bwd},
    [ARK_OP_TOKEN_SLICE] = {.impl = "simd", .fwd = ark_cpu_token_slice_fwd, .bwd = ark_cpu_token_slice_bwd},
    [ARK_OP_PATCH_MERGE] = {.impl = "simd", .fwd = ark_cpu_patch_merge_fwd, .bwd = ark_cpu_patch_merge_bwd},
    [ARK_OP_RESIDUAL] = {.impl = "simd", .fwd = ark_cpu_residual_fwd, .bwd = ark_cpu_residual_bwd},
    [ARK_OP_AVGPOOL] = {.impl = "simd", .fwd = ark_cpu_avgpool_fwd, .bwd = ark_cpu_avgpool_bwd},
    [ARK_OP_CONV2D] = {.impl = "simd",
        .prepare = ark_cpu_conv2d_prepare,
        .fwd = ark_cpu_conv2d_fwd,
        .bwd = ark_cpu_conv2d_bwd,
        .release = ark_cpu_conv2d_release,
        .fuses = true},
    [ARK_OP_DWCONV] = {.impl = "simd",
        .prepare = ark_cpu_dwconv_prepare,
        .fwd = ark_cpu_dwconv_fwd,
        .bwd = ark_cpu_dwconv_bwd},
    [ARK_OP_BATCHNORM] = {.impl = "simd",
        .prepare = ark_cpu_batchnorm_prepare,
        .fwd = ark_cpu_batchnorm_fwd,
        .bwd = ark_cpu_batchnorm_bwd,
        .remake = ark_cpu_batchnorm_remake},
    [ARK_OP_MAXPOOL] = {.impl = "simd", .fwd = ark_cpu_maxpool_fwd, .bwd = ark_cpu_maxpool_bwd},
    [ARK_OP_AVGPOOL2] = {.impl = "simd", .fwd = ark_cpu_avgpool2_fwd, .bwd = ark_cpu_avgpool2_bwd},
    [ARK_OP_CONCAT] = {.impl = "simd", .fwd = ark_cpu_concat_fwd, .bwd = ark_cpu_concat_bwd},
    [ARK_OP_ADD_RELU] = {.impl = "simd", .fwd = ark_cpu_add_relu_fwd, .bwd = ark_cpu_add_relu_bwd},
    [ARK_OP_LAYER_SCALE] = {.impl = "simd",
        .prepare = ark_cpu_layer_scale_prepare,
        .fwd = ark_cpu_layer_scale_fwd,
        .bwd = ark_cpu_layer_scale_bwd},
    [ARK_OP_UPSAMPLE] = {.impl = "simd", .fwd = ark_cpu_upsample_fwd, .bwd = ark_cpu_upsample_bwd},
    [ARK_OP_POOL_BINS] = {.impl = "simd", .fwd = ark_cpu_pool_bins_fwd, .bwd = ark_cpu_pool_bins_bwd},
    [ARK_OP_BCE_LOGITS] = {.impl = "scalar", .fwd = ark_cpu_bce_logits_fwd, .bwd = ark_cpu_bce_logits_bwd},
    [ARK_OP_SOFTMAX_CE] = {.impl = "scalar", .fwd = ark_cpu_softmax_ce_fwd, .bwd = ark_cpu_softmax_ce_bwd},
    [ARK_OP_MSE] = {.impl = "scalar", .fwd = ark_cpu_mse_fwd, .bwd = ark_cpu_mse_bwd},
    [ARK_OP_DICE_LOGITS] = {.impl = "scalar",
        .prepare = ark_cpu_dice_logits_prepare,
        .fwd = ark_cpu_dice_logits_fwd,
        .bwd = ark_cpu_dice_logits_bwd},
};
_Static_assert(sizeof kernels / sizeof *kernels == ARK_OP_COUNT, "one row per op");

const ark_backend ark_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .to_device = cpu_copy,
    .to_host = cpu_copy,
    .fill = cpu_fill,
    .sync = cpu_sync,
    .ema = ark_cpu_ema,
    .sgd = ark_cpu_sgd,
    .adamw = ark_cpu_adamw,
    .sum_squares = ark_cpu_sum_squares,
    .to_bf16 = ark_cpu_to_bf16,
    .kernels = kernels,
};
