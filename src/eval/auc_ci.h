/* How sure an AUROC is: DeLong's variance and paired test, and the percentile bootstrap. */
#ifndef ARK_EVAL_AUC_CI_H
#define ARK_EVAL_AUC_CI_H

#include "eval/metrics.h"

/** z with P(Z <= z) = p for a standard normal Z, 0 < p < 1, to full precision. */
double ark_normal_quantile(double p);

/* A confidence interval that may not exist. */
typedef struct ark_interval {
    double low, high; /* NaN when undefined */
    const char *why;  /* NULL when defined, else the reason; static text */
} ark_interval;

/* --- DeLong --- */

typedef struct ark_delong {
    ark_metric auroc;
    double variance; /* NaN when undefined */
    ark_interval ci;
} ark_delong;

/** Variance and normal interval at `level` (0.95) on the AUROC scale, clipped to [0,1]. Needs two rows of
 *  each class. DeLong et al., Biometrics 44 (1988), by ranks as in Sun & Xu, IEEE SPL 21 (2014):
 *  O(n log n). A perfect separation has variance 0: its interval is a point and says nothing. */
ark_status ark_delong_ci(const ark_ranked *r, double level, ark_delong *out) ARK_MUST_CHECK;

typedef struct ark_delong_pair {
    ark_metric auroc[2];
    double difference; /* first minus second */
    double se;         /* of the difference */
    ark_interval ci;   /* of the difference, clipped to [-1,1] */
    double z, p;       /* two-sided test of no difference; NaN when undefined. Equal scores: z 0, p 1 */
} ark_delong_pair;

/** Two scores of the same n rows. label as for ark_rank. */
ark_status ark_delong_paired(const double *score_a, const double *score_b, const double *label, size_t n,
    double level, ark_delong_pair *out) ARK_MUST_CHECK;

/* --- bootstrap --- */

typedef struct ark_bootstrap_opts {
    int64_t replicates; /* 1..10^6 */
    uint64_t seed; /* replicate r draws from (seed, ARK_RNG_BOOTSTRAP, r): any thread count, same result */
    double level;  /* 0.95 */
    int threads;   /* 0 = all processors */
    const uint32_t *group; /* (n) group of each row in [0,groups), NULL = every row its own: whole groups */
    size_t groups;         /* (patients) are drawn, so rows of one patient stay together */
} ark_bootstrap_opts;

/* A statistic on the data, and its percentile interval over resamples. */
typedef struct ark_boot_stat {
    ark_metric estimate;
    ark_interval ci;
    size_t used; /* resamples in which it is defined; the others are left out of the interval */
} ark_boot_stat;

typedef struct ark_boot_macro {
    ark_boot_stat auroc, ap;
    size_t classes;
} ark_boot_macro;

/** Resample rows (or groups) with replacement, unstratified. Per class AUROC and AP, and their means over
 *  the classes that are defined on the data; a resample in which one of these has lost a class counts as
 *  undefined for the mean, so that every resample averages the same classes.
 *  per_class_auroc, per_class_ap: K items each, the caller's, either NULL.
 *  Cost: replicates * n * K; memory: 2 (K + 1) doubles per replicate. */
ark_status ark_bootstrap_table(const ark_eval_table *t, const ark_bootstrap_opts *o,
    ark_boot_stat *per_class_auroc, ark_boot_stat *per_class_ap, ark_boot_macro *macro) ARK_MUST_CHECK;

typedef struct ark_boot_pair {
    ark_boot_stat difference; /* mean AUROC of a minus b */
    double p;                 /* two-sided: 2 (1 + min(#diff <= 0, #diff >= 0)) / (1 + used), at most 1 */
    size_t classes;
} ark_boot_pair;

/** Two models on the same rows and labels (a->label is used), compared on the same resamples. */
ark_status ark_bootstrap_paired(const ark_eval_table *a, const ark_eval_table *b, const ark_bootstrap_opts *o,
    ark_boot_pair *out) ARK_MUST_CHECK;

/** Quantile q in [0,1] of n sorted values by linear interpolation, as numpy.quantile. n > 0. */
double ark_quantile_sorted(const double *sorted, size_t n, double q);

#endif
