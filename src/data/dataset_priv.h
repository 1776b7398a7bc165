/* Inside of the dataset reader: a YAML entry becomes a spec, its lists become rows, the rows a dataset. */
#ifndef ARK_DATA_DATASET_PRIV_H
#define ARK_DATA_DATASET_PRIV_H

#include "data/dataset.h"
#include "data/strset.h"
#include "io/csv.h"
#include "io/yaml.h"

#include <stdbool.h>

enum {
    ARK__MAX_CLASSES = 4096,
    ARK__MAX_SAMPLES = 50000000,
    ARK__MAX_PATH = 4095,
};

typedef enum ark__format { ARK__BY_CONTENT, ARK__CSV, ARK__LIST } ark__format;

/* A list file: of one split, or with a split column (split = -1). */
typedef struct ark__list_spec {
    char *path;
    int split; /* ark_split or -1 */
} ark__list_spec;

/* One entry of the YAML file, its paths resolved. Texts and nodes belong to the document. */
typedef struct ark__spec {
    const ark_yaml *yaml;
    const char *name;
    int line;
    ark__format format;
    char *data_dir;
    ark__list_spec lists[ARK_SPLIT_COUNT];
    size_t n_lists;
    const char *image, *patient, *split, *sex, *age, *view; /* column names; NULL = the usual ones */
    const char *label;                                      /* column of the class name, or NULL */
    const char *suffix;                                     /* appended to image names; "" = nothing */
    ark_task task;
    ark_uncertain uncertain;
    ark_missing missing;
    ark_window window;
    const ark_yaml_node *classes;      /* or NULL: from the label column */
    const ark_yaml_node *test_classes; /* or NULL */
    const ark_yaml_node *exclude;      /* map of column: value or values, or NULL */
    char *exclude_list;                /* CSV with a path column, or NULL */
} ark__spec;

/** Check and resolve the entry `name` of the file. ARK_EINVAL with file and line. */
ark_status ark__spec_read(
    const ark_yaml *y, const char *name, const ark_yaml_node *node, ark__spec *out) ARK_MUST_CHECK;
void ark__spec_free(ark__spec *s);
/* A sequence, or a scalar that counts as a sequence of one. */
size_t ark__items(const ark_yaml_node *n);
const char *ark__item(const ark_yaml_node *n, size_t i);

/* A dataset under construction. */
typedef struct ark__rows {
    const ark__spec *spec;
    ark_dataset *d; /* d->n rows so far */
    size_t cap;
    size_t *path_at; /* cap: start of each path in text */
    size_t text_cap, text_len;
    ark__strset patients;
    ark__strset excluded; /* image names of exclude_list */
    bool *exclude_used;   /* of every value under `exclude`, in order: occurred in a list */
    float *labels;        /* K: the row being read */
    char *path;           /* scratch of ARK__MAX_PATH + 1 */
} ark__rows;

/* What a list says about one image. */
typedef struct ark__row {
    const char *image;   /* as in the list, without data_dir and suffix */
    const char *patient; /* "" unknown */
    ark_split split;
    char sex, view;
    float age;
    const float *labels; /* K */
} ark__row;

/** Room for `more` rows on top of those there. */
ark_status ark__rows_reserve(ark__rows *r, size_t more) ARK_MUST_CHECK;
/** Append a row unless exclude_list names its image. File and line serve the message. */
ark_status ark__rows_add(ark__rows *r, const ark__row *row, const char *file, size_t line) ARK_MUST_CHECK;
/** Pointers, patients and rows per split; the arrays get their final size. */
ark_status ark__rows_finish(ark__rows *r) ARK_MUST_CHECK;
void ark__rows_free(ark__rows *r);

/** Free what a dataset holds, not the struct. */
void ark__dataset_clear(ark_dataset *d);

/** CSV with a header: the column of the image by the spec or by its usual names, -1 when there is none. */
long ark__csv_image_column(const ark__spec *s, const ark_csv *t);
/** All rows of a CSV list. split as in ark__list_spec. */
ark_status ark__csv_rows(ark__rows *r, const ark_csv *t, int split) ARK_MUST_CHECK;
/** Different values of the label column, sorted bytewise, over the lists: names of the
 * classes when the spec has none. */
ark_status ark__csv_classes(
    const ark__spec *s, ark_csv *const *lists, size_t n, ark__strset *out) ARK_MUST_CHECK;
/** All rows of a headerless list, text NUL-terminated. */
ark_status ark__list_rows(
    ark__rows *r, const char *path, char *text, size_t len, ark_split split) ARK_MUST_CHECK;
/** 1, 0, -1 (also 1.0 ...) or blank (NaN); false for anything else, NaN included. */
bool ark__label_parse(const char *s, float *out);
/** Set the one-hot row of a multi-class sample, or the single column of a binary one; index -1 = missing. */
void ark__label_class(ark__rows *r, int index);
/** Refuse a multi-class row that is neither one-hot nor all blank. */
ark_status ark__label_check(const ark__rows *r, const char *file, size_t line) ARK_MUST_CHECK;
/** Is the first line of the file a header that a CSV list could have? */
ark_status ark__is_csv(const ark__spec *s, const char *path, bool *out) ARK_MUST_CHECK;

#endif
