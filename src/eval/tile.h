/* Inner loops of probes, in float64: small tiles of standardised rows against a few weight rows.
 *
 * Compiled for plain x86-64-v2 and for AVX2 with FMA; the processor decides. Each result is a sum in an order
 * that does not depend on what else is computed in the same call. */
#ifndef ARK_EVAL_TILE_H
#define ARK_EVAL_TILE_H

#include "eval/labelled.h"

enum {
    ARK_TILE_ROWS = 32, /* with d = 1376 a tile is 350 kB: it stays in the second-level cache */
    ARK_TILE_PAD = 8    /* rows of tiles and weights are padded with zeros to a multiple of this */
};

/* d rounded up to the padding. */
static inline size_t ark_tile_width(size_t d) {
    return (d + ARK_TILE_PAD - 1) / ARK_TILE_PAD * ARK_TILE_PAD;
}

/** t (n,width) = (feature - mean) * inverse of rows first .. first+n of data; mean NULL: the features as they
 *  are. inverse: of the deviations. */
void ark_tile_load(
    const ark_labelled *data, size_t first, size_t n, const double *mean, const double *inverse, double *t);
/** z (n,A) = t (n,width) . w (A,width)^T, rows of z every ldz elements. */
void ark_tile_logits(
    const double *t, size_t n, const double *w, size_t A, size_t width, double *z, size_t ldz);
/** g (A,width) += e (n,A)^T . t (n,width), rows of e every lde elements. */
void ark_tile_gradient(
    const double *e, size_t lde, const double *t, size_t n, size_t A, size_t width, double *g);
/** Dot product of n elements. */
double ark_tile_dot(const double *a, const double *b, size_t n);

#endif
