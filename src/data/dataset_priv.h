/* Inside of the dataset reader: a YAML entry becomes a spec, its lists become rows, the rows a dataset. */
#ifndef ARK_DATA_DATASET_PRIV_H
#define ARK_DATA_DATASET_PRIV_H

#include "data/dataset.h"
#include "data/presets.h"
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

/* A list of names, of the document or of a preset; the array is owned, the texts are not. */
typedef struct ark__names {
    const char **items; /* NULL: not given */
    size_t n;
    int line;
} ark__names;

/* One entry of the YAML file, its paths resolved. Texts and nodes belong to the document or to the preset. */
typedef struct ark__spec {
    const ark_yaml *yaml;
    const char *name;
    int line;
    ark__format format;
    const ark__preset *preset; /* never NULL once read; columns of it need not exist */
    char *data_dir;
    ark__list_spec lists[ARK_SPLIT_COUNT];
    size_t n_lists;
    const char *image, *patient, *split, *sex, *age; /* column names; NULL = the preset's or the usual ones */
    const ark_yaml_node *view;                       /* one column or several, or NULL */
    const char *label;                               /* column of class names, or NULL */
    const char *separator;                           /* between the names of a multi-label `label` */
    ark__names no_finding;                           /* names that stand for no class */
    const ark_yaml_node *aliases;                    /* map of spelling: class, or NULL */
    const char *suffix;                              /* appended to image names; "" = nothing */
    bool suffix_if_bare;                             /* only to names without an extension */
    const char *path;                                /* template of image paths, or NULL */
    const char *patient_in_path, *label_in_path;     /* patterns, or NULL */
    bool patient_by_path;                            /* the pattern was asked for: no column is looked at */
    const char *subdirs[ARK_SPLIT_COUNT];            /* inside data_dir, or NULL */
    char *labels_list, *metadata_list;               /* CSV files joined to the lists, or NULL */
    const char *labels_key, *metadata_key;           /* column in list and file; NULL = the image */
    ark_votes votes;
    unsigned views;                   /* set of ark__view_bit */
    double hold_out[ARK_SPLIT_COUNT]; /* percent of the patients of `train` that go to val and test */
    ark_task task;
    ark_uncertain uncertain;
    ark_missing missing;
    ark_window window;
    ark__names classes, test_classes;
    const ark_yaml_node *exclude; /* map of column: value or values, or NULL */
    char *exclude_list;           /* CSV with a path column, or NULL */
} ark__spec;

enum { ARK__ALL_VIEWS = 15 };
/** Bit of a view in ark__spec.views: 'P', 'A', 'L', or 0 for unknown. */
unsigned ark__view_bit(char view);
/** Check and resolve the entry `name` of the file. ARK_EINVAL with file and line. */
ark_status ark__spec_read(
    const ark_yaml *y, const char *name, const ark_yaml_node *node, ark__spec *out) ARK_MUST_CHECK;
void ark__spec_free(ark__spec *s);
/** Task, classes and label column must agree: ARK_EINVAL. Test classes of a preset (not asked for) that are
 * no classes of this entry are dropped. */
ark_status ark__spec_check(ark__spec *s, bool test_classes_asked) ARK_MUST_CHECK;
/* A sequence, or a scalar that counts as a sequence of one. */
size_t ark__items(const ark_yaml_node *n);
const char *ark__item(const ark_yaml_node *n, size_t i);

/** Class that a text of a list stands for: a class, or an alias of one; -1 when it is neither. `classes` may
 * be longer or shorter than the spec's (names found in the label column). */
int ark__class_of(const ark__spec *s, const char *const *classes, int n, const char *text);
/** Is the text one that stands for no class? */
bool ark__is_no_finding(const ark__spec *s, const char *text);

/* Patterns find a part of an image path: PREFIX{}SUFFIX is the last text between a SUFFIX and the PREFIX
 * nearest before it; an empty PREFIX is the start of the file name, an empty SUFFIX the end of the path. */
/** Refuse what is no pattern: ARK_EINVAL, without place. */
ark_status ark__pattern_check(const char *pattern) ARK_MUST_CHECK;
/** Length of the part and *at, or 0 when the path does not match or the part is empty. */
size_t ark__pattern_find(const char *pattern, const char *path, const char **at);
/** Refuse a template (text, {column}, {column:N} = its first N characters) that is malformed (ARK_EINVAL, no
 * place) or names a column that t lacks (ARK_EFORMAT; t NULL: not looked at). */
ark_status ark__template_check(const char *template, const ark_csv *t) ARK_MUST_CHECK;
/** Expand for a row into out (cap bytes). ARK_EFORMAT when it does not fit. */
ark_status ark__template_expand(
    const char *template, const ark_csv *t, size_t row, char *out, size_t cap) ARK_MUST_CHECK;

/* Rows of a table by the text of one column. */
typedef struct ark__join {
    const ark_csv *t;
    ark__strset keys;
    uint32_t *start; /* keys.n + 1 */
    uint32_t *rows;  /* of key k: rows[start[k]] .. rows[start[k+1]-1], in file order */
} ark__join;
ark_status ark__join_new(const ark_csv *t, size_t col, ark__join *out) ARK_MUST_CHECK;
/** Rows of a key: as it is; else without folders; else also without extension. 0 when there is none. */
size_t ark__join_find(const ark__join *j, const char *key, const uint32_t **rows);
void ark__join_free(ark__join *j);

/* A dataset under construction. */
typedef struct ark__rows {
    const ark__spec *spec;
    ark_dataset *d; /* d->n rows so far */
    size_t cap;
    size_t *path_at; /* cap: start of each path in text */
    size_t text_cap, text_len;
    ark__strset patients;
    ark__strset excluded;                   /* image names of exclude_list */
    bool *exclude_used;                     /* of every value under `exclude`, in order: occurred in a list */
    float *labels;                          /* K: the row being read */
    char *path, *image;                     /* scratch of ARK__MAX_PATH + 1 each */
    ark_csv *labels_table, *metadata_table; /* joined to every list, or NULL */
    uint32_t *votes;                        /* 3 x K: rows for, against, uncertain */
    float *first;                           /* K: labels of the first of several rows */
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

/** Scratch for the classes of r->d. */
ark_status ark__rows_begin(ark__rows *r) ARK_MUST_CHECK;
/** Room for `more` rows on top of those there. */
ark_status ark__rows_reserve(ark__rows *r, size_t more) ARK_MUST_CHECK;
/** Append a row unless exclude_list names its image. File and line serve the message. */
ark_status ark__rows_add(ark__rows *r, const ark__row *row, const char *file, size_t line) ARK_MUST_CHECK;
/** Pointers, patients and rows per split; the arrays get their final size. */
ark_status ark__rows_finish(ark__rows *r) ARK_MUST_CHECK;
void ark__rows_free(ark__rows *r);

/** Free what a dataset holds, not the struct. */
void ark__dataset_clear(ark_dataset *d);

/* Usual names of columns, best first, NULL-terminated. */
typedef enum ark__field {
    ARK__IMAGE,
    ARK__PATIENT,
    ARK__SPLIT,
    ARK__SEX,
    ARK__AGE,
    ARK__VIEW,
    ARK__FIELDS
} ark__field;
extern const char *const *const ark__usual_names[ARK__FIELDS];
bool ark__split_parse(const char *text, ark_split *out);
char ark__sex_parse(const char *s);
char ark__view_parse(const char *s);
/** Years: blank, 61, 61.5, or DICOM's 061Y. */
bool ark__age_parse(const char *s, float *out);

/* A list and the tables joined to it. */
enum { ARK__FROM_LIST, ARK__FROM_LABELS, ARK__FROM_METADATA, ARK__TABLES, ARK__MAX_VIEWS = 4 };

/* A column of one of them; col -1 = nowhere. */
typedef struct ark__place {
    int table;
    long col;
} ark__place;

typedef struct ark__columns {
    const ark_csv *tables[ARK__TABLES]; /* NULL: a headerless list, no labels_list, no metadata_list */
    long image;                         /* of the list */
    const char *path;                   /* template instead of the image column, or NULL */
    ark__place split, patient, sex, age, views[ARK__MAX_VIEWS];
    int n_views;
    int labels_from;      /* table of the labels */
    long label;           /* column of names, or -1: */
    long *classes;        /* K */
    bool label_by_path;   /* instead of both */
    ark__place *excludes; /* one per key of spec->exclude */
    long labels_key,
        metadata_key;    /* columns of the list that find rows of the others; -1 = the image's name */
    ark__join by_labels; /* of labels_list; or of the list itself, if its rows vote */
    ark__join by_metadata;
    uint32_t *kept; /* scratch: rows that vote for one image; NULL unless rows of the list vote */
} ark__columns;

/** Columns of a list (t NULL: headerless) and of what is joined to it. Free also after a failure. */
ark_status ark__columns_find(ark__rows *r, const ark_csv *t, int split, ark__columns *c) ARK_MUST_CHECK;
void ark__columns_free(ark__columns *c);
/** Row i of a CSV list: its labels, by votes if so; nothing for a row that only votes or is excluded. */
ark_status ark__csv_row(ark__rows *r, const ark__columns *c, size_t i, int split) ARK_MUST_CHECK;
/** A line of a headerless list, its image and split set: what the joined tables say about the image.
 *  labelled: the line itself had labels, labels_list is not asked for any. */
ark_status ark__list_row(ark__rows *r, const ark__columns *c, ark__row *row, bool labelled, const char *file,
    size_t line) ARK_MUST_CHECK;

/** Column of the image of an exclude_list: the spec's or one of the usual names, -1 when there is none. */
long ark__csv_image_column(const ark__spec *s, const ark_csv *t);
/** All rows of a CSV list. split as in ark__list_spec. */
ark_status ark__csv_rows(ark__rows *r, const ark_csv *t, int split) ARK_MUST_CHECK;
/** Different values of the label column, sorted bytewise, over the lists: names of the
 * classes when the spec has none. */
ark_status ark__csv_classes(
    const ark__spec *s, ark_csv *const *lists, size_t n, ark__strset *out) ARK_MUST_CHECK;
/** All rows of a headerless list, text NUL-terminated. c: what is joined to it. */
ark_status ark__list_rows(ark__rows *r, const ark__columns *c, const char *path, char *text, size_t len,
    ark_split split) ARK_MUST_CHECK;
/** 1, 0, -1 (also 1.0 ...) or blank (NaN); false for anything else, NaN included. */
bool ark__label_parse(const char *s, float *out);
/** Set the one-hot row of a multi-class sample, or the single column of a binary one; index -1 = missing. */
void ark__label_class(ark__rows *r, int index);
/** Refuse a multi-class row that is neither one-hot nor all blank. */
ark_status ark__label_check(const ark__rows *r, const char *file, size_t line) ARK_MUST_CHECK;
/** Is the first line of the file a header that a CSV list could have? */
ark_status ark__is_csv(const ark__spec *s, const char *path, bool *out) ARK_MUST_CHECK;

#endif
