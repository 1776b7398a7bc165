/* What the files of the bias study share. */
#ifndef ARK_STUDY_BIAS_IMPL_H
#define ARK_STUDY_BIAS_IMPL_H

#include "eval/significance.h"
#include "study/bias.h"
#include "study/subgroups.h"

enum { ARK__SEXES = 2, ARK__MEASURES = 2 };

/* A test of the share of men in training: per finding, test sex and measure. */
typedef struct ark__sex_test {
    ark_welch welch; /* smallest share minus largest */
    double holm;     /* corrected p; NaN when there is none */
} ark__sex_test;

typedef struct ark__bias {
    const ark_study_job *job;
    ark_study_inputs in;
    size_t K;
    int threads;
    /* (1) */
    ark_readout r;
    ark_operating_point *points;
    ark_scored test;
    ark_subgroups groups;
    /* (2) */
    const char *why_not;                              /* NULL, or why there is no design; static text */
    double share[ARK_STUDY_NUMBERS];                  /* percent of men, ascending */
    size_t shares, repeats, rows;                     /* rows of every training sample */
    size_t available[ARK__SEXES], tested[ARK__SEXES]; /* training and test rows of women, men */
    double *value;        /* (shares,repeats,sexes,K,measures): AUROC, false negative rate; NaN = none */
    ark__sex_test *tests; /* (measures,sexes,K) */
} ark__bias;

extern const char *const ark__sex_names[ARK__SEXES];        /* "F", "M" */
extern const char *const ark__measure_names[ARK__MEASURES]; /* "auroc", "fnr" */

static inline size_t ark__bias_at(
    const ark__bias *b, size_t share, size_t repeat, size_t sex, size_t k, size_t measure) {
    return (((share * b->repeats + repeat) * ARK__SEXES + sex) * b->K + k) * ARK__MEASURES + measure;
}

static inline const ark__sex_test *ark__bias_test(const ark__bias *b, size_t measure, size_t sex, size_t k) {
    return &b->tests[(measure * ARK__SEXES + sex) * b->K + k];
}

/** bias_design.c: fill (2). */
ark_status ark__bias_design(ark__bias *b) ARK_MUST_CHECK;
/** The defined values over repeats of one cell, in out [repeats]; their number. */
size_t ark__bias_values(const ark__bias *b, size_t share, size_t sex, size_t k, size_t measure, double *out);
/** Training on the other sex makes this finding worse, and not by chance: Holm's p < 0.05 and the mean of the
 *  sample with more of this sex is the better one. */
bool ark__bias_found(const ark__bias *b, size_t measure, size_t sex, size_t k);

/** bias_write.c */
ark_status ark__bias_write(const ark__bias *b, json_t **result) ARK_MUST_CHECK;

#endif
