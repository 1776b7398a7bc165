/* Everything that is said about one head on one split: per class and on average, with intervals; decisions
 * at the operating points that came with the model; calibration before and after its temperature. */
#ifndef ARK_EVAL_SPLIT_REPORT_H
#define ARK_EVAL_SPLIT_REPORT_H

#include "eval/calibration.h"
#include "eval/decisions.h"

#include <jansson.h>

enum { ARK_REPORT_BINS = 15 }; /* of the expected calibration error, as Guo et al. */

typedef struct ark_class_report {
    const char *name; /* borrowed from the head */
    size_t n, positives;
    ark_metric auroc, ap, brier, ece;
    ark_metric brier_calibrated, ece_calibrated; /* NaN without a temperature */
    ark_interval auroc_ci, ap_ci;
    ark_at_point at[ARK_DECISION_RULES_MAX];
} ark_class_report;

/* Means over the classes that define the value and have positive and negative rows. */
typedef struct ark_macro_point {
    double sensitivity, specificity, ppv, npv, accuracy, f1, mcc;
    int classes; /* with an operating point that could be applied */
} ark_macro_point;

typedef struct ark_split_report {
    size_t n, patients; /* images, and groups of the resampling */
    int k;
    double loss, accuracy;
    ark_metric auroc, ap, brier, ece, brier_calibrated, ece_calibrated; /* multi-class: brier and ece of the
                                                                           whole distribution */
    ark_interval auroc_ci, ap_ci;
    size_t defined;            /* classes in the mean of auroc and ap */
    ark_class_report *classes; /* k; owned */
    int n_rules;
    ark_decision_rule rules[ARK_DECISION_RULES_MAX];
    ark_operating_point *points; /* (k, n_rules); owned */
    ark_macro_point macro[ARK_DECISION_RULES_MAX];
    double temperature; /* NaN: none */
} ark_split_report;

typedef struct ark_report_opts {
    int64_t replicates; /* of the bootstrap by patient; 0: DeLong's interval, none for AP and the means */
    uint64_t seed;
    int threads;
    double level; /* 0.95 */
} ark_report_opts;

/** Report on scores of `data` by `head`. set: NULL, or decisions made for the view of these scores.
 *  A NaN score is ARK_EINVAL naming class and row. */
ark_status ark_split_report_make(const ark_scores *s, const ark_head *head, const ark_dataset *data,
    const ark_decisions *d, const ark_decision_set *set, const ark_report_opts *o,
    ark_split_report *out) ARK_MUST_CHECK;
void ark_split_report_free(ark_split_report *r);

/** Add what was decided and how calibrated it is to a class's object: brier, ece, brier_calibrated,
 *  ece_calibrated, points. */
void ark_class_report_add(const ark_split_report *r, int k, json_t *o);
/** The same of the means. */
void ark_macro_report_add(const ark_split_report *r, json_t *o);
/** Everything: n, patients, loss, temperature, macro, classes. A number that does not exist is null. */
json_t *ark_split_report_json(const ark_split_report *r);

/** Patients of the scored rows, numbered without gaps: group (n), ark_free it. */
ark_status ark_scored_patients(
    const ark_scores *s, const ark_dataset *data, uint32_t **group, size_t *groups) ARK_MUST_CHECK;

#endif
