/* L2-regularised logistic regression, binary or softmax, in double precision by L-BFGS. */
#ifndef ARK_EVAL_LOGREG_H
#define ARK_EVAL_LOGREG_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Minimises, as sklearn's LogisticRegression (lbfgs, l2, fit_intercept) divided by C * used,
 *
 *     mean over rows of loss(row)  +  |W|^2 / (2 C used)
 *
 * loss = cross-entropy of sigmoid(z) when K = 1, of softmax(z) otherwise; z = W x + b; b is not regularised.
 */
typedef struct ark_logreg {
    const double *x; /* (n,d) features, standardised for fast convergence */
    size_t d;
    const uint32_t *rows; /* [used] rows of x that take part */
    const int32_t *label; /* [used] 0 or 1 when K = 1, else the class in [0,K) */
    size_t used, K;
    double C;           /* inverse regularisation, > 0 */
    double tolerance;   /* stop when |gradient| <= tolerance * max(1, |weights|) */
    int max_iterations; /* 0 = no limit */
    int threads;        /* rows are summed in 16 fixed blocks, so the result is the same for any number */
    void (*on_iteration)(void *ctx, int iteration, double loss); /* NULL = none */
    void *ctx;
} ark_logreg;

typedef struct ark_logreg_fit {
    double loss; /* the objective at the end, never above that at the start */
    int iterations;
    bool converged;
} ark_logreg_fit;

/** Minimise from the weights in w, (K, d+1) with the bias last in each row, and leave the optimum there.
 *  Stopping early is no error: see fit->converged.
 *  @return ARK_OK | ARK_EINVAL (no row, bad option) | ARK_ENOMEM */
ark_status ark_logreg_minimise(const ark_logreg *p, double *w, ark_logreg_fit *fit) ARK_MUST_CHECK;

/** z[k] = w[k][0..d) . x + w[k][d] of one row x (d). */
void ark_logreg_logits(const double *w, size_t d, size_t K, const double *x, double *z);
/** Logits to probabilities in place: sigmoid when K = 1, else softmax. */
void ark_logreg_probabilities(double *z, size_t K);

#endif
