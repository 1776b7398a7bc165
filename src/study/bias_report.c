#include "study/bias_report.h"

#include "base/alloc.h"
#include "base/err.h"
#include "report/grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CLASSES = 64, MOST_SERIES = 16 };

static const char *const *classes_of(const ark__bias *b) {
    return (const char *const *)b->in.data->classes;
}

/* --- subgroups --- */

static ark_status add_class(const ark__bias *b, size_t k, ark_html *h) {
    static const char *const head[] = {
        "group", "by", "images", "positives", "AUROC", "false negative rate", "false positive rate"};
    ark_grid g;
    ark_status st = ark_grid_new(&g, b->groups.n, sizeof head / sizeof *head);
    for (size_t i = 0; i < b->groups.n && st == ARK_OK; i++) {
        const ark_subgroup *s = &b->groups.items[i];
        const ark_class_result *r = &s->r[k];
        ark_interval ci;
        ark_grid_put(&g, false, "%s", s->name);
        ark_grid_put(&g, false, "%s", s->attribute);
        ark_grid_put(&g, false, "%zu", r->n);
        ark_grid_put(&g, false, "%zu", r->positives);
        if (r->delong.auroc.why) {
            ark_grid_put(&g, false, "- (%s)", r->delong.auroc.why);
        } else {
            ark_grid_stat(&g, false, r->delong.auroc.value, &r->delong.ci);
        }
        ark_metric rate = ark_fnr(&r->at, &ci);
        ark_grid_stat(&g, false, rate.value, &ci);
        rate = ark_fpr(&r->at, &ci);
        ark_grid_stat(&g, false, rate.value, &ci);
    }
    if (st == ARK_OK) {
        ark_grid_add(h, &g, head, 2, classes_of(b)[k]);
    }
    ark_grid_free(&g);
    return st;
}

/* --- the design --- */

/* Boxes of one measure on one test sex: a group per finding, a box per share of men. */
static ark_status one_plot(const ark__bias *b, size_t measure, size_t sex, ark_svg *svg) {
    size_t K = b->K < MOST_CLASSES ? b->K : MOST_CLASSES;
    size_t shares = b->shares < MOST_SERIES ? b->shares : MOST_SERIES;
    char name[MOST_SERIES][48], title[100];
    ark_box *box = NULL;
    double *v = NULL;
    ark_box_series series[MOST_SERIES];
    ark_axes axes = {.title = title,
        .y_label = measure ? "false negative rate" : "AUROC",
        .width_px = K * shares > 24 ? 1000 : 720,
        .height_px = 420};
    snprintf(
        title, sizeof title, "%s on %s", measure ? "False negative rate" : "AUROC", sex ? "men" : "women");
    ark_status st = ARK_NEW(&box, shares * K, "a plot");
    st = st ? st : ARK_NEW(&v, shares * K * b->repeats, "a plot");
    for (size_t s = 0; s < shares && st == ARK_OK; s++) {
        snprintf(name[s], sizeof name[s], "trained with %g %% men", b->share[s]);
        series[s] = (ark_box_series){.name = name[s], .box = box + s * K};
        for (size_t k = 0; k < K; k++) {
            double *values = v + (s * K + k) * b->repeats;
            box[s * K + k] = (ark_box){.value = values, .n = ark__bias_values(b, s, sex, k, measure, values)};
        }
    }
    st = st ? st : ark_svg_boxes(&axes, classes_of(b), K, series, shares, svg);
    ark_free(box);
    ark_free(v);
    return st;
}

static ark_status add_plots(const ark__bias *b, ark_html *h) {
    ark_svg svg[ARK__MEASURES * ARK__SEXES] = {0};
    ark_status st = ARK_OK;
    for (size_t i = 0; i < ARK__MEASURES * ARK__SEXES && st == ARK_OK; i++) {
        st = one_plot(b, i / ARK__SEXES, i % ARK__SEXES, &svg[i]);
        if (st == ARK_OK) {
            ark_html_plot p = {.svg = &svg[i]};
            ark_html_plots(h, &p, 1);
        }
    }
    for (size_t i = 0; i < ARK__MEASURES * ARK__SEXES; i++) {
        ark_svg_free(&svg[i]);
    }
    return st;
}

static void put_number(ark_grid *g, bool strong, const char *form, double v) {
    char text[32] = "-";
    if (isfinite(v)) {
        snprintf(text, sizeof text, form, v);
    }
    ark_grid_put(g, strong, "%s", text);
}

static ark_status add_tests(const ark__bias *b, size_t measure, ark_html *h) {
    static const char *const head[] = {
        "finding", "tested on", "least men", "most men", "difference", "p", "p (Holm)"};
    ark_grid g;
    char caption[200];
    ark_status st = ark_grid_new(&g, ARK__SEXES * b->K, sizeof head / sizeof *head);
    for (size_t i = 0; i < ARK__SEXES * b->K && st == ARK_OK; i++) {
        size_t k = i / ARK__SEXES, sex = i % ARK__SEXES;
        const ark__sex_test *t = ark__bias_test(b, measure, sex, k);
        bool found = ark__bias_found(b, measure, sex, k);
        ark_grid_put(&g, found, "%.40s", classes_of(b)[k]);
        ark_grid_put(&g, found, "%s", sex ? "men" : "women");
        put_number(&g, found, "%.3f", t->welch.mean[0]);
        put_number(&g, found, "%.3f", t->welch.mean[1]);
        if (t->welch.ci.why || !isfinite(t->welch.difference)) {
            put_number(&g, found, "%+.3f", t->welch.difference);
        } else {
            ark_grid_put(
                &g, found, "%+.3f [%+.3f, %+.3f]", t->welch.difference, t->welch.ci.low, t->welch.ci.high);
        }
        if (t->welch.why) {
            ark_grid_put(&g, found, "- (%.50s)", t->welch.why);
        } else {
            put_number(&g, found, "%.2g", t->welch.p);
        }
        put_number(&g, found, "%.2g", t->holm);
    }
    if (st == ARK_OK) {
        snprintf(caption, sizeof caption,
            "%s by the share of men in training (%g %% and %g %%); bold: worse when trained on the other "
            "sex, "
            "Holm's p < 0.05.",
            measure ? "False negative rate" : "AUROC", b->share[0], b->share[b->shares - 1]);
        ark_grid_add(h, &g, head, 2, caption);
    }
    ark_grid_free(&g);
    return st;
}

static ark_status fill(const ark__bias *b, ark_html *h) {
    ark_html_section(h, "One model, parts of the test split");
    ark_html_para(h,
        "The probe of the whole training split; thresholds chosen on the whole validation split, the "
        "same for every group.");
    for (size_t k = 0; k < b->K; k++) {
        ARK_TRY(add_class(b, k, h));
    }
    ark_html_section(h, "Does it matter who was in training?");
    if (b->why_not) {
        ark_html_note(h, "Left out: %s.", b->why_not);
    } else {
        ark_html_para(h,
            "%zu draws of %zu training images (of %zu of women and %zu of men) for every share of men; "
            "tested "
            "on %zu images of women and %zu of men.",
            b->repeats, b->rows, b->available[0], b->available[1], b->tested[0], b->tested[1]);
        ARK_TRY(add_plots(b, h));
        for (size_t m = 0; m < ARK__MEASURES; m++) {
            ARK_TRY(add_tests(b, m, h));
        }
        ark_html_note(h,
            "Draws share images, and the test images are the same in all: the p values speak of the "
            "choice of training images in this dataset, not of other hospitals.");
    }
    return ark_study_html_end(b->job, &b->in,
        "Logistic regressions on frozen embeddings; the regularisation and the thresholds are chosen on the "
        "validation split of both sexes. Welch's test per finding and test sex, corrected by Holm within "
        "each "
        "table.",
        h);
}

ark_status ark__bias_report(const ark__bias *b, const char *path) {
    char subtitle[300];
    ark_html *h;
    snprintf(subtitle, sizeof subtitle, "%.100s, %zu test images; embeddings of %.120s", b->in.data->name,
        b->test.t.n, b->job->names[0]);
    ARK_TRY(ark_html_new("Subgroups and sex bias", subtitle, &h));
    ark_status st = fill(b, h);
    st = st ? st : ark_html_write(h, path);
    ark_html_free(h);
    return st;
}
