/* Weight files from one format to another. */
#ifndef ARK_MODEL_CONVERT_H
#define ARK_MODEL_CONVERT_H

#include "model/model.h"

typedef enum ark_weights_format {
    ARK_WEIGHTS_ARK,  /* safetensors of ours, with the network's description */
    ARK_WEIGHTS_TIMM, /* safetensors of the encoder alone, as a timm model without classifier loads it */
    ARK_WEIGHTS_PTH,  /* {"state_dict": ..., "arkfm": description} for torch.load(weights_only=True) */
} ark_weights_format;

typedef struct ark_converted {
    ark_model model; /* description of what was read: net, pre, ours, notes, unmatched keys; no parameters */
    size_t tensors;  /* written */
    int64_t parameters; /* numbers in them */
    size_t left_out;    /* tensors of projector and heads, in timm's format */
} ark_converted;

/** Read, match and check as ark_model_open does, and write every parameter as float32 under its current name.
 * Parameters without a tensor (allow_missing) are left out of the new file, so that it too is refused without
 * allow_missing. Tensors that already lie as needed are written from where they lie in the old file. Atomic.
 *  @return as ark_model_open and ark_writer; *r is released with ark_converted_free, also on failure. */
ark_status ark_weights_convert(const char *in, const ark_model_opts *opts, const char *out,
    ark_weights_format format, ark_converted *r) ARK_MUST_CHECK;
void ark_converted_free(ark_converted *r);

#endif
