#include "app/cli/readout.h"

#include "base/alloc.h"
#include "base/err.h"
#include "report/curves.h"
#include "report/grid.h"
#include "report/html.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_CLASSES_SHOWN = 6 };

static int best_of(const comparison *c) {
    int best = 0;
    for (int i = 1; i < c->n; i++) {
        if (c->items[i].macro.auroc.estimate.value > c->items[best].macro.auroc.estimate.value) {
            best = i;
        }
    }
    return best;
}

static ark_status add_models(ark_html *h, const comparison *c) {
    static const char *const head[] = {"model", "mean AUROC", "mean AP", "first minus this", "p"};
    ark_grid g;
    ark_status st = ark_grid_new(&g, (size_t)c->n, 5);
    for (int i = 0; i < c->n && st == ARK_OK; i++) {
        const contender *k = &c->items[i];
        bool best = i == best_of(c);
        ark_grid_put(&g, best, "%s", k->name);
        ark_grid_stat(&g, best, k->macro.auroc.estimate.value, &k->macro.auroc.ci);
        ark_grid_stat(&g, best, k->macro.ap.estimate.value, &k->macro.ap.ci);
        if (i == 0) {
            ark_grid_put(&g, false, "-");
            ark_grid_put(&g, false, "-");
        } else {
            const ark_interval *ci = &k->against.difference.ci;
            ark_grid_put(&g, ci->low > 0 || ci->high < 0, "%+.3f [%+.3f, %+.3f]",
                k->against.difference.estimate.value, ci->low, ci->high);
            ark_grid_put(&g, false, "%.3f", k->against.p);
        }
    }
    if (st == ARK_OK) {
        ark_html_table t = {.caption = "Mean over the classes that are defined on the test split; intervals "
                                       "from resampling patients; "
                                       "differences on the same resamples.",
            .head = head,
            .cells = g.cells,
            .rows = g.rows,
            .cols = 5,
            .text_cols = 1,
            .strong = g.strong};
        ark_html_table_add(h, &t);
    }
    ark_grid_free(&g);
    return st;
}

static ark_status add_classes(ark_html *h, const comparison *c) {
    const char *head[3 + READOUT_MAX] = {"class", "images", "positives"};
    ark_grid g;
    size_t K = c->items[0].test.K, cols = 3 + (size_t)c->n;
    ark_status st = ark_grid_new(&g, K, cols);
    for (int i = 0; i < c->n; i++) {
        head[3 + i] = c->items[i].name;
    }
    for (size_t k = 0; k < K && st == ARK_OK; k++) {
        ark_grid_put(&g, false, "%.40s", c->data->classes[k]);
        ark_grid_put(&g, false, "%zu", c->items[0].classes[k].n);
        ark_grid_put(&g, false, "%zu", c->items[0].classes[k].positives);
        for (int i = 0; i < c->n; i++) {
            ark_grid_stat(&g, false, c->items[i].classes[k].auroc.value, &c->items[i].class_ci[k].ci);
        }
    }
    if (st == ARK_OK) {
        ark_html_table t = {.caption = "AUROC per class on the test split.",
            .head = head,
            .cells = g.cells,
            .rows = K,
            .cols = cols,
            .text_cols = 1};
        ark_html_table_add(h, &t);
    }
    ark_grid_free(&g);
    return st;
}

/* One class's ROC curves of all models. */
static ark_status class_roc(const comparison *c, size_t k, ark_svg *svg) {
    ark_roc_series series[READOUT_MAX] = {0};
    ark_axes axes = {.title = c->data->classes[k], .width_px = 400, .height_px = 370 + 26 * c->n};
    ark_status st = ARK_OK;
    int n = 0;
    for (; n < c->n && st == ARK_OK; n++) {
        const contender *m = &c->items[n];
        ark_eval_table t = {.score = m->score, .label = m->test.label, .n = m->test.n, .K = m->test.K};
        ark_ranked r;
        st = ark_rank_class(&t, k, &r);
        if (st == ARK_OK) {
            st = ark_roc_curve(&r, &series[n].curve);
            series[n].name = m->name;
            series[n].auroc = ark_auroc(&r);
            series[n].ci = m->class_ci[k].ci;
            ark_ranked_free(&r);
        }
    }
    if (st == ARK_OK) {
        st = ark_svg_roc(&axes, series, (size_t)c->n, svg);
    }
    for (int i = 0; i < n; i++) {
        ark_curve_free(&series[i].curve);
    }
    return st;
}

static ark_status add_rocs(ark_html *h, const comparison *c) {
    ark_svg svg[MAX_CLASSES_SHOWN] = {0};
    ark_html_plot plots[MAX_CLASSES_SHOWN];
    size_t n = 0;
    ark_status st = ARK_OK;
    for (size_t k = 0; k < c->items[0].test.K && n < MAX_CLASSES_SHOWN && st == ARK_OK; k++) {
        if (isfinite(c->items[0].classes[k].auroc.value)) {
            st = class_roc(c, k, &svg[n]);
            plots[n] = (ark_html_plot){.svg = &svg[n]};
            n += st == ARK_OK;
        }
    }
    if (st == ARK_OK && n > 0) {
        ark_html_plots(h, plots, n);
    }
    for (size_t i = 0; i < n; i++) {
        ark_svg_free(&svg[i]);
    }
    return st;
}

static ark_status add_run(ark_html *h, const run_ref *r) {
    static const struct {
        const char *event, *field, *title, *y;
    } wanted[] = {{"train", "task_loss", "Training loss", "task loss"},
        {"train", "consistency_loss", "Consistency with the teacher", "mean squared difference"},
        {"val", "loss", "Validation loss", "loss"}, {"val", "auroc", "Validation AUROC", "mean AUROC"}};
    ark_svg svg[4] = {0};
    ark_html_plot plots[4];
    ark_status st = ARK_OK;
    size_t n = 0;
    for (size_t i = 0; i < 4 && st == ARK_OK; i++) {
        ark_axes axes = {.title = wanted[i].title, .x_label = "epoch", .y_label = wanted[i].y};
        axes.height_px = i >= 2 ? 520 : 0; /* twice as many lines in the legend: student and teacher */
        st = ark_run_curves(r->dir, wanted[i].event, wanted[i].field, &axes, &svg[n]);
        if (st == ARK_OK) {
            plots[n] = (ark_html_plot){.svg = &svg[n], .caption = "Teacher solid, student dashed."};
            plots[n].caption = i >= 2 ? plots[n].caption : NULL;
            n++;
        } else if (st == ARK_EFORMAT && i == 1) {
            st = ARK_OK; /* a run without a teacher has no such curve */
        }
    }
    if (st == ARK_OK) {
        ark_html_plots(h, plots, n);
    }
    for (size_t i = 0; i < 4; i++) {
        ark_svg_free(&svg[i]);
    }
    return st;
}

/* The first model against every other: ahead by more than the interval, or plainly not. */
static void add_verdict(ark_html *h, const comparison *c) {
    for (int i = 1; i < c->n; i++) {
        const contender *k = &c->items[i];
        const ark_interval *ci = &k->against.difference.ci;
        const char *word = ci->low > 0 ? "ahead of" : ci->high < 0 ? "behind" : "not distinguishable from";
        ark_html_para(h, "%s is %s %s: difference in mean AUROC %+.3f, %.0f %% interval %+.3f to %+.3f.",
            c->items[0].name, word, k->name, k->against.difference.estimate.value, 100 * c->level, ci->low,
            ci->high);
    }
}

static ark_status add_images(ark_html *h, const comparison *c) {
    ark_html_image images[6];
    size_t n = 0;
    const ark_dataset *d = c->data;
    for (size_t i = 0; i < d->rows_n[ARK_TEST] && n < 6; i += 1 + d->rows_n[ARK_TEST] / 6) {
        images[n++] = (ark_html_image){.path = d->paths[d->rows[ARK_TEST][i]]};
    }
    ark_html_images(h, images, n);
    return ARK_OK;
}

static ark_status fill(
    ark_html *h, const comparison *c, const run_ref *runs, size_t n_runs, const char *command) {
    ark_html_section(h, "Result");
    add_verdict(h, c);
    ARK_TRY(add_models(h, c));
    ARK_TRY(add_classes(h, c));
    ark_html_section(h, "ROC curves on the test split");
    ARK_TRY(add_rocs(h, c));
    for (size_t i = 0; i < n_runs; i++) {
        char title[128];
        snprintf(title, sizeof title, "Training: %s", runs[i].name);
        ark_html_section(h, title);
        ARK_TRY(add_run(h, &runs[i]));
    }
    ark_html_section(h, "Test images");
    ARK_TRY(add_images(h, c));
    ark_html_section(h, "How this was made");
    ark_html_para(h, "Embeddings of frozen weights, one logistic regression per class, the regularisation "
                     "chosen on the validation "
                     "split; test images were used once, for the numbers above. Not for diagnosis.");
    ark_html_code(h, command);
    return ARK_OK;
}

ark_status cli_readout_report(
    const char *path, const comparison *c, const run_ref *runs, size_t n_runs, const char *command) {
    char subtitle[200];
    ark_html *h;
    snprintf(subtitle, sizeof subtitle, "Held-out target %.80s: %zu test images, %d models", c->data->name,
        c->items[0].test.n, c->n);
    ARK_TRY(ark_html_new("Linear readout of frozen embeddings", subtitle, &h));
    ark_status st = fill(h, c, runs, n_runs, command);
    st = st ? st : ark_html_write(h, path);
    ark_html_free(h);
    return st;
}
