#include "eval/decisions.h"

#include "base/alloc.h"
#include "base/err.h"
#include "eval/calibration.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

/* --- temperature --- */

static double inside(float p) {
    double x = p;
    return x < (double)FLT_MIN ? (double)FLT_MIN : x > 1 - 0x1p-25 ? 1 - 0x1p-25 : x;
}

static double logit_of(ark_task task, float p) {
    double x = inside(p);
    return task == ARK_MULTICLASS ? log(x) : log(x) - log1p(-x);
}

static void temper_row(double T, const float *prob, int k, float *out) {
    double top = -INFINITY, sum = 0;
    for (int i = 0; i < k; i++) {
        top = fmax(top, logit_of(ARK_MULTICLASS, prob[i]) / T);
    }
    for (int i = 0; i < k; i++) {
        sum += exp(logit_of(ARK_MULTICLASS, prob[i]) / T - top);
    }
    for (int i = 0; i < k; i++) {
        out[i] = (float)(exp(logit_of(ARK_MULTICLASS, prob[i]) / T - top) / sum);
    }
}

void ark_temper(ark_task task, double T, const float *prob, int64_t n, int k, float *out) {
    for (int64_t r = 0; r < n; r++) {
        const float *p = prob + r * k;
        for (int i = 0; i < k && isnan(T); i++) {
            out[r * k + i] = NAN;
        }
        if (!isnan(T) && task == ARK_MULTICLASS) {
            temper_row(T, p, k, out + r * k);
        }
        for (int i = 0; i < k && !isnan(T) && task != ARK_MULTICLASS; i++) {
            out[r * k + i] = (float)(1 / (1 + exp(-logit_of(task, p[i]) / T)));
        }
    }
}

/* logit: (n,K) room. */
static ark_status fit_temperature(
    const ark_head *head, const ark_scores *s, const double *label, double *logit, ark_decision_set *set) {
    ark_temperature t;
    for (int64_t i = 0; i < s->n * s->k; i++) {
        logit[i] = logit_of(head->task, s->prob[i]);
    }
    ARK_TRY(ark_fit_temperature(head->task, logit, label, (size_t)s->n, (size_t)s->k, &t));
    set->temperature = t.why ? NAN : t.T; /* one at a limit of its range is not believed */
    set->temperature_why = t.why;
    return ARK_OK;
}

/* --- choosing --- */

static ark_status choose_class(
    const ark_decisions *d, const ark_eval_table *t, size_t k, ark_class_decision *out) {
    ark_ranked r;
    ARK_TRY(ark_rank_class(t, k, &r));
    ark_status st = ARK_OK;
    *out = (ark_class_decision){.n = r.n, .positives = r.positives};
    for (int i = 0; i < d->n_rules && st == ARK_OK; i++) {
        st = ark_choose_operating_point(&r, d->rules[i].rule, d->rules[i].target, &out->at[i]);
    }
    ark_ranked_free(&r);
    return st;
}

ark_status ark_decisions_choose(
    ark_decisions *d, const ark_head *head, ark_seen seen, const ark_scores *validation) {
    ark_decision_set set = {.seen = seen};
    ark_eval_table t;
    double *block, *logit = NULL;
    ARK_ASSERT(d->n_sets < ARK_SEEN_COUNT && validation->k == head->n_classes);
    ARK_TRY(ark_scores_table(validation, &t, &block));
    t.names = (const char *const *)head->classes;
    ark_status st = ARK_NEW(&set.classes, t.K, "operating points");
    st = st ? st : ARK_NEW(&logit, t.n * t.K, "logits");
    st = st ? st : fit_temperature(head, validation, t.label, logit, &set);
    for (size_t k = 0; k < t.K && st == ARK_OK; k++) {
        st = choose_class(d, &t, k, &set.classes[k]);
    }
    ark_free(logit);
    ark_free(block);
    if (st != ARK_OK) {
        ark_free(set.classes);
        return st;
    }
    d->k = (int)t.K;
    d->sets[d->n_sets++] = set;
    return ARK_OK;
}

const ark_decision_set *ark_decisions_for(const ark_decisions *d, ark_seen seen) {
    for (int i = 0; i < d->n_sets; i++) {
        if (d->sets[i].seen == seen) {
            return &d->sets[i];
        }
    }
    return NULL;
}

void ark_decisions_free(ark_decisions *d) {
    for (int i = 0; i < d->n_sets; i++) {
        ark_free(d->sets[i].classes);
    }
    *d = (ark_decisions){0};
}

void ark_decision_name(const ark_decision_rule *r, char *buf, size_t cap) {
    if (r->target > 0) {
        snprintf(buf, cap, "%s_%g", ark_op_rule_name(r->rule), r->target);
    } else {
        snprintf(buf, cap, "%s", ark_op_rule_name(r->rule));
    }
}
