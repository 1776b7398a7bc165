#include "base/alloc.h"
#include "base/err.h"
#include "report/grid.h"
#include "study/scored.h"

#include <math.h>
#include <stdio.h>

static void put_metric(ark_grid *g, ark_metric m) {
    if (ark_metric_defined(m)) {
        ark_grid_put(g, false, "%.3f", m.value);
    } else {
        ark_grid_put(g, false, "-");
    }
}

static void facts(const ark_scored *s, ark_html *h) {
    char auroc[48], ap[48], auroc_ci[64] = "", ap_ci[64] = "", n[48], rows[64];
    snprintf(auroc, sizeof auroc, isfinite(s->mean.auroc.value) ? "%.3f" : "undefined", s->mean.auroc.value);
    snprintf(ap, sizeof ap, isfinite(s->mean.ap.value) ? "%.3f" : "undefined", s->mean.ap.value);
    if (!s->macro.auroc.ci.why) {
        snprintf(auroc_ci, sizeof auroc_ci, "%.3f to %.3f", s->macro.auroc.ci.low, s->macro.auroc.ci.high);
    }
    if (!s->macro.ap.ci.why) {
        snprintf(ap_ci, sizeof ap_ci, "%.3f to %.3f", s->macro.ap.ci.low, s->macro.ap.ci.high);
    }
    snprintf(n, sizeof n, "%zu", s->t.n);
    snprintf(
        rows, sizeof rows, "%zu patients, %zu of %zu classes defined", s->patients, s->mean.classes, s->t.K);
    ark_html_fact f[] = {
        {"Mean AUROC", auroc, auroc_ci}, {"Mean average precision", ap, ap_ci}, {"Images", n, rows}};
    ark_html_facts(h, f, sizeof f / sizeof *f);
}

ark_status ark_scored_html_table(const ark_scored *s, ark_html *h, double level) {
    static const char *const head[] = {"class", "images", "positives", "AUROC", "AP", "F1", "MCC", "accuracy",
        "sensitivity", "specificity", "Brier", "ECE"};
    ark_grid g;
    char caption[300];
    facts(s, h);
    ark_status st = ark_grid_new(&g, s->t.K, sizeof head / sizeof *head);
    for (size_t k = 0; k < s->t.K && st == ARK_OK; k++) {
        const ark_class_result *r = &s->r[k];
        ark_grid_put(&g, false, "%.40s", s->t.names[k]);
        ark_grid_put(&g, false, "%zu", r->n);
        ark_grid_put(&g, false, "%zu", r->positives);
        ark_grid_stat(&g, false, r->delong.auroc.value, &r->delong.ci);
        put_metric(&g, r->ap);
        put_metric(&g, r->at.f1);
        put_metric(&g, r->at.mcc);
        put_metric(&g, r->at.accuracy);
        ark_grid_stat(&g, false, r->at.sensitivity.value, &r->at.sensitivity_ci);
        ark_grid_stat(&g, false, r->at.specificity.value, &r->at.specificity_ci);
        put_metric(&g, r->brier);
        put_metric(&g, r->ece);
    }
    if (st == ARK_OK) {
        snprintf(caption, sizeof caption,
            "AUROC with DeLong's %.0f %% interval; decisions at %s; intervals of proportions by Wilson.",
            100 * level, s->points ? "the threshold chosen on validation" : "no threshold: none was chosen");
        ark_grid_add(h, &g, head, 1, caption);
        for (size_t k = 0; k < s->t.K; k++) {
            if (s->r[k].delong.auroc.why) {
                ark_html_note(h, "%s is left out of the means: %s.", s->t.names[k], s->r[k].delong.auroc.why);
            }
        }
    }
    ark_grid_free(&g);
    return st;
}

static ark_status one_roc(
    const ark_scored *s, size_t k, const ark_study_config *c, int threads, ark_roc_band *band, ark_svg *svg) {
    ark_ranked r;
    ark_bootstrap_opts o = ark_scored_bootstrap(s, c, threads);
    ark_roc_series series = {.name = s->t.names[k], .band = band};
    ark_axes axes = {.title = s->t.names[k], .width_px = 400, .height_px = 400};
    ARK_TRY(ark_bootstrap_roc(&s->t, k, &o, band));
    ARK_TRY(ark_rank_class(&s->t, k, &r));
    series.auroc = ark_auroc(&r);
    series.ci = s->r[k].delong.ci;
    ark_status st = ark_roc_curve(&r, &series.curve);
    st = st ? st : ark_svg_roc(&axes, &series, 1, svg);
    ark_curve_free(&series.curve);
    ark_ranked_free(&r);
    return st;
}

ark_status ark_scored_html_roc(
    const ark_scored *s, ark_html *h, const ark_study_config *c, size_t most, int threads) {
    ark_svg *svg = NULL;
    ark_html_plot *plots = NULL;
    ark_roc_band *band = NULL;
    size_t n = 0;
    ark_status st = ARK_NEW(&svg, most, "plots");
    st = st ? st : ARK_NEW(&plots, most, "plots");
    st = st ? st : ARK_NEW(&band, 1, "plots");
    for (size_t k = 0; k < s->t.K && n < most && st == ARK_OK; k++) {
        if (ark_metric_defined(s->r[k].delong.auroc)) {
            st = one_roc(s, k, c, threads, band, &svg[n]);
            plots[n] = (ark_html_plot){.svg = &svg[n]};
            n += st == ARK_OK;
        }
    }
    if (st == ARK_OK && n > 0) {
        ark_html_plots(h, plots, n);
        ark_html_para(h,
            "Bands: %.0f %% percentile intervals of sensitivity from %lld resamples of patients.",
            100 * c->level, (long long)c->bootstrap);
    }
    for (size_t i = 0; i < n; i++) {
        ark_svg_free(&svg[i]);
    }
    ark_free(svg);
    ark_free(plots);
    ark_free(band);
    return st;
}
