/* ViT from the shapes of its tensors, and its positions at another size. */
#include "base/err.h"
#include "model/state_family.h"
#include "nn/vit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SIDE = 4096, HEAD = 64 };

/* Side of the grid of positions (1,1+side^2,C), 0 when they are not that. */
static int side_of(const ark_st_tensor *t) {
    if (t->ndim != 3 || t->shape[0] != 1) {
        return 0;
    }
    for (int64_t side = 1; side <= MAX_SIDE && side * side < t->shape[1]; side++) {
        if (side * side + 1 == t->shape[1]) {
            return (int)side;
        }
    }
    return 0;
}

static ark_status infer(const ark_weight_file *f, int size_px, ark_arch *a, bool *assumed) {
    char name[64];
    const ark_st_tensor *pos = ark_weight_file_find(f, "pos_embed");
    int side = pos ? side_of(pos) : 0;
    *assumed = false;
    *a = (ark_arch){.family = &ark_encoder_vit, .in_chans = 3};
    ARK_TRY(ark_patch_conv_infer(f, &a->vit.embed, &a->vit.patch));
    if (!side) {
        return ARK_ERR(ARK_EFORMAT, "%s: pos_embed is %s", f->path,
            pos ? "not (1, 1 + side x side, channels): one class token before a square grid" : "missing");
    }
    /* No shape tells the number of heads; every ViT that has a name here has heads of 64. */
    if (a->vit.embed % HEAD) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: a ViT of %d channels, no multiple of %d: the number of heads is not told, name the "
            "architecture "
            "(--arch)",
            f->path, a->vit.embed, HEAD);
    }
    a->vit.heads = a->vit.embed / HEAD;
    do {
        snprintf(name, sizeof name, "blocks.%d.norm1.weight", a->vit.depth);
    } while (ark_weight_file_find(f, name) && a->vit.depth++ <= 64);
    a->vit.pool = ark_weight_file_find(f, "fc_norm.weight") ? ARK_VIT_POOL_AVG : ARK_VIT_POOL_TOKEN;
    const int64_t own = (int64_t)side * a->vit.patch;
    a->size_px = size_px ? size_px : own <= ARK_MAX_SIDE_PX ? (int)own : 0;
    return ARK_OK;
}

/* --- positions of another grid, as timm's resample_abs_pos_embed --- */

static bool fits(const ark_param *p, const ark_st_tensor *t) {
    return !strcmp(p->name, "pos_embed") && t->ndim == 3 && p->ndim == 2 && t->shape[2] == p->dims[1] &&
           side_of(t) > 0;
}

/* The cubic kernel with A = -0.5, that of Pillow and of torch's antialiased interpolation. */
static double cubic(double x) {
    x = fabs(x);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

/* Weights, summing to one, of the inputs [first, first+n) of one output; weight: room for `in`. */
static void taps(int out, int in_side, int out_side, int *first, int *n, double *weight) {
    const double scale = (double)in_side / out_side, wide = scale > 1 ? scale : 1,
                 centre = scale * (out + 0.5);
    const int low = (int)(centre - 2 * wide + 0.5), high = (int)(centre + 2 * wide + 0.5);
    double sum = 0;
    *first = low < 0 ? 0 : low;
    *n = (high < in_side ? high : in_side) - *first;
    for (int k = 0; k < *n; k++) {
        weight[k] = cubic((*first + k - centre + 0.5) / wide);
        sum += weight[k];
    }
    for (int k = 0; k < *n; k++) {
        weight[k] /= sum;
    }
}

void ark_pos_embed_resize(const float *src, int in_side, float *dst, int out_side, int channels) {
    double wy[MAX_SIDE] = {0}, wx[MAX_SIDE] = {0};
    const size_t c = (size_t)channels;
    memcpy(dst, src, c * sizeof *dst); /* the class token's */
    src += c;
    dst += c;
    for (int y = 0; y < out_side; y++) {
        int y0, ny, x0, nx;
        taps(y, in_side, out_side, &y0, &ny, wy);
        for (int x = 0; x < out_side; x++, dst += c) {
            taps(x, in_side, out_side, &x0, &nx, wx);
            for (size_t e = 0; e < c; e++) {
                double sum = 0;
                for (int i = 0; i < ny * nx; i++) {
                    const size_t at = (size_t)(y0 + i / nx) * (size_t)in_side + (size_t)(x0 + i % nx);
                    sum += wy[i / nx] * wx[i % nx] * src[at * c + e];
                }
                dst[e] = (float)sum;
            }
        }
    }
}

static void resize(const ark_st_tensor *t, const float *src, const ark_param *p, float *dst) {
    int out_side = (int)lround(sqrt((double)(p->dims[0] - 1)));
    ark_pos_embed_resize(src, side_of(t), dst, out_side, (int)p->dims[1]);
}

const ark_state_family ark_state_vit = {
    .encoder = &ark_encoder_vit,
    .key = "cls_token",
    .infer = infer,
    .rename = ark_vit_name,
    .fits = fits,
    .resize = resize,
};
