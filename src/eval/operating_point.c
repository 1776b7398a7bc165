#include "eval/operating_point.h"

#include "base/err.h"
#include "eval/significance.h"

#include <math.h>

static ark_confusion table_at_group(const ark_ranked *r, size_t g) {
    return (ark_confusion){
        .tp = r->tp[g], .fp = r->fp[g], .fn = r->positives - r->tp[g], .tn = r->negatives - r->fp[g]};
}

/* What the rule maximises at one threshold; -INFINITY where its condition fails. */
static double criterion(ark_op_rule rule, double target, const ark_ranked *r, size_t g) {
    double tp = (double)r->tp[g], fp = (double)r->fp[g], tn = (double)r->negatives - fp;
    switch (rule) {
    case ARK_OP_YOUDEN:
        /* In whole numbers over a common denominator, so that equal points compare equal. */
        return tp * (double)r->negatives - fp * (double)r->positives;
    case ARK_OP_SENSITIVITY:
        return tp / (double)r->positives >= target ? -fp : -INFINITY;
    case ARK_OP_SPECIFICITY:
        return tn / (double)r->negatives >= target ? tp : -INFINITY;
    case ARK_OP_PRECISION:
        return tp / (tp + fp) >= target ? tp : -INFINITY;
    case ARK_OP_F1:
        return 2 * tp / (tp + fp + (double)r->positives);
    }
    return -INFINITY;
}

/* Between the last score called positive and the next one below. */
static double between(const ark_ranked *r, size_t g) {
    double high = r->threshold[g];
    if (g + 1 == r->groups) {
        return high;
    }
    double low = r->threshold[g + 1], mid = low + (high - low) / 2;
    return mid > low ? mid : high; /* neighbours in floating point have nothing in between */
}

ark_status ark_choose_operating_point(
    const ark_ranked *v, ark_op_rule rule, double target, ark_operating_point *out) {
    bool has_target = rule == ARK_OP_SENSITIVITY || rule == ARK_OP_SPECIFICITY || rule == ARK_OP_PRECISION;
    if (has_target && !(target >= 0 && target <= 1)) {
        return ARK_ERR(ARK_EINVAL, "%s target %g is not in [0,1]", ark_op_rule_name(rule), target);
    }
    ark_operating_point p = {.rule = rule, .target = has_target ? target : 0, .threshold = NAN};
    if (v->positives == 0 || v->negatives == 0) {
        p.why = v->positives == 0 ? "no positive row" : "no negative row";
        *out = p;
        return ARK_OK;
    }
    double best = -INFINITY;
    size_t at = 0;
    for (size_t g = 0; g < v->groups; g++) {
        double c = criterion(rule, target, v, g);
        if (c > best) {
            best = c;
            at = g;
        }
    }
    if (best == -INFINITY) {
        p.why = "no threshold reaches the target";
    } else {
        p.threshold = between(v, at);
        p.chosen_on = table_at_group(v, at);
    }
    *out = p;
    return ARK_OK;
}

static ark_metric undefined(const char *why) {
    return (ark_metric){.value = NAN, .why = why};
}

static ark_at_point nothing(const char *why) {
    ark_metric m = undefined(why);
    ark_interval i = {.low = NAN, .high = NAN, .why = why};
    return (ark_at_point){.sensitivity = m,
        .specificity = m,
        .ppv = m,
        .npv = m,
        .accuracy = m,
        .f1 = m,
        .mcc = m,
        .sensitivity_ci = i,
        .specificity_ci = i,
        .ppv_ci = i,
        .npv_ci = i,
        .prevalence = NAN};
}

ark_at_point ark_apply_operating_point(const ark_operating_point *p, const ark_ranked *rows, double level) {
    if (isnan(p->threshold)) {
        return nothing(p->why ? p->why : "no operating point");
    }
    if (rows->n == 0) {
        return nothing("no row");
    }
    ark_confusion c = ark_confusion_at(rows, p->threshold);
    size_t negative_calls = c.tn + c.fn;
    return (ark_at_point){.table = c,
        .sensitivity = ark_sensitivity(c),
        .specificity = ark_specificity(c),
        .ppv = ark_precision(c),
        .npv = negative_calls ? (ark_metric){.value = (double)c.tn / (double)negative_calls}
                              : undefined("no row called negative"),
        .accuracy = ark_accuracy(c),
        .f1 = ark_f1(c),
        .mcc = ark_mcc(c),
        .sensitivity_ci = ark_wilson(c.tp, c.tp + c.fn, level),
        .specificity_ci = ark_wilson(c.tn, c.tn + c.fp, level),
        .ppv_ci = ark_wilson(c.tp, c.tp + c.fp, level),
        .npv_ci = ark_wilson(c.tn, negative_calls, level),
        .prevalence = (double)rows->positives / (double)rows->n};
}

const char *ark_op_rule_name(ark_op_rule rule) {
    static const char *const names[] = {"youden", "sensitivity", "specificity", "precision", "f1"};
    return names[rule];
}
