#include "nn/ark_net.h"

#include "base/alloc.h"
#include "base/err.h"
#include "nn/encoder.h"
#include "nn/layers.h"

#include <stdio.h>

int ark_net_features(const ark_net *net) {
    return net->projector == ARK_PROJECTOR_NONE ? ark_arch_features(&net->arch) : net->projector_dim;
}

/* nn.Linear with PyTorch's own initialisation, f32 throughout: its share of the arithmetic is negligible and
 * the consistency loss compares its outputs. */
static ark_tensor *plain_linear(ark_plan *p, ark_tensor *x, const char *name, int64_t n, ark_act act) {
    return ark_nn_linear(p, x, name, n, true, ARK_INIT_UNIFORM_FAN_IN, act, ARK_F32);
}

ark_net_tensors ark_net_trunk(ark_plan *p, const ark_net *net) {
    const ark_arch *a = &net->arch;
    int64_t dims[4] = {ark_plan_batch(p), a->in_chans, a->size_px, a->size_px};
    ark_net_tensors t = {.image = ark_plan_input(p, "image", 4, dims, false)};
    ark_plan_freeze(p, net->freeze != ARK_FREEZE_NONE);
    t.encoder = ark_plan_output(p, ark_encode(p, t.image, a, net->drop_path, NULL));
    ark_plan_freeze(p, net->freeze == ARK_FREEZE_FEATURES);
    ark_plan_label(p, "projector");
    switch (net->projector) {
    case ARK_PROJECTOR_NONE:
        t.projected = t.encoder;
        break;
    case ARK_PROJECTOR_LINEAR:
        t.projected = plain_linear(p, t.encoder, "projector", net->projector_dim, ARK_ACT_NONE);
        break;
    case ARK_PROJECTOR_MLP:
        t.projected = plain_linear(p, t.encoder, "projector.0", net->projector_dim, ARK_ACT_RELU);
        t.projected = plain_linear(p, t.projected, "projector.2", net->projector_dim, ARK_ACT_NONE);
        break;
    }
    ark_plan_freeze(p, false);
    ark_plan_output(p, t.projected);
    return t;
}

ark_tensor *ark_net_head(ark_plan *p, const ark_net *net, ark_tensor *features, int i) {
    char name[64];
    snprintf(name, sizeof name, "omni_heads.%d", i);
    ark_plan_label(p, "%s", name);
    return ark_plan_output(p, plain_linear(p, features, name, net->heads[i].n_classes, ARK_ACT_NONE));
}

/* Recording a plan declares its parameters; this plan is thrown away. */
ark_status ark_net_declare(const ark_net *net, ark_params *store) {
    ark_plan *p;
    ARK_TRY(ark_plan_new(store, 1, ARK_F32, &p));
    ark_net_tensors t = ark_net_trunk(p, net);
    for (int i = 0; i < net->n_heads; i++) {
        ark_params_set_group(store, 1 + i);
        ark_net_head(p, net, t.projected, i);
    }
    ark_params_set_group(store, 0);
    ark_status st = ark_plan_error(p);
    ark_plan_free(p);
    return st;
}

void ark_net_free(ark_net *net) {
    for (int i = 0; i < net->n_heads && net->heads; i++) {
        ark_head *h = &net->heads[i];
        for (int k = 0; k < h->n_classes && h->classes; k++) {
            ark_free(h->classes[k]);
        }
        ark_free(h->classes);
        ark_free(h->dataset);
    }
    ark_free(net->heads);
    *net = (ark_net){0};
}

static ark_status copy_head(const ark_head *from, ark_head *to) {
    *to = (ark_head){.task = from->task, .n_classes = from->n_classes};
    ARK_TRY(ARK_NEW(&to->classes, (size_t)from->n_classes, "class names"));
    to->dataset = ark_strdup(from->dataset);
    for (int k = 0; k < from->n_classes && to->dataset; k++) {
        to->classes[k] = ark_strdup(from->classes[k]);
        if (!to->classes[k]) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
        }
    }
    return to->dataset ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for class names");
}

ark_status ark_net_copy(const ark_net *from, ark_net *to) {
    ark_net copy = *from;
    ARK_TRY(ARK_NEW(&copy.heads, (size_t)from->n_heads, "heads"));
    for (int i = 0; i < from->n_heads; i++) {
        ark_status st = copy_head(&from->heads[i], &copy.heads[i]);
        if (st != ARK_OK) {
            ark_net_free(&copy);
            return st;
        }
    }
    *to = copy;
    return ARK_OK;
}

const char *ark_projector_name(ark_projector p) {
    static const char *const names[] = {"none", "linear", "mlp"};
    return names[p];
}
