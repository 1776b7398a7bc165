/* L2-regularised logistic regression, many binary problems or one softmax, in double precision by L-BFGS. */
#ifndef ARK_EVAL_LOGREG_H
#define ARK_EVAL_LOGREG_H

#include "ark/status.h"
#include "eval/labelled.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Minimises, as sklearn's LogisticRegression (lbfgs, l2, fit_intercept) divided by C * used,
 *
 *     mean over labelled rows of loss(row)  +  |W|^2 / (2 C used)
 *
 * loss = cross-entropy of sigmoid(z) for each of m binary problems, of softmax(z) over m classes otherwise;
 * z = W x + b; b is not regularised. All problems take their gradients from one walk over the rows
 * (docs/adr/0032). */
typedef struct ark_logreg {
    const ark_labelled *data;
    const double *mean, *inverse; /* [d] features are standardised with them, see ark_tile_load; NULL = not */
    const size_t *out;            /* [m] columns of the labels that are fitted; each with both labels, or,
                                     softmax, with a positive row */
    size_t m;
    bool softmax;
    const double *C; /* [nC] inverse regularisations, ascending: each fit starts from the one before */
    size_t nC;
    double tolerance;   /* stop when |gradient| <= tolerance * max(1, |weights|) */
    int max_iterations; /* of each fit; 0 = no limit */
    int threads;        /* rows are summed in 16 fixed blocks, so the result is the same for any number */
    bool plain;         /* never start from the inverse Gram matrix: for tests */
    void (*on_iteration)(void *ctx, size_t problem, size_t c, int iteration, double loss); /* NULL = none */
    void *ctx;
} ark_logreg;

typedef struct ark_logreg_fit {
    double loss; /* the objective at the end */
    int iterations;
    bool converged;
} ark_logreg_fit;

/** Fit along C. w (nC,m,d+1), bias last in each row, on standardised features; its first m rows are the
 *  starting point. fit (nC,m), or (nC,1) for softmax. Stopping early is no error: see fit->converged.
 *  @return ARK_OK | ARK_EINVAL (no row, bad option) | ARK_ENOMEM */
ark_status ark_logreg_minimise(const ark_logreg *p, double *w, ark_logreg_fit *fit) ARK_MUST_CHECK;

/** Logits of every row of data: z (n,m) for weights w (m,d+1). */
ark_status ark_logreg_logits(const ark_labelled *data, const double *mean, const double *inverse,
    const double *w, size_t m, int threads, double *z) ARK_MUST_CHECK;
/** Logits to probabilities in place: sigmoid when K = 1, else softmax. */
void ark_logreg_probabilities(double *z, size_t K);

#endif
