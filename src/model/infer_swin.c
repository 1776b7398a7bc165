/* Swin from the shapes of its bias tables and patch embedding. */
#include "base/err.h"
#include "model/state_family.h"
#include "nn/swin.h"

#include <stdio.h>

enum { MAX_WIDTH = 65536 };

static const ark_st_tensor *find_table(const ark_weight_file *f, int stage, int block) {
    char name[96];
    snprintf(name, sizeof name, "layers.%d.blocks.%d.attn.relative_position_bias_table", stage, block);
    return ark_weight_file_find(f, name);
}

/* Whether at this size every stage has exactly the window its tables were made for. */
static bool size_fits(const ark_arch *a, const int windows[ARK_MAX_STAGES]) {
    for (int s = 0; s < a->stages; s++) {
        if (ark_swin_window(a, s) != windows[s]) {
            return false;
        }
    }
    return true;
}

/* Tables give the grid only where a window was cut down to it. So take the size at which the last stage is
 * one window, and go down until all stages agree. */
static void assume_size(ark_arch *a, const int windows[ARK_MAX_STAGES]) {
    int64_t first = ((int64_t)windows[a->stages - 1] * a->swin.patch) << (a->stages - 1);
    first = first < 4096 ? first : 4096 / a->swin.patch * a->swin.patch;
    for (a->size_px = (int)first; a->size_px > a->swin.patch; a->size_px -= a->swin.patch) {
        if (size_fits(a, windows)) {
            return;
        }
    }
    a->size_px = (int)first;
}

static ark_status read_stages(const ark_weight_file *f, ark_arch *a, int windows[ARK_MAX_STAGES]) {
    const ark_st_tensor *t;
    for (a->stages = 0; a->stages < ARK_MAX_STAGES && (t = find_table(f, a->stages, 0)); a->stages++) {
        int s = a->stages;
        windows[s] = t->ndim == 2 ? ark_bias_table_window(t->shape[0]) : 0;
        if (!windows[s] || t->shape[1] < 1 || t->shape[1] > MAX_WIDTH) {
            return ARK_ERR(
                ARK_EFORMAT, "%s: %s: not ((2M-1)^2, heads) with a window M of at most 64", f->path, t->name);
        }
        a->swin.heads[s] = (int)t->shape[1];
        a->swin.window = windows[s] > a->swin.window ? windows[s] : a->swin.window;
        while (a->swin.depths[s] <= 64 && find_table(f, s, a->swin.depths[s])) {
            a->swin.depths[s]++;
        }
    }
    return ARK_OK;
}

static ark_status infer(const ark_weight_file *f, int size_px, ark_arch *a, bool *assumed) {
    int windows[ARK_MAX_STAGES] = {0};
    *a = (ark_arch){.family = &ark_encoder_swin, .in_chans = 3};
    ARK_TRY(read_stages(f, a, windows));
    ARK_TRY(ark_patch_conv_infer(f, &a->swin.embed, &a->swin.patch));
    a->size_px = size_px ? size_px : f->first_side * a->swin.patch;
    *assumed = a->size_px == 0;
    if (*assumed) {
        assume_size(a, windows);
    }
    return ARK_OK;
}

const ark_state_family ark_state_swin = {
    .encoder = &ark_encoder_swin,
    .key = "layers.0.blocks.0.attn.relative_position_bias_table",
    .infer = infer,
};
