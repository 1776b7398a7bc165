#include "nn/encoder.h"

#include "core/ops.h"

#include <string.h>

static const ark_encoder *const families[] = {
    &ark_encoder_swin,
    &ark_encoder_vit,
    &ark_encoder_convnext,
    &ark_encoder_resnet,
    &ark_encoder_densenet,
};
enum { FAMILIES = sizeof families / sizeof families[0] };

const ark_encoder *ark_encoder_at(int i) {
    return i >= 0 && i < FAMILIES ? families[i] : NULL;
}

const ark_encoder *ark_encoder_find(const char *name) {
    for (int i = 0; i < FAMILIES; i++) {
        if (!strcmp(families[i]->name, name)) {
            return families[i];
        }
    }
    return NULL;
}

int ark_encode_maps(const ark_arch *a) {
    return a->family->n_maps(a);
}

void ark_encode_to_maps(
    ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps) {
    a->family->build(p, image, a, drop_path, maps);
}

ark_tensor *ark_encode(
    ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps) {
    ark_tensor *x = a->family->build(p, image, a, drop_path, maps);
    if (x->ndim == 2) {
        return x;
    }
    ark_plan_label(p, "pool");
    return ark_avgpool(p, ark_plan_tap(p, x));
}
