/* The draws of the bootstrap, shared by everything that resamples the same rows. */
#ifndef ARK_EVAL_RESAMPLE_H
#define ARK_EVAL_RESAMPLE_H

#include "eval/auc_ci.h"

/** ARK_EINVAL for options out of range or groups that do not fit n rows. */
ark_status ark__resample_check(const ark_bootstrap_opts *o, size_t n) ARK_MUST_CHECK;
/** weight [n]: how often each row occurs in replicate number `replicate`. drawn: room for o->groups counts,
 *  NULL without groups. */
void ark__resample(
    const ark_bootstrap_opts *o, size_t n, uint64_t replicate, uint32_t *weight, uint32_t *drawn);

#endif
