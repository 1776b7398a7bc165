#include "nn/seg_net.h"

#include "base/err.h"

#include "core/params.h"
#include "nn/encoder.h"

ark_seg_tensors ark_seg_net_record(ark_plan *p, ark_params *store, const ark_seg_net *net) {
    const ark_arch *a = &net->arch;
    ark_tensor *maps[ARK_MAX_STAGES];
    int64_t dims[4] = {ark_plan_batch(p), a->in_chans, a->size_px, a->size_px};
    ark_seg_tensors t = {.image = ark_plan_input(p, "image", 4, dims, false)};
    /* Families that normalise by running statistics end their stages normalised; others by nothing. */
    const ark_upernet_opts o = {
        .channels = net->channels, .classes = net->classes, .norm = !a->family->running_stats};
    ark_plan_freeze(p, net->freeze);
    ark_encode_to_maps(p, t.image, a, net->drop_path, maps);
    ark_plan_freeze(p, false);
    ark_params_set_group(store, 1);
    t.logits = ark_plan_output(p, ark_upernet(p, maps, ark_encode_maps(a), &o, a->size_px, a->size_px));
    ark_params_set_group(store, 0);
    return t;
}

ark_status ark_seg_net_declare(const ark_seg_net *net, ark_params *store) {
    ark_plan *p;
    ARK_TRY(ark_plan_new(store, 1, ARK_F32, &p));
    ark_seg_net_record(p, store, net);
    ark_status st = ark_plan_error(p);
    ark_plan_free(p);
    return st;
}
