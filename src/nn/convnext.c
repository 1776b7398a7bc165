/* ConvNeXt (Liu et al., CVPR 2022), as timm builds and names it. */
#include "base/err.h"
#include "core/ops.h"
#include "nn/encoder.h"
#include "nn/layers.h"

#include <stdio.h>

enum { NAME_BYTES = 128, PATCH = 4, KERNEL = 7, MLP_RATIO = 4 };
#define EPS 1e-6f

/* --- what --arch accepts --- */

#define KEY(field) .offset = offsetof(ark_arch, field)
static const ark_arch_key keys[] = {
    {"dims", KEY(convnext.dims), .low = 1, .high = 4096, .list = true},
    {"depths", KEY(convnext.depths), .low = 1, .high = 64, .list = true},
    {"size", KEY(size_px), .low = PATCH, .high = ARK_MAX_SIDE_PX, .start = 224},
    {NULL},
};

static const ark_variant variants[] = {
    {"convnext_tiny", "dims=96-192-384-768,depths=3-3-9-3"},
    {"convnext_small", "dims=96-192-384-768,depths=3-3-27-3"},
    {"convnext_base", "dims=128-256-512-1024,depths=3-3-27-3"},
    {"convnext_large", "dims=192-384-768-1536,depths=3-3-27-3"},
    {NULL, NULL},
};

static const ark_variant sizes[] = {
    {"_224", "size=224"},
    {"_384", "size=384"},
    {"_512", "size=512"},
    {NULL, NULL},
};

static ark_status check(const ark_arch *a) {
    const int least = PATCH << (a->stages - 1);
    if (a->size_px % PATCH || a->size_px < least) {
        return ARK_ERR(ARK_EINVAL,
            "architecture: size %d is not a multiple of %d and at least %d for %d stages", a->size_px, PATCH,
            least, a->stages);
    }
    return ARK_OK;
}

static int features(const ark_arch *a) {
    return a->convnext.dims[a->stages - 1];
}

static int n_maps(const ark_arch *a) {
    return a->stages;
}

/* --- the network --- */

static ark_tensor *bias(ark_plan *p, const char *name, int64_t n) {
    char full[NAME_BYTES + 8];
    snprintf(full, sizeof full, "%s.bias", name);
    return ark_plan_param(p, full, 1, &n, ARK_INIT_ZEROS);
}

/* Patches of 4x4 pixels become tokens. */
static ark_tensor *stem(ark_plan *p, ark_tensor *image, const ark_arch *a) {
    const int64_t n = a->convnext.dims[0], conv[4] = {n, a->in_chans, PATCH, PATCH};
    ark_plan_label(p, "stem");
    ark_tensor *x = ark_patchify(p, image, PATCH);
    ark_linear_params l =
        ark_nn_linear_params(p, "stem.0", n, ark_last_dim(x), true, ARK_INIT_TRUNC_NORMAL_02);
    ark_plan_param_file_shape(p, l.w, 4, conv);
    x = ark_linear(p, x, l.w, l.b, ARK_ACT_NONE, ark_plan_cdt(p));
    return ark_nn_layernorm_eps(p, x, "stem.1", EPS, ARK_F32);
}

/* A norm, then a convolution that halves the grid. */
static ark_tensor *downsample(ark_plan *p, ark_tensor *x, const ark_arch *a, int stage) {
    char name[NAME_BYTES], weight[NAME_BYTES];
    const int64_t dims[4] = {a->convnext.dims[stage], ark_last_dim(x), 2, 2};
    ark_plan_label(p, "stages.%d.downsample", stage);
    snprintf(name, sizeof name, "stages.%d.downsample.0", stage);
    x = ark_nn_layernorm_eps(p, x, name, EPS, ark_plan_cdt(p));
    snprintf(name, sizeof name, "stages.%d.downsample.1", stage);
    snprintf(weight, sizeof weight, "stages.%d.downsample.1.weight", stage);
    ark_tensor *w = ark_plan_param(p, weight, 4, dims, ARK_INIT_TRUNC_NORMAL_02);
    return ark_conv2d(p, x, w, bias(p, name, dims[0]), 2, 0, false, ARK_F32);
}

/* x + gamma mlp(norm(dwconv(x))); the residual stream stays f32. */
static ark_tensor *block(ark_plan *p, ark_tensor *x, int stage, int j, float rate) {
    char base[64], name[NAME_BYTES], weight[NAME_BYTES];
    const ark_dtype cdt = ark_plan_cdt(p);
    const int64_t c = ark_last_dim(x), dims[4] = {c, 1, KERNEL, KERNEL};
    snprintf(base, sizeof base, "stages.%d.blocks.%d", stage, j);
    ark_plan_segment(p);
    snprintf(name, sizeof name, "%s.gamma", base);
    ark_tensor *gamma = ark_plan_param(p, name, 1, &c, ARK_INIT_LAYER_SCALE);
    ark_plan_label(p, "%s.conv_dw", base);
    snprintf(name, sizeof name, "%s.conv_dw", base);
    snprintf(weight, sizeof weight, "%s.conv_dw.weight", base);
    ark_tensor *w = ark_plan_param(p, weight, 4, dims, ARK_INIT_TRUNC_NORMAL_02);
    ark_tensor *h = ark_dwconv(p, x, w, bias(p, name, c));
    ark_plan_label(p, "%s.norm", base);
    snprintf(name, sizeof name, "%s.norm", base);
    h = ark_nn_layernorm_eps(p, h, name, EPS, cdt);
    ark_plan_label(p, "%s.mlp", base);
    snprintf(name, sizeof name, "%s.mlp.fc1", base);
    h = ark_nn_linear(p, h, name, MLP_RATIO * c, true, ARK_INIT_TRUNC_NORMAL_02, ARK_ACT_GELU, cdt);
    snprintf(name, sizeof name, "%s.mlp.fc2", base);
    h = ark_nn_linear(p, h, name, c, true, ARK_INIT_TRUNC_NORMAL_02, ARK_ACT_NONE, cdt);
    x = ark_layer_scale(p, x, h, gamma, rate);
    ark_plan_segment_end(p);
    return x;
}

/* Pools itself: the norm of the head comes after the mean. */
static ark_tensor *build(
    ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps) {
    int total = 0, index = 0;
    for (int s = 0; s < a->stages; s++) {
        total += a->convnext.depths[s];
    }
    ark_tensor *x = stem(p, image, a);
    for (int s = 0; s < a->stages; s++) {
        x = s > 0 ? downsample(p, x, a, s) : x;
        for (int j = 0; j < a->convnext.depths[s]; j++, index++) {
            x = block(p, x, s, j, total > 1 ? drop_path * (float)index / (float)(total - 1) : 0);
        }
        if (maps) {
            maps[s] = x;
        }
    }
    ark_plan_label(p, "pool");
    x = ark_avgpool(p, x);
    ark_plan_label(p, "head.norm");
    return ark_nn_layernorm_eps(p, x, "head.norm", EPS, ARK_F32);
}

const ark_encoder ark_encoder_convnext = {
    .name = "convnext",
    .keys = keys,
    .variants = variants,
    .sizes = sizes,
    .check = check,
    .features = features,
    .n_maps = n_maps,
    .build = build,
};
