/* Small builders shared by models: parameters and op in one call. */
#ifndef ARK_NN_LAYERS_H
#define ARK_NN_LAYERS_H

#include "core/ops.h"

/** NAME.weight (N,K) and, unless bias is false, NAME.bias (N). init: ARK_INIT_TRUNC_NORMAL_02 (timm; bias
 * zero) or ARK_INIT_UNIFORM_FAN_IN (torch.nn.Linear's own; bias from the same range). */
typedef struct ark_linear_params {
    ark_tensor *w, *b;
} ark_linear_params;
ark_linear_params ark_nn_linear_params(
    ark_plan *p, const char *name, int64_t n, int64_t k, bool bias, ark_init init);

/** ark_linear on those parameters. */
ark_tensor *ark_nn_linear(ark_plan *p, ark_tensor *x, const char *name, int64_t n, bool bias, ark_init init,
    ark_act act, ark_dtype out);

/** ark_layernorm with NAME.weight, NAME.bias and eps 1e-5, or another. */
ark_tensor *ark_nn_layernorm(ark_plan *p, ark_tensor *x, const char *name, ark_dtype out);
ark_tensor *ark_nn_layernorm_eps(ark_plan *p, ark_tensor *x, const char *name, float eps, ark_dtype out);

#endif
