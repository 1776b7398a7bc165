/* Evaluate a session on one split of a dataset: scores, loss, and metrics per class. */
#ifndef ARK_EVAL_EVALUATE_H
#define ARK_EVAL_EVALUATE_H

#include "data/loader.h"
#include "eval/metrics.h"
#include "model/session.h"

/* Scores of n samples by one head; owned, ark_scores_free. */
typedef struct ark_scores {
    int64_t n;
    int k;
    float *prob;      /* (n,K) probabilities; ten-crop: mean over the crops */
    float *label;     /* (n,K) 0/1; soft labels never occur here: uncertain ones are masked */
    float *mask;      /* (n,K) */
    uint32_t *sample; /* n: index in the dataset */
    double loss;      /* mean loss of the head (BCE, or CE for multi-class) over counted labels and crops; NaN
                         when nothing counts */
    size_t skipped;   /* unreadable images left out */
} ark_scores;

/* What the model sees of a test image. */
typedef enum ark_seen {
    ARK_SEEN_CENTRE,  /* resized, then the centre crop */
    ARK_SEEN_TENCROP, /* ten crops, their mean probability */
    ARK_SEEN_PLAIN,   /* the whole image squashed, as `predict` sees it */
    ARK_SEEN_COUNT
} ark_seen;
/** "centre", "ten-crop", "plain". */
const char *ark_seen_name(ark_seen seen);

typedef struct ark_eval_opts {
    ark_split split;
    bool ten_crop, plain; /* neither: the centre crop */
    int batch;            /* images per loader batch */
} ark_eval_opts;

/** Run head `head` of net over the split, in file order, weights from column. The loader is used for the pass
 * and must have width >= the dataset's number of classes. Columns are matched by class name: every class of
 * the dataset must be one of the head's (ARK_EINVAL names both lists); classes that only the head has, and on
 * the test split those outside data->test_classes, are masked. Uncertain labels (-1) do not count, whatever
 * the training rule. A split without a readable image is ARK_EINVAL. */
ark_status ark_evaluate(ark_session *s, ark_column column, const ark_net *net, int head, ark_loader *loader,
    const ark_dataset *data, uint32_t dataset_id, const ark_eval_opts *opts, ark_scores *out) ARK_MUST_CHECK;
void ark_scores_free(ark_scores *s);
/** The scores as the metrics want them: t->score and t->label (n,K) doubles, NaN where the label is masked,
 * both in one block, *block, for ark_free. */
ark_status ark_scores_table(const ark_scores *s, ark_eval_table *t, double **block) ARK_MUST_CHECK;

/* Metrics of one dataset: per class and their mean. NaN where undefined (no positive or no negative), which
 * is reported and left out of the mean. */
typedef struct ark_class_summary {
    const char *name; /* borrowed from the net */
    int64_t n, positives;
    double auroc, ap, accuracy; /* accuracy at 0.5 */
} ark_class_summary;

typedef struct ark_summary {
    int k, defined;             /* classes, and those whose AUROC is defined */
    ark_class_summary *classes; /* k; owned */
    double mean_auroc, mean_ap; /* over defined classes; NaN when there is none */
    double accuracy; /* multi-class: argmax over samples; otherwise mean over counted labels at 0.5 */
    double loss;
} ark_summary;

ark_status ark_summarize(const ark_scores *s, const ark_head *head, ark_summary *out) ARK_MUST_CHECK;
void ark_summary_free(ark_summary *s);

#endif
