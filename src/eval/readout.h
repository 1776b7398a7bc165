/* Linear readout: how much of the labels a linear model finds in frozen embeddings.
 *
 * Features are standardised with the training split's mean and deviation; the regularisation is chosen on
 * the validation split, never on test. Every result is independent of the number of threads. */
#ifndef ARK_EVAL_READOUT_H
#define ARK_EVAL_READOUT_H

#include "eval/labelled.h"
#include "eval/metrics.h"

typedef enum ark_readout_task {
    ARK_READOUT_MULTILABEL, /* K independent binary problems; binary is K = 1 */
    ARK_READOUT_MULTICLASS, /* one softmax over K classes */
} ark_readout_task;

typedef enum ark_readout_select {
    ARK_SELECT_AUROC,    /* highest validation AUROC, mean over the classes that have one */
    ARK_SELECT_LOG_LOSS, /* lowest validation cross-entropy, mean over labelled entries */
} ark_readout_select;

typedef enum ark_readout_optimizer {
    ARK_READOUT_LBFGS, /* to the optimum, for every C */
    ARK_READOUT_ADAM,  /* no regularisation; the number of epochs is what is chosen */
} ark_readout_optimizer;

/* torch.optim.Adam (betas 0.9 and 0.999, eps 1e-8) on the mean loss of a batch, from zero weights. */
typedef struct ark_readout_adam {
    double lr;
    size_t batch, epochs; /* epochs 1..100000 */
    uint64_t seed;        /* of the order of the rows, drawn anew in every epoch */
    bool in_order;        /* no shuffling */
} ark_readout_adam;

typedef struct ark_readout_opts {
    ark_readout_task task;
    ark_readout_optimizer optimizer;
    ark_readout_adam adam;
    bool raw;                  /* features as they are, not standardised */
    ark_readout_select select; /* equal values: the stronger regularisation */
    const double *C;           /* inverse regularisation, ascending (each fit starts from the one before) */
    size_t nC;                 /* 1..64 */
    double tolerance;          /* see ark_logreg */
    int max_iterations;
    int threads; /* 0 = all processors */
} ark_readout_opts;

/** Multi-label, mean AUROC, C = 1e-5, 1e-4 .. 1e2, tolerance 1e-6, at most 1000 iterations; Adam with lr
 *  1e-4, batch 512, 100 epochs. */
ark_readout_opts ark_readout_default_opts(void);

/* A fitted readout. Freed by ark_readout_free. */
typedef struct ark_readout {
    ark_readout_task task;
    size_t d, K, nC;
    double *mean, *scale;  /* [d] of the training features; scale = 1 where one is constant; raw: 0 and 1 */
    double *w;             /* (K, d+1) on standardised features, bias last; zero for classes left out */
    const char **left_out; /* [K] why a class was not fitted (static text), NULL for fitted ones */
    double *C, *val;       /* [nC] the values tried (Adam: epochs) and the selection criterion of each */
    size_t best;           /* index of the chosen one */
    size_t unconverged;    /* fits at the chosen C that hit max_iterations */
    size_t iterations;     /* of all fits */
} ark_readout;

/** Fit on train, choose C (Adam: the epoch) on val. val NULL: allowed with a single C only; Adam then takes
 *  the last epoch. A class without a positive (or,
 *  multi-label, without a negative) row in train is left out.
 *  @return ARK_OK | ARK_EINVAL (bad label or feature, naming the row; no class left; validation split that
 *  defines no criterion) | ARK_ESHAPE | ARK_ENOMEM */
ark_status ark_readout_fit(const ark_labelled *train, const ark_labelled *val, const ark_readout_opts *o,
    ark_readout *out) ARK_MUST_CHECK;

/** Probabilities of n rows (data->label is not read): out (n,K), NaN for classes left out. */
ark_status ark_readout_predict(
    const ark_readout *r, const ark_labelled *data, int threads, double *out) ARK_MUST_CHECK;

/** Set the labels (n,K) of classes left out to missing, so that metrics report them as undefined. */
void ark_readout_mask_labels(const ark_readout *r, double *label, size_t n);

void ark_readout_free(ark_readout *r);

#endif
