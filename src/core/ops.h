/* The ops that model builders call. Each call appends one node and returns its output tensor; an invalid
 * call makes the plan remember its first error and returns a poison tensor, so builders stay straight-line
 * (see plan.h).
 *
 * Letters: B batch, H W grid of tokens, C channels, K N features, M window side, NH heads, P patch side.
 * Write rule of every backward: parameter gradients +=; activation gradients = by the first writer, += by
 * later ones (node.acc).
 * "cdt" is the plan's compute dtype (f32 or bf16); statistics and accumulation are f32 or better always. */
#ifndef ARK_CORE_OPS_H
#define ARK_CORE_OPS_H

#include "core/plan.h"

/** Non-overlapping patches, the im2col of a convolution with kernel = stride = P (timm PatchEmbed).
 *  x (B,Cin,S,S) f32 -> (B,S/P,S/P,Cin*P*P) cdt, each patch in (channel,row,column) order. S divisible by P.
 *  Saves nothing. */
ark_tensor *ark_patchify(ark_plan *p, ark_tensor *x, int patch);

/** y = act(x W^T + b), torch.nn.Linear then exact-erf GELU or ReLU.
 *  x (B,...,K), W (N,K) f32 master (a bf16 copy is read when x is bf16), b (N) f32 or NULL -> (B,...,N) of
 * dtype out. x f32: out must be f32. x bf16: out f32 or bf16. Saves the pre-activation z (out's dtype) for
 * ARK_ACT_GELU when gradients are wanted (saved[0]); ReLU uses y. */
ark_tensor *ark_linear(ark_plan *p, ark_tensor *x, ark_tensor *w, ark_tensor *b, ark_act act, ark_dtype out);

/** torch.nn.LayerNorm over the last dimension: y = (x - mean) / sqrt(var + eps) * gamma + beta, biased
 * variance. x (B,...,C) f32 or bf16; gamma, beta (C) f32 -> same shape, dtype out. Saves mean and
 * 1/sqrt(var+eps) per row, f32 (saved[0], saved[1], each (B*rows)). */
ark_tensor *ark_layernorm(
    ark_plan *p, ark_tensor *x, ark_tensor *gamma, ark_tensor *beta, float eps, ark_dtype out);

/** Shifted-window multi-head attention on the grid (Swin; timm WindowAttention inside
 * SwinTransformerBlock._attn). qkv (B,H,W,3C): for each token q|k|v, each (NH,D), D = C/NH. table
 * ((2M-1)^2,NH) f32. qkv_bias (3C) f32.
 *  -> (B,H,W,C), dtype of qkv. Steps: roll the grid by -shift in both directions; where H or W is no multiple
 * of M pad at the bottom and right of the rolled grid with tokens whose input was zero, so whose q|k|v is
 * qkv_bias; cut into MxM windows; softmax(D^-0.5 q k^T + relative bias + mask) v per head; drop the padding;
 * roll back. Relative bias of (i,j): row (yi-yj+M-1)*(2M-1) + (xi-xj+M-1) of table. Mask (shift > 0 only):
 * -100 between tokens of different regions, regions being cut at Hp-M and Hp-shift (same for columns) of the
 * padded, rolled grid. qkv_bias may be NULL when nothing is padded. Saves nothing: the attention weights are
 * recomputed in backward, which writes dqkv, dtable (+=) and, through padded tokens only, dqkv_bias (+=). */
ark_tensor *ark_window_attn(
    ark_plan *p, ark_tensor *qkv, ark_tensor *table, ark_tensor *qkv_bias, int heads, int window, int shift);

/** Multi-head self-attention over all tokens (torch scaled_dot_product_attention inside timm's Attention).
 * qkv (B,N,3C): for each token q|k|v, each (NH,D), D = C/NH -> (B,N,C), dtype of qkv: softmax(D^-0.5 q
 * k^T) v per head. Saves nothing: the attention weights are recomputed in backward, rows of some queries
 * at a time, so that no (N,N) matrix is ever whole. */
ark_tensor *ark_attention(ark_plan *p, ark_tensor *qkv, int heads);

/** Tokens of a ViT from its patches (timm VisionTransformer._pos_embed): x (B,H,W,C) f32, cls (C), pos
 * (H*W+1,C) parameters -> (B,H*W+1,C) f32: first cls + pos[0], then patch i + pos[1+i]. Saves nothing. */
ark_tensor *ark_token_embed(ark_plan *p, ark_tensor *x, ark_tensor *cls, ark_tensor *pos);

/** Some of the tokens x (B,N,C), f32 or bf16: token `from` as (B,C), or tokens [from, from+h*w) as a grid
 * (B,h,w,C). Dtype of x. Saves nothing. */
ark_tensor *ark_token_row(ark_plan *p, ark_tensor *x, int64_t from);
ark_tensor *ark_token_grid(ark_plan *p, ark_tensor *x, int64_t from, int64_t h, int64_t w);

/** 2x2 neighbours side by side (timm PatchMerging before its norm): x (B,H,W,C) ->
 * (B,ceil(H/2),ceil(W/2),4C), channel blocks (row even,col even), (odd,even), (even,odd), (odd,odd); missing
 * rows or columns are zero. Saves nothing. */
ark_tensor *ark_patch_merge(ark_plan *p, ark_tensor *x);

/** out = x + h * keep[b] / (1 - rate): residual with stochastic depth per sample (timm DropPath,
 * scale_by_keep). x (B,...) f32, h same shape f32 or bf16 -> f32. Without run.stochastic, or rate 0: plain
 * sum. keep[b] is drawn from (run.seed, ARK_RNG_DROP_PATH, run.step, node id, sample): one ark_rng_f32 >=
 * rate keeps. Saves nothing. */
ark_tensor *ark_residual(ark_plan *p, ark_tensor *x, ark_tensor *h, float rate);

/** Mean over the grid: x (B,H,W,C) f32 -> (B,C) f32. Saves nothing. */
ark_tensor *ark_avgpool(ark_plan *p, ark_tensor *x);

/* ---- ops of convolutional networks (ops_conv.c); activations are (B,H,W,C) everywhere ------------------ */

/** torch.nn.Conv2d with square kernel, equal stride and zero padding in both directions, dilation and groups
 * 1: x (B,H,W,I), or (B,I,H,W) when planar (the image); w (O,I,k,k) f32 master (a bf16 copy is read when x is
 *  bf16), bias (O) f32 or NULL -> (B,Ho,Wo,O) of dtype out, Ho = (H + 2 pad - k) / stride + 1. x f32: out
 * must be f32. Saves nothing; backward gathers x again. A kernel of side 1 and stride 1 is better recorded as
 *  ark_linear on the same memory. */
ark_tensor *ark_conv2d(ark_plan *p, ark_tensor *x, ark_tensor *w, ark_tensor *bias, int stride, int pad,
    bool planar, ark_dtype out);

/** torch.nn.Conv2d with groups = channels, odd square kernel, stride 1, padding k/2: x (B,H,W,C) f32,
 *  w (C,1,k,k) f32, bias (C) f32 or NULL -> (B,H,W,C) f32. k at most 15. Saves nothing. */
ark_tensor *ark_dwconv(ark_plan *p, ark_tensor *x, ark_tensor *w, ark_tensor *bias);

/** torch.nn.BatchNorm2d, then ReLU when relu: y = x s + t, s = gamma / sqrt(var + eps), t = beta - mean s per
 *  channel. x (B,...,C) f32 or bf16; gamma, beta (C) f32; mean, var (C) f32 buffers -> same shape, dtype out.
 *  With run.stochastic mean and (biased) variance are those of this batch, and the buffers become
 *  (1 - momentum) old + momentum new with the unbiased variance, once per run (a replay leaves them); at
 * least two values per channel are needed then. Otherwise the buffers are read, also by backward, to which
 * they are constants. Saves mean and 1/sqrt(var + eps) per channel (saved[0], saved[1], each (C) f32). */
ark_tensor *ark_batchnorm(ark_plan *p, ark_tensor *x, ark_tensor *gamma, ark_tensor *beta, ark_tensor *mean,
    ark_tensor *var, float eps, float momentum, bool relu, ark_dtype out);

/** torch.nn.MaxPool2d(3, stride 2, padding 1): x (B,H,W,C) -> (B,(H+1)/2,(W+1)/2,C) of x's dtype. The
 * gradient goes to the first of equal maxima in row order, a NaN being larger than all. Saves which of the
 * nine it was (saved[0], bf16, of the output's shape). */
ark_tensor *ark_maxpool(ark_plan *p, ark_tensor *x);

/** torch.nn.AvgPool2d(2): x (B,H,W,C) -> (B,H/2,W/2,C) of x's dtype; a last odd row or column is left out.
 *  H, W at least 2. Saves nothing. */
ark_tensor *ark_avgpool2(ark_plan *p, ark_tensor *x);

/** torch.cat along channels: a (B,H,W,Ca), b (B,H,W,Cb) of one dtype -> (B,H,W,Ca+Cb). Saves nothing. */
ark_tensor *ark_concat(ark_plan *p, ark_tensor *a, ark_tensor *b);

/** out = relu(x + h), the end of a residual block (He et al. 2016): two equal shapes of one dtype -> the
 * same, of dtype out (f32 where they are). Saves nothing; backward reads out. */
ark_tensor *ark_add_relu(ark_plan *p, ark_tensor *x, ark_tensor *h, ark_dtype out);

/** out = x + gamma * h * keep[b] / (1 - rate): residual with LayerScale (timm ConvNeXtBlock), gamma (C) f32
 * over the last dimension, stochastic depth as in ark_residual. x (B,...,C) f32, h same shape f32 or bf16 ->
 * f32. Saves nothing; backward reads h. */
ark_tensor *ark_layer_scale(ark_plan *p, ark_tensor *x, ark_tensor *h, ark_tensor *gamma, float rate);

/* ---- ops of decoders (ops_decoder.c) ------------------------------------------------------------------- */

/** torch.nn.functional.interpolate to (high,wide), bilinear, corners not aligned, no antialias:
 *  x (B,h,w,C) f32 -> (B,high,wide,C) f32. Saves nothing. */
ark_tensor *ark_upsample(ark_plan *p, ark_tensor *x, int64_t high, int64_t wide);

/** torch.nn.AdaptiveAvgPool2d(bins): x (B,h,w,C) f32 -> (B,bins,bins,C) f32; bin i covers rows
 *  [floor(i h / bins), ceil((i+1) h / bins)). More bins than rows repeat rows. Saves nothing. */
ark_tensor *ark_pool_bins(ark_plan *p, ark_tensor *x, int bins);

/** Soft Dice loss of K binary masks (MONAI DiceLoss with sigmoid, without squares; Milletari et al. 2016):
 *  1 - (2 sum m p y + smooth) / (sum m p + sum m y + smooth) with p = sigmoid(z), sums over the pixels of one
 *  channel of one sample, mean over the (sample, channel) pairs with any counted pixel. z, target, mask
 *  (B,H,W,K) f32, target in [0,1], mask 0 or 1, smooth > 0 -> scalar f32; 0 when nothing counts. Gradient to
 *  z only. */
ark_tensor *ark_dice_logits(ark_plan *p, ark_tensor *z, ark_tensor *target, ark_tensor *mask, float smooth);

/** Mean binary cross-entropy with logits over the entries whose mask is 1 (torch BCEWithLogitsLoss, stable
 * form). z, target, mask (B,K) or (B,H,W,K) f32 -> scalar f32; 0 when nothing counts. Gradient to z only. */
ark_tensor *ark_bce_logits(ark_plan *p, ark_tensor *z, ark_tensor *target, ark_tensor *mask);

/** Mean cross-entropy over rows with mask[row][0] = 1; target rows are probabilities (torch CrossEntropyLoss
 * with soft targets, which for one-hot rows equals class indices). z, target, mask (B,K) f32 -> scalar.
 * Gradient to z only. */
ark_tensor *ark_softmax_ce(ark_plan *p, ark_tensor *z, ark_tensor *target, ark_tensor *mask);

/** Mean squared difference over all elements (torch MSELoss): a, b (B,D) f32 -> scalar. b is a target:
 * no gradient. */
ark_tensor *ark_mse(ark_plan *p, ark_tensor *a, ark_tensor *b);

#endif
