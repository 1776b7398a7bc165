/* ConvNeXt, ResNet and DenseNet from the shapes of their tensors. No shape tells the size of the images. */
#include "base/err.h"
#include "model/state_family.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_COUNT = 64, MAX_WIDTH = 4096, USUAL_SIZE = 224 };

static const ark_st_tensor *find(const ark_weight_file *f, const char *fmt, ...) ARK_PRINTF(2, 3);
static const ark_st_tensor *find(const ark_weight_file *f, const char *fmt, ...) {
    char name[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);
    return ark_weight_file_find(f, name);
}

/* Output channels of a convolution (O,I,k,k). */
static ark_status channels(const ark_weight_file *f, const char *name, const ark_st_tensor *t, int *out) {
    if (!t) {
        return ARK_ERR(ARK_EFORMAT, "%s: %s is missing", f->path, name);
    }
    if (t->ndim != 4 || t->shape[0] < 1 || t->shape[0] > MAX_WIDTH) {
        return ARK_ERR(ARK_EFORMAT, "%s: %s is not a convolution (O,I,k,k) with 1..%d outputs", f->path,
            t->name, MAX_WIDTH);
    }
    *out = (int)t->shape[0];
    return ARK_OK;
}

static void begin(const ark_encoder *family, int size_px, ark_arch *a, bool *assumed) {
    *a = (ark_arch){.family = family, .in_chans = 3, .size_px = size_px ? size_px : USUAL_SIZE};
    *assumed = size_px == 0;
}

/* --- ConvNeXt -------------------------------------------------------------------------------- */

static ark_status infer_convnext(const ark_weight_file *f, int size_px, ark_arch *a, bool *assumed) {
    begin(&ark_encoder_convnext, size_px, a, assumed);
    const ark_st_tensor *t;
    for (; a->stages < ARK_MAX_STAGES && (t = find(f, "stages.%d.blocks.0.conv_dw.weight", a->stages));
         a->stages++) {
        int *depth = &a->convnext.depths[a->stages];
        ARK_TRY(channels(f, t->name, t, &a->convnext.dims[a->stages]));
        while (*depth <= MAX_COUNT && find(f, "stages.%d.blocks.%d.conv_dw.weight", a->stages, *depth)) {
            ++*depth;
        }
    }
    return ARK_OK;
}

/* torchvision keeps gamma as (C,1,1). */
static bool fits_convnext(const ark_param *p, const ark_st_tensor *t) {
    size_t n = strlen(p->name);
    return n > 6 && !strcmp(p->name + n - 6, ".gamma") && t->ndim == 3 && t->shape[1] == 1 &&
           t->shape[2] == 1 && t->shape[0] == p->numel;
}

static void resize_convnext(const ark_st_tensor *t, const float *src, const ark_param *p, float *dst) {
    (void)t;
    memcpy(dst, src, (size_t)p->numel * sizeof *dst);
}

const ark_state_family ark_state_convnext = {
    .encoder = &ark_encoder_convnext,
    .key = "stages.0.blocks.0.conv_dw.weight",
    .infer = infer_convnext,
    .rename = ark_convnext_name,
    .fits = fits_convnext,
    .resize = resize_convnext,
};

/* --- ResNet ---------------------------------------------------------------------------------- */

static ark_status infer_resnet(const ark_weight_file *f, int size_px, ark_arch *a, bool *assumed) {
    begin(&ark_encoder_resnet, size_px, a, assumed);
    ARK_TRY(channels(f, "conv1.weight", find(f, "conv1.weight"), &a->resnet.width));
    for (; a->stages < ARK_MAX_STAGES && find(f, "layer%d.0.conv3.weight", a->stages + 1); a->stages++) {
        int *n = &a->resnet.layers[a->stages];
        while (*n <= MAX_COUNT && find(f, "layer%d.%d.conv3.weight", a->stages + 1, *n)) {
            ++*n;
        }
    }
    return ARK_OK;
}

const ark_state_family ark_state_resnet = {
    .encoder = &ark_encoder_resnet,
    .key = "layer1.0.conv3.weight",
    .infer = infer_resnet,
    .rename = ark_resnet_name,
};

/* --- DenseNet -------------------------------------------------------------------------------- */

static ark_status infer_densenet(const ark_weight_file *f, int size_px, ark_arch *a, bool *assumed) {
    static const char first[] = "features.denseblock1.denselayer1.conv2.weight";
    begin(&ark_encoder_densenet, size_px, a, assumed);
    ARK_TRY(channels(f, first, find(f, "%s", first), &a->densenet.growth));
    ARK_TRY(channels(f, "features.conv0.weight", find(f, "features.conv0.weight"), &a->densenet.init));
    for (; a->stages < ARK_MAX_STAGES &&
           find(f, "features.denseblock%d.denselayer1.conv2.weight", a->stages + 1);
         a->stages++) {
        int *n = &a->densenet.blocks[a->stages];
        while (*n <= MAX_COUNT &&
               find(f, "features.denseblock%d.denselayer%d.conv2.weight", a->stages + 1, *n + 1)) {
            ++*n;
        }
    }
    return ARK_OK;
}

const ark_state_family ark_state_densenet = {
    .encoder = &ark_encoder_densenet,
    .key = "features.denseblock1.denselayer1.conv2.weight",
    .infer = infer_densenet,
    .rename = ark_densenet_name,
};
