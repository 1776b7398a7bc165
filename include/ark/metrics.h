/* Metrics of a classifier on plain arrays: AUROC and average precision, with intervals and comparisons.
 *
 * Scores are doubles of any scale, higher = more positive; ties count half in the AUROC. Labels are 0 or 1. A
 * value that the data do not define - no positive row, no negative row - is NaN with a reason, never 0.5. All
 * results are exact functions of the arguments, independent of row order and threads. Every function may be
 * called from any thread; arrays are read during the call only.
 *
 * Letters: n rows (images), at most 2^31 - 1; K classes. */
#ifndef ARK_METRICS_H
#define ARK_METRICS_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A number measured on data, and a confidence interval around it. */
typedef struct ark_estimate {
    double value;     /* NaN when the data do not define it */
    double low, high; /* NaN when undefined, or not part of what was asked */
    const char *why;  /* why value or interval is undefined, "no positive row"; else NULL. Static storage */
} ark_estimate;

/* ---- one score ---- */

/** Area under the ROC curve (Mann-Whitney) with the normal interval from DeLong's variance: DeLong et al.,
 *  Biometrics 44 (1988). The interval needs two rows of each class; under perfect separation it is a point.
 *  @param score  (n) finite.
 *  @param label  (n) 0 or 1.
 *  @param level  of confidence, in (0,1), such as 0.95.
 *  Cost: O(n log n).
 *  @return ARK_OK | ARK_EINVAL (bad score or label, naming the row from 0; bad level) | ARK_ENOMEM. */
ark_status ark_metrics_auroc(
    const double *score, const double *label, size_t n, double level, ark_estimate *auroc) ARK_MUST_CHECK;

/** Average precision, the sum over thresholds of (R_i - R_{i-1}) P_i, as sklearn's average_precision_score.
 *  Undefined without negative rows too, where it would be 1 for any score. No interval: see
 *  ark_metrics_bootstrap. Arguments, cost and errors as ark_metrics_auroc. */
ark_status ark_metrics_ap(
    const double *score, const double *label, size_t n, ark_estimate *ap) ARK_MUST_CHECK;

/* ---- two scores of the same rows ---- */

typedef struct ark_comparison {
    ark_estimate difference; /* of the (mean) AUROCs, first minus second */
    double p;                /* two-sided, of no difference; NaN when undefined */
} ark_comparison;

/** DeLong's paired test of two AUROCs on the same rows. Arguments, cost and errors as ark_metrics_auroc. */
ark_status ark_metrics_compare(const double *score_a, const double *score_b, const double *label, size_t n,
    double level, ark_comparison *out) ARK_MUST_CHECK;

/* ---- many classes, by bootstrap ---- */

/* Start from ark_metrics_default_opts(); fields may be added. */
typedef struct ark_metrics_opts {
    int64_t replicates;    /* resamples, 1..1000000 */
    uint64_t seed;         /* of the resamples: the same seed, the same result */
    double level;          /* of confidence, in (0,1) */
    int threads;           /* 0 = all processors */
    const uint32_t *group; /* (n) patient of each row, in [0,groups); whole patients are drawn then. NULL =
                              rows are drawn one by one */
    size_t groups;         /* number of patients; not read when group is NULL */
} ark_metrics_opts;

/** 1000 resamples, seed 1, level 0.95, all processors, rows drawn one by one. */
ark_metrics_opts ark_metrics_default_opts(void);

/* Means over the classes whose AUROC is defined. */
typedef struct ark_macro_estimate {
    ark_estimate auroc, ap;
    size_t classes; /* in the means */
} ark_macro_estimate;

/** AUROC and average precision of K classes and their means, with percentile intervals over resamples of the
 *  rows. A resample without both labels of a class is left out of that class's interval and of the mean's.
 *  @param score     (n,K), finite where the label is there.
 *  @param label     (n,K): 0, 1, or NaN = missing, which leaves the row out of that class.
 *  @param opts      NULL = defaults.
 *  @param auroc,ap  (K) each, the caller's; either NULL = not wanted.
 *  @param macro     the means.
 *  Cost: replicates * n * K; memory of 2 (K + 1) doubles per resample. Written only when all is computed.
 *  @return ARK_OK | ARK_EINVAL (bad score, label, group or option) | ARK_ENOMEM. */
ark_status ark_metrics_bootstrap(const double *score, const double *label, size_t n, size_t K,
    const ark_metrics_opts *opts, ark_estimate *auroc, ark_estimate *ap,
    ark_macro_estimate *macro) ARK_MUST_CHECK;

/** Mean AUROC of two models over K classes, compared on the same resamples: p = 2 (1 + min(#diff <= 0,
 *  #diff >= 0)) / (1 + resamples), at most 1. Arguments and errors as ark_metrics_bootstrap; label serves
 *  both models. */
ark_status ark_metrics_bootstrap_compare(const double *score_a, const double *score_b, const double *label,
    size_t n, size_t K, const ark_metrics_opts *opts, ark_comparison *out) ARK_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
