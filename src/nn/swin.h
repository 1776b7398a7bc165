/* Swin Transformer (Liu et al., ICCV 2021), as timm >= 0.9 builds and names it. */
#ifndef ARK_NN_SWIN_H
#define ARK_NN_SWIN_H

#include "nn/encoder.h"

/** Tokens per side in a stage: ceil(size / patch / 2^stage), each halving rounded up as timm does. */
int ark_swin_side(const ark_arch *a, int stage);
/** Window side used in a stage. */
int ark_swin_window(const ark_arch *a, int stage);

/** ark_encoder.build of the family: image (B,3,S,S) f32 -> last norm's tokens (B,h,w,C), f32. stages, when
 * not NULL, gets the output tensor of each stage (a->stages). */
ark_tensor *ark_swin(ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **stages);

#endif
