/* DenseNet-BC (Huang et al., CVPR 2017), as timm and torchvision build and name it. */
#include "base/err.h"
#include "nn/conv_layers.h"
#include "nn/encoder.h"

#include <stdio.h>

enum { NAME_BYTES = 128, BOTTLENECK = 4, MAX_CHANNELS = 1 << 16 };

/* --- what --arch accepts --- */

#define KEY(field) .offset = offsetof(ark_arch, field)
static const ark_arch_key keys[] = {
    {"growth", KEY(densenet.growth), .low = 1, .high = 256},
    {"blocks", KEY(densenet.blocks), .low = 1, .high = 64, .list = true},
    {"init", KEY(densenet.init), .low = 1, .high = 1024, .start = 64},
    {"size", KEY(size_px), .low = 32, .high = ARK_MAX_SIDE_PX, .start = 224},
    {NULL},
};

static const ark_variant variants[] = {
    {"densenet121", "growth=32,blocks=6-12-24-16"},
    {"densenet169", "growth=32,blocks=6-12-32-32"},
    {"densenet201", "growth=32,blocks=6-12-48-32"},
    {"densenet161", "growth=48,blocks=6-12-36-24,init=96"},
    {NULL, NULL},
};

static const ark_variant sizes[] = {
    {"_224", "size=224"},
    {"_384", "size=384"},
    {"_512", "size=512"},
    {NULL, NULL},
};

/* Channels after the dense block of a stage: each transition before it has halved them. */
static int64_t channels(const ark_arch *a, int stage) {
    int64_t c = a->densenet.init;
    for (int s = 0; s <= stage; s++) {
        c = (s > 0 ? c / 2 : c) + (int64_t)a->densenet.growth * a->densenet.blocks[s];
    }
    return c;
}

/* Each transition halves the grid, which begins at a quarter of the image. */
static ark_status check(const ark_arch *a) {
    if (channels(a, a->stages - 1) > MAX_CHANNELS) {
        return ARK_ERR(ARK_EINVAL, "architecture: %lld channels at the end, limit %d",
            (long long)channels(a, a->stages - 1), MAX_CHANNELS);
    }
    if (a->size_px < 4 << (a->stages - 1)) {
        return ARK_ERR(ARK_EINVAL, "architecture: size %d is too small for %d dense blocks, %d at least",
            a->size_px, a->stages, 4 << (a->stages - 1));
    }
    if (a->densenet.init < 2) {
        return ARK_ERR(ARK_EINVAL, "architecture: init = 1 cannot be halved");
    }
    return ARK_OK;
}

static int features(const ark_arch *a) {
    return (int)channels(a, a->stages - 1);
}

static int n_maps(const ark_arch *a) {
    return a->stages;
}

/* --- the network --- */

/* relu(bn(x)), then a convolution. */
static ark_tensor *norm_conv(ark_plan *p, ark_tensor *x, const char *base, const char *norm, const char *conv,
    const ark_conv_spec *spec) {
    char name[NAME_BYTES];
    ark_plan_label(p, "%s.%s", base, norm);
    snprintf(name, sizeof name, "%s.%s", base, norm);
    x = ark_nn_batchnorm(p, x, name, ARK_INIT_ONES, true, ark_plan_cdt(p));
    ark_plan_label(p, "%s.%s", base, conv);
    snprintf(name, sizeof name, "%s.%s", base, conv);
    return ark_nn_conv(p, x, name, spec);
}

/* x beside `growth` new channels made of it. */
static ark_tensor *dense_layer(ark_plan *p, ark_tensor *x, const char *base, int growth) {
    ark_plan_segment(p);
    ark_tensor *h = norm_conv(p, x, base, "norm1", "conv1",
        &(ark_conv_spec){.channels = (int64_t)BOTTLENECK * growth, .kernel = 1, .stride = 1});
    h = norm_conv(p, h, base, "norm2", "conv2",
        &(ark_conv_spec){.channels = growth, .kernel = 3, .stride = 1, .pad = 1});
    ark_plan_segment_end(p);
    ark_plan_label(p, "%s", base);
    return ark_concat(p, x, h);
}

static ark_tensor *stem(ark_plan *p, ark_tensor *image, int width) {
    ark_plan_label(p, "features.conv0");
    ark_tensor *x = ark_nn_conv(p, image, "features.conv0",
        &(ark_conv_spec){.channels = width, .kernel = 7, .stride = 2, .pad = 3, .planar = true});
    ark_plan_label(p, "features.norm0");
    x = ark_nn_batchnorm(p, x, "features.norm0", ARK_INIT_ONES, true, ark_plan_cdt(p));
    ark_plan_label(p, "features.pool0");
    return ark_maxpool(p, x);
}

static ark_tensor *transition(ark_plan *p, ark_tensor *x, int number) {
    char base[64];
    snprintf(base, sizeof base, "features.transition%d", number);
    x = norm_conv(p, x, base, "norm", "conv",
        &(ark_conv_spec){.channels = ark_last_dim(x) / 2, .kernel = 1, .stride = 1});
    ark_plan_label(p, "%s.pool", base);
    return ark_avgpool2(p, x);
}

static ark_tensor *build(
    ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps) {
    (void)drop_path; /* DenseNets are trained without */
    ark_tensor *x = stem(p, image, a->densenet.init);
    for (int s = 0; s < a->stages; s++) {
        x = s > 0 ? transition(p, x, s) : x;
        for (int j = 0; j < a->densenet.blocks[s]; j++) {
            char base[64];
            snprintf(base, sizeof base, "features.denseblock%d.denselayer%d", s + 1, j + 1);
            x = dense_layer(p, x, base, a->densenet.growth);
        }
        if (maps) {
            maps[s] = x;
        }
    }
    ark_plan_label(p, "features.norm5");
    return ark_nn_batchnorm(p, x, "features.norm5", ARK_INIT_ONES, true, ARK_F32);
}

const ark_encoder ark_encoder_densenet = {
    .name = "densenet",
    .keys = keys,
    .variants = variants,
    .sizes = sizes,
    .running_stats = true,
    .check = check,
    .features = features,
    .n_maps = n_maps,
    .build = build,
};
