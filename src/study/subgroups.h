/* Results of one model in parts of the test split: by sex, age, view. */
#ifndef ARK_STUDY_SUBGROUPS_H
#define ARK_STUDY_SUBGROUPS_H

#include "study/scored.h"

/* One part. */
typedef struct ark_subgroup {
    const char *attribute; /* "all", "sex", "age", "view" */
    char name[48];         /* "F", "40-59", "PA", "unknown" */
    uint32_t *row;         /* [n] rows of the scores */
    size_t n, patients;
    ark_class_result *r; /* K */
} ark_subgroup;

typedef struct ark_subgroups {
    ark_subgroup *items;
    size_t n, K;
} ark_subgroups;

/** Cut the rows of s by the dataset's columns and evaluate each part at the same operating points. limits:
 *  inner limits of age bands, ascending. A part without rows is not made; what a part does not define is NaN
 *  with a reason.
 *  @return ARK_OK | ARK_EINVAL (limits not ascending) | ARK_ENOMEM */
ark_status ark_subgroups_new(const ark_scored *s, const ark_dataset *data, const double *limits,
    size_t n_limits, double level, ark_subgroups *out) ARK_MUST_CHECK;
void ark_subgroups_free(ark_subgroups *g);

/** False negative rate, 1 - sensitivity; false positive rate, 1 - specificity; Wilson's intervals. */
ark_metric ark_fnr(const ark_at_point *a, ark_interval *ci);
ark_metric ark_fpr(const ark_at_point *a, ark_interval *ci);

#endif
