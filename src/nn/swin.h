/* Swin Transformer (Liu et al., ICCV 2021), as timm >= 0.9 builds and names it. */
#ifndef ARK_NN_SWIN_H
#define ARK_NN_SWIN_H

#include "core/plan.h"
#include "nn/arch.h"

/** Record the encoder. image (B,3,S,S) f32 -> last norm's tokens (B,h,w,C), f32. drop_path: largest
 * stochastic-depth rate, growing linearly over the blocks from 0. stages, when not NULL, gets the output
 * tensor of each stage (a->stages). */
ark_tensor *ark_swin(ark_plan *p, ark_tensor *image, const ark_arch *a, float drop_path, ark_tensor **stages);

#endif
