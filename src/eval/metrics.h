/* Metrics of a classifier: ranking (AUROC, average precision, curves) and threshold metrics.
 *
 * A metric that the data do not define - no positive row, no negative row - has the value NaN and a
 * reason; it is never replaced by 0.5 or 0. Scores need not be probabilities: ranking metrics see only
 * their order. All results are exact functions of the inputs, independent of row order and threads. */
#ifndef ARK_EVAL_METRICS_H
#define ARK_EVAL_METRICS_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number that may not exist. */
typedef struct ark_metric {
    double value;    /* NaN when undefined */
    const char *why; /* NULL when defined, else the reason; static text */
} ark_metric;

static inline bool ark_metric_defined(ark_metric m) {
    return m.why == NULL;
}

/* The prediction of one model for K binary problems over the same n rows. */
typedef struct ark_eval_table {
    const double *score;      /* (n,K), finite where the label is present */
    const double *label;      /* (n,K): 0, 1, or NaN = missing, which leaves the row out of that class */
    size_t n, K;              /* n < 2^31 */
    const char *const *names; /* K class names for messages, or NULL */
} ark_eval_table;

/* One binary problem sorted by descending score; equal scores form a group. Everything below is a walk
 * over it. Freed by ark_ranked_free. */
typedef struct ark_ranked {
    size_t n, positives, negatives;
    size_t groups;     /* distinct scores */
    uint32_t *row;     /* [n] row of the input at each rank */
    uint8_t *positive; /* [n] its label */
    size_t *end;       /* [groups] one past the group's last rank */
    double *threshold; /* [groups] the group's score */
    size_t *tp, *fp;   /* [groups] positive and negative rows with score >= threshold */
} ark_ranked;

/** Sort n rows. label: 0 or 1. A score that is not finite or another label: ARK_EINVAL naming the row
 *  (counted from 0). O(n log n). */
ark_status ark_rank(const double *score, const double *label, size_t n, ark_ranked *out) ARK_MUST_CHECK;
/** Sort the rows of class k whose label is present; out->row holds rows of the table. Errors as above. */
ark_status ark_rank_class(const ark_eval_table *t, size_t k, ark_ranked *out) ARK_MUST_CHECK;
void ark_ranked_free(ark_ranked *r);

/** Area under the ROC curve = P(score of a positive > score of a negative) + P(equal)/2 (Mann-Whitney). */
ark_metric ark_auroc(const ark_ranked *r);
/** Average precision, sum over thresholds of (R_i - R_{i-1}) P_i, as sklearn's average_precision_score.
 *  Undefined without negatives too, where it would be 1 for every score. */
ark_metric ark_average_precision(const ark_ranked *r);
/** Both for rows that count weight[row] times, as bootstrap resamples do. O(n). weight: indexed by row. */
void ark_weighted_auc(const ark_ranked *r, const uint32_t *weight, ark_metric *auroc, ark_metric *ap);

/* Points of a curve in drawing order. Freed by ark_curve_free. */
typedef struct ark_curve {
    size_t n;
    double *x, *y;
} ark_curve;

/** ROC curve from (0,0) to (1,1): x = false, y = true positive rate; points inside a straight run are
 *  dropped, which changes no area. ARK_EINVAL when one class is absent. */
ark_status ark_roc_curve(const ark_ranked *r, ark_curve *out) ARK_MUST_CHECK;
/** Precision (y) over recall (x), from recall 0 with precision 1 by convention, one point per distinct
 *  score. ARK_EINVAL when one class is absent. */
ark_status ark_pr_curve(const ark_ranked *r, ark_curve *out) ARK_MUST_CHECK;
void ark_curve_free(ark_curve *c);

/* Decisions at one threshold: a row is called positive when score >= threshold. */
typedef struct ark_confusion {
    size_t tp, fp, tn, fn;
} ark_confusion;

ark_confusion ark_confusion_at(const ark_ranked *r, double threshold);
ark_metric ark_accuracy(ark_confusion c);
/** Share of positive rows called positive (recall), and of negative rows called negative. */
ark_metric ark_sensitivity(ark_confusion c);
ark_metric ark_specificity(ark_confusion c);
/** Share of rows called positive that are. */
ark_metric ark_precision(ark_confusion c);
/** 2 tp / (2 tp + fp + fn). */
ark_metric ark_f1(ark_confusion c);
/** Matthews correlation; undefined when a row or column of the table is empty. */
ark_metric ark_mcc(ark_confusion c);

/** Share of rows whose largest of K scores is at label[row] (ties: the first, as numpy.argmax).
 *  score (n,K), label (n) in [0,K); a NaN score or another label: ARK_EINVAL naming the row. */
ark_status ark_multiclass_accuracy(
    const double *score, const int32_t *label, size_t n, size_t K, ark_metric *out) ARK_MUST_CHECK;

typedef struct ark_class_auc {
    size_t n, positives; /* rows with a label */
    ark_metric auroc, ap;
} ark_class_auc;

/* Means over the classes that have a value. */
typedef struct ark_macro {
    ark_metric auroc, ap;
    size_t classes;  /* in the mean */
    size_t left_out; /* undefined: one class absent */
} ark_macro;

/** Every class of a table and the macro mean. per_class: K items, the caller's. */
ark_status ark_table_metrics(
    const ark_eval_table *t, ark_class_auc *per_class, ark_macro *macro) ARK_MUST_CHECK;

#endif
