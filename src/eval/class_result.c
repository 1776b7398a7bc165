#include "eval/class_result.h"

#include "base/err.h"

#include <math.h>

enum { BINS = 15 };

ark_status ark_choose_points(
    const ark_eval_table *validation, ark_op_rule rule, double target, ark_operating_point *out) {
    for (size_t k = 0; k < validation->K; k++) {
        ark_ranked r;
        ARK_TRY(ark_rank_class(validation, k, &r));
        ark_status st = ark_choose_operating_point(&r, rule, target, &out[k]);
        ark_ranked_free(&r);
        ARK_TRY(st);
    }
    return ARK_OK;
}

ark_status ark_class_results(
    const ark_eval_table *t, const ark_operating_point *points, double level, ark_class_result *out) {
    static const ark_operating_point none = {.threshold = NAN, .why = "no operating point was chosen"};
    for (size_t k = 0; k < t->K; k++) {
        ark_ranked r;
        ARK_TRY(ark_rank_class(t, k, &r));
        out[k] = (ark_class_result){.n = r.n, .positives = r.positives, .ap = ark_average_precision(&r)};
        out[k].at = ark_apply_operating_point(points ? &points[k] : &none, &r, level);
        ark_status st = ark_delong_ci(&r, level, &out[k].delong);
        ark_ranked_free(&r);
        ark_calibration c;
        st = st ? st : ark_calibrate_binary(t->score + k, t->label + k, t->n, t->K, BINS, level, NULL, &c);
        ARK_TRY(st);
        out[k].brier = c.brier;
        out[k].ece = c.ece;
    }
    return ARK_OK;
}

/* One more value of a mean. */
static void add(ark_metric *mean, ark_metric v, size_t *n) {
    if (ark_metric_defined(v)) {
        mean->value += v.value;
        ++*n;
    }
}

static ark_metric divided(ark_metric sum, size_t n) {
    return n ? (ark_metric){.value = sum.value / (double)n}
             : (ark_metric){.value = NAN, .why = "no class has a value"};
}

ark_class_means ark_class_results_mean(const ark_class_result *r, size_t K) {
    ark_class_means m = {.classes = 0};
    size_t ap = 0, f1 = 0, mcc = 0;
    for (size_t k = 0; k < K; k++) {
        add(&m.auroc, r[k].delong.auroc, &m.classes);
        add(&m.ap, r[k].ap, &ap);
        add(&m.f1, r[k].at.f1, &f1);
        add(&m.mcc, r[k].at.mcc, &mcc);
    }
    m.auroc = divided(m.auroc, m.classes);
    m.ap = divided(m.ap, ap);
    m.f1 = divided(m.f1, f1);
    m.mcc = divided(m.mcc, mcc);
    return m;
}
