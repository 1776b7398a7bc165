/* What an INFER plan's fused nodes do to a tile on its way out: batch norm by running statistics, the sum with
 * another branch, ReLU (core/fuse.c). */
#ifndef ARK_BACKEND_CPU_EPILOGUE_H
#define ARK_BACKEND_CPU_EPILOGUE_H

#include "backend/cpu/cpu.h"

/** Scale and shift of channel i: y = x s[i] + t[i]. mean and var as the parameters lie, count channels. */
void ark_norm_scale(float *s, float *t, const float *gamma, const float *beta, const float *mean,
    const float *var, float eps, int64_t count);
/** Floats of scratch that a fused node wants for its scale and shift; 0 for one that is not fused. */
int64_t ark_epilogue_floats(const ark_node *n);
/** Fill them, before the tasks start. ARK_EINVAL in a run by batch statistics. */
ark_status ark_epilogue_begin(const ark_call *c, const ark_node *n, float *scale) ARK_MUST_CHECK;
/** Rows [row,row+rows), columns [col,col+cols) of out, which hold the product. */
void ark_epilogue(const ark_call *c, const ark_node *n, const float *scale, int64_t row, int64_t rows,
    int64_t col, int64_t cols);

#endif
