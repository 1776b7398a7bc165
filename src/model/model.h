/* A model: the network's description, its parameters, and what images must look like. As
 * loaded from a weight file. */
#ifndef ARK_MODEL_MODEL_H
#define ARK_MODEL_MODEL_H

#include "core/params.h"
#include "data/preproc.h"
#include "nn/ark_net.h"

#include <stdbool.h>

typedef struct ark_model {
    ark_net net;
    ark_preproc pre;
    ark_params *params; /* ARK_COL_STUDENT holds the loaded weights */
    ark_dev *dev;       /* borrowed */
    bool ours; /* the file had arkfm metadata (else architecture was inferred and heads have made-up names) */
    bool size_assumed; /* nothing told the input side: it is the one at which the last stage is one window */
    char *operating_points; /* metadata of that name, as it stands (eval/decisions.h); or NULL */
    bool heads_known; /* of a file of others: its heads are those of the released weights, or were named */
    char *report;     /* keys that did not fit, with allow_missing: the first eight; "" when all did */
    char **unmatched; /* n_unmatched: all of them, in words */
    size_t n_unmatched;
    char note[320]; /* which of several sets of weights in the file was read; "" when there is one */
} ark_model;

typedef struct ark_model_opts {
    const char *key; /* dict of a .pth that holds the weights; NULL = teacher, else state_dict, model, ... */
    const char
        *heads; /* names of the heads: "ark6" or a YAML file (ark_heads_name); NULL = as the file says */
    const char *arch;   /* overrides or replaces the metadata's architecture; NULL = metadata, else inferred
                           from shapes */
    int size_px;        /* input side where neither metadata nor arch tell it (from a tensor); 0 = unknown */
    bool bf16;          /* also keep bf16 compute copies */
    bool allow_missing; /* unmatched and misshapen keys are named in the model's report instead of refused;
                           parameters without a tensor start as in training, from seed 0 */
    bool geometric_tables; /* bias tables of another window are resized by distance, else bicubically */
} ark_model_opts;

/** Load a weight file: safetensors or .pth (zip container, or that of torch before 1.6), told apart by
 * content. Ours, or a state dict under timm names (current ones; those of timm before 0.9 and Microsoft
 * with the downsample at the end of a stage) or torchvision's of a Swin, optionally behind "module.",
 * "backbone.", "encoder." or "model.". Head `head.*`, `relative_position_index` and `attn_mask` are
 * ignored in foreign files. Every other key must match in name and shape; all that do not are listed in
 * the message (first 8 named, the rest counted). Bias tables of another window size and
 * positions of another grid are resized. Encoders other than Swin, and their names: state_family.h.
 *  @return ARK_OK, ARK_EIO, ARK_EFORMAT (bad file, unmatched keys, non-finite weights), ARK_EINVAL (bad
 *  arch, no such key, heads that do not fit), ARK_ENOMEM. */
ark_status ark_model_open(
    const char *path, const ark_model_opts *opts, ark_dev *dev, ark_model **out) ARK_MUST_CHECK;
/** Only the description: net, pre, ours, size_assumed; no parameters, no device. */
ark_status ark_model_describe(const char *path, const ark_model_opts *opts, ark_model **out) ARK_MUST_CHECK;
void ark_model_free(ark_model *m);
/** Release what a model holds, not the struct itself. */
void ark_model_clear(ark_model *m);

/** Write one weight column as a weight file of design section 5. extra: pairs of further metadata (key,
 * value, ..., NULL), or NULL. Atomic. */
ark_status ark_weights_save(const char *path, const ark_net *net, const ark_preproc *pre,
    const ark_params *params, ark_column column, const char *const *extra) ARK_MUST_CHECK;

/** Fill a column from a weight file whose parameters must match the store exactly (resume, --init).
 *  encoder_only: heads and projector of the file and of the store are left out of the match (they keep their
 * values), and bias tables of another window size are resized. */
ark_status ark_weights_load(
    const char *path, ark_params *params, ark_column column, bool encoder_only) ARK_MUST_CHECK;

/** The same with the dict of a .pth chosen by key (io/torch_file.h). */
ark_status ark_weights_load_key(const char *path, const char *key, ark_params *params, ark_column column,
    bool encoder_only) ARK_MUST_CHECK;

/** Resize a relative position bias table: src ((2m-1)^2,heads) -> dst ((2n-1)^2,heads), m and n in 1..64.
 * Bicubically (torch interpolate, mode bicubic, align_corners False), or geometrically: entries keep
 * their distance in tokens near the middle and are spread ever wider outwards, a cubic spline through
 * them is read at the new places (scipy's former interp2d, kind cubic); windows below 3 bicubically.
 * Only ARK_ENOMEM. */
ark_status ark_bias_table_resize(
    bool geometric, const float *src, int m, float *dst, int n, int heads) ARK_MUST_CHECK;

/** Give heads their names (heads.c). which: "ark6" for the six of the released Ark and Ark+ weights, else
 * a YAML file of one entry per head in order, as in datasets.yaml: `NAME: {diseases: [...], task_type:
 * ...}`. ARK_EINVAL where number or sizes differ, naming path (of the weights). */
ark_status ark_heads_name(const char *which, const char *path, ark_net *net) ARK_MUST_CHECK;
/** Name them "ark6" if there are six of those sizes; whether they were. ARK_ENOMEM. */
ark_status ark_heads_recognise(ark_net *net, bool *known) ARK_MUST_CHECK;

#endif
