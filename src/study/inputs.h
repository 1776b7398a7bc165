/* What a study works on: a dataset and one embedding per image, computed once or made elsewhere. */
#ifndef ARK_STUDY_INPUTS_H
#define ARK_STUDY_INPUTS_H

#include "eval/features.h"
#include "io/npy.h"
#include "study/config.h"

/* Where embeddings come from: weights or embeddings, one of them. */
typedef struct ark_study_source {
    const char *weights;    /* weight file */
    const char *embeddings; /* "train=A.npy,val=B.npy,test=C.npz:KEY"; or one file: an .npz with arrays named
                               after the splits, or an array with a row per image of the dataset, in order */
    const char *ids;        /* with one array: CSV file whose first column names the image of each row */
} ark_study_source;

/* Talk of a run; all may be NULL. */
typedef struct ark_study_hooks {
    void (*on_message)(void *arg, const char *line);
    void *arg;
} ark_study_hooks;

/** Format a line for on_message. */
void ark_study_say(const ark_study_hooks *h, const char *fmt, ...) ARK_PRINTF(2, 3);

typedef struct ark_study_inputs {
    ark_datasets *sets;
    const ark_dataset *data;
    ark_features f[ARK_SPLIT_COUNT]; /* all finite; n = 0 where the split has no image */
    char *source;                    /* path of the weights or arrays */
    const char *layer;               /* "encoder", "projector", or "given" */
    size_t d;
} ark_study_inputs;

/** Read the dataset and its embeddings. From weights they are computed split by split and kept in cache_dir
 *  as SPLIT.npy with SPLIT.json, which says what they were made of: weights, images (path, size, time),
 *  layer and type; while that is unchanged they are read instead. Labels of classes outside test_classes
 *  are missing on test. A number that is not finite, rows that do not match the images: ARK_EINVAL with
 *  file and numbers. */
ark_status ark_study_inputs_read(const ark_study_config *c, const ark_study_source *source,
    const char *cache_dir, int threads, const ark_study_hooks *hooks, ark_study_inputs *out) ARK_MUST_CHECK;
void ark_study_inputs_free(ark_study_inputs *in);

/** The dataset that data.dataset names, or the only one of the file. */
ark_status ark_study_dataset(const ark_study_config *c, ark_datasets **out) ARK_MUST_CHECK;
/** ARK_EINVAL when a split has no image; names the dataset. */
ark_status ark_study_need_split(const ark_study_inputs *in, ark_split split) ARK_MUST_CHECK;

/* arrays.c */
ark_status ark__study_arrays(
    const ark_study_source *source, const ark_dataset *data, ark_features f[ARK_SPLIT_COUNT]) ARK_MUST_CHECK;
/* One array (rows, features): PATH.npy, PATH.npz with a single array, or PATH.npz:KEY. */
ark_status ark__study_read_array(const char *spec, ark_npy *out) ARK_MUST_CHECK;
/* embed_cache.c */
ark_status ark__study_embed(const ark_study_config *c, const char *weights, const ark_dataset *data,
    const char *cache_dir, int threads, const ark_study_hooks *hooks, ark_study_inputs *out) ARK_MUST_CHECK;

#endif
