/* What should be known about datasets before anything is trained: unreadable files, class counts, patients in
 * several splits, and pictures that occur more than once, in one dataset or in several. docs/leakage.md. */
#ifndef ARK_DATA_CHECK_H
#define ARK_DATA_CHECK_H

#include "data/dataset.h"
#include "data/near.h"

#include <stdbool.h>

typedef struct ark_check_opts {
    bool images;   /* decode every file; false: only paths are compared */
    int near_bits; /* radius of the picture hash, 0..ARK_NEAR_MAX; below 0: no search for near duplicates */
    double min_correlation; /* of the details of two pictures that are called the same */
    int threads;
    void (*progress)(void *arg, size_t done, size_t total); /* NULL = none; called from worker threads */
    void *arg;
} ark_check_opts;
ark_check_opts ark_check_default_opts(void);

/* Why an image should not be used where it is. */
typedef enum ark_drop {
    ARK_KEEP,
    ARK_DROP_PICTURE, /* the same picture is in a split that this one must not know */
    ARK_DROP_PATIENT, /* the same patient is */
    ARK_DROP_UNREADABLE,
} ark_drop;

/* How an image is the same as the first of its group. */
typedef enum ark_match { ARK_MATCH_ALONE, ARK_MATCH_NEAR, ARK_MATCH_PIXELS, ARK_MATCH_FILE } ark_match;

typedef struct ark_check_labels {
    size_t positive, negative, uncertain, missing;
} ark_check_labels;

/* Pairs of splits that must not share anything. */
enum { ARK_TRAIN_VAL, ARK_TRAIN_TEST, ARK_VAL_TEST, ARK_SPLIT_PAIRS };

typedef struct ark_check_set {
    char *name, *error;                        /* error: why it could not be read; data is then NULL */
    ark_datasets *held;                        /* owns data */
    const ark_dataset *data;                   /* or NULL */
    size_t first;                              /* index of its sample 0 among all images */
    ark_check_labels *labels[ARK_SPLIT_COUNT]; /* K */
    size_t patients[ARK_SPLIT_COUNT];          /* known ones; unknown ones are counted as one image each */
    size_t shared[ARK_SPLIT_PAIRS];            /* patients in both splits */
    size_t conflicts; /* groups of one picture whose labels differ inside this dataset */
} ark_check_set;

typedef struct ark_check_bad {
    uint32_t image;
    char *reason;
} ark_check_bad;

enum { ARK_CHECK_MAX_BAD = 1000, ARK_CHECK_MAX_PAIRS = 4000000 };

typedef struct ark_check {
    ark_check_set *sets; /* in the order of the file */
    size_t n_sets, n;    /* n: images over all of them */
    size_t n_errors;     /* sets that could not be read */
    ark_check_bad *bad;  /* the first ARK_CHECK_MAX_BAD unreadable files */
    size_t n_bad, bad_listed;
    /* groups of two images or more that show one picture */
    uint32_t *members, *start; /* of group g: members[start[g]] .. members[start[g+1]-1], ascending */
    size_t n_groups;
    uint8_t *match, *distance; /* n; ark_match; bits of the picture hash */
    uint8_t *drop;             /* n; ark_drop */
    uint8_t *leaked;           /* n; an image of val or test whose picture or patient another split knows */
    size_t dropped[ARK_DROP_UNREADABLE + 1];
    size_t *overlap; /* (3 n_sets, 3 n_sets): images of the column's split whose picture is in the row's */
    size_t candidates, confirmed; /* pairs within the radius; of them those whose details agree */
    bool complete;                /* false: more than ARK_CHECK_MAX_PAIRS pairs, some are missing */
    size_t leaks;                 /* images that are leaked */
} ark_check;

/** Read the datasets of a YAML file (names NULL = all), each by itself, and check them. What is wrong with
 *  them is in the result; an error is returned for a file that is no dataset file, or for lack of memory. */
ark_status ark_check_run(const char *path, const char *const *names, size_t n_names,
    const ark_check_opts *opts, ark_check **out) ARK_MUST_CHECK;
void ark_check_free(ark_check *c);

/** Set and sample of an image; returns the set. */
const ark_check_set *ark_check_locate(const ark_check *c, uint32_t image, size_t *sample);
/** Split of an image over all sets: 3 set + split; n_sets * 3 of them. */
size_t ark_check_cell(const ark_check *c, uint32_t image);
/** Would training with cell a know too much about cell b: a is the train split of any set and b a val or test
 *  split, or they are val and test of one set. */
bool ark_check_leaks(size_t a, size_t b);

/** CSV (dataset, split, image, reason) of the images that ark_drop names. */
ark_status ark_check_write_exclusions(const ark_check *c, const char *path) ARK_MUST_CHECK;

#endif
