/* State dicts of other programs: one row per family of encoders. It says how to know its files, how to read
 * the architecture off their shapes, and how to bring foreign names and tables to ours. */
#ifndef ARK_MODEL_STATE_FAMILY_H
#define ARK_MODEL_STATE_FAMILY_H

#include "model/weight_file.h"
#include "nn/encoder.h"

typedef struct ark_state_family {
    const ark_encoder *encoder;
    /* A tensor, by current name, that files of this family have and those of others lack. */
    const char *key;
    /** Architecture from shapes, as ark_arch_infer; the result is checked by the caller. */
    ark_status (*infer)(const ark_weight_file *f, int size_px, ark_arch *out, bool *assumed);
    /** NULL, or a tensor name of another writer (without "module.") to the current one. false: not a foreign
     *  name of this family, kept as it is; an out of "" drops the tensor. */
    bool (*rename)(const char *name, char out[ARK_WEIGHT_NAME_MAX]);
    /** NULL, or whether resize brings tensor t to parameter p of another shape. */
    bool (*fits)(const ark_param *p, const ark_st_tensor *t);
    /** src of t's shape -> dst of p's. */
    void (*resize)(const ark_st_tensor *t, const float *src, const ark_param *p, float *dst);
} ark_state_family;

/* The rows; each is defined in infer_FAMILY.c. */
extern const ark_state_family ark_state_swin, ark_state_vit;
extern const ark_state_family ark_state_convnext, ark_state_resnet, ark_state_densenet;

/** Row i, in the order in which keys are tried; NULL after the last. */
const ark_state_family *ark_state_family_at(int i);

/** rename of the convolutional families (names_conv.c). */
bool ark_convnext_name(const char *name, char out[ARK_WEIGHT_NAME_MAX]);
bool ark_resnet_name(const char *name, char out[ARK_WEIGHT_NAME_MAX]);
bool ark_densenet_name(const char *name, char out[ARK_WEIGHT_NAME_MAX]);
/** In a file that holds a ConvNeXt and no head.norm: the current name of Meta's last norm, or NULL. */
const char *ark_convnext_settle(const char *name);
/** rename of the ViT family (names_vit.c). */
bool ark_vit_name(const char *name, char out[ARK_WEIGHT_NAME_MAX]);
/** Positions of a grid (1+in_side^2,channels) -> (1+out_side^2,channels): the class token's as it is, the
 * grid bicubically with antialiasing (torch interpolate, mode bicubic, antialias). Sides up to 4096. */
void ark_pos_embed_resize(const float *src, int in_side, float *dst, int out_side, int channels);

/** Channels and patch side from patch_embed.proj.weight (C,3,P,P). */
ark_status ark_patch_conv_infer(const ark_weight_file *f, int *embed, int *patch) ARK_MUST_CHECK;

#endif
