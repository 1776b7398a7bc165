/* Overlap of a predicted and a true mask: Dice and IoU per image, and their means with an interval. */
#ifndef ARK_EVAL_OVERLAP_H
#define ARK_EVAL_OVERLAP_H

#include "eval/auc_ci.h"

/* Pixels of one class of one image. */
typedef struct ark_overlap {
    size_t both, predicted, truth; /* in both masks; in each */
    size_t counted;                /* pixels that count at all */
} ark_overlap;

/** prob, truth, count: one value a pixel, `stride` elements apart, n pixels. A pixel is predicted when
 *  prob >= threshold; pixels with count 0 are left out. A NaN probability is ARK_EINVAL naming the pixel. */
ark_status ark_overlap_count(const float *prob, const float *truth, const float *count, size_t n,
    size_t stride, double threshold, ark_overlap *out) ARK_MUST_CHECK;

/** 2 both / (predicted + truth), and both / union. Undefined, with the reason, where nothing counts or the
 *  true mask is empty (MONAI's DiceMetric with ignore_empty): such an image has no Dice, it is not given 0 or
 *  1. */
ark_metric ark_dice(const ark_overlap *o);
ark_metric ark_iou(const ark_overlap *o);

typedef struct ark_mean_stat {
    ark_boot_stat mean;        /* over the defined values; percentile bootstrap over groups */
    double sd, median, lowest; /* of the defined values; NaN where there are none (sd: fewer than two) */
    size_t defined, undefined;
} ark_mean_stat;

/** Mean of n values, NaN = undefined and left out, with a percentile interval over resamples of rows or of
 *  o->group (patients). Errors as ark_bootstrap_table. */
ark_status ark_bootstrap_mean(
    const double *value, size_t n, const ark_bootstrap_opts *o, ark_mean_stat *out) ARK_MUST_CHECK;

#endif
