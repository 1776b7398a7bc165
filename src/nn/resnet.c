/* ResNet with bottleneck blocks (He et al., CVPR 2016; stride in the 3x3 convolution), as timm and torchvision build and
 * name it. */
#include "base/err.h"
#include "nn/conv_layers.h"
#include "nn/encoder.h"

#include <stdio.h>

enum { NAME_BYTES = 128, EXPANSION = 4, MIN_SIDE = 32 };

/* --- what --arch accepts --- */

#define KEY(field) .offset = offsetof(ark_arch, field)
static const ark_arch_key keys[] = {
    {"layers", KEY(resnet.layers), .low = 1, .high = 64, .list = true},
    {"width", KEY(resnet.width), .low = 1, .high = 1024, .start = 64},
    {"size", KEY(size_px), .low = MIN_SIDE, .high = ARK_MAX_SIDE_PX, .start = 224},
    {NULL},
};

static const ark_variant variants[] = {
    {"resnet50", "layers=3-4-6-3"},
    {"resnet101", "layers=3-4-23-3"},
    {"resnet152", "layers=3-8-36-3"},
    {NULL, NULL},
};

static const ark_variant sizes[] = {
    {"_224", "size=224"},
    {"_384", "size=384"},
    {"_512", "size=512"},
    {NULL, NULL},
};

static ark_status check(const ark_arch *a) {
    (void)a;
    return ARK_OK;
}

static int features(const ark_arch *a) {
    return EXPANSION * a->resnet.width << (a->stages - 1);
}

static int n_maps(const ark_arch *a) {
    return a->stages;
}

/* --- the network --- */

static ark_tensor *conv_bn(ark_plan *p, ark_tensor *x, const char *base, const char *conv, const char *bn,
    const ark_conv_spec *spec, ark_init gamma, bool relu) {
    char name[NAME_BYTES];
    ark_plan_label(p, "%s.%s", base, conv);
    snprintf(name, sizeof name, "%s.%s", base, conv);
    x = ark_nn_conv(p, x, name, spec);
    ark_plan_label(p, "%s.%s", base, bn);
    snprintf(name, sizeof name, "%s.%s", base, bn);
    return ark_nn_batchnorm(p, x, name, gamma, relu, ark_plan_cdt(p));
}

/* relu(shortcut(x) + expand(3x3(reduce(x)))). The shortcut comes first, so that inference can add it to the last
 * product while that is made. The last norm starts at zero (timm zero_init_last): a block begins as the identity. */
static ark_tensor *bottleneck(
    ark_plan *p, ark_tensor *x, const char *base, int width, int stride, bool shortcut, ark_dtype out) {
    const int64_t wide = (int64_t)EXPANSION * width;
    ark_tensor *same = x;
    ark_plan_segment(p);
    if (shortcut) {
        same = conv_bn(p, x, base, "downsample.0", "downsample.1",
            &(ark_conv_spec){.channels = wide, .kernel = 1, .stride = stride, .fan_out = true}, ARK_INIT_ONES,
            false);
    }
    ark_tensor *h = conv_bn(p, x, base, "conv1", "bn1",
        &(ark_conv_spec){.channels = width, .kernel = 1, .stride = 1, .fan_out = true}, ARK_INIT_ONES, true);
    h = conv_bn(p, h, base, "conv2", "bn2",
        &(ark_conv_spec){.channels = width, .kernel = 3, .stride = stride, .pad = 1, .fan_out = true},
        ARK_INIT_ONES, true);
    h = conv_bn(p, h, base, "conv3", "bn3",
        &(ark_conv_spec){.channels = wide, .kernel = 1, .stride = 1, .fan_out = true}, ARK_INIT_ZEROS, false);
    ark_plan_label(p, "%s", base);
    x = ark_add_relu(p, same, h, out);
    ark_plan_segment_end(p);
    return x;
}

static ark_tensor *stem(ark_plan *p, ark_tensor *image, int width) {
    ark_plan_label(p, "conv1");
    ark_tensor *x = ark_nn_conv(p, image, "conv1",
        &(ark_conv_spec){
            .channels = width, .kernel = 7, .stride = 2, .pad = 3, .planar = true, .fan_out = true});
    ark_plan_label(p, "bn1");
    x = ark_nn_batchnorm(p, x, "bn1", ARK_INIT_ONES, true, ark_plan_cdt(p));
    ark_plan_label(p, "maxpool");
    return ark_maxpool(p, x);
}

/* The last block's output is f32 for the pool. */
static ark_tensor *build(
    ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps) {
    (void)drop_path; /* ResNets are trained without */
    ark_tensor *x = stem(p, image, a->resnet.width);
    for (int s = 0; s < a->stages; s++) {
        for (int j = 0; j < a->resnet.layers[s]; j++) {
            char base[64];
            bool last = s == a->stages - 1 && j == a->resnet.layers[s] - 1;
            snprintf(base, sizeof base, "layer%d.%d", s + 1, j);
            x = bottleneck(p, x, base, a->resnet.width << s, s > 0 && j == 0 ? 2 : 1, j == 0,
                last ? ARK_F32 : ark_plan_cdt(p));
        }
        if (maps) {
            maps[s] = x;
        }
    }
    return x;
}

const ark_encoder ark_encoder_resnet = {
    .name = "resnet",
    .keys = keys,
    .variants = variants,
    .sizes = sizes,
    .running_stats = true,
    .check = check,
    .features = features,
    .n_maps = n_maps,
    .build = build,
};
