/* UperNet, the decoder that turns an encoder's feature maps into a map of classes (Xiao et al., ECCV 2018;
 * mmseg UPerHead): pyramid pooling of the last map, a top-down path over the others, and one fused map. */
#ifndef ARK_NN_UPERNET_H
#define ARK_NN_UPERNET_H

#include "core/plan.h"

#include <stdbool.h>

typedef struct ark_upernet_opts {
    int channels; /* F of every map of the decoder; 128 */
    int classes;  /* K */
    bool norm;    /* a layer norm on each map first, for encoders whose maps are raw residual streams */
} ark_upernet_opts;

/** maps[n]: (B,h,w,C) from fine to coarse, 2 to ARK_MAX_STAGES of them -> logits (B,high,wide,K) f32. Pooling
 *  into 1, 2, 4 and 6 squares. Parameters are decode_head.psp_modules.N.1, .bottleneck, .lateral_convs.N,
 *  .fpn_convs.N, .fpn_bottleneck (each .conv.weight and .bn.*) and .conv_seg, as in mmseg, and
 *  decode_head.norms.N. Convolutions are followed by batch norm and ReLU and have no bias. */
ark_tensor *ark_upernet(
    ark_plan *p, ark_tensor *const *maps, int n, const ark_upernet_opts *o, int64_t high, int64_t wide);

/** Whether a parameter belongs to a decoder, by its name. */
bool ark_is_decoder(const char *name);

#endif
