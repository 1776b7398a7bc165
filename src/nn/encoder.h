/* Families of encoders: one row per family, in the file that also builds it. The rest of the code asks an
 * architecture through nn/arch.h and records it through ark_encode; what is particular to a family in weight
 * files is model/state_family.h. */
#ifndef ARK_NN_ENCODER_H
#define ARK_NN_ENCODER_H

#include "core/plan.h"
#include "nn/arch.h"

#include <stdbool.h>

/* A number of the generic form, "window=7". Rows stand in the order of printing. */
typedef struct ark_arch_key {
    const char *name;
    size_t offset; /* in ark_arch, of an int; of int[ARK_MAX_STAGES] when list */
    int low, high;
    int start;                /* value when the text does not say it; 0 = it must */
    bool list;                /* "2-2-6-2"; all lists of a family have ark_arch.stages entries */
    bool quiet;               /* not printed at its start value */
    const char *const *words; /* NULL, or the words for the values low, low + 1, ..., high */
} ark_arch_key;

/* A name for some of the keys: {"swin_tiny", "embed=96,..."}, {"_384", "window=12,size=384"}. */
typedef struct ark_variant {
    const char *name, *keys;
} ark_variant;

struct ark_encoder {
    const char *name;            /* "swin", the word before the colon of the generic form */
    const ark_arch_key *keys;    /* these four lists end with a NULL name */
    const ark_variant *variants; /* what can be asked for by name */
    const ark_variant *sizes;    /* what may follow the name; the first is meant when nothing does */
    bool running_stats;          /* normalises by statistics of the batch and keeps running ones */
    /** What ranges of single keys do not say. */
    ark_status (*check)(const ark_arch *a);
    int (*features)(const ark_arch *a);
    /** Number of feature maps that build can give. */
    int (*n_maps)(const ark_arch *a);
    /** Record the encoder: image (B,in_chans,S,S) f32 -> tokens (B,h,w,C), which the caller averages, or
     *  (B,C) where the family pools in its own way and marks the place for explanations itself
     *  (ark_plan_tap); f32. drop_path: largest stochastic-depth rate, growing
     *  linearly over the blocks from 0. maps, when not NULL, gets n_maps feature maps (B,h,w,C'), from fine
     *  to coarse, for decoders: with four stages strides 4, 8, 16 and 32; a ViT gives four depths at its one
     *  stride. */
    ark_tensor *(*build)(
        ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps);
    /** Depth of a parameter of the encoder by its name, for learning rates that fall towards the input: 0 for
     *  what embeds the image, then a number per block, in timm's grouping (group_matcher). NULL name: the
     *  number of depths. NULL: the family has no such order. */
    int (*depth)(const ark_arch *a, const char *name);
};

/* The rows; each is defined in the family's file. */
extern const ark_encoder ark_encoder_swin, ark_encoder_vit;
extern const ark_encoder ark_encoder_convnext, ark_encoder_resnet, ark_encoder_densenet;

/** Family i, NULL after the last. */
const ark_encoder *ark_encoder_at(int i);
/** By the word before the colon, or NULL. */
const ark_encoder *ark_encoder_find(const char *name);

/** Feature maps that ark_encode can give, at most ARK_MAX_STAGES. */
int ark_encode_maps(const ark_arch *a);
/** Record the encoder for a decoder: maps gets ark_encode_maps tensors. Whatever the family does behind its
 *  last map is recorded too, so that the store holds the whole encoder, and read by nobody. */
void ark_encode_to_maps(
    ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps);
/** Record the encoder of an architecture up to its pooled features (B,C), f32. maps: NULL, or room for
 *  ark_encode_maps tensors. */
ark_tensor *ark_encode(ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps);

#endif
