/* Segmentation data: images with one mask file per class, read from a CSV list, and the batches of views that
 * a training or test step sees. */
#ifndef ARK_DATA_MASKS_H
#define ARK_DATA_MASKS_H

#include "data/augment.h"
#include "data/dataset.h"

#include <stdbool.h>

/* What the list means. */
typedef struct ark_mask_spec {
    const char *list, *data_dir; /* CSV with a header; folder of images and masks, NULL = the list's */
    const char *const *classes;  /* K names, such as "lungs" */
    int n_classes;
    const char *column;                  /* of a class's mask file; "{class}" stands for its name */
    const char *image, *patient, *split; /* columns; patient and split may be missing in the file: every row
                                            its own patient, all rows in split `only` */
    ark_split only;
    int foreground; /* grey levels from here on are the class */
    int ignore;     /* this level counts nowhere; -1 = none */
} ark_mask_spec;

typedef struct ark_mask_set {
    size_t n;
    int n_classes, foreground, ignore;
    char **classes;
    char **images; /* n; openable paths */
    char **masks;  /* (n,K); NULL where the field is blank: the class is not annotated there */
    uint32_t *patient;
    size_t patients; /* ids are dense */
    uint8_t *split;
    uint32_t *rows[ARK_SPLIT_COUNT];
    size_t rows_n[ARK_SPLIT_COUNT];
} ark_mask_set;

/** Read the list; no image is opened. A column that is missing, a row without any mask, an unknown split:
 *  ARK_EFORMAT with file and line. */
ark_status ark_mask_set_read(const ark_mask_spec *spec, ark_mask_set *out) ARK_MUST_CHECK;
void ark_mask_set_free(ark_mask_set *s);

/** Keep ceil(fraction * n) training rows, drawn from seed: those of a smaller fraction are among those of a
 *  larger one. 0 < fraction <= 1. */
ark_status ark_mask_set_thin(ark_mask_set *s, double fraction, uint64_t seed) ARK_MUST_CHECK;

/** A view of a mask by the geometry of ark_viewer_render, nearest neighbour straight from the source:
 *  out (side,side) levels. Outside of the image: reflected as the image is, or `outside` where the view fills
 *  with black. */
void ark_mask_render(const ark_image *mask, const ark_view *view, int side, uint8_t outside, uint8_t *out);

/* Batches on all threads. */
typedef struct ark_mask_loader ark_mask_loader;

typedef struct ark_mask_batch {
    int n;
    float *image;          /* (n,3,S,S) normalised */
    float *target, *count; /* (n,S,S,K): 1 in the class; 1 where the pixel counts */
} ark_mask_batch;

/** pre is copied; batch: samples at most. */
ark_status ark_mask_loader_new(
    const ark_preproc *pre, int n_classes, int batch, int threads, ark_mask_loader **out) ARK_MUST_CHECK;
void ark_mask_loader_free(ark_mask_loader *l);
/** Views of rows[0..n), n <= batch. augment NULL: the plain resize; otherwise views are drawn from (seed,
 *  ARK_RNG_AUGMENT, epoch, id, row). The batch belongs to the loader until its next call. An image or mask
 *  that cannot be read, or a mask of another size than its image, fails with path and reason (ARK_EFORMAT,
 *  ARK_EIO); the first in order is reported. */
ark_status ark_mask_loader_read(ark_mask_loader *l, const ark_mask_set *s, const uint32_t *rows, int n,
    const ark_augment *augment, uint64_t seed, uint64_t epoch, uint32_t id,
    const ark_mask_batch **out) ARK_MUST_CHECK;

#endif
