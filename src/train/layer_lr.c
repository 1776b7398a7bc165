#include "train/layer_lr.h"

#include "base/err.h"
#include "nn/encoder.h"

#include <math.h>
#include <string.h>

ark_status ark_layer_lr(const ark_net *net, const ark_params *store, double decay, double *scale) {
    const ark_encoder *family = net->arch.family;
    bool alike = decay == 0 || decay == 1;
    if (!alike && !family->depth) {
        return ARK_ERR(ARK_EINVAL, "a learning rate per layer: %s does not order its layers", family->name);
    }
    int top = alike ? 0 : family->depth(&net->arch, NULL);
    for (int i = 0; i < ark_params_count(store); i++) {
        const ark_param *p = ark_params_at(store, i);
        bool projector = p->group == 0 && !strncmp(p->name, "projector.", 10);
        bool encoder = p->group == 0 && !projector;
        bool frozen =
            (encoder && net->freeze != ARK_FREEZE_NONE) || (projector && net->freeze == ARK_FREEZE_FEATURES);
        int depth = encoder && !alike ? family->depth(&net->arch, p->name) : top;
        scale[i] = frozen ? 0 : pow(alike ? 1 : decay, top - depth);
    }
    return ARK_OK;
}
