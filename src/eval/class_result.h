/* What a model does on one class, for tables: ranking, and decisions at a threshold chosen elsewhere. */
#ifndef ARK_EVAL_CLASS_RESULT_H
#define ARK_EVAL_CLASS_RESULT_H

#include "eval/auc_ci.h"
#include "eval/calibration.h"
#include "eval/operating_point.h"

typedef struct ark_class_result {
    size_t n, positives;
    ark_delong delong; /* AUROC with variance and interval */
    ark_metric ap;
    ark_metric brier, ece; /* of probabilities, 15 bins */
    ark_at_point at;       /* at the class's operating point; undefined values say why */
} ark_class_result;

/** An operating point per class of a validation table. out: K items, the caller's. */
ark_status ark_choose_points(const ark_eval_table *validation, ark_op_rule rule, double target,
    ark_operating_point *out) ARK_MUST_CHECK;
/** Results per class of a table of probabilities. points: K items, or NULL: then no decision is made. out:
 *  K items, the caller's. */
ark_status ark_class_results(const ark_eval_table *t, const ark_operating_point *points, double level,
    ark_class_result *out) ARK_MUST_CHECK;

/* Means over the classes that have a value. */
typedef struct ark_class_means {
    ark_metric auroc, ap, f1, mcc;
    size_t classes; /* whose AUROC is defined */
} ark_class_means;
ark_class_means ark_class_results_mean(const ark_class_result *r, size_t K);

#endif
