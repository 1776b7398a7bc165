#include "nn/swin.h"

#include "base/err.h"
#include "nn/layers.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 128, MLP_RATIO = 4 };

/* --- what --arch accepts --- */

#define KEY(field) .offset = offsetof(ark_arch, field)
static const ark_arch_key keys[] = {
    {"embed", KEY(swin.embed), .low = 1, .high = 4096},
    {"depths", KEY(swin.depths), .low = 1, .high = 64, .list = true},
    {"heads", KEY(swin.heads), .low = 1, .high = 256, .list = true},
    {"window", KEY(swin.window), .low = 1, .high = 64, .start = 7},
    {"size", KEY(size_px), .low = 1, .high = ARK_MAX_SIDE_PX, .start = 224},
    {"patch", KEY(swin.patch), .low = 1, .high = ARK_MAX_SIDE_PX, .start = 4, .quiet = true},
    {.name = NULL},
};

static const ark_variant variants[] = {
    {"swin_tiny", "embed=96,depths=2-2-6-2,heads=3-6-12-24"},
    {"swin_small", "embed=96,depths=2-2-18-2,heads=3-6-12-24"},
    {"swin_base", "embed=128,depths=2-2-18-2,heads=4-8-16-32"},
    {"swin_large", "embed=192,depths=2-2-18-2,heads=6-12-24-48"},
    {NULL, NULL},
};

static const ark_variant sizes[] = {
    {"_224", "window=7,size=224"},
    {"_384", "window=12,size=384"},
    {"_768", "window=12,size=768"},
    {NULL, NULL},
};

static int channels(const ark_arch *a, int stage) {
    return a->swin.embed << stage;
}

int ark_swin_side(const ark_arch *a, int stage) {
    int side = a->size_px / a->swin.patch;
    for (int i = 0; i < stage; i++) {
        side = (side + 1) / 2;
    }
    return side;
}

int ark_swin_window(const ark_arch *a, int stage) {
    int side = ark_swin_side(a, stage);
    return side <= a->swin.window ? side : a->swin.window;
}

static ark_status check(const ark_arch *a) {
    if (a->size_px % a->swin.patch) {
        return ARK_ERR(ARK_EINVAL, "architecture: size %d is not a multiple of the patch side %d", a->size_px,
            a->swin.patch);
    }
    for (int i = 0; i < a->stages; i++) {
        if (channels(a, i) % a->swin.heads[i]) {
            return ARK_ERR(ARK_EINVAL,
                "architecture: stage %d has %d channels, not a multiple of its %d heads", i, channels(a, i),
                a->swin.heads[i]);
        }
    }
    return ARK_OK;
}

static int features(const ark_arch *a) {
    return channels(a, a->stages - 1);
}

static int n_maps(const ark_arch *a) {
    return a->stages;
}

/* --- the network --- */

/* Patches of PxP pixels become tokens: a convolution with kernel = stride = P, then a norm. */
static ark_tensor *patch_embed(ark_plan *p, ark_tensor *image, const ark_arch *a) {
    ark_plan_label(p, "patch_embed");
    ark_tensor *x = ark_patchify(p, image, a->swin.patch);
    int64_t conv[4] = {a->swin.embed, a->in_chans, a->swin.patch, a->swin.patch};
    ark_linear_params proj = ark_nn_linear_params(p, "patch_embed.proj", a->swin.embed,
        (int64_t)a->in_chans * a->swin.patch * a->swin.patch, true, ARK_INIT_UNIFORM_FAN_IN);
    ark_plan_param_file_shape(p, proj.w, 4, conv);
    x = ark_linear(p, x, proj.w, proj.b, ARK_ACT_NONE, ark_plan_cdt(p));
    return ark_nn_layernorm(p, x, "patch_embed.norm", ARK_F32);
}

/* Halve the grid, double the channels. */
static ark_tensor *downsample(ark_plan *p, ark_tensor *x, const ark_arch *a, int stage) {
    char name[NAME_BYTES];
    ark_plan_label(p, "layers.%d.downsample", stage);
    x = ark_patch_merge(p, x);
    snprintf(name, sizeof name, "layers.%d.downsample.norm", stage);
    x = ark_nn_layernorm(p, x, name, ark_plan_cdt(p));
    snprintf(name, sizeof name, "layers.%d.downsample.reduction", stage);
    return ark_nn_linear(
        p, x, name, channels(a, stage), false, ARK_INIT_TRUNC_NORMAL_02, ARK_ACT_NONE, ARK_F32);
}

/* x + attention(norm1(x)), then x + mlp(norm2(x)); the residual stream stays f32. The halves are two
 * segments: more is kept than with whole blocks, but less is there at once while one is replayed. */
static ark_tensor *block(ark_plan *p, ark_tensor *x, const ark_arch *a, int stage, int j, float rate) {
    char base[64], name[NAME_BYTES];
    ark_dtype cdt = ark_plan_cdt(p);
    int64_t c = channels(a, stage);
    int heads = a->swin.heads[stage], window = ark_swin_window(a, stage), side = ark_swin_side(a, stage);
    int shift = j % 2 && side > window ? window / 2 : 0;
    snprintf(base, sizeof base, "layers.%d.blocks.%d", stage, j);

    ark_plan_label(p, "%s.norm1", base);
    snprintf(name, sizeof name, "%s.norm1", base);
    ark_tensor *h = ark_nn_layernorm(p, x, name, cdt);
    ark_plan_label(p, "%s.attn", base);
    int64_t table_dims[2] = {(2 * (int64_t)window - 1) * (2 * window - 1), heads};
    snprintf(name, sizeof name, "%s.attn.relative_position_bias_table", base);
    ark_tensor *table = ark_plan_param(p, name, 2, table_dims, ARK_INIT_TRUNC_NORMAL_02);
    snprintf(name, sizeof name, "%s.attn.qkv", base);
    ark_linear_params qkv = ark_nn_linear_params(p, name, 3 * c, c, true, ARK_INIT_TRUNC_NORMAL_02);
    h = ark_linear(p, h, qkv.w, qkv.b, ARK_ACT_NONE, cdt);
    h = ark_window_attn(p, h, table, qkv.b, heads, window, shift);
    snprintf(name, sizeof name, "%s.attn.proj", base);
    h = ark_nn_linear(p, h, name, c, true, ARK_INIT_TRUNC_NORMAL_02, ARK_ACT_NONE, cdt);
    x = ark_residual(p, x, h, rate);

    ark_plan_segment(p);
    ark_plan_label(p, "%s.norm2", base);
    snprintf(name, sizeof name, "%s.norm2", base);
    h = ark_nn_layernorm(p, x, name, cdt);
    ark_plan_label(p, "%s.mlp", base);
    snprintf(name, sizeof name, "%s.mlp.fc1", base);
    h = ark_nn_linear(p, h, name, MLP_RATIO * c, true, ARK_INIT_TRUNC_NORMAL_02, ARK_ACT_GELU, cdt);
    snprintf(name, sizeof name, "%s.mlp.fc2", base);
    h = ark_nn_linear(p, h, name, c, true, ARK_INIT_TRUNC_NORMAL_02, ARK_ACT_NONE, cdt);
    return ark_residual(p, x, h, rate);
}

ark_tensor *ark_swin(
    ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **stages) {
    int total = 0, index = 0;
    for (int s = 0; s < a->stages; s++) {
        total += a->swin.depths[s];
    }
    ark_plan_segment(p); /* up to the first attention, so that of all this only the image is kept */
    ark_tensor *x = patch_embed(p, image, a);
    for (int s = 0; s < a->stages; s++) {
        if (s > 0) {
            ark_plan_segment_end(p);
            x = downsample(p, x, a, s);
        }
        for (int j = 0; j < a->swin.depths[s]; j++, index++) {
            if (index > 0) {
                ark_plan_segment(p);
            }
            float rate = total > 1 ? drop_path * (float)index / (float)(total - 1) : 0;
            x = block(p, x, a, s, j, rate);
        }
        if (stages) {
            stages[s] = x;
        }
    }
    ark_plan_segment_end(p);
    ark_plan_label(p, "norm");
    return ark_nn_layernorm(p, x, "norm", ARK_F32);
}

/* 0 the patch embedding, then one per block; a downsampling belongs to the block behind it, the last norm to
 * the last block. */
static int depth(const ark_arch *a, const char *name) {
    int total = 0, before = 0, stage, block = 0;
    bool in_stage = name && sscanf(name, "layers.%3d.", &stage) == 1;
    for (int s = 0; s < a->stages; s++) {
        before = in_stage && s == stage ? total : before;
        total += a->swin.depths[s];
    }
    if (!name) {
        return total + 1;
    }
    if (in_stage) {
        bool in_block = sscanf(name, "layers.%*3d.blocks.%3d.", &block) == 1;
        return before + (in_block ? block : 0) + 1;
    }
    return strncmp(name, "patch_embed.", 12) ? total : 0;
}

const ark_encoder ark_encoder_swin = {
    .name = "swin",
    .keys = keys,
    .variants = variants,
    .sizes = sizes,
    .check = check,
    .features = features,
    .n_maps = n_maps,
    .build = ark_swin,
    .depth = depth,
};
