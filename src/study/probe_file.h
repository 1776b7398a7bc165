/* A fitted probe as a file: safetensors with its classes, its operating points and where it came from. */
#ifndef ARK_STUDY_PROBE_FILE_H
#define ARK_STUDY_PROBE_FILE_H

#include "eval/operating_point.h"
#include "eval/readout.h"

typedef struct ark_probe {
    ark_readout readout;         /* C, val: nothing */
    char **classes;              /* K */
    ark_operating_point *points; /* K; undefined ones say why not in words that the file holds */
    char *source, *layer;        /* of the embeddings it was fitted on */
    double C;                    /* chosen; Adam: the epoch */
} ark_probe;

/** Tensors `mean`, `scale` (d), `weight` (K,d), `bias` (K), all F64, the weights on (x - mean) / scale;
 *  metadata `format: arkfm-probe`, `version`, `probe` (JSON). Atomic. */
ark_status ark_probe_save(const char *path, const ark_readout *r, const char *const *classes,
    const ark_operating_point *points, const char *source, const char *layer) ARK_MUST_CHECK;
/** ARK_EFORMAT names file and what is wrong: another format, shapes, a number that is not finite. */
ark_status ark_probe_load(const char *path, ark_probe *out) ARK_MUST_CHECK;
void ark_probe_free(ark_probe *p);

#endif
