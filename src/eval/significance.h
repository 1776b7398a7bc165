/* Is a difference more than chance: Welch's test of two means, Holm's correction for many tests, and Wilson's
 * interval of a proportion. */
#ifndef ARK_EVAL_SIGNIFICANCE_H
#define ARK_EVAL_SIGNIFICANCE_H

#include "eval/auc_ci.h"

/** P(|T| >= |t|) for Student's t with df > 0 degrees of freedom (any real number). */
double ark_student_two_sided(double t, double df);
/** t >= 0 with P(|T| <= t) = level, 0 < level < 1. */
double ark_student_quantile(double level, double df);

/* Two independent samples compared by their means. */
typedef struct ark_welch {
    double mean[2], sd[2]; /* sd with n - 1; NaN for one value */
    double difference;     /* first minus second */
    double t, df, p;       /* two-sided; NaN when undefined */
    ark_interval ci;       /* of the difference */
    const char *why;       /* NULL when t and p are defined, else the reason; static text */
} ark_welch;

/** Welch's t-test (scipy.stats.ttest_ind, equal_var=False; Welch-Satterthwaite degrees of freedom). Each
 *  sample needs two values and one of them some spread, else `why` says what is missing: two constant samples
 *  have no p, however far apart. A value that is not finite: ARK_EINVAL naming sample and index. */
ark_status ark_welch_test(
    const double *a, size_t n_a, const double *b, size_t n_b, double level, ark_welch *out) ARK_MUST_CHECK;

/** Holm's step-down correction (R's p.adjust "holm", statsmodels "holm"): adjusted[i] <= alpha controls the
 *  chance of any false rejection. p: m values in [0,1]; NaN (a test that was not possible) stays NaN and does
 *  not count. adjusted may be p. ARK_EINVAL for other values, ARK_ENOMEM. */
ark_status ark_holm(const double *p, size_t m, double *adjusted) ARK_MUST_CHECK;

/** Wilson's score interval of a proportion hits / n, without continuity correction (statsmodels
 *  proportion_confint "wilson"). n = 0 is no interval with a reason. */
ark_interval ark_wilson(size_t hits, size_t n, double level);

/** Student's interval of the mean of n independent values (scipy.stats.t.interval): n < 2 is no interval
 *  with a reason. */
ark_interval ark_t_interval(const double *x, size_t n, double level);

/** Mean and standard deviation (n - 1; NaN for n < 2) of n values, the sum of squares about the mean. */
void ark_mean_sd(const double *x, size_t n, double *mean, double *sd);

#endif
