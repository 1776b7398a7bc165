/* Scores of a model on the rows of one split, with what follows from them; and how they are written down. */
#ifndef ARK_STUDY_SCORED_H
#define ARK_STUDY_SCORED_H

#include "base/file.h"
#include "eval/class_result.h"
#include "eval/features.h"
#include "report/html.h"
#include "study/config.h"

#include <jansson.h>

typedef struct ark_scored {
    ark_eval_table t;        /* score and label point into block; names are the caller's */
    double *block;           /* probabilities (n,K), then labels (n,K): missing where a class is left out */
    const uint32_t *sample;  /* [n] of the dataset, borrowed */
    const uint32_t *patient; /* [n] in [0,patients), borrowed; may be NULL */
    size_t patients;
    const ark_operating_point *points; /* K, borrowed, or NULL */
    const char *const *left_out; /* K, borrowed: why a class has no scores; NULL, or NULL in it = it has */
    ark_class_result *r;         /* K */
    ark_class_means mean;
    ark_boot_macro macro;
    ark_metric accuracy; /* multi-class: share of rows whose likeliest class is right; else undefined */
} ark_scored;

/** Take probabilities (n,K) and labels (n,K) of f's rows over into s (copied). names: K, outlive s. */
ark_status ark_scored_new(const double *score, const double *label, const ark_features *f,
    const char *const *names, ark_scored *s) ARK_MUST_CHECK;
/** Fill r, mean, macro, accuracy. points as in ark_class_results. */
ark_status ark_scored_evaluate(ark_scored *s, const ark_study_config *c, const ark_operating_point *points,
    bool multiclass, int threads) ARK_MUST_CHECK;
void ark_scored_free(ark_scored *s);

/** Options of the bootstrap that resamples s's patients. */
ark_bootstrap_opts ark_scored_bootstrap(const ark_scored *s, const ark_study_config *c, int threads);

/** {n, mean_auroc, mean_auroc_ci, mean_ap, mean_ap_ci, mean_f1, mean_mcc, classes_defined, accuracy,
 *  classes} */
json_t *ark_scored_json(const ark_scored *s);
/** path, then per class its label (blank where it does not count) and "CLASS score". */
ark_status ark_scored_write_predictions(
    const ark_scored *s, const ark_dataset *data, const char *path) ARK_MUST_CHECK;
/** The table of classes as CSV; undefined values are blank. */
ark_status ark_scored_write_classes(const ark_scored *s, const char *path) ARK_MUST_CHECK;

/** Key numbers and the table of classes, as parts of a report. */
ark_status ark_scored_html_table(const ark_scored *s, ark_html *h, double level) ARK_MUST_CHECK;
/** ROC curves with bands of the first `most` classes that have one. */
ark_status ark_scored_html_roc(
    const ark_scored *s, ark_html *h, const ark_study_config *c, size_t most, int threads) ARK_MUST_CHECK;

/** A field of a CSV file, quoted. */
void ark_csv_put(ark_writer *w, const char *s);
/** A finite number with 9 digits; nothing for anything else. */
void ark_csv_put_number(ark_writer *w, double v);

#endif
