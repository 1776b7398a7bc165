/* What the two files of the few-shot study share. */
#ifndef ARK_STUDY_FEWSHOT_IMPL_H
#define ARK_STUDY_FEWSHOT_IMPL_H

#include "study/fewshot.h"

/* One size of a sample. */
typedef struct ark__shots {
    char name[32];    /* "20", "5 %", "5 per class" */
    size_t n;         /* rows; per class: of the first repeat */
    size_t per_class; /* 0 = n rows in total */
    size_t repeats;   /* 1 for the whole split */
} ark__shots;

/* A mean over repeats. */
typedef struct ark__shot_stat {
    double mean, sd;
    ark_interval ci;
    size_t used;     /* repeats with a value */
    const char *why; /* NULL, or why there is none */
} ark__shot_stat;

typedef struct ark__fewshot {
    const ark_study_job *job;
    ark_study_inputs *in; /* [job->n] */
    ark__shots shots[2 * ARK_STUDY_NUMBERS];
    size_t n_shots, repeats, K;
    double *auroc;   /* (sources, shots, repeats, K+1): per class, last the mean; NaN = none */
    size_t *lacking; /* (shots,K) positives that classes are short of, per-class shots only */
    int threads;
} ark__fewshot;

/** Statistics of source s, shots k, class c (K: the mean over classes). */
ark__shot_stat ark__fewshot_stat(const ark__fewshot *f, size_t s, size_t k, size_t c);
/** Of the differences between the first source and s, draw by draw. */
ark__shot_stat ark__fewshot_difference(const ark__fewshot *f, size_t s, size_t k);
ark_status ark__fewshot_write(const ark__fewshot *f, json_t **result) ARK_MUST_CHECK;

#endif
