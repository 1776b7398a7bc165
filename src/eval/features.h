/* Embeddings of a dataset's split with its labels: the input of probes and readouts. */
#ifndef ARK_EVAL_FEATURES_H
#define ARK_EVAL_FEATURES_H

#include "data/loader.h"
#include "eval/readout.h"
#include "model/session.h"

typedef enum ark_layer { ARK_LAYER_ENCODER, ARK_LAYER_PROJECTOR } ark_layer;

/* n images of one split, in file order; owned, ark_features_free. */
typedef struct ark_features {
    size_t n, d, K;
    float *x;          /* (n,d) */
    double *label;     /* (n,K): 0, 1; NaN where missing or uncertain */
    uint32_t *sample;  /* n: index in the dataset */
    uint32_t *patient; /* n: ids in [0,patients), dense within these rows */
    size_t patients;
    size_t skipped;
} ark_features;

/** Run every image of the split through the session as a plain resize (the teacher's view). The loader is
 *  used for the pass. A split without images is ARK_EINVAL. */
ark_status ark_features_read(ark_session *s, ark_column column, const ark_net *net, ark_layer layer,
    ark_loader *loader, const ark_dataset *data, ark_split split, ark_features *out) ARK_MUST_CHECK;
/** Embeddings that are there already: x (n,d) of the samples sample[0..n), whose labels and patients come
 *  from the dataset. Takes x and sample over, also on failure. */
ark_status ark_features_wrap(float *x, size_t d, uint32_t *sample, size_t n, const ark_dataset *data,
    ark_features *out) ARK_MUST_CHECK;
void ark_features_free(ark_features *f);
/** A view of f as the readout takes it; borrows. */
ark_labelled ark_features_labelled(const ark_features *f);

#endif
