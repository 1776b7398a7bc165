/* arkfm eval: one head of a weight file on one split of a dataset. */
#include "app/cli/cli.h"
#include "app/cli/model_cli.h"
#include "app/cli/points.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/par.h"
#include "eval/auc_ci.h"
#include "eval/evaluate.h"
#include "eval/predictions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct args {
    const char *weights, *data, *dataset, *split, *head, *predictions, *on_bad;
    int64_t replicates, seed; /* replicates 0 = DeLong */
    cli_model_args model;
    bool ten_crop, skip;
    ark_split split_id;
    int threads;
} args;

typedef struct result {
    int head;
    ark_scores scores;
    ark_summary summary;
    ark_delong *delong;      /* per class: AUROC, why it is undefined, interval */
    ark_boot_stat *boot;     /* per class AUROC with --bootstrap, else NULL */
    ark_boot_macro macro;    /* with --bootstrap */
    ark_decisions decisions; /* that came with the model, for this head */
    ark_split_report report; /* at its operating points, where they hold for this view of the images */
} result;

typedef struct work {
    ark_datasets *datasets;
    const ark_dataset *data;
    cli_model m;
    ark_loader *loader;
    result r;
} work;

/* --- which head --- */

/* A file that does not name its classes: a head asked for by name, with as many outputs as the dataset has
 * classes, is taken to mean them in order. */
static ark_status adopt_names(ark_head *h, const ark_dataset *d) {
    for (int k = 0; k < h->n_classes; k++) {
        char *name = ark_strdup(d->classes[k]);
        if (!name) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
        }
        ark_free(h->classes[k]);
        h->classes[k] = name;
    }
    h->task = d->task;
    fprintf(
        stderr, "arkfm eval: the file does not name its classes: those of %s assumed, in order\n", d->name);
    return ARK_OK;
}

static ark_status choose_head(const args *a, work *w) {
    ark_model *m = w->m.model;
    const char *name = a->head ? a->head : a->dataset;
    w->r.head = cli_find_head(&m->net, name);
    if (w->r.head < 0) {
        return cli_no_head(a->weights, &m->net, name);
    }
    ark_head *h = &m->net.heads[w->r.head];
    return !m->ours && a->head && h->n_classes == w->data->n_classes ? adopt_names(h, w->data) : ARK_OK;
}

/* --- computing --- */

static ark_status open_all(const cli_ctx *c, const args *a, work *w) {
    ARK_TRY(ark_datasets_read(a->data, &a->dataset, 1, &w->datasets));
    w->data = &w->datasets->items[0];
    if (w->data->rows_n[a->split_id] == 0) {
        return ARK_ERR(ARK_EINVAL, "%s: dataset %s has no split %s", a->data, a->dataset, a->split);
    }
    ARK_TRY(cli_model_open(c, a->weights, &a->model, &w->m));
    ARK_TRY(choose_head(a, w));
    ark_loader_opts o = ark_loader_default_opts();
    o.batch = (int)a->model.batch;
    o.workers = a->threads ? a->threads : ark_cpu_count();
    o.ring = o.workers + 1;
    o.width = w->data->n_classes;
    o.pre = w->m.model->pre;
    o.on_bad = a->skip ? ARK_BAD_SKIP : ARK_BAD_FAIL;
    return ark_loader_new(&o, &w->loader);
}

static ark_status bootstrap(const args *a, work *w, const ark_eval_table *t) {
    ark_bootstrap_opts o = {
        .replicates = a->replicates, .seed = (uint64_t)a->seed, .level = 0.95, .threads = a->threads};
    uint32_t *group = NULL;
    ARK_TRY(ark_scored_patients(&w->r.scores, w->data, &group, &o.groups));
    o.group = group;
    ark_status st = ARK_NEW(&w->r.boot, t->K, "intervals");
    st = st ? st : ark_bootstrap_table(t, &o, w->r.boot, NULL, &w->r.macro);
    ark_free(group);
    return st;
}

static ark_status intervals(const args *a, work *w, const ark_eval_table *t) {
    ARK_TRY(ARK_NEW(&w->r.delong, t->K, "intervals"));
    for (size_t k = 0; k < t->K; k++) {
        ark_ranked ranked;
        ARK_TRY(ark_rank_class(t, k, &ranked));
        ark_status st = ark_delong_ci(&ranked, 0.95, &w->r.delong[k]);
        ark_ranked_free(&ranked);
        ARK_TRY(st);
    }
    return a->replicates ? bootstrap(a, w, t) : ARK_OK;
}

/* Calibration, and what the model's own operating points do here. */
static ark_status apply_points(const args *a, work *w) {
    const ark_head *head = &w->m.model->net.heads[w->r.head];
    ark_seen seen = a->ten_crop ? ARK_SEEN_TENCROP : ARK_SEEN_CENTRE;
    ark_report_opts o = {.level = 0.95, .threads = a->threads};
    ARK_TRY(ark_decisions_parse(w->m.model->operating_points, a->weights, head, &w->r.decisions));
    const ark_decision_set *set = ark_decisions_for(&w->r.decisions, seen);
    if (w->r.decisions.n_sets && !set) {
        fprintf(stderr, "arkfm eval: the model has no operating points for the %s view: none is applied\n",
            ark_seen_name(seen));
    }
    return ark_split_report_make(&w->r.scores, head, w->data, &w->r.decisions, set, &o, &w->r.report);
}

static ark_status compute(const args *a, work *w) {
    const ark_net *net = &w->m.model->net;
    ark_eval_opts o = {.split = a->split_id, .ten_crop = a->ten_crop, .batch = (int)a->model.batch};
    ark_eval_table t;
    double *block;
    ARK_TRY(
        ark_evaluate(w->m.session, ARK_COL_STUDENT, net, w->r.head, w->loader, w->data, 0, &o, &w->r.scores));
    ARK_TRY(ark_summarize(&w->r.scores, &net->heads[w->r.head], &w->r.summary));
    ARK_TRY(ark_scores_table(&w->r.scores, &t, &block));
    ark_status st = intervals(a, w, &t);
    ark_free(block);
    return st ? st : apply_points(a, w);
}

/* --- printing --- */

/* The interval shown for class k. */
static ark_interval interval_of(const result *r, int k) {
    return r->boot ? r->boot[k].ci : r->delong[k].ci;
}

static json_t *json_interval(ark_interval ci) {
    return ci.why ? json_null() : json_pack("[f,f]", ci.low, ci.high);
}

static json_t *json_class(const result *r, int k) {
    const ark_class_summary *c = &r->summary.classes[k];
    json_t *o = json_pack("{s:o,s:I,s:I,s:o,s:o,s:o,s:o}", "name", cli_text(c->name), "n", (json_int_t)c->n,
        "positives", (json_int_t)c->positives, "auroc", cli_number(c->auroc), "ci",
        json_interval(interval_of(r, k)), "ap", cli_number(c->ap), "accuracy", cli_number(c->accuracy));
    if (r->delong[k].auroc.why) {
        json_object_set_new(o, "undefined", json_string(r->delong[k].auroc.why));
    }
    ark_class_report_add(&r->report, k, o);
    return o;
}

static int print_json(const args *a, const work *w) {
    const result *r = &w->r;
    const ark_summary *s = &r->summary;
    json_t *classes = json_array(), *undefined = json_array();
    for (int k = 0; k < s->k; k++) {
        json_array_append_new(classes, json_class(r, k));
        if (r->delong[k].auroc.why) {
            json_array_append_new(undefined, cli_text(s->classes[k].name));
        }
    }
    json_t *o = json_pack("{s:o,s:o,s:s,s:o,s:b,s:I,s:I,s:s,s:f}", "weights", cli_text(a->weights), "dataset",
        cli_text(a->dataset), "split", a->split, "head", cli_text(w->m.model->net.heads[r->head].dataset),
        "ten_crop", (int)a->ten_crop, "n", (json_int_t)r->scores.n, "skipped", (json_int_t)r->scores.skipped,
        "ci_method", r->boot ? "bootstrap" : "delong", "level", 0.95);
    json_object_set_new(o, "unmatched", cli_unmatched(w->m.model));
    json_object_set_new(o, "mean_auroc", cli_number(s->mean_auroc));
    if (r->boot) {
        json_object_set_new(o, "mean_auroc_ci", json_interval(r->macro.auroc.ci));
        json_object_set_new(o, "mean_auroc_resamples", json_integer((json_int_t)r->macro.auroc.used));
        json_object_set_new(o, "replicates", json_integer(a->replicates));
        json_object_set_new(o, "seed", json_integer(a->seed));
    }
    json_object_set_new(o, "mean_ap", cli_number(s->mean_ap));
    json_object_set_new(o, "accuracy", cli_number(s->accuracy));
    json_object_set_new(o, "loss", cli_number(s->loss));
    json_object_set_new(o, "temperature", cli_number(r->report.temperature));
    ark_macro_report_add(&r->report, o);
    json_object_set_new(o, "classes", classes);
    json_object_set_new(o, "undefined", undefined);
    return cli_print_json(o);
}

static void put_number(double v) {
    if (isfinite(v)) {
        printf(" %8.4f", v);
    } else {
        printf(" %8s", "-");
    }
}

static void put_row(const char *name, int64_t n, int64_t positives, double auroc, const ark_interval *ci,
    double ap, double accuracy) {
    cli_put_text(stdout, name);
    printf("%*s", strlen(name) < 28 ? (int)(28 - strlen(name)) : 0, "");
    if (n >= 0) {
        printf(" %7lld %9lld", (long long)n, (long long)positives);
    } else {
        printf(" %7s %9s", "", "");
    }
    put_number(auroc);
    if (ci && !ci->why) {
        printf("  %.4f to %.4f", ci->low, ci->high);
    } else {
        printf("  %16s", "");
    }
    put_number(ap);
    put_number(accuracy);
    putchar('\n');
}

static int print_text(const args *a, const work *w) {
    const result *r = &w->r;
    const ark_summary *s = &r->summary;
    printf("%s, split %s: %lld images", a->dataset, a->split, (long long)r->scores.n);
    if (r->scores.skipped) {
        printf(" (%zu skipped)", r->scores.skipped);
    }
    printf(", loss %.4f, 95%% CI by %s\n\n%-28s %7s %9s %8s  %-16s %8s %8s\n", s->loss,
        r->boot ? "bootstrap" : "DeLong", "class", "n", "positives", "AUROC", "CI", "AP", "accuracy");
    for (int k = 0; k < s->k; k++) {
        const ark_class_summary *c = &s->classes[k];
        ark_interval ci = interval_of(r, k);
        put_row(c->name, c->n, c->positives, c->auroc, &ci, c->ap, c->accuracy);
    }
    char mean[48];
    snprintf(mean, sizeof mean, "mean of %d", s->defined);
    put_row(mean, -1, 0, s->mean_auroc, r->boot ? &r->macro.auroc.ci : NULL, s->mean_ap, s->accuracy);
    for (int k = 0; k < s->k; k++) {
        if (r->delong[k].auroc.why) {
            printf("left out of the mean: ");
            cli_put_text(stdout, s->classes[k].name);
            printf(" (%s)\n", r->delong[k].auroc.why);
        }
    }
    cli_put_points(&r->report);
    return cli_flush();
}

/* --- the verb --- */

static int check_usage(args *a, bool bootstrap_given) {
    const char *words[ARK_SPLIT_COUNT];
    if (!a->data || !a->dataset) {
        return cli_usage("%s is required", a->data ? "--dataset NAME" : "--data DATASETS.yaml");
    }
    if (bootstrap_given && (a->replicates < 1 || a->replicates > 1000000)) {
        return cli_usage("--bootstrap: %lld is outside 1..1000000", (long long)a->replicates);
    }
    if (a->seed < 0) {
        return cli_usage("--seed: %lld is negative", (long long)a->seed);
    }
    for (int i = 0; i < ARK_SPLIT_COUNT; i++) {
        words[i] = ark_split_name((ark_split)i);
        if (!strcmp(a->split, words[i])) {
            a->split_id = (ark_split)i;
            int rc = cli_on_bad(a->on_bad, &a->skip);
            return rc ? rc : cli_model_check(&a->model);
        }
    }
    return cli_unknown("--split", a->split, words, ARK_SPLIT_COUNT);
}

static void drop(work *w) {
    ark_split_report_free(&w->r.report);
    ark_decisions_free(&w->r.decisions);
    ark_free(w->r.delong);
    ark_free(w->r.boot);
    ark_summary_free(&w->r.summary);
    ark_scores_free(&w->r.scores);
    ark_loader_free(w->loader);
    cli_model_close(&w->m);
    ark_datasets_free(w->datasets);
}

int cmd_eval(cli_ctx *ctx, int argc, char **argv) {
    args a = {.split = "test", .replicates = -1, .model = CLI_MODEL_DEFAULTS};
    const cli_opt opts[] = {
        {"--data", CLI_STR, "DATASETS.yaml", &a.data, "file that describes the datasets (required)"},
        {"--dataset", CLI_STR, "NAME", &a.dataset, "dataset to evaluate on (required)"},
        {"--split", CLI_STR, "train|val|test", &a.split, "its split (default: test)"},
        {"--head", CLI_STR, "NAME", &a.head, "head of another dataset, whose classes include this one's"},
        {"--ten-crop", CLI_FLAG, NULL, &a.ten_crop, "mean probability over ten crops instead of the centre"},
        {"--bootstrap", CLI_INT, "N", &a.replicates, "intervals from N resamples of patients, not DeLong's"},
        {"--seed", CLI_INT, "N", &a.seed, "seed of the resamples (default: 0)"},
        {"--predictions", CLI_STR, "OUT.csv", &a.predictions,
            "labels and probabilities: columns path, CLASS, CLASS score, ..."},
        {"--on-bad-sample", CLI_STR, "fail|skip", &a.on_bad,
            "an unreadable image ends the run (default), or is left out and counted"},
        CLI_MODEL_OPTIONS(a.model),
    };
    work w = {0};
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    bool given = a.replicates != -1;
    rc = rc ? rc : check_usage(&a, given);
    if (rc == 0) {
        a.weights = ctx->pos[0];
        a.threads = ctx->threads;
        a.replicates = given ? a.replicates : 0;
        ark_status st = open_all(ctx, &a, &w);
        st = st ? st : compute(&a, &w);
        st = st || !a.predictions ? st
                                  : ark_predictions_write(a.predictions, &w.r.scores,
                                        &w.m.model->net.heads[w.r.head], w.data, false);
        rc = st != ARK_OK ? cli_fail(ctx, st) : ctx->json ? print_json(&a, &w) : print_text(&a, &w);
    }
    drop(&w);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
