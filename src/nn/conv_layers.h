/* Builders shared by convolutional networks: parameters and op in one call. */
#ifndef ARK_NN_CONV_LAYERS_H
#define ARK_NN_CONV_LAYERS_H

#include "core/ops.h"

/* A convolution without bias, as networks with batch norm have it. */
typedef struct ark_conv_spec {
    int64_t channels; /* of the output */
    int kernel, stride, pad;
    bool planar;  /* x is the image (B,I,H,W) */
    bool fan_out; /* He et al.'s variance by the fan-out (ResNet) instead of the fan-in (DenseNet) */
} ark_conv_spec;

/** NAME.weight (O,I,k,k), drawn from N(0, 2 / fan). A kernel of side 1 and stride 1 is recorded as a linear on the
 * same memory. Output in the compute type, f32 where x is. */
ark_tensor *ark_nn_conv(ark_plan *p, ark_tensor *x, const char *name, const ark_conv_spec *spec);

/** ark_batchnorm with NAME.weight (gamma, started from gamma_init), NAME.bias, NAME.running_mean, NAME.running_var,
 * eps 1e-5 and momentum 0.1. */
ark_tensor *ark_nn_batchnorm(
    ark_plan *p, ark_tensor *x, const char *name, ark_init gamma_init, bool relu, ark_dtype out);

#endif
