/* Small training samples out of a split: nested, stratified, reproducible. */
#ifndef ARK_EVAL_SHOTS_H
#define ARK_EVAL_SHOTS_H

#include "eval/labelled.h"
#include "eval/readout.h"

#include "ark/status.h"

/** An order of the rows of `data` for repeat number `repeat`, in order[0..data->n): its first n rows are
 *  the sample of n, so that samples of one repeat are nested. Rows are shuffled by (seed, repeat); then
 *  every next one is of the stratum that lacks most: strata that have no row yet come first, the rarest of
 *  them before the others, afterwards the one whose share is furthest below its share of the split. Strata
 *  are the classes of a multi-class task, else the positive and the negative rows of each class (iterative
 *  stratification, Sechidis et al. 2011, one row at a time). Rows of data->rows keep their numbering: order
 *  holds positions in 0..n-1. */
ark_status ark_shots_order(const ark_labelled *data, ark_readout_task task, uint64_t seed, uint32_t repeat,
    uint32_t *order) ARK_MUST_CHECK;

/** k shots of every class: the first k positive rows of each class in a shuffled order, and the first k rows
 *  without any positive class where there are such. out: room for data->n positions, ascending; *n of them.
 *  Samples of one repeat are nested. lacking (K, or NULL): how many positive rows each class is short of. */
ark_status ark_shots_per_class(const ark_labelled *data, size_t k, uint64_t seed, uint32_t repeat,
    uint32_t *out, size_t *n, size_t *lacking) ARK_MUST_CHECK;

#endif
