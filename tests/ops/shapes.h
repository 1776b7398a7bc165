/* Shapes beyond the golden files, for comparing backends: what Swin really uses, and odd
 * ones around the sizes at which kernels switch code (vector width 8 and 16, cache
 * blocks, a single row). dims are those of the inputs in order. */
#ifndef ARK_TESTS_OPS_SHAPES_H
#define ARK_TESTS_OPS_SHAPES_H

#include "ops/op_case.h"

typedef struct op_shape {
    ark_op op;
    const char *name;
    float attr[OP_MAX_ATTR];
    int64_t dims[ARK_MAX_IN][ARK_MAX_DIMS];
} op_shape;

#define LINEAR(name, act, rows, k, n)                                                                        \
    {                                                                                                        \
        ARK_OP_LINEAR, name, {act}, {                                                                        \
            {rows, k}, {n, k}, {                                                                             \
                n                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }
#define LAYERNORM(name, rows, c)                                                                             \
    {                                                                                                        \
        ARK_OP_LAYERNORM, name, {1e-5f}, {                                                                   \
            {rows, c}, {c}, {                                                                                \
                c                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }
#define ATTN(name, b, h, w, heads, d, m, shift)                                                              \
    {                                                                                                        \
        ARK_OP_WINDOW_ATTN, name, {heads, m, shift}, {                                                       \
            {b, h, w, 3 * (heads) * (d)}, {(2 * (m)-1) * (2 * (m)-1), heads}, {                              \
                3 * (heads) * (d)                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }
#define CONV(name, b, h, w, i, o, k, stride, pad, planar)                                                    \
    {                                                                                                        \
        ARK_OP_CONV2D, name, {stride, pad, planar}, {                                                        \
            {b, (planar) ? i : h, (planar) ? h : w, (planar) ? w : i}, {                                     \
                o, i, k, k                                                                                   \
            }                                                                                                \
        }                                                                                                    \
    }
#define DWCONV(name, b, h, w, c, k)                                                                          \
    {                                                                                                        \
        ARK_OP_DWCONV, name, {0}, {                                                                          \
            {b, h, w, c}, {c, 1, k, k}, {                                                                    \
                c                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }
#define NORM(name, b, h, w, c, relu)                                                                         \
    {                                                                                                        \
        ARK_OP_BATCHNORM, name, {1e-5f, 0.1f, relu}, {                                                       \
            {b, h, w, c}, {c}, {c}, {c}, {                                                                   \
                c                                                                                            \
            }                                                                                                \
        }                                                                                                    \
    }
#define LOSS(op, name, b, k)                                                                                 \
    {                                                                                                        \
        op, name, {0}, {                                                                                     \
            {b, k}, {b, k}, {                                                                                \
                b, k                                                                                         \
            }                                                                                                \
        }                                                                                                    \
    }

static const op_shape op_shapes[] = {
    {ARK_OP_PATCHIFY, "swin_224", {4}, {{2, 3, 224, 224}}},
    {ARK_OP_PATCHIFY, "odd_patch", {7}, {{3, 3, 49, 49}}},
    {ARK_OP_PATCHIFY, "one_channel", {3}, {{5, 1, 33, 33}}},
    LINEAR("swin_qkv", ARK_ACT_NONE, 196, 96, 288),
    LINEAR("swin_fc1", ARK_ACT_GELU, 392, 96, 384),
    LINEAR("swin_fc2", ARK_ACT_NONE, 98, 384, 96),
    LINEAR("one_row", ARK_ACT_NONE, 1, 129, 65),
    LINEAR("one_feature", ARK_ACT_GELU, 33, 1, 17),
    LINEAR("one_output", ARK_ACT_NONE, 67, 40, 1),
    LINEAR("odd_gelu", ARK_ACT_GELU, 31, 37, 41),
    LINEAR("odd_relu", ARK_ACT_RELU, 63, 15, 127),
    LINEAR("width_7", ARK_ACT_NONE, 9, 7, 7),
    LINEAR("width_17", ARK_ACT_RELU, 17, 17, 17),
    LINEAR("projector", ARK_ACT_RELU, 4, 768, 1376),
    {ARK_OP_LINEAR, "grid_no_bias", {ARK_ACT_NONE}, {{3, 5, 7, 64}, {32, 64}}},
    LAYERNORM("swin_96", 784, 96),
    LAYERNORM("swin_1536", 49, 1536),
    LAYERNORM("width_1_extreme", 5, 1),
    LAYERNORM("width_7", 33, 7),
    LAYERNORM("width_17", 31, 17),
    LAYERNORM("width_31", 1, 31),
    LAYERNORM("width_33", 3, 33),
    {ARK_OP_LAYERNORM, "grid", {1e-5f}, {{2, 9, 5, 47}, {47}, {47}}},
    ATTN("swin_stage1", 2, 28, 28, 3, 32, 7, 3),
    ATTN("swin_stage4", 3, 7, 7, 24, 32, 7, 0),
    ATTN("window_12", 1, 24, 24, 4, 32, 12, 6),
    ATTN("padded", 2, 10, 13, 2, 32, 7, 3),
    ATTN("head_8", 2, 8, 8, 4, 8, 4, 2),
    ATTN("head_5", 1, 9, 9, 3, 5, 3, 1),
    ATTN("head_48", 1, 7, 14, 2, 48, 7, 0),
    ATTN("window_1", 2, 3, 5, 2, 16, 1, 0),
    ATTN("small_grid", 2, 3, 2, 2, 32, 7, 3),
    ATTN("window_5", 1, 11, 5, 1, 64, 5, 2),
    {ARK_OP_ATTENTION, "vit_small_224", {6}, {{2, 197, 3 * 384}}},
    {ARK_OP_ATTENTION, "one_token", {2}, {{3, 1, 3 * 16}}},
    {ARK_OP_ATTENTION, "head_5", {3}, {{2, 65, 3 * 15}}},
    {ARK_OP_ATTENTION, "head_80", {1}, {{1, 130, 3 * 80}}},
    {ARK_OP_ATTENTION, "many_tokens", {1}, {{1, 401, 3 * 24}}},
    {ARK_OP_TOKEN_EMBED, "vit_small_224", {0}, {{2, 14, 14, 384}, {384}, {197, 384}}},
    {ARK_OP_TOKEN_EMBED, "odd", {0}, {{3, 5, 3, 33}, {33}, {16, 33}}},
    {ARK_OP_TOKEN_SLICE, "class", {0}, {{3, 197, 96}}},
    {ARK_OP_TOKEN_SLICE, "grid", {1, 4, 5}, {{2, 21, 31}}},
    {ARK_OP_PATCH_MERGE, "swin_56", {0}, {{2, 56, 56, 96}}},
    {ARK_OP_PATCH_MERGE, "odd", {0}, {{3, 7, 9, 33}}},
    {ARK_OP_PATCH_MERGE, "one_row", {0}, {{2, 1, 8, 17}}},
    {ARK_OP_RESIDUAL, "grid", {0}, {{2, 28, 28, 96}, {2, 28, 28, 96}}},
    {ARK_OP_RESIDUAL, "odd", {0.1f}, {{5, 3, 7, 13}, {5, 3, 7, 13}}},
    {ARK_OP_RESIDUAL, "one", {0}, {{1, 1}, {1, 1}}},
    {ARK_OP_AVGPOOL, "swin_7", {0}, {{4, 7, 7, 768}}},
    {ARK_OP_AVGPOOL, "odd", {0}, {{3, 5, 9, 31}}},
    {ARK_OP_UPSAMPLE, "double", {14, 14}, {{2, 7, 7, 128}}},
    {ARK_OP_UPSAMPLE, "odd", {11, 5}, {{3, 4, 5, 31}}},
    {ARK_OP_UPSAMPLE, "smaller", {3, 2}, {{1, 8, 7, 5}}},
    {ARK_OP_UPSAMPLE, "one_channel", {56, 56}, {{2, 14, 14, 1}}},
    {ARK_OP_POOL_BINS, "four", {4}, {{2, 7, 7, 96}}},
    {ARK_OP_POOL_BINS, "six", {6}, {{3, 14, 9, 17}}},
    {ARK_OP_POOL_BINS, "more", {6}, {{1, 4, 4, 8}}},
    {ARK_OP_DICE_LOGITS, "one", {1}, {{3, 16, 16, 1}, {3, 16, 16, 1}, {3, 16, 16, 1}}},
    {ARK_OP_DICE_LOGITS, "three", {1e-3f}, {{2, 9, 11, 3}, {2, 9, 11, 3}, {2, 9, 11, 3}}},
    CONV("resnet_stem", 1, 32, 32, 3, 64, 7, 2, 3, 1),
    CONV("resnet_conv2", 2, 14, 14, 64, 64, 3, 1, 1, 0),
    CONV("resnet_down", 2, 14, 14, 32, 48, 3, 2, 1, 0),
    CONV("shortcut", 2, 14, 14, 40, 80, 1, 2, 0, 0),
    CONV("long_sum", 3, 4, 4, 130, 33, 3, 1, 1, 0),
    CONV("narrow", 1, 23, 21, 7, 5, 3, 1, 1, 0),
    CONV("many_rows", 1, 56, 40, 8, 16, 3, 1, 1, 0),
    CONV("downsample_2x2", 2, 8, 8, 17, 31, 2, 2, 0, 0),
    CONV("k5_stride_3", 1, 17, 14, 9, 12, 5, 3, 2, 0),
    DWCONV("convnext_7", 2, 14, 14, 64, 7),
    DWCONV("odd", 3, 9, 11, 37, 7),
    DWCONV("wide", 1, 4, 40, 19, 7),
    DWCONV("k3", 2, 8, 8, 24, 3),
    DWCONV("k9", 1, 10, 6, 8, 9),
    NORM("resnet", 2, 28, 28, 64, 1),
    NORM("odd", 3, 7, 5, 33, 0),
    NORM("one_row", 1, 1, 1, 17, 1),
    NORM("wide", 2, 3, 3, 520, 1),
    {ARK_OP_MAXPOOL, "resnet", {0}, {{2, 28, 28, 64}}},
    {ARK_OP_MAXPOOL, "odd", {0}, {{3, 7, 9, 33}}},
    {ARK_OP_AVGPOOL2, "densenet", {0}, {{2, 14, 14, 128}}},
    {ARK_OP_AVGPOOL2, "odd", {0}, {{3, 7, 9, 33}}},
    {ARK_OP_CONCAT, "densenet", {0}, {{2, 14, 14, 96}, {2, 14, 14, 32}}},
    {ARK_OP_CONCAT, "odd", {0}, {{3, 5, 7, 13}, {3, 5, 7, 6}}},
    {ARK_OP_ADD_RELU, "grid", {0}, {{2, 14, 14, 96}, {2, 14, 14, 96}}},
    {ARK_OP_ADD_RELU, "odd", {0}, {{5, 3, 7, 13}, {5, 3, 7, 13}}},
    {ARK_OP_LAYER_SCALE, "convnext", {0}, {{2, 14, 14, 96}, {2, 14, 14, 96}, {96}}},
    {ARK_OP_LAYER_SCALE, "odd", {0.1f}, {{5, 3, 7, 13}, {5, 3, 7, 13}, {13}}},
    LOSS(ARK_OP_BCE_LOGITS, "nih14", 64, 14),
    LOSS(ARK_OP_BCE_LOGITS, "odd", 33, 7),
    LOSS(ARK_OP_SOFTMAX_CE, "vindr6", 64, 6),
    LOSS(ARK_OP_SOFTMAX_CE, "odd", 31, 17),
    {ARK_OP_MSE, "ark", {0}, {{64, 1376}, {64, 1376}}},
    {ARK_OP_MSE, "odd", {0}, {{3, 33}, {3, 33}}},
};

#undef LINEAR
#undef LAYERNORM
#undef ATTN
#undef CONV
#undef DWCONV
#undef NORM
#undef LOSS

enum { N_OP_SHAPES = sizeof op_shapes / sizeof op_shapes[0] };

#endif
