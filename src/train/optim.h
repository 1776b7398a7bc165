/* Optimizer steps over the parts of the store that are training now. */
#ifndef ARK_TRAIN_OPTIM_H
#define ARK_TRAIN_OPTIM_H

#include "core/params.h"

#include <stdbool.h>

/* A run of parameters that lie next to each other and share group, decay and learning rate. */
typedef struct ark_range {
    int64_t offset, n; /* elements */
    int group;
    bool decay;
    double lr_scale; /* times the step's learning rate; 0 = frozen: no update, no decay, not in the norm */
} ark_range;

typedef struct ark_optim {
    bool adamw;
    double momentum, decay, beta1, beta2, eps, clip; /* clip: largest gradient norm, 0 = off */
    int n_ranges, n_groups;
    ark_range *ranges;
    int64_t *updates; /* per group: steps made, Adam's t and SGD's first step */
} ark_optim;

/** Ranges of the store, in its order. lr_scale: per parameter, or NULL for 1. The settings are filled in by
 * the caller. */
ark_status ark_optim_init(ark_optim *o, const ark_params *store, const double *lr_scale) ARK_MUST_CHECK;
void ark_optim_free(ark_optim *o);

/** Zero the gradients of the groups with active[group]. */
ark_status ark_optim_zero(
    const ark_optim *o, ark_params *store, ark_dev *dev, const bool *active) ARK_MUST_CHECK;
/** One update of the active groups; others keep weights, momentum and count (heads of other datasets are
 * untouched: no decay, no momentum). *grad_norm gets the L2 norm over the active groups before clipping; a
 * norm that is not finite is ARK_EDEVICE and nothing is changed. Compute copies are refreshed. */
ark_status ark_optim_step(ark_optim *o, ark_params *store, ark_dev *dev, const bool *active, double lr,
    double *grad_norm) ARK_MUST_CHECK;

#endif
