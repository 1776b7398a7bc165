/* What the public chest X-ray lists look like: defaults of a dataset entry by the word of its `format`.
 * Adding a preset is one entry of the table in presets.c and one row in docs/datasets.md. */
#ifndef ARK_DATA_PRESETS_H
#define ARK_DATA_PRESETS_H

#include "data/dataset.h"

#include <stddef.h>

/* How several rows about one image become one. */
typedef enum ark_votes {
    ARK_VOTES_NONE,     /* they do not: every row is a sample */
    ARK_VOTES_SAME,     /* they must say the same */
    ARK_VOTES_ANY,      /* positive if one row says so */
    ARK_VOTES_MAJORITY, /* what more than half of the rows say, uncertain without a majority */
} ark_votes;

/* Every field is a default that the same key of the entry overrides. NULL = nothing. Columns are taken where
 * a list has them, so that one preset serves the publisher's lists and those of the released Ark code. */
typedef struct ark__preset {
    const char *name;                /* word of `format` */
    const char *released;            /* its entry in the released datasets_config.yaml */
    const char *const *classes;      /* NULL-terminated, in the order of the head */
    const char *const *test_classes; /* NULL-terminated */
    const char *const *aliases;      /* pairs: spelling in the list, class; NULL-terminated */
    const char *image, *label, *no_finding;
    const char *views[2];                  /* columns of the view, the first known one counts */
    const char *suffix;                    /* appended to image names */
    const char *path, *path_for;           /* template of the path, if the image column is path_for */
    const char *patient_in_path;           /* pattern, where no column tells the patient */
    const char *label_in_path;             /* pattern, where the list has nothing but names */
    const char *labels_key, *metadata_key; /* columns that join labels_list and metadata_list */
    const char *subdirs[ARK_SPLIT_COUNT];  /* folders of the splits inside data_dir */
    ark_task task;
    ark_uncertain uncertain;
    ark_missing missing;
    ark_votes votes;
} ark__preset;

extern const ark__preset ark__presets[];
extern const size_t ark__preset_count;

#endif
