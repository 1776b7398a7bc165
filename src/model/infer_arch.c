/* What network a foreign state dict belongs to, read off its shapes. */
#include "base/alloc.h"
#include "base/err.h"
#include "model/weight_file.h"

#include <stdio.h>
#include <string.h>

enum { MAX_HEADS_IN_FILE = 1024, MAX_CLASSES = 65536, MAX_WIDTH = 65536 };

static const ark_st_tensor *find_table(const ark_weight_file *f, int stage, int block) {
    char name[96];
    snprintf(name, sizeof name, "layers.%d.blocks.%d.attn.relative_position_bias_table", stage, block);
    return ark_weight_file_find(f, name);
}

/* Whether at this size every stage has exactly the window its tables were made for. */
static bool size_fits(const ark_arch *a, const int windows[ARK_MAX_STAGES]) {
    for (int s = 0; s < a->stages; s++) {
        if (ark_arch_window(a, s) != windows[s]) {
            return false;
        }
    }
    return true;
}

/* Tables give the grid only where a window was cut down to it. So take the size at which the last stage is
 * one window, and go down until all stages agree. */
static void assume_size(ark_arch *a, const int windows[ARK_MAX_STAGES]) {
    int64_t first = ((int64_t)windows[a->stages - 1] * a->patch) << (a->stages - 1);
    first = first < 4096 ? first : 4096 / a->patch * a->patch;
    for (a->size_px = (int)first; a->size_px > a->patch; a->size_px -= a->patch) {
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
        a->heads[s] = (int)t->shape[1];
        a->window = windows[s] > a->window ? windows[s] : a->window;
        while (a->depths[s] <= 64 && find_table(f, s, a->depths[s])) {
            a->depths[s]++;
        }
    }
    return a->stages ? ARK_OK
                     : ARK_ERR(ARK_EFORMAT,
                           "%s: no layers.0.blocks.0.attn.relative_position_bias_table: not a Swin encoder "
                           "under timm's or Microsoft's names",
                           f->path);
}

ark_status ark_arch_infer(const ark_weight_file *f, int size_px, ark_arch *out, bool *assumed) {
    ark_arch a = {0};
    int windows[ARK_MAX_STAGES];
    ARK_TRY(read_stages(f, &a, windows));
    const ark_st_tensor *conv = ark_weight_file_find(f, "patch_embed.proj.weight");
    if (!conv || conv->ndim != 4 || conv->shape[2] != conv->shape[3]) {
        return ARK_ERR(ARK_EFORMAT, "%s: patch_embed.proj.weight is %s", f->path,
            conv ? "not (channels, 3, patch, patch)" : "missing");
    }
    if (conv->shape[1] != 3) {
        return ARK_ERR(ARK_EFORMAT, "%s: patch_embed.proj.weight takes images of %lld channels, not 3",
            f->path, (long long)conv->shape[1]);
    }
    if (conv->shape[0] < 1 || conv->shape[0] > 4096 || conv->shape[2] < 1 || conv->shape[2] > 4096) {
        return ARK_ERR(ARK_EFORMAT, "%s: patch_embed.proj.weight: %lld channels of patches of side %lld",
            f->path, (long long)conv->shape[0], (long long)conv->shape[2]);
    }
    a.embed = (int)conv->shape[0];
    a.in_chans = (int)conv->shape[1];
    a.patch = (int)conv->shape[2];
    a.size_px = size_px ? size_px : f->first_side * a.patch;
    *assumed = a.size_px == 0;
    if (*assumed) {
        assume_size(&a, windows);
    }
    ark_status st = ark_arch_check(&a);
    if (st != ARK_OK) {
        return ark__err_prefix(ARK_EFORMAT, "%s", f->path);
    }
    *out = a;
    return ARK_OK;
}

/* A head's (K,D) weight. */
static const ark_st_tensor *find_head(const ark_weight_file *f, int i) {
    char name[64];
    snprintf(name, sizeof name, "omni_heads.%d.weight", i);
    return ark_weight_file_find(f, name);
}

static ark_status name_head(ark_head *h, int index, int classes) {
    char text[32];
    ARK_TRY(ARK_NEW(&h->classes, (size_t)classes, "class names"));
    h->n_classes = classes;
    h->task = classes == 1 ? ARK_BINARY : ARK_MULTILABEL;
    snprintf(text, sizeof text, "head%d", index);
    h->dataset = ark_strdup(text);
    for (int k = 0; k < classes; k++) {
        snprintf(text, sizeof text, "class%d", k);
        h->classes[k] = ark_strdup(text);
        if (!h->dataset || !h->classes[k]) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
        }
    }
    return ARK_OK;
}

ark_status ark_net_infer(const ark_weight_file *f, ark_net *net) {
    const ark_st_tensor *linear = ark_weight_file_find(f, "projector.weight");
    const ark_st_tensor *mlp = ark_weight_file_find(f, "projector.2.weight");
    const ark_st_tensor *p = linear ? linear : mlp;
    net->projector = linear ? ARK_PROJECTOR_LINEAR : mlp ? ARK_PROJECTOR_MLP : ARK_PROJECTOR_NONE;
    if (p && (p->ndim != 2 || p->shape[0] < 1 || p->shape[0] > MAX_WIDTH)) {
        return ARK_ERR(ARK_EFORMAT, "%s: %s: not a matrix of 1..%d rows", f->path, p->name, MAX_WIDTH);
    }
    net->projector_dim = p ? (int)p->shape[0] : 0;
    int n = 0;
    while (n < MAX_HEADS_IN_FILE && find_head(f, n)) {
        n++;
    }
    ARK_TRY(ARK_NEW(&net->heads, (size_t)n, "heads"));
    net->n_heads = n;
    for (int i = 0; i < n; i++) {
        const ark_st_tensor *t = find_head(f, i);
        if (t->ndim != 2 || t->shape[0] < 1 || t->shape[0] > MAX_CLASSES) {
            return ARK_ERR(ARK_EFORMAT, "%s: %s: not a matrix of 1..%d rows", f->path, t->name, MAX_CLASSES);
        }
        ARK_TRY(name_head(&net->heads[i], i, (int)t->shape[0]));
    }
    return ARK_OK;
}
