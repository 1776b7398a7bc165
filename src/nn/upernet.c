#include "nn/upernet.h"

#include "base/err.h"
#include "core/ops.h"
#include "nn/arch.h"
#include "nn/conv_layers.h"
#include "nn/layers.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 96, FULL_BYTES = 160 };

static const int bins[] = {1, 2, 4, 6};
enum { BINS = sizeof bins / sizeof bins[0] };

bool ark_is_decoder(const char *name) {
    return !strncmp(name, "decode_head.", 12);
}

/* mmseg's ConvModule: convolution without bias, batch norm, ReLU. side: 1 or 3. */
static ark_tensor *conv_module(ark_plan *p, ark_tensor *x, const char *name, int64_t out, int side) {
    char full[FULL_BYTES];
    const ark_conv_spec spec = {.channels = out, .kernel = side, .stride = 1, .pad = side / 2};
    ark_plan_label(p, "%s", name);
    snprintf(full, sizeof full, "%s.conv", name);
    x = ark_nn_conv(p, x, full, &spec);
    snprintf(full, sizeof full, "%s.bn", name);
    return ark_nn_batchnorm(p, x, full, ARK_INIT_ONES, true, ARK_F32);
}

static ark_tensor *like(ark_plan *p, ark_tensor *x, const ark_tensor *of) {
    bool same = x->ndim == 4 && of->ndim == 4 && x->dims[1] == of->dims[1] && x->dims[2] == of->dims[2];
    return same ? x : ark_upsample(p, x, of->dims[1], of->dims[2]);
}

/* The coarsest map beside its means over ever smaller squares. */
static ark_tensor *pyramid(ark_plan *p, ark_tensor *x, int64_t channels) {
    char name[NAME_BYTES];
    ark_tensor *all = x;
    for (int i = 0; i < BINS; i++) {
        snprintf(name, sizeof name, "decode_head.psp_modules.%d.1", i);
        ark_tensor *pooled = conv_module(p, ark_pool_bins(p, x, bins[i]), name, channels, 1);
        all = ark_concat(p, all, like(p, pooled, x));
    }
    return conv_module(p, all, "decode_head.bottleneck", channels, 3);
}

ark_tensor *ark_upernet(
    ark_plan *p, ark_tensor *const *maps, int n, const ark_upernet_opts *o, int64_t high, int64_t wide) {
    ark_tensor *level[ARK_MAX_STAGES] = {NULL};
    char name[NAME_BYTES];
    if (n < 2 || n > ARK_MAX_STAGES) {
        return ark_plan_poison(p, ARK_ERR(ARK_EINVAL, "UperNet needs 2 to 8 feature maps, got %d", n));
    }
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "decode_head.norms.%d", i);
        ark_plan_label(p, "%s", name);
        ark_tensor *x = o->norm ? ark_nn_layernorm(p, maps[i], name, ARK_F32) : maps[i];
        snprintf(name, sizeof name, "decode_head.lateral_convs.%d", i);
        level[i] = i + 1 < n ? conv_module(p, x, name, o->channels, 1) : pyramid(p, x, o->channels);
    }
    for (int i = n - 2; i >= 0; i--) {
        ark_plan_label(p, "decode_head.top_down.%d", i);
        level[i] = ark_residual(p, level[i], like(p, level[i + 1], level[i]), 0);
    }
    for (int i = 0; i + 1 < n; i++) {
        snprintf(name, sizeof name, "decode_head.fpn_convs.%d", i);
        level[i] = conv_module(p, level[i], name, o->channels, 3);
    }
    ark_tensor *all = level[0];
    for (int i = 1; i < n; i++) {
        ark_plan_label(p, "decode_head.fuse.%d", i);
        all = ark_concat(p, all, like(p, level[i], level[0]));
    }
    all = conv_module(p, all, "decode_head.fpn_bottleneck", o->channels, 3);
    ark_plan_label(p, "decode_head.conv_seg");
    ark_linear_params seg = ark_nn_linear_params(
        p, "decode_head.conv_seg", o->classes, o->channels, true, ARK_INIT_UNIFORM_FAN_IN);
    ark_plan_param_file_shape(p, seg.w, 4, (int64_t[]){o->classes, o->channels, 1, 1});
    return ark_upsample(p, ark_linear(p, all, seg.w, seg.b, ARK_ACT_NONE, ARK_F32), high, wide);
}
