/* Datasets: a YAML file names them, list files give images, labels and splits. Reference: docs/datasets.md.
 *
 * Labels are kept as the file has them: 1 positive, 0 negative, -1 uncertain, NaN missing (blank). What
 * uncertain and missing mean for training is decided per dataset by `uncertain` and `missing` when a batch is
 * made; metrics count the 1s and 0s of `labels` itself. */
#ifndef ARK_DATA_DATASET_H
#define ARK_DATA_DATASET_H

#include "ark/status.h"
#include "base/task.h"
#include "io/image.h"

#include <stddef.h>
#include <stdint.h>

typedef enum ark_split { ARK_TRAIN, ARK_VAL, ARK_TEST, ARK_SPLIT_COUNT } ark_split;
typedef enum ark_uncertain { ARK_LSR_ONES, ARK_ONES, ARK_ZEROS, ARK_LSR_ZEROS, ARK_MASK } ark_uncertain;
typedef enum ark_missing { ARK_MISSING_MASK, ARK_MISSING_ZERO } ark_missing;

typedef struct ark_dataset {
    char *name;
    ark_task task;
    ark_uncertain uncertain;
    ark_missing missing;
    ark_window window; /* of every image, where 8 bits are made */
    int n_classes;     /* K; 1 for binary with a single column */
    char **classes;
    size_t n; /* samples of all splits, in file order */
    size_t n_excluded, n_unlabelled,
        n_other_views; /* rows left out by exclude and exclude_list; without a row
                                                     * in labels_list; by `views` */
    char **paths;      /* n; as openable from the working folder; all text in path_text */
    char *path_text;
    char *dir;      /* what paths begin with: data_dir with a slash, or nothing */
    uint8_t *split; /* n; ark_split */
    float *labels;  /* (n,K); multi-class: one-hot (never -1), or all NaN where the class is blank */
    uint32_t
        *patient; /* n; dense ids within the dataset, equal for equal patients; each its own when unknown */
    char *sex;    /* n; 'M', 'F' or 0 */
    float *age;   /* n; years, NaN unknown */
    char *view;   /* n; 'P' (PA), 'A' (AP), 'L' lateral, 0 unknown */
    uint32_t *rows[ARK_SPLIT_COUNT]; /* sample indices of each split, in file order */
    size_t rows_n[ARK_SPLIT_COUNT];
    size_t dropped[ARK_SPLIT_COUNT]; /* rows that ark_datasets_exclude took out */
    char **test_classes; /* subset evaluated on the test split (upstream's test_diseases_name), NULL = all */
    int n_test_classes;
    char *data_dir;        /* what relative paths of its lists begin with, or NULL */
    struct ark_pack *pack; /* where its images come from, as dataset pack_index; NULL = from the paths */
    size_t pack_index;
} ark_dataset;

typedef struct ark_datasets {
    char *path;
    size_t n;
    ark_dataset *items;
} ark_datasets;

/** Read the YAML file and the list files of the datasets in names[0..n_names) (NULL = all), in that order.
 * path may also be the folder of a pack (data/pack.h). Image files are not opened. Errors name file, line,
 * key or column: ARK_EINVAL (unknown key, name, format), ARK_EFORMAT (missing column, illegal label such
 * as NaN, empty split list), ARK_EIO. */
ark_status ark_datasets_read(
    const char *path, const char *const *names, size_t n_names, ark_datasets **out) ARK_MUST_CHECK;
void ark_datasets_free(ark_datasets *d);
/** By name, or NULL. */
const ark_dataset *ark_datasets_find(const ark_datasets *d, const char *name);
/** Path of a sample inside data_dir, as exclusion lists name it. */
const char *ark_dataset_image_name(const ark_dataset *d, size_t sample);
/** Take the images of an exclusion list (CSV: dataset, split, image; `arkfm data check --write-exclusions`)
 * out of rows and rows_n; the samples themselves stay. Datasets that are not here are passed over; a dataset
 * that is here but has no such image in that split is ARK_EFORMAT: the list is about other files. */
ark_status ark_datasets_exclude(ark_datasets *d, const char *path) ARK_MUST_CHECK;
const char *ark_task_name(ark_task t);   /* "multi-label", "binary", "multi-class" */
const char *ark_split_name(ark_split s); /* "train", "val", "test" */

#endif
