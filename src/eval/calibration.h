/* Calibration: do probabilities mean what they say, and the one-parameter repair when they do not.
 *
 * Rows with a NaN label are left out everywhere. A probability outside [0,1], or another label, is ARK_EINVAL
 * naming the row. */
#ifndef ARK_EVAL_CALIBRATION_H
#define ARK_EVAL_CALIBRATION_H

#include "base/task.h"
#include "eval/auc_ci.h"

enum { ARK_RELIABILITY_BINS_MAX = 100 };

/* Rows whose probability lies in (low, high]; the first bin also holds 0. */
typedef struct ark_reliability_bin {
    double low, high;
    size_t n;
    double mean_prob, observed; /* mean probability, share of positive rows; NaN when n is 0 */
    ark_interval ci;            /* Wilson, of `observed` */
} ark_reliability_bin;

typedef struct ark_calibration {
    size_t n, positives;
    ark_metric brier;    /* mean (p - y)^2 */
    ark_metric ece;      /* expected calibration error: sum over bins n_b / n |observed - mean_prob| */
    ark_metric mce;      /* the largest of these differences */
    ark_metric log_loss; /* mean negative log likelihood; p = 0 or 1 counts as the nearest double inside */
} ark_calibration;

/** One binary problem: prob, label (n), a row every `stride` elements (a column of an (n,K) table).
 *  bins of equal width, 1..100; bin: room for them, or NULL. Guo et al., ICML 2017, on the probability of the
 *  positive class (sklearn.calibration.calibration_curve, "uniform" bins). level: of the bins' intervals. */
ark_status ark_calibrate_binary(const double *prob, const double *label, size_t n, size_t stride, int bins,
    double level, ark_reliability_bin *bin, ark_calibration *out) ARK_MUST_CHECK;

/** K exclusive classes: prob, label (n,K), label one-hot or all NaN. The reliability is of the likeliest
 *  class (the first of equal ones): its probability against how often it is right. Brier is the mean over
 *  rows of the sum over classes. */
ark_status ark_calibrate_multiclass(const double *prob, const double *label, size_t n, size_t K, int bins,
    double level, ark_reliability_bin *bin, ark_calibration *out) ARK_MUST_CHECK;

typedef struct ark_temperature {
    double T;                     /* divide logits by it; NaN when undefined */
    double nll_before, nll_after; /* mean negative log likelihood at 1 and at T */
    const char *why;              /* NULL, or why T is undefined (no labelled row) or stands at a limit of its
                                    range (0.01, 100): the classes are separated, or scores say nothing */
} ark_temperature;

/** Temperature scaling (Guo et al., ICML 2017): the T under which validation labels are most likely given
 *  logit / T. logit, label (n,K), label as above; ARK_MULTICLASS: softmax over K, otherwise K sigmoids that
 *  share T. The likelihood is convex in 1/T. A logit that is not finite is ARK_EINVAL. */
ark_status ark_fit_temperature(ark_task task, const double *logit, const double *label, size_t n, size_t K,
    ark_temperature *out) ARK_MUST_CHECK;

#endif
