#include "nn/layers.h"

#include <stdio.h>

enum { NAME_BYTES = 192 };

ark_linear_params ark_nn_linear_params(
    ark_plan *p, const char *name, int64_t n, int64_t k, bool bias, ark_init init) {
    char full[NAME_BYTES];
    int64_t wd[2] = {n, k};
    snprintf(full, sizeof full, "%s.weight", name);
    ark_linear_params l = {.w = ark_plan_param(p, full, 2, wd, init)};
    if (bias) {
        snprintf(full, sizeof full, "%s.bias", name);
        ark_init bias_init = init == ARK_INIT_UNIFORM_FAN_IN ? init : ARK_INIT_ZEROS;
        l.b = ark_plan_param(p, full, 1, &n, bias_init);
        ark_plan_param_fan_in(p, l.b, k);
    }
    return l;
}

ark_tensor *ark_nn_linear(ark_plan *p, ark_tensor *x, const char *name, int64_t n, bool bias, ark_init init,
    ark_act act, ark_dtype out) {
    ark_linear_params l = ark_nn_linear_params(p, name, n, ark_last_dim(x), bias, init);
    return ark_linear(p, x, l.w, l.b, act, out);
}

ark_tensor *ark_nn_layernorm_eps(ark_plan *p, ark_tensor *x, const char *name, float eps, ark_dtype out) {
    char full[NAME_BYTES];
    int64_t c = ark_last_dim(x);
    snprintf(full, sizeof full, "%s.weight", name);
    ark_tensor *gamma = ark_plan_param(p, full, 1, &c, ARK_INIT_ONES);
    snprintf(full, sizeof full, "%s.bias", name);
    ark_tensor *beta = ark_plan_param(p, full, 1, &c, ARK_INIT_ZEROS);
    return ark_layernorm(p, x, gamma, beta, eps, out);
}

ark_tensor *ark_nn_layernorm(ark_plan *p, ark_tensor *x, const char *name, ark_dtype out) {
    return ark_nn_layernorm_eps(p, x, name, 1e-5f, out);
}
