/* Constructors of the ops of decoders: their shape and type rules. */
#include "core/ops.h"
#include "core/ops_impl.h"

enum { MAX_SIDE = 65536, MAX_BINS = 1024 };

static bool is_map(const ark_tensor *x) {
    return x->ndim == 4 && x->dtype == ARK_F32;
}

ark_tensor *ark_upsample(ark_plan *p, ark_tensor *x, int64_t high, int64_t wide) {
    if (ark__poisoned(p, x)) {
        return &p->poison;
    }
    if (!is_map(x) || high < 1 || wide < 1 || high > MAX_SIDE || wide > MAX_SIDE) {
        return ark__misfit(p, ARK_OP_UPSAMPLE, "needs (B,h,w,C) f32 and a size of 1 to 65536", x, NULL);
    }
    int64_t dims[4] = {x->dims[0], high, wide, x->dims[3]};
    return ark__emit(p, ARK_OP_UPSAMPLE, 1, &x, 0, ARK_F32, 4, dims);
}

ark_tensor *ark_pool_bins(ark_plan *p, ark_tensor *x, int bins) {
    if (ark__poisoned(p, x)) {
        return &p->poison;
    }
    if (!is_map(x) || bins < 1 || bins > MAX_BINS) {
        return ark__misfit(p, ARK_OP_POOL_BINS, "needs (B,h,w,C) f32 and 1 to 1024 bins", x, NULL);
    }
    int64_t dims[4] = {x->dims[0], bins, bins, x->dims[3]};
    return ark__emit(p, ARK_OP_POOL_BINS, 1, &x, 0, ARK_F32, 4, dims);
}

ark_tensor *ark_dice_logits(ark_plan *p, ark_tensor *z, ark_tensor *target, ark_tensor *mask, float smooth) {
    ark_tensor *in[3] = {z, target, mask};
    for (int i = 0; i < 3; i++) {
        if (ark__poisoned(p, in[i])) {
            return &p->poison;
        }
        if (!is_map(in[i]) || !ark__same_shape(in[i], z)) {
            return ark__misfit(p, ARK_OP_DICE_LOGITS, "needs equal shapes (B,H,W,K) f32", z, in[i]);
        }
    }
    if (!(smooth > 0)) {
        return ark_plan_poison(
            p, ARK_ERR(ARK_EINVAL, "dice_logits: smooth %g is not positive", (double)smooth));
    }
    int64_t one = 1;
    ark_tensor *out = ark__emit(p, ARK_OP_DICE_LOGITS, 3, in, ~1u, ARK_F32, 1, &one);
    if (out != &p->poison) {
        out->scalar = true;
        ark__last_node(p)->a.dice.smooth = smooth;
    }
    return out;
}
