/* The reference device: host memory, one thread, flat loops, and the table of its kernels. */
#include "backend/ref/ref.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <string.h>

static ark_status ref_open(int threads, ark_dev **out) {
    (void)threads; /* always serial */
    ark_dev *dev = NULL;
    ARK_TRY(ARK_NEW(&dev, 1, "ref device"));
    dev->backend = &ark_backend_ref;
    dev->threads = 1;
    *out = dev;
    return ARK_OK;
}

static void ref_close(ark_dev *dev) {
    ark_free(dev);
}

static ark_status ref_alloc(ark_dev *dev, size_t bytes, void **out) {
    (void)dev;
    void *p = ark_malloc_aligned(bytes);
    if (p == NULL) {
        return ARK_ERR(ARK_ENOMEM, "ref: %zu bytes of device memory", bytes);
    }
    memset(p, 0, bytes);
    *out = p;
    return ARK_OK;
}

static void ref_free(ark_dev *dev, void *p) {
    (void)dev;
    ark_free(p);
}

static ark_status ref_copy(ark_dev *dev, void *dst, const void *src, size_t bytes) {
    (void)dev;
    memcpy(dst, src, bytes);
    return ARK_OK;
}

static ark_status ref_fill(ark_dev *dev, float *p, float value, int64_t n) {
    (void)dev;
    for (int64_t i = 0; i < n; i++) {
        p[i] = value;
    }
    return ARK_OK;
}

static ark_status ref_sync(ark_dev *dev) {
    (void)dev;
    return ARK_OK;
}

static ark_status ref_ema(ark_dev *dev, float *teacher, const float *student, float m, int64_t n) {
    (void)dev;
    for (int64_t i = 0; i < n; i++) {
        teacher[i] = (float)((double)m * teacher[i] + (1.0 - (double)m) * student[i]);
    }
    return ARK_OK;
}

/* torch.optim.SGD with dampening 0. buf is used only with momentum. */
static ark_status ref_sgd(ark_dev *dev, float *w, const float *g, float *buf, int64_t n, const ark_sgd *o) {
    (void)dev;
    for (int64_t i = 0; i < n; i++) {
        double step = (double)o->grad_scale * g[i] + (double)o->decay * w[i];
        if (o->momentum != 0.0f) {
            double b = o->first ? step : (double)o->momentum * buf[i] + step;
            buf[i] = (float)b;
            step = o->nesterov ? step + (double)o->momentum * b : b;
        }
        w[i] = (float)(w[i] - (double)o->lr * step);
    }
    return ARK_OK;
}

/* torch.optim.AdamW: decoupled decay, bias-corrected moments, eps outside the root. */
static ark_status ref_adamw(
    ark_dev *dev, float *w, const float *g, float *m, float *v, int64_t n, const ark_adamw *o) {
    (void)dev;
    double b1 = o->beta1, b2 = o->beta2, lr = o->lr;
    double correct1 = 1.0 - pow(b1, (double)o->t), correct2 = 1.0 - pow(b2, (double)o->t);
    for (int64_t i = 0; i < n; i++) {
        double grad = (double)o->grad_scale * g[i];
        double mi = b1 * m[i] + (1.0 - b1) * grad, vi = b2 * v[i] + (1.0 - b2) * grad * grad;
        double decayed = w[i] * (1.0 - lr * (double)o->decay);
        m[i] = (float)mi;
        v[i] = (float)vi;
        w[i] = (float)(decayed - lr * (mi / correct1) / (sqrt(vi / correct2) + (double)o->eps));
    }
    return ARK_OK;
}

static ark_status ref_sum_squares(ark_dev *dev, const float *g, int64_t n, double *out) {
    (void)dev;
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)g[i] * g[i];
    }
    *out = sum;
    return ARK_OK;
}

static ark_status ref_to_bf16(ark_dev *dev, uint16_t *dst, const float *src, int64_t n) {
    (void)dev;
    for (int64_t i = 0; i < n; i++) {
        dst[i] = ark_f32_to_bf16(src[i]);
    }
    return ARK_OK;
}

#define REF(name, prepare_) REMADE(name, prepare_, NULL)
#define REMADE(name, prepare_, remake_)                                                                      \
    {                                                                                                        \
        .impl = "ref", .prepare = (prepare_), .fwd = ark__ref_##name##_fwd, .bwd = ark__ref_##name##_bwd,    \
        .remake = (remake_)                                                                                  \
    }

static const ark_kernel kernels[ARK_OP_COUNT] = {
    [ARK_OP_PATCHIFY] = REF(patchify, NULL),
    [ARK_OP_LINEAR] = REMADE(linear, ark__ref_linear_prepare, ark__ref_linear_remake),
    [ARK_OP_LAYERNORM] = REMADE(layernorm, ark__ref_layernorm_prepare, ark__ref_layernorm_fwd),
    [ARK_OP_WINDOW_ATTN] = REF(window_attn, ark__ref_window_attn_prepare),
    [ARK_OP_ATTENTION] = REF(attention, ark__ref_attention_prepare),
    [ARK_OP_TOKEN_EMBED] = REF(token_embed, NULL),
    [ARK_OP_TOKEN_SLICE] = REF(token_slice, NULL),
    [ARK_OP_PATCH_MERGE] = REF(patch_merge, NULL),
    [ARK_OP_RESIDUAL] = REF(residual, NULL),
    [ARK_OP_AVGPOOL] = REF(avgpool, NULL),
    [ARK_OP_CONV2D] = REF(conv2d, NULL),
    [ARK_OP_DWCONV] = REF(dwconv, NULL),
    [ARK_OP_BATCHNORM] = REMADE(batchnorm, NULL, ark__ref_batchnorm_remake),
    [ARK_OP_MAXPOOL] = REF(maxpool, NULL),
    [ARK_OP_AVGPOOL2] = REF(avgpool2, NULL),
    [ARK_OP_CONCAT] = REF(concat, NULL),
    [ARK_OP_ADD_RELU] = REF(add_relu, NULL),
    [ARK_OP_LAYER_SCALE] = REF(layer_scale, NULL),
    [ARK_OP_UPSAMPLE] = REF(upsample, NULL),
    [ARK_OP_POOL_BINS] = REF(pool_bins, NULL),
    [ARK_OP_BCE_LOGITS] = REF(bce_logits, NULL),
    [ARK_OP_SOFTMAX_CE] = REF(softmax_ce, NULL),
    [ARK_OP_MSE] = REF(mse, NULL),
    [ARK_OP_DICE_LOGITS] = REF(dice_logits, NULL),
};

const ark_backend ark_backend_ref = {
    .name = "ref",
    .open = ref_open,
    .close = ref_close,
    .alloc = ref_alloc,
    .free = ref_free,
    .to_device = ref_copy,
    .to_host = ref_copy,
    .fill = ref_fill,
    .sync = ref_sync,
    .ema = ref_ema,
    .sgd = ref_sgd,
    .adamw = ref_adamw,
    .sum_squares = ref_sum_squares,
    .to_bf16 = ref_to_bf16,
    .kernels = kernels,
};
