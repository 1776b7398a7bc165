#include "nn/vit.h"

#include "base/err.h"
#include "nn/layers.h"

#include <stdio.h>

enum { NAME_BYTES = 128, MLP_RATIO = 4, MAPS = 4 };
#define EPS 1e-6f

/* --- what --arch accepts --- */

static const char *const pools[] = {"token", "avg"};

#define KEY(field) .offset = offsetof(ark_arch, field)
static const ark_arch_key keys[] = {
    {"embed", KEY(vit.embed), .low = 1, .high = 4096},
    {"depth", KEY(vit.depth), .low = 1, .high = 64},
    {"heads", KEY(vit.heads), .low = 1, .high = 256},
    {"patch", KEY(vit.patch), .low = 1, .high = ARK_MAX_SIDE_PX, .start = 16},
    {"size", KEY(size_px), .low = 1, .high = ARK_MAX_SIDE_PX, .start = 224},
    {"pool", KEY(vit.pool), .low = ARK_VIT_POOL_TOKEN, .high = ARK_VIT_POOL_AVG, .start = ARK_VIT_POOL_TOKEN,
        .quiet = true, .words = pools},
    {.name = NULL},
};

static const ark_variant variants[] = {
    {"vit_tiny", "embed=192,depth=12,heads=3"},
    {"vit_small", "embed=384,depth=12,heads=6"},
    {"vit_base", "embed=768,depth=12,heads=12"},
    {"vit_large", "embed=1024,depth=24,heads=16"},
    {NULL, NULL},
};

static const ark_variant sizes[] = {
    {"_224", "patch=16,size=224"},
    {"_384", "patch=16,size=384"},
    {"_patch16_224", "patch=16,size=224"},
    {"_patch16_384", "patch=16,size=384"},
    {NULL, NULL},
};

int ark_vit_side(const ark_arch *a) {
    return a->size_px / a->vit.patch;
}

static ark_status check(const ark_arch *a) {
    if (a->size_px % a->vit.patch) {
        return ARK_ERR(ARK_EINVAL, "architecture: size %d is not a multiple of the patch side %d", a->size_px,
            a->vit.patch);
    }
    if (a->vit.embed % a->vit.heads) {
        return ARK_ERR(
            ARK_EINVAL, "architecture: %d channels, not a multiple of %d heads", a->vit.embed, a->vit.heads);
    }
    return ARK_OK;
}

static int features(const ark_arch *a) {
    return a->vit.embed;
}

static int n_maps(const ark_arch *a) {
    return a->vit.depth < MAPS ? a->vit.depth : MAPS;
}

/* --- the network --- */

/* Patches of PxP pixels, a class token before them, and the place of each. */
static ark_tensor *embed(ark_plan *p, ark_tensor *image, const ark_arch *a) {
    const ark_vit_arch *v = &a->vit;
    const int64_t c = v->embed, tokens = 1 + (int64_t)ark_vit_side(a) * ark_vit_side(a);
    ark_plan_label(p, "patch_embed");
    ark_tensor *x = ark_patchify(p, image, v->patch);
    ark_linear_params proj = ark_nn_linear_params(
        p, "patch_embed.proj", c, (int64_t)a->in_chans * v->patch * v->patch, true, ARK_INIT_UNIFORM_FAN_IN);
    ark_plan_param_file_shape(p, proj.w, 4, (int64_t[4]){c, a->in_chans, v->patch, v->patch});
    x = ark_linear(p, x, proj.w, proj.b, ARK_ACT_NONE, ARK_F32);
    ark_tensor *cls = ark_plan_param(p, "cls_token", 1, &c, ARK_INIT_ZEROS);
    ark_plan_param_file_shape(p, cls, 3, (int64_t[3]){1, 1, c});
    ark_tensor *pos = ark_plan_param(p, "pos_embed", 2, (int64_t[2]){tokens, c}, ARK_INIT_TRUNC_NORMAL_02);
    ark_plan_param_file_shape(p, pos, 3, (int64_t[3]){1, tokens, c});
    ark_plan_label(p, "pos_embed");
    return ark_token_embed(p, x, cls, pos);
}

static ark_tensor *linear(
    ark_plan *p, ark_tensor *x, const char *base, const char *name, int64_t n, ark_act act) {
    char full[NAME_BYTES];
    snprintf(full, sizeof full, "%s.%s", base, name);
    return ark_nn_linear(p, x, full, n, true, ARK_INIT_TRUNC_NORMAL_02, act, ark_plan_cdt(p));
}

static ark_tensor *norm(ark_plan *p, ark_tensor *x, const char *base, const char *name) {
    char full[NAME_BYTES];
    ark_plan_label(p, "%s.%s", base, name);
    snprintf(full, sizeof full, "%s.%s", base, name);
    return ark_nn_layernorm_eps(p, x, full, EPS, ark_plan_cdt(p));
}

/* x + attention(norm1(x)), then x + mlp(norm2(x)), each a segment; the residual stream stays f32. class_only:
 * nobody reads the other tokens afterwards, so from the attention on there is one row a sample. What the last
 * attention reads is where a class can be explained: behind it only the class token counts. */
static ark_tensor *block(ark_plan *p, ark_tensor *x, const ark_arch *a, int i, float rate, bool class_only) {
    char base[64];
    const int64_t c = a->vit.embed;
    snprintf(base, sizeof base, "blocks.%d", i);
    ark_tensor *h = norm(p, x, base, "norm1");
    h = i == a->vit.depth - 1 ? ark_plan_tap(p, h) : h;
    ark_plan_label(p, "%s.attn", base);
    h = linear(p, h, base, "attn.qkv", 3 * c, ARK_ACT_NONE);
    h = ark_attention(p, h, a->vit.heads);
    if (class_only) {
        h = ark_token_row(p, h, 0);
        x = ark_token_row(p, x, 0);
    }
    h = linear(p, h, base, "attn.proj", c, ARK_ACT_NONE);
    x = ark_residual(p, x, h, rate);

    ark_plan_segment(p);
    h = norm(p, x, base, "norm2");
    ark_plan_label(p, "%s.mlp", base);
    h = linear(p, h, base, "mlp.fc1", MLP_RATIO * c, ARK_ACT_GELU);
    h = linear(p, h, base, "mlp.fc2", c, ARK_ACT_NONE);
    return ark_residual(p, x, h, rate);
}

static ark_tensor *grid(ark_plan *p, ark_tensor *x, const ark_arch *a) {
    return ark_token_grid(p, x, 1, ark_vit_side(a), ark_vit_side(a));
}

/* norm is row by row, so it comes after pooling: one row a sample instead of all. */
static ark_tensor *pool(ark_plan *p, ark_tensor *x, const ark_arch *a) {
    ark_plan_label(p, "pool");
    if (a->vit.pool == ARK_VIT_POOL_AVG) {
        x = ark_avgpool(p, grid(p, x, a));
        ark_plan_label(p, "fc_norm");
        return ark_nn_layernorm_eps(p, x, "fc_norm", EPS, ARK_F32);
    }
    if (x->ndim == 3) {
        x = ark_token_row(p, x, 0);
    }
    ark_plan_label(p, "norm");
    return ark_nn_layernorm_eps(p, x, "norm", EPS, ARK_F32);
}

ark_tensor *ark_vit(ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps) {
    const int depth = a->vit.depth, wanted = maps ? n_maps(a) : 0;
    ark_plan_segment(p); /* up to the first attention, so that of all this only the image is kept */
    ark_tensor *x = embed(p, image, a);
    for (int i = 0, m = 0; i < depth; i++) {
        if (i > 0) {
            ark_plan_segment(p);
        }
        float rate = depth > 1 ? drop_path * (float)i / (float)(depth - 1) : 0;
        x = block(p, x, a, i, rate, i == depth - 1 && !maps && a->vit.pool == ARK_VIT_POOL_TOKEN);
        if (m < wanted && i + 1 == (m + 1) * depth / wanted) {
            ark_plan_segment_end(p);
            ark_plan_label(p, "maps.%d", m);
            maps[m++] = grid(p, x, a);
        }
    }
    ark_plan_segment_end(p);
    return pool(p, x, a);
}

const ark_encoder ark_encoder_vit = {
    .name = "vit",
    .keys = keys,
    .variants = variants,
    .sizes = sizes,
    .check = check,
    .features = features,
    .n_maps = n_maps,
    .build = ark_vit,
};
