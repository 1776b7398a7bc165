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
    char *
        operating_points; /* the metadata of that name as it stands in the file (eval/decisions.h), or NULL */
    char *report;         /* keys that did not fit, with allow_missing; "" when all did */
} ark_model;

typedef struct ark_model_opts {
    const char *arch;   /* overrides or replaces the metadata's architecture; NULL = metadata, else inferred
                           from shapes */
    int size_px;        /* input side where neither metadata nor arch tell it (from a tensor); 0 = unknown */
    bool bf16;          /* also keep bf16 compute copies */
    bool allow_missing; /* unmatched and misshapen keys are named in the model's report instead of refused;
                           parameters without a tensor start as in training, from seed 0 */
} ark_model_opts;

/** Load a safetensors weight file: ours, or a PyTorch state dict under timm names (current names; timm 0.5.4
 * and Microsoft names with the downsample at the end of a stage), optional "module." prefix. Head `head.*`,
 * `relative_position_index` and `attn_mask` are ignored in foreign files. Every other key must match in name
 * and shape; all that do not are listed in the message (first 8 named, the rest counted). Bias tables of
 * another window size are resized bicubically.
 *  @return ARK_OK, ARK_EIO, ARK_EFORMAT (bad file, unmatched keys, non-finite weights), ARK_EINVAL (bad
 * arch), ARK_ENOMEM. */
ark_status ark_model_open(
    const char *path, const ark_model_opts *opts, ark_dev *dev, ark_model **out) ARK_MUST_CHECK;
/** Only the description: net, pre, ours, size_assumed; no parameters, no device. */
ark_status ark_model_describe(const char *path, const ark_model_opts *opts, ark_model **out) ARK_MUST_CHECK;
void ark_model_free(ark_model *m);

/** Write one weight column as a weight file of design section 5. extra: pairs of further metadata (key,
 * value, ..., NULL), or NULL. Atomic. */
ark_status ark_weights_save(const char *path, const ark_net *net, const ark_preproc *pre,
    const ark_params *params, ark_column column, const char *const *extra) ARK_MUST_CHECK;

/** Fill a column from a weight file whose parameters must match the store exactly (resume, --init).
 *  encoder_only: heads and projector of the file and of the store are left out of the match (they keep their
 * values), and bias tables of another window size are resized. */
ark_status ark_weights_load(
    const char *path, ark_params *params, ark_column column, bool encoder_only) ARK_MUST_CHECK;

/** Bicubic resize of a relative position bias table (torch interpolate, mode bicubic, align_corners False):
 *  src ((2m-1)^2,heads) -> dst ((2n-1)^2,heads). */
void ark_bias_table_resize(const float *src, int m, float *dst, int n, int heads);

#endif
