#include "nn/conv_layers.h"

#include <stdio.h>

enum { NAME_BYTES = 192 };

ark_tensor *ark_nn_conv(ark_plan *p, ark_tensor *x, const char *name, const ark_conv_spec *spec) {
    char full[NAME_BYTES];
    const int64_t k = spec->kernel, in = x->dims[spec->planar ? 1 : x->ndim - 1];
    const int64_t dims[4] = {spec->channels, in, k, k};
    const ark_dtype out = x->dtype == ARK_F32 ? ARK_F32 : ark_plan_cdt(p);
    const bool linear = k == 1 && spec->stride == 1 && !spec->planar;
    snprintf(full, sizeof full, "%s.weight", name);
    ark_tensor *w = ark_plan_param(p, full, linear ? 2 : 4, dims, ARK_INIT_HE);
    ark_plan_param_fan_in(p, w, (spec->fan_out ? spec->channels : in) * k * k);
    if (!linear) {
        return ark_conv2d(p, x, w, NULL, spec->stride, spec->pad, spec->planar, out);
    }
    ark_plan_param_file_shape(p, w, 4, dims);
    return ark_linear(p, x, w, NULL, ARK_ACT_NONE, out);
}

ark_tensor *ark_nn_batchnorm(
    ark_plan *p, ark_tensor *x, const char *name, ark_init gamma_init, bool relu, ark_dtype out) {
    char full[NAME_BYTES];
    const int64_t c = ark_last_dim(x);
    snprintf(full, sizeof full, "%s.weight", name);
    ark_tensor *gamma = ark_plan_param(p, full, 1, &c, gamma_init);
    snprintf(full, sizeof full, "%s.bias", name);
    ark_tensor *beta = ark_plan_param(p, full, 1, &c, ARK_INIT_ZEROS);
    snprintf(full, sizeof full, "%s.running_mean", name);
    ark_tensor *mean = ark_plan_buffer(p, full, c, ARK_INIT_ZEROS);
    snprintf(full, sizeof full, "%s.running_var", name);
    ark_tensor *var = ark_plan_buffer(p, full, c, ARK_INIT_ONES);
    return ark_batchnorm(p, x, gamma, beta, mean, var, 1e-5f, 0.1f, relu, out);
}
