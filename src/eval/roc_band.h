/* A band around a ROC curve from resamples of rows or patients. */
#ifndef ARK_EVAL_ROC_BAND_H
#define ARK_EVAL_ROC_BAND_H

#include "eval/auc_ci.h"

enum { ARK_ROC_BAND_POINTS = 101 };

/* At false positive rate x: the curve's sensitivity (the highest there) and the percentile interval of it. */
typedef struct ark_roc_band {
    double x[ARK_ROC_BAND_POINTS]; /* 0, 0.01 .. 1 */
    double y[ARK_ROC_BAND_POINTS], low[ARK_ROC_BAND_POINTS], high[ARK_ROC_BAND_POINTS];
    size_t used;     /* resamples that have both classes */
    const char *why; /* NULL, or why there is no curve or no band; static text */
} ark_roc_band;

/** Pointwise band of class k. The curve is interpolated linearly between its points, as its area is. Draws
 *  are those of ark_bootstrap_table. */
ark_status ark_bootstrap_roc(
    const ark_eval_table *t, size_t k, const ark_bootstrap_opts *o, ark_roc_band *out) ARK_MUST_CHECK;

#endif
