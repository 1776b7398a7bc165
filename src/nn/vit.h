/* Vision Transformer (Dosovitskiy et al., ICLR 2021), as timm builds and names it: vit_small_patch16_224
 * and so on, with a class token, learned positions, norm before each half block, eps 1e-6. */
#ifndef ARK_NN_VIT_H
#define ARK_NN_VIT_H

#include "nn/encoder.h"

enum { ARK_VIT_POOL_TOKEN = 1, ARK_VIT_POOL_AVG }; /* ark_vit_arch.pool */

/** Tokens per side of the grid of patches. */
int ark_vit_side(const ark_arch *a);

/** ark_encoder.build of the family: image (B,3,S,S) f32 -> (B,C): the class token after `norm`, or with
 * pool=avg `fc_norm` of the mean over the patches (timm global_pool "token" and "avg"). maps, when not NULL,
 * gets the patches' grids (B,S/P,S/P,C) after a quarter, a half, three quarters and all of the blocks. */
ark_tensor *ark_vit(ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **maps);

#endif
