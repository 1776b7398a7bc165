#include "eval/split_report.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>

ark_status ark_scored_patients(
    const ark_scores *s, const ark_dataset *data, uint32_t **group, size_t *groups) {
    uint32_t most = 0, *number;
    for (size_t i = 0; i < data->n; i++) {
        most = data->patient[i] > most ? data->patient[i] : most;
    }
    ARK_TRY(ARK_NEW(&number, (size_t)most + 1, "patients")); /* 0 = not seen yet */
    ark_status st = ARK_NEW(group, (size_t)s->n, "patients");
    *groups = 0;
    for (int64_t i = 0; i < s->n && st == ARK_OK; i++) {
        uint32_t *slot = &number[data->patient[s->sample[i]]];
        if (*slot == 0) {
            *slot = (uint32_t)++ * groups;
        }
        (*group)[i] = *slot - 1;
    }
    ark_free(number);
    return st;
}

/* --- ranking metrics and intervals --- */

static ark_status rank_metrics(
    const ark_eval_table *t, const ark_decision_set *set, ark_split_report *r, const ark_report_opts *o) {
    for (size_t k = 0; k < t->K; k++) {
        ark_class_report *c = &r->classes[k];
        ark_ranked ranked;
        ark_delong d;
        ARK_TRY(ark_rank_class(t, k, &ranked));
        ark_status st = ark_delong_ci(&ranked, o->level, &d);
        c->n = ranked.n;
        c->positives = ranked.positives;
        c->auroc = ark_auroc(&ranked);
        c->ap = ark_average_precision(&ranked);
        c->auroc_ci = st == ARK_OK ? d.ci : c->auroc_ci;
        c->ap_ci = (ark_interval){.low = NAN, .high = NAN, .why = "needs a bootstrap"};
        for (int i = 0; i < r->n_rules; i++) {
            const ark_operating_point *p = &set->classes[k].at[i];
            r->points[k * (size_t)r->n_rules + (size_t)i] = *p;
            c->at[i] = ark_apply_operating_point(p, &ranked, o->level);
            if (ranked.positives == 0 && !c->at[i].f1.why) {
                c->at[i].f1 = (ark_metric){.value = NAN, .why = "no positive row"}; /* 0 for every model */
            }
        }
        ark_ranked_free(&ranked);
        ARK_TRY(st);
    }
    return ARK_OK;
}

/* Resampled by patient; without replicates only the patients are counted. */
static ark_status bootstrap(const ark_eval_table *t, const ark_scores *s, const ark_dataset *data,
    const ark_report_opts *o, ark_split_report *r) {
    ark_bootstrap_opts bo = {
        .replicates = o->replicates, .seed = o->seed, .level = o->level, .threads = o->threads};
    ark_boot_stat *auroc = NULL, *ap = NULL;
    ark_boot_macro macro;
    uint32_t *group = NULL;
    ark_status st = ark_scored_patients(s, data, &group, &bo.groups);
    bo.group = group;
    r->patients = bo.groups;
    if (st == ARK_OK && o->replicates > 0) {
        st = ARK_NEW(&auroc, t->K, "intervals");
        st = st ? st : ARK_NEW(&ap, t->K, "intervals");
        st = st ? st : ark_bootstrap_table(t, &bo, auroc, ap, &macro);
        for (size_t k = 0; k < t->K && st == ARK_OK; k++) {
            r->classes[k].auroc_ci = auroc[k].ci;
            r->classes[k].ap_ci = ap[k].ci;
        }
        r->auroc_ci = st == ARK_OK ? macro.auroc.ci : r->auroc_ci;
        r->ap_ci = st == ARK_OK ? macro.ap.ci : r->ap_ci;
    }
    ark_free(group);
    ark_free(auroc);
    ark_free(ap);
    return st;
}

/* --- calibration --- */

/* Exclusive classes are one distribution only where a row has all of its labels or none. */
static bool whole_rows(const ark_scores *s) {
    for (int64_t i = 0; i < s->n; i++) {
        int counted = 0;
        for (int k = 0; k < s->k; k++) {
            counted += s->mask[i * s->k + k] > 0;
        }
        if (counted != 0 && counted != s->k) {
            return false;
        }
    }
    return true;
}

/* Brier and ECE of every class and of all, from prob (n,K), into the fields at these two offsets. */
static ark_status calibration(const ark_scores *s, const ark_head *head, const double *prob,
    const double *label, ark_split_report *r, bool calibrated) {
    size_t n = (size_t)s->n, K = (size_t)s->k, defined = 0;
    double brier = 0, ece = 0;
    ark_calibration c;
    for (size_t k = 0; k < K; k++) {
        ark_class_report *one = &r->classes[k];
        ARK_TRY(ark_calibrate_binary(prob + k, label + k, n, K, ARK_REPORT_BINS, 0.95, NULL, &c));
        *(calibrated ? &one->brier_calibrated : &one->brier) = c.brier;
        *(calibrated ? &one->ece_calibrated : &one->ece) = c.ece;
        defined += ark_metric_defined(c.brier);
        brier += ark_metric_defined(c.brier) ? c.brier.value : 0;
        ece += ark_metric_defined(c.ece) ? c.ece.value : 0;
    }
    ark_metric mean_brier = {.value = NAN, .why = "no labelled row"}, mean_ece = mean_brier;
    if (head->task == ARK_MULTICLASS && whole_rows(s)) {
        ARK_TRY(ark_calibrate_multiclass(prob, label, n, K, ARK_REPORT_BINS, 0.95, NULL, &c));
        mean_brier = c.brier;
        mean_ece = c.ece;
    } else if (head->task != ARK_MULTICLASS && defined) {
        mean_brier = (ark_metric){.value = brier / (double)defined};
        mean_ece = (ark_metric){.value = ece / (double)defined};
    }
    *(calibrated ? &r->brier_calibrated : &r->brier) = mean_brier;
    *(calibrated ? &r->ece_calibrated : &r->ece) = mean_ece;
    return ARK_OK;
}

static ark_status calibrations(
    const ark_scores *s, const ark_head *head, const ark_eval_table *t, ark_split_report *r) {
    ARK_TRY(calibration(s, head, t->score, t->label, r, false));
    ark_metric none = {.value = NAN, .why = "no temperature"};
    r->brier_calibrated = r->ece_calibrated = none;
    for (int k = 0; k < r->k; k++) {
        r->classes[k].brier_calibrated = r->classes[k].ece_calibrated = none;
    }
    if (isnan(r->temperature)) {
        return ARK_OK;
    }
    float *tempered = NULL;
    double *prob = NULL;
    ark_status st = ARK_NEW(&tempered, t->n * t->K, "calibrated probabilities");
    st = st ? st : ARK_NEW(&prob, t->n * t->K, "calibrated probabilities");
    if (st == ARK_OK) {
        ark_temper(head->task, r->temperature, s->prob, s->n, s->k, tempered);
        for (size_t i = 0; i < t->n * t->K; i++) {
            prob[i] = tempered[i];
        }
        st = calibration(s, head, prob, t->label, r, true);
    }
    ark_free(tempered);
    ark_free(prob);
    return st;
}

/* --- means --- */

static void add_defined(ark_metric m, double *sum, int *n) {
    *sum += ark_metric_defined(m) ? m.value : 0;
    *n += ark_metric_defined(m);
}

static ark_macro_point macro_at(const ark_split_report *r, int rule) {
    double sum[7] = {0}, mean[7];
    int n[7] = {0}, classes = 0;
    for (int k = 0; k < r->k; k++) {
        const ark_at_point *a = &r->classes[k].at[rule];
        const ark_metric all[7] = {
            a->sensitivity, a->specificity, a->ppv, a->npv, a->accuracy, a->f1, a->mcc};
        if (!ark_metric_defined(r->classes[k].auroc)) {
            continue; /* one kind of rows only */
        }
        classes += ark_metric_defined(a->accuracy);
        for (int i = 0; i < 7; i++) {
            add_defined(all[i], &sum[i], &n[i]);
        }
    }
    for (int i = 0; i < 7; i++) {
        mean[i] = n[i] ? sum[i] / n[i] : NAN;
    }
    return (ark_macro_point){.sensitivity = mean[0],
        .specificity = mean[1],
        .ppv = mean[2],
        .npv = mean[3],
        .accuracy = mean[4],
        .f1 = mean[5],
        .mcc = mean[6],
        .classes = classes};
}

static ark_status fill(const ark_scores *s, const ark_head *head, const ark_dataset *data,
    const ark_decision_set *set, const ark_eval_table *t, const ark_report_opts *o, ark_split_report *r) {
    ark_summary sum;
    ARK_TRY(ARK_NEW(&r->classes, t->K, "metrics per class"));
    ARK_TRY(ARK_NEW(&r->points, t->K * ARK_DECISION_RULES_MAX, "operating points"));
    ARK_TRY(ark_summarize(s, head, &sum));
    r->loss = sum.loss;
    r->accuracy = sum.accuracy;
    r->defined = (size_t)sum.defined;
    const char *why = sum.defined ? NULL : "no class has positive and negative rows";
    r->auroc = (ark_metric){.value = sum.mean_auroc, .why = why};
    r->ap = (ark_metric){.value = sum.mean_ap, .why = why};
    ark_summary_free(&sum);
    for (int k = 0; k < r->k; k++) {
        r->classes[k].name = head->classes[k];
    }
    ARK_TRY(rank_metrics(t, set, r, o));
    r->auroc_ci = r->ap_ci = (ark_interval){.low = NAN, .high = NAN, .why = "needs a bootstrap"};
    ARK_TRY(bootstrap(t, s, data, o, r));
    for (int i = 0; i < r->n_rules; i++) {
        r->macro[i] = macro_at(r, i);
    }
    return calibrations(s, head, t, r);
}

ark_status ark_split_report_make(const ark_scores *s, const ark_head *head, const ark_dataset *data,
    const ark_decisions *d, const ark_decision_set *set, const ark_report_opts *o, ark_split_report *out) {
    ark_split_report r = {.n = (size_t)s->n, .k = s->k, .temperature = set ? set->temperature : NAN};
    ark_eval_table t;
    double *block;
    r.n_rules = set ? d->n_rules : 0;
    for (int i = 0; i < r.n_rules; i++) {
        r.rules[i] = d->rules[i];
    }
    ARK_TRY(ark_scores_table(s, &t, &block));
    t.names = (const char *const *)head->classes;
    ark_status st = fill(s, head, data, set, &t, o, &r);
    ark_free(block);
    if (st != ARK_OK) {
        ark_split_report_free(&r);
        return st;
    }
    *out = r;
    return ARK_OK;
}

void ark_split_report_free(ark_split_report *r) {
    ark_free(r->classes);
    ark_free(r->points);
    *r = (ark_split_report){0};
}
