/* What network a foreign state dict belongs to, read off its shapes. */
#include "base/alloc.h"
#include "base/err.h"
#include "model/state_family.h"

#include <stdio.h>
#include <string.h>

enum { MAX_HEADS_IN_FILE = 1024, MAX_CLASSES = 65536, MAX_WIDTH = 65536 };

static const ark_state_family *const families[] = {
    &ark_state_swin,
    &ark_state_vit,
    &ark_state_convnext,
    &ark_state_resnet,
    &ark_state_densenet,
};
enum { FAMILIES = sizeof families / sizeof families[0] };

const ark_state_family *ark_state_family_at(int i) {
    return i >= 0 && i < FAMILIES ? families[i] : NULL;
}

ark_status ark_arch_infer(const ark_weight_file *f, int size_px, ark_arch *out, bool *assumed) {
    for (int i = 0; i < FAMILIES; i++) {
        if (ark_weight_file_find(f, families[i]->key)) {
            ark_arch a = {0};
            bool guess = false;
            ARK_TRY(families[i]->infer(f, size_px, &a, &guess));
            if (ark_arch_check(&a) != ARK_OK) {
                return ark__err_prefix(ARK_EFORMAT, "%s", f->path);
            }
            *out = a;
            *assumed = guess;
            return ARK_OK;
        }
    }
    char keys[512];
    size_t n = 0;
    for (int i = 0; i < FAMILIES && n < sizeof keys; i++) {
        n += (size_t)snprintf(keys + n, sizeof keys - n, "%s%s (%s)", i ? ", " : "", families[i]->key,
            families[i]->encoder->name);
    }
    return ARK_ERR(ARK_EFORMAT, "%s: no encoder of a known family: none of %s", f->path, keys);
}

ark_status ark_patch_conv_infer(const ark_weight_file *f, int *embed, int *patch) {
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
    *embed = (int)conv->shape[0];
    *patch = (int)conv->shape[2];
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
