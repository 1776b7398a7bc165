/* Operating points: thresholds chosen on validation data, stored with the model, applied unchanged. */
#ifndef ARK_EVAL_OPERATING_POINT_H
#define ARK_EVAL_OPERATING_POINT_H

#include "eval/auc_ci.h"

typedef enum ark_op_rule {
    ARK_OP_YOUDEN,      /* largest sensitivity + specificity - 1 */
    ARK_OP_SENSITIVITY, /* highest specificity among thresholds with sensitivity >= target */
    ARK_OP_SPECIFICITY, /* highest sensitivity among thresholds with specificity >= target */
    ARK_OP_PRECISION,   /* highest sensitivity among thresholds with precision (PPV) >= target */
    ARK_OP_F1,          /* largest F1 */
} ark_op_rule;

/* A row is called positive when its score >= threshold. */
typedef struct ark_operating_point {
    ark_op_rule rule;
    double target;           /* of the rules that have one */
    double threshold;        /* NaN when undefined: then no decision is made, ever */
    ark_confusion chosen_on; /* the table on the data it was chosen on */
    const char *why;         /* NULL when defined, else the reason; static text */
} ark_operating_point;

/** Choose on validation rows. The threshold lies half-way between the last score called positive and the next
 *  lower one, so that rounding of a score does not flip a decision; below the lowest score it is that score.
 *  Equal values of the criterion: the higher threshold (fewer false alarms). target outside [0,1]:
 *  ARK_EINVAL. One class absent, or a target no threshold reaches: undefined with a reason. */
ark_status ark_choose_operating_point(
    const ark_ranked *validation, ark_op_rule rule, double target, ark_operating_point *out) ARK_MUST_CHECK;

/* What the point does on other rows. */
typedef struct ark_at_point {
    ark_confusion table;
    ark_metric sensitivity, specificity, ppv, npv, accuracy, f1, mcc;
    ark_interval sensitivity_ci, specificity_ci, ppv_ci, npv_ci; /* Wilson */
    double prevalence;
} ark_at_point;

/** Apply a defined point to rows; NaN threshold: every value undefined with the point's reason. */
ark_at_point ark_apply_operating_point(const ark_operating_point *p, const ark_ranked *rows, double level);

/** "youden", "sensitivity", ... */
const char *ark_op_rule_name(ark_op_rule rule);

#endif
