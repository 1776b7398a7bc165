/* Names that other programs give to the tensors of a ViT. timm's are ours; DINO's and MAE's encoders use
 * them too, DINO behind "backbone.". torchvision has its own. */
#include "model/state_family.h"

#include <stdio.h>
#include <string.h>

typedef struct pair {
    const char *theirs, *ours; /* NULL: of no use to us */
} pair;

/* Beginnings of names; what follows is kept. */
static const pair whole_model[] = {
    {"backbone.", ""},
    {"class_token", "cls_token"},
    {"encoder.pos_embedding", "pos_embed"},
    {"conv_proj.", "patch_embed.proj."},
    {"encoder.ln.", "norm."},
    {"heads.", NULL},
    {"pre_logits.", NULL},
};

/* The same within encoder.layers.encoder_layer_N, which is blocks.N; both spellings of the MLP exist. */
static const pair in_block[] = {
    {"ln_1.", "norm1."},
    {"self_attention.in_proj_weight", "attn.qkv.weight"},
    {"self_attention.in_proj_bias", "attn.qkv.bias"},
    {"self_attention.out_proj.", "attn.proj."},
    {"ln_2.", "norm2."},
    {"mlp.linear_1.", "mlp.fc1."},
    {"mlp.linear_2.", "mlp.fc2."},
    {"mlp.0.", "mlp.fc1."},
    {"mlp.3.", "mlp.fc2."},
};

static const pair *find(const pair *list, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++) {
        if (!strncmp(name, list[i].theirs, strlen(list[i].theirs))) {
            return &list[i];
        }
    }
    return NULL;
}

bool ark_vit_name(const char *name, char out[ARK_WEIGHT_NAME_MAX]) {
    int block, at = 0;
    const pair *p;
    if (sscanf(name, "encoder.layers.encoder_layer_%3d.%n", &block, &at) == 1 && at) {
        p = find(in_block, sizeof in_block / sizeof in_block[0], name + at);
        if (p) {
            int n = snprintf(
                out, ARK_WEIGHT_NAME_MAX, "blocks.%d.%s%s", block, p->ours, name + at + strlen(p->theirs));
            return n >= 0 && n < ARK_WEIGHT_NAME_MAX;
        }
        return false;
    }
    p = find(whole_model, sizeof whole_model / sizeof whole_model[0], name);
    if (p && !p->ours) {
        out[0] = '\0';
    } else if (p) {
        snprintf(out, ARK_WEIGHT_NAME_MAX, "%s%s", p->ours, name + strlen(p->theirs));
    }
    return p != NULL;
}
