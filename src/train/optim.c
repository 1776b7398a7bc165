#include "train/optim.h"

#include "backend/backend.h"
#include "base/alloc.h"
#include "base/err.h"

#include <math.h>

ark_status ark_optim_init(ark_optim *o, const ark_params *store, const double *lr_scale) {
    int n = ark_params_count(store);
    ARK_TRY(ARK_NEW(&o->ranges, (size_t)n, "optimizer ranges"));
    o->n_ranges = 0;
    o->n_groups = 1;
    for (int i = 0; i < n; i++) {
        const ark_param *p = ark_params_at(store, i);
        int64_t end = i + 1 < n ? ark_params_at(store, i + 1)->offset : ark_params_elems(store);
        ark_range *last = o->n_ranges ? &o->ranges[o->n_ranges - 1] : NULL;
        if (p->buffer) {
            continue;
        }
        double scale = lr_scale ? lr_scale[i] : 1;
        if (last && last->group == p->group && last->decay == p->decay && last->lr_scale == scale &&
            last->offset + last->n == p->offset) {
            last->n = end - last->offset; /* padding between parameters is zero and stays zero */
        } else {
            o->ranges[o->n_ranges++] = (ark_range){.offset = p->offset,
                .n = end - p->offset,
                .group = p->group,
                .decay = p->decay,
                .lr_scale = scale};
        }
        o->n_groups = p->group + 1 > o->n_groups ? p->group + 1 : o->n_groups;
    }
    return ARK_NEW(&o->updates, (size_t)o->n_groups, "optimizer counters");
}

void ark_optim_free(ark_optim *o) {
    ark_free(o->ranges);
    ark_free(o->updates);
    *o = (ark_optim){0};
}

static bool learns(const ark_range *r, const bool *active) {
    return active[r->group] && r->lr_scale > 0;
}

ark_status ark_optim_zero(const ark_optim *o, ark_params *store, ark_dev *dev, const bool *active) {
    float *g = ark_params_column(store, ARK_COL_GRAD);
    for (int i = 0; i < o->n_ranges; i++) {
        const ark_range *r = &o->ranges[i];
        if (learns(r, active)) {
            ARK_TRY(dev->backend->fill(dev, g + r->offset, 0, r->n));
        }
    }
    return ARK_OK;
}

static ark_status norm_of(
    const ark_optim *o, const ark_params *store, ark_dev *dev, const bool *active, double *out) {
    const float *g = ark_params_column(store, ARK_COL_GRAD);
    double sum = 0;
    for (int i = 0; i < o->n_ranges; i++) {
        const ark_range *r = &o->ranges[i];
        double part = 0;
        if (learns(r, active)) {
            ARK_TRY(dev->backend->sum_squares(dev, g + r->offset, r->n, &part));
        }
        sum += part;
    }
    *out = sqrt(sum);
    return isfinite(sum) ? ARK_OK
                         : ARK_ERR(ARK_EDEVICE, "the gradient is not finite: lower the learning rate");
}

static ark_status update_range(
    const ark_optim *o, ark_params *store, ark_dev *dev, const ark_range *r, double lr, float scale) {
    float *w = ark_params_column(store, ARK_COL_STUDENT) + r->offset;
    const float *g = ark_params_column(store, ARK_COL_GRAD) + r->offset;
    float *m = ark_params_column(store, ARK_COL_MOMENT1) + r->offset;
    float decay = r->decay ? (float)o->decay : 0;
    if (o->adamw) {
        float *v = ark_params_column(store, ARK_COL_MOMENT2) + r->offset;
        ark_adamw a = {.lr = (float)lr,
            .beta1 = (float)o->beta1,
            .beta2 = (float)o->beta2,
            .eps = (float)o->eps,
            .decay = decay,
            .grad_scale = scale,
            .t = o->updates[r->group] + 1};
        return dev->backend->adamw(dev, w, g, m, v, r->n, &a);
    }
    ark_sgd s = {.lr = (float)lr,
        .momentum = (float)o->momentum,
        .decay = decay,
        .grad_scale = scale,
        .nesterov = true,
        .first = o->updates[r->group] == 0};
    return dev->backend->sgd(dev, w, g, m, r->n, &s);
}

ark_status ark_optim_step(
    ark_optim *o, ark_params *store, ark_dev *dev, const bool *active, double lr, double *grad_norm) {
    ARK_TRY(norm_of(o, store, dev, active, grad_norm));
    double scale =
        o->clip > 0 && *grad_norm > o->clip ? o->clip / (*grad_norm + 1e-6) : 1; /* torch clip_grad_norm_ */
    for (int i = 0; i < o->n_ranges; i++) {
        const ark_range *r = &o->ranges[i];
        if (learns(r, active)) {
            ARK_TRY(update_range(o, store, dev, r, lr * r->lr_scale, (float)scale));
        }
    }
    for (int k = 0; k < o->n_groups; k++) {
        o->updates[k] += active[k];
    }
    return ark_params_refresh(store, ARK_COL_STUDENT);
}
