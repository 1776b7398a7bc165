/* One op with its shape, as a line of text, and the memory to run it in without a whole model around it. */
#ifndef ARK_BENCH_PROBLEM_H
#define ARK_BENCH_PROBLEM_H

#include "backend/backend.h"
#include "core/ops.h"

enum { PROBLEM_TEXT = 200 };

/* OP DIMS [key=value ...], for instance
 *   linear 3136x96x288 act=gelu count=2       rows of a sample, features in, features out
 *   attn 56x56x96 heads=3 window=7 shift=3    grid and C; qkv has 3C
 *   layernorm 3136x96    residual 3136x96    avgpool 49x768    patch_merge 56x56x96    patchify 3x224 patch=4
 *   attention 197x384 heads=6    token_embed 196x384    token_slice 197x384    tokens and C; qkv has 3C
 *   bce 14    ce 3    mse 1376                features
 *   ema 28288354    sgd ...    adamw ...    norm ...    to_bf16 ...    parameters
 * count: how often the model has it (weights the sums; 0: timed only). out=f32: that dtype even when
 * computing in bf16. input=fixed: the input wants no gradient (patchify, linear). to_bf16 is timed with bf16
 * only. */
typedef struct problem {
    char text[PROBLEM_TEXT];
    char op[24];
    int ndim;
    int64_t dims[3];
    ark_act act;
    int heads, window, shift, patch, count;
    float rate;
    bool out_f32, fixed;
} problem;

/** Parse one line; ARK_EINVAL names what was not understood. */
ark_status problem_parse(const char *line, problem *out) ARK_MUST_CHECK;
/** True for the parameter updates, which are no nodes. */
bool problem_is_flat(const problem *p);

/* The op alone in a plan: its node, activations, parameters and gradients filled with
 * draws that depend on the seed only. */
typedef struct bed {
    ark_dev *dev;
    ark_params *params;
    ark_plan *plan;
    const ark_node *node;
    ark_call call;
    size_t act_bytes;
} bed;

/** Prepare p on a device of its own for `batch` samples; activations in dtype where the op allows it. */
ark_status bed_new(
    bed *b, const problem *p, const char *backend, int threads, int batch, ark_dtype dtype) ARK_MUST_CHECK;
void bed_free(bed *b);
/** Values of the node's inputs and weights. */
ark_status bed_fill(bed *b, uint64_t seed) ARK_MUST_CHECK;
ark_status bed_forward(bed *b) ARK_MUST_CHECK;
/** A gradient of the output; zero for those of inputs and weights. Between forward and backward: what only
 * one of them needs may share memory. */
void bed_seed(bed *b, uint64_t seed);
/** False where no input wants a gradient; then bed_backward does nothing. */
bool bed_has_backward(const bed *b);
ark_status bed_backward(bed *b) ARK_MUST_CHECK;
/** Bytes that must move at least once, forward and backward. */
double bed_bytes(const bed *b, bool backward);

#endif
