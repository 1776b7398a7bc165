/* Learning rates by depth: pretrained layers near the input change less than those near the head. */
#ifndef ARK_TRAIN_LAYER_LR_H
#define ARK_TRAIN_LAYER_LR_H

#include "nn/ark_net.h"

/** scale[i] of every parameter of the store: decay^(top - depth), where the encoder's family tells the depth
 *  and projector and heads are the top, one above the last block (timm param_groups_layer_decay; BEiT, Bao et
 *  al., ICLR 2022). 0 where net->freeze keeps the weights. decay 0 or 1: 1 for all others.
 *  ARK_EINVAL when the family does not order its layers. */
ark_status ark_layer_lr(
    const ark_net *net, const ark_params *store, double decay, double *scale) ARK_MUST_CHECK;

#endif
