/* A table of embeddings with labels: what probes are fitted on and applied to. */
#ifndef ARK_EVAL_LABELLED_H
#define ARK_EVAL_LABELLED_H

#include <stddef.h>
#include <stdint.h>

/* Embeddings of n rows and their labels. */
typedef struct ark_labelled {
    const float *f32;     /* (.,d), or NULL */
    const double *f64;    /* (.,d), used when f32 is NULL */
    const double *label;  /* (.,K): 0, 1, NaN = missing; multi-class: exactly one 1, or all missing */
    size_t n, d, K;       /* n rows take part */
    const uint32_t *rows; /* [n] which rows of the arrays, in this order; NULL = 0..n-1 */
} ark_labelled;

/* Row i of those that take part, as a row of the arrays. */
static inline size_t ark_labelled_row(const ark_labelled *data, size_t i) {
    return data->rows ? data->rows[i] : i;
}

#endif
