/* What the files of the logistic regression share. */
#ifndef ARK_EVAL_LOGREG_IMPL_H
#define ARK_EVAL_LOGREG_IMPL_H

#include "eval/logreg.h"
#include "eval/tile.h"

/* --- logreg_rows.c: loss and gradient of several outputs from one walk over the rows --- */

typedef struct ark__lr_rows {
    const ark_labelled *data;
    const double *mean, *inverse;
    bool softmax;
    size_t m;         /* outputs */
    uint8_t *label;   /* (n,m) 0, 1, 2 = missing; softmax: see class */
    int32_t *class;   /* (n) of softmax: output in [0,m), -1 = missing */
    size_t *used;     /* [m] labelled rows; softmax: [0] */
    size_t *positive; /* [m] */
    size_t width;
    double *w;    /* (A,width) of the outputs that are asked for */
    double *bias; /* [A] */
    size_t *ask;  /* [A] which outputs; softmax: all */
    size_t A;
    double *grad;  /* (blocks,A,width) sums, not means */
    double *dbias; /* (blocks,A) */
    double *loss;  /* (blocks,A); softmax: [.,0] */
    double *tile;  /* (threads,tile rows,width) */
    double *z;     /* (threads,tile rows,m) */
    int threads;
} ark__lr_rows;

enum { ARK__LR_BLOCKS = 16 };

ark_status ark__lr_rows_new(const ark_logreg *p, ark__lr_rows *r) ARK_MUST_CHECK;
void ark__lr_rows_free(ark__lr_rows *r);
/** Fill grad, dbias and loss for the A outputs whose weights are set. */
void ark__lr_rows_run(ark__lr_rows *r);

/* --- logreg_gram.c: (X'X / n + mu I)^-1 as the first guess of the inverse curvature --- */

typedef struct ark__gram {
    size_t d, width;
    double *g;      /* (d,width) X'X / n of at most 8 d rows; NULL = not worth it */
    size_t n;       /* factors made */
    int *level;     /* [n] */
    float **factor; /* [n] (d,d) lower triangle of the Cholesky factor of G + 4^level I */
} ark__gram;

/** The matrix, where there are rows enough and few enough features; else g stays NULL. */
ark_status ark__gram_new(const ark_logreg *p, ark__gram *out) ARK_MUST_CHECK;
void ark__gram_free(ark__gram *g);
/** Make the factors for these mu (NaN: none), in parallel. */
ark_status ark__gram_factors(ark__gram *g, const double *mu, size_t n, int threads) ARK_MUST_CHECK;
/** x [d] := (G + mu I)^-1 x, mu rounded to a power of 4. The factor must have been made. */
void ark__gram_solve(const ark__gram *g, double mu, double *x);

#endif
