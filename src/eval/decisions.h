/* How a head's probabilities become decisions: a temperature and thresholds per class, chosen on validation
 * data and kept in the weight file (metadata `operating_points`).
 *
 * What is chosen on one view of the images does not hold for another, so there is a set per view. Thresholds
 * are on the probabilities as the model gives them; the temperature gives the calibrated ones beside them. */
#ifndef ARK_EVAL_DECISIONS_H
#define ARK_EVAL_DECISIONS_H

#include "eval/evaluate.h"
#include "eval/operating_point.h"

enum { ARK_DECISION_RULES_MAX = 4 };

typedef struct ark_decision_rule {
    ark_op_rule rule;
    double target; /* 0 for rules without one */
} ark_decision_rule;

typedef struct ark_class_decision {
    size_t n, positives; /* labelled rows it was chosen on */
    ark_operating_point at[ARK_DECISION_RULES_MAX];
} ark_class_decision;

typedef struct ark_decision_set {
    ark_seen seen;
    double temperature;          /* NaN when undefined */
    const char *temperature_why; /* NULL when defined, else the reason; static text */
    ark_class_decision *classes; /* K; owned */
} ark_decision_set;

/* Of one head. Zero: nothing was chosen. Released by ark_decisions_free. */
typedef struct ark_decisions {
    int k, n_rules, n_sets;
    ark_decision_rule rules[ARK_DECISION_RULES_MAX];
    ark_decision_set sets[ARK_SEEN_COUNT];
} ark_decisions;

/** Add the set of one view: temperature and thresholds under d->rules, from the scores of the validation
 *  split and of nothing else. A rule that the data do not define (a class without a positive or negative
 *  row, an unreachable target) has a NaN threshold and a reason. */
ark_status ark_decisions_choose(
    ark_decisions *d, const ark_head *head, ark_seen seen, const ark_scores *validation) ARK_MUST_CHECK;
/** The set of a view, or NULL. */
const ark_decision_set *ark_decisions_for(const ark_decisions *d, ark_seen seen);
void ark_decisions_free(ark_decisions *d);

/** As the metadata text of a file with this one head; ark_free(*text). */
ark_status ark_decisions_text(const ark_decisions *d, const ark_head *head, char **text) ARK_MUST_CHECK;
/** From metadata text; NULL text, or a text that does not speak of the head: *out is zero. ARK_EFORMAT naming
 *  the file when the text is not what the above writes, or its classes are not the head's. */
ark_status ark_decisions_parse(
    const char *text, const char *path, const ark_head *head, ark_decisions *out) ARK_MUST_CHECK;

/** Probabilities (n,K) under a temperature: sigmoid(logit(p) / T), or softmax(log p / T) over the classes for
 *  ARK_MULTICLASS, which for one view is the temperature scaling of its logits. A probability that float32
 *  rounded to 0 or 1 counts as the nearest value inside. NaN T: all NaN. */
void ark_temper(ark_task task, double T, const float *prob, int64_t n, int k, float *out);
/** "youden", or "sensitivity_0.9". */
void ark_decision_name(const ark_decision_rule *r, char *buf, size_t cap);

#endif
