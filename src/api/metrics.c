/* ark/metrics.h over eval/metrics.h and eval/auc_ci.h. */
#include "ark/metrics.h"

#include "base/alloc.h"
#include "base/err.h"
#include "eval/auc_ci.h"

#include <math.h>

static ark_estimate estimate(ark_metric m, ark_interval ci) {
    return (ark_estimate){.value = m.value, .low = ci.low, .high = ci.high, .why = m.why ? m.why : ci.why};
}

static ark_estimate resampled(const ark_boot_stat *s) {
    return estimate(s->estimate, s->ci);
}

ark_status ark_metrics_auroc(
    const double *score, const double *label, size_t n, double level, ark_estimate *auroc) {
    ark_ranked r;
    ark_delong d;
    ARK_TRY(ark_rank(score, label, n, &r));
    ark_status st = ark_delong_ci(&r, level, &d);
    ark_ranked_free(&r);
    if (st == ARK_OK) {
        *auroc = estimate(d.auroc, d.ci);
    }
    return st;
}

ark_status ark_metrics_ap(const double *score, const double *label, size_t n, ark_estimate *ap) {
    ark_ranked r;
    ARK_TRY(ark_rank(score, label, n, &r));
    *ap = estimate(ark_average_precision(&r), (ark_interval){.low = NAN, .high = NAN});
    ark_ranked_free(&r);
    return ARK_OK;
}

ark_status ark_metrics_compare(const double *score_a, const double *score_b, const double *label, size_t n,
    double level, ark_comparison *out) {
    ark_delong_pair d;
    ARK_TRY(ark_delong_paired(score_a, score_b, label, n, level, &d));
    ark_metric difference = {.value = d.difference, .why = d.auroc[0].why};
    *out = (ark_comparison){.difference = estimate(difference, d.ci), .p = d.p};
    return ARK_OK;
}

/* ---- bootstrap ---- */

ark_metrics_opts ark_metrics_default_opts(void) {
    return (ark_metrics_opts){.replicates = 1000, .seed = 1, .level = 0.95};
}

static ark_bootstrap_opts bootstrap_opts(const ark_metrics_opts *opts) {
    ark_metrics_opts o = opts ? *opts : ark_metrics_default_opts();
    return (ark_bootstrap_opts){.replicates = o.replicates,
        .seed = o.seed,
        .level = o.level,
        .threads = o.threads,
        .group = o.group,
        .groups = o.groups};
}

ark_status ark_metrics_bootstrap(const double *score, const double *label, size_t n, size_t K,
    const ark_metrics_opts *opts, ark_estimate *auroc, ark_estimate *ap, ark_macro_estimate *macro) {
    ark_eval_table t = {.score = score, .label = label, .n = n, .K = K};
    ark_bootstrap_opts o = bootstrap_opts(opts);
    ark_boot_stat *stats; /* [K] AUROC, [K] AP */
    ark_boot_macro m;
    ARK_TRY(ARK_NEW(&stats, 2 * K, "class statistics"));
    ark_status st = ark_bootstrap_table(&t, &o, stats, stats + K, &m);
    for (size_t k = 0; st == ARK_OK && k < K; k++) {
        if (auroc) {
            auroc[k] = resampled(&stats[k]);
        }
        if (ap) {
            ap[k] = resampled(&stats[K + k]);
        }
    }
    ark_free(stats);
    if (st == ARK_OK) {
        *macro =
            (ark_macro_estimate){.auroc = resampled(&m.auroc), .ap = resampled(&m.ap), .classes = m.classes};
    }
    return st;
}

ark_status ark_metrics_bootstrap_compare(const double *score_a, const double *score_b, const double *label,
    size_t n, size_t K, const ark_metrics_opts *opts, ark_comparison *out) {
    ark_eval_table a = {.score = score_a, .label = label, .n = n, .K = K};
    ark_eval_table b = {.score = score_b, .label = label, .n = n, .K = K};
    ark_bootstrap_opts o = bootstrap_opts(opts);
    ark_boot_pair d;
    ARK_TRY(ark_bootstrap_paired(&a, &b, &o, &d));
    *out = (ark_comparison){.difference = resampled(&d.difference), .p = d.p};
    return ARK_OK;
}
