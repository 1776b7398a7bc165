/* Adam on the loss of a linear readout, in float64: one of the two ways to fit it (readout.h). */
#ifndef ARK_EVAL_ADAM_H
#define ARK_EVAL_ADAM_H

#include "eval/readout.h"

typedef struct ark__adam_job {
    const ark_labelled *data;
    const double *mean, *inverse; /* as ark_tile_load */
    const size_t *out;            /* [m] columns of the labels */
    size_t m;
    bool softmax;
    const ark_readout_adam *opts;
    int threads;
} ark__adam_job;

/** w (epochs,m,d+1): the weights after every epoch. The loss of a batch is the mean over its labelled entries
 *  (softmax: rows), as BCEWithLogitsLoss and CrossEntropyLoss. */
ark_status ark__adam_fit(const ark__adam_job *job, double *w) ARK_MUST_CHECK;

#endif
