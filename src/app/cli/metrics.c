/* arkfm metrics: AUROC, average precision and their confidence intervals from a table of scores. */
#include "app/cli/cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "eval/auc_ci.h"
#include "eval/split_report.h"
#include "io/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct args {
    const char *table, *label, *score, *positive, *group;
    const char *point, *chosen_on; /* "youden", "sensitivity=0.9"; the table it is chosen on */
    ark_op_rule rule;
    double target;
    int64_t replicates; /* 0 = DeLong */
    int64_t seed;
    double level, threshold;
    int threads;
} args;

typedef struct columns {
    size_t n;
    double *label, *score;
    uint32_t *group; /* NULL without --group */
    size_t groups;
} columns;

typedef struct result {
    size_t n, positives;
    ark_metric auroc, ap;
    ark_interval ci;           /* of the AUROC */
    ark_confusion at;          /* decisions at the threshold */
    ark_operating_point point; /* with --operating-point */
    ark_at_point applied;
    ark_calibration calibration; /* where all scores are probabilities */
    bool probabilities;
    double se;             /* DeLong */
    ark_boot_stat ap_boot; /* bootstrap */
    size_t used;           /* resamples with both classes */
} result;

/* --- reading --- */

static ark_status bad_field(const ark_csv *t, size_t row, size_t col, const char *expected) {
    return ARK_ERR(ARK_EFORMAT, "%s:%zu: column '%s': expected %s, got '%s'", ark_csv_path(t),
        ark_csv_line(t, row), ark_csv_name(t, col), expected, ark_csv_get(t, row, col));
}

/* Equal as text, or as numbers ("1" and "1.0"). */
static bool same_value(const char *a, const char *b) {
    double x, y;
    return !strcmp(a, b) || (ark_parse_f64(a, &x) && ark_parse_f64(b, &y) && x == y);
}

static ark_status read_label(const ark_csv *t, size_t row, size_t col, const char *positive, double *out) {
    const char *text = ark_csv_get(t, row, col);
    if (positive) {
        if (!*text) {
            return bad_field(t, row, col, "a class");
        }
        *out = same_value(text, positive);
        return ARK_OK;
    }
    bool yes = !strcasecmp(text, "true"), no = !strcasecmp(text, "false");
    if (yes || no) {
        *out = yes;
    } else if (!ark_parse_f64(text, out) || (*out != 0 && *out != 1)) {
        return bad_field(t, row, col, "a label 0 or 1");
    }
    return ARK_OK;
}

typedef struct group_name {
    const char *text;
    size_t row;
} group_name;

static int by_text(const void *a, const void *b) {
    return strcmp(((const group_name *)a)->text, ((const group_name *)b)->text);
}

/* Number the distinct values of a column. */
static ark_status read_groups(const ark_csv *t, size_t col, columns *c) {
    group_name *names;
    ARK_TRY(ARK_NEW(&names, c->n, "group names"));
    ark_status st = ARK_NEW(&c->group, c->n, "groups");
    for (size_t i = 0; st == ARK_OK && i < c->n; i++) {
        names[i] = (group_name){.text = ark_csv_get(t, i, col), .row = i};
        if (!*names[i].text) {
            st = bad_field(t, i, col, "a group");
        }
    }
    if (st == ARK_OK) {
        qsort(names, c->n, sizeof *names, by_text);
        for (size_t i = 0; i < c->n; i++) {
            c->groups += i == 0 || strcmp(names[i].text, names[i - 1].text) != 0;
            c->group[names[i].row] = (uint32_t)(c->groups - 1);
        }
    }
    ark_free(names);
    return st;
}

static void columns_free(columns *c) {
    ark_free(c->label);
    ark_free(c->score);
    ark_free(c->group);
}

static ark_status read_columns(const args *a, columns *c) {
    ark_csv *t;
    size_t label, score, group;
    ARK_TRY(ark_csv_read(a->table, 0, &t));
    ark_status st = ark_csv_need(t, a->label, &label);
    if (st != ARK_OK || (st = ark_csv_need(t, a->score, &score)) != ARK_OK ||
        (a->group && (st = ark_csv_need(t, a->group, &group)) != ARK_OK)) {
        goto done;
    }
    c->n = ark_csv_rows(t);
    if (c->n == 0) {
        st = ARK_ERR(ARK_EFORMAT, "%s: the table has no rows", a->table);
        goto done;
    }
    if ((st = ARK_NEW(&c->label, c->n, "labels")) != ARK_OK ||
        (st = ARK_NEW(&c->score, c->n, "scores")) != ARK_OK) {
        goto done;
    }
    for (size_t i = 0; i < c->n; i++) {
        if ((st = read_label(t, i, label, a->positive, &c->label[i])) != ARK_OK) {
            goto done;
        }
        if (!ark_parse_f64(ark_csv_get(t, i, score), &c->score[i])) {
            st = bad_field(t, i, score, "a finite number");
            goto done;
        }
    }
    if (a->group) {
        st = read_groups(t, group, c);
    }
done:
    ark_csv_free(t);
    return st;
}

/* --- computing --- */

static ark_status compute(const args *a, const columns *c, result *r) {
    ark_ranked ranked;
    ARK_TRY(ark_rank(c->score, c->label, c->n, &ranked));
    r->n = ranked.n;
    r->positives = ranked.positives;
    r->auroc = ark_auroc(&ranked);
    r->ap = ark_average_precision(&ranked);
    r->at = ark_confusion_at(&ranked, a->threshold);
    ark_status st;
    if (a->replicates > 0) {
        ark_eval_table t = {.score = c->score, .label = c->label, .n = c->n, .K = 1};
        ark_bootstrap_opts o = {.replicates = a->replicates,
            .seed = (uint64_t)a->seed,
            .level = a->level,
            .threads = a->threads,
            .group = c->group,
            .groups = c->groups};
        ark_boot_macro m;
        st = ark_bootstrap_table(&t, &o, NULL, NULL, &m);
        if (st == ARK_OK) {
            r->ci = m.auroc.ci;
            r->used = m.auroc.used;
            r->ap_boot = m.ap;
        }
    } else {
        ark_delong d;
        st = ark_delong_ci(&ranked, a->level, &d);
        if (st == ARK_OK) {
            r->ci = d.ci;
            r->se = sqrt(d.variance);
        }
    }
    ark_ranked_free(&ranked);
    return st;
}

/* The threshold, from the other table. */
static ark_status choose_point(const args *a, result *r) {
    args other = *a;
    columns c = {0};
    ark_ranked ranked;
    other.table = a->chosen_on;
    other.group = NULL;
    ark_status st = read_columns(&other, &c);
    if (st == ARK_OK && (st = ark_rank(c.score, c.label, c.n, &ranked)) == ARK_OK) {
        st = ark_choose_operating_point(&ranked, a->rule, a->target, &r->point);
        ark_ranked_free(&ranked);
    }
    columns_free(&c);
    return st;
}

static ark_status decide(const args *a, const columns *c, result *r) {
    ark_ranked ranked;
    if (a->point) {
        ARK_TRY(choose_point(a, r));
        ARK_TRY(ark_rank(c->score, c->label, c->n, &ranked));
        r->applied = ark_apply_operating_point(&r->point, &ranked, a->level);
        r->at = r->applied.table;
        ark_ranked_free(&ranked);
    }
    r->probabilities = true;
    for (size_t i = 0; i < c->n; i++) {
        r->probabilities &= c->score[i] >= 0 && c->score[i] <= 1;
    }
    return r->probabilities ? ark_calibrate_binary(c->score, c->label, c->n, 1, ARK_REPORT_BINS, a->level,
                                  NULL, &r->calibration)
                            : ARK_OK;
}

/* Why the AUROC or its interval has no value, or NULL. */
static const char *reason(const result *r) {
    return r->auroc.why ? r->auroc.why : r->ci.why;
}

/* --- printing --- */

static const struct {
    const char *name;
    ark_metric (*of)(ark_confusion c);
} decisions[] = {
    {"accuracy", ark_accuracy},
    {"f1", ark_f1},
    {"mcc", ark_mcc},
    {"sensitivity", ark_sensitivity},
    {"specificity", ark_specificity},
    {"precision", ark_precision},
};

static json_t *json_interval(ark_interval ci) {
    return ci.why ? json_null() : json_pack("[f, f]", ci.low, ci.high);
}

/* What the point is and was chosen on, and the intervals of what it does here. */
static void json_point(const args *a, const result *r, json_t *o) {
    const ark_confusion *v = &r->point.chosen_on;
    json_t *p = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I}", "rule", ark_op_rule_name(a->rule), "chosen_on",
        a->chosen_on, "tp", (json_int_t)v->tp, "fp", (json_int_t)v->fp, "tn", (json_int_t)v->tn, "fn",
        (json_int_t)v->fn);
    if (a->target > 0) {
        json_object_set_new(p, "target", json_real(a->target));
    }
    if (r->point.why) {
        json_object_set_new(p, "undefined", json_string(r->point.why));
    }
    json_object_set_new(o, "operating_point", p);
    json_object_set_new(o, "sensitivity_ci", json_interval(r->applied.sensitivity_ci));
    json_object_set_new(o, "specificity_ci", json_interval(r->applied.specificity_ci));
    json_object_set_new(o, "ppv_ci", json_interval(r->applied.ppv_ci));
    json_object_set_new(o, "npv", cli_number(r->applied.npv.value));
    json_object_set_new(o, "npv_ci", json_interval(r->applied.npv_ci));
}

static int print_json(const args *a, const columns *c, const result *r) {
    bool boot = a->replicates > 0;
    json_t *o = json_pack("{s:I, s:I, s:o, s:o, s:o, s:s, s:f}", "n", (json_int_t)r->n, "positives",
        (json_int_t)r->positives, "auroc", cli_number(r->auroc.value), "ap", cli_number(r->ap.value), "ci",
        json_interval(r->ci), "ci_method", boot ? "bootstrap" : "delong", "level", a->level);
    if (boot) {
        json_object_set_new(o, "ap_ci", json_interval(r->ap_boot.ci));
        json_object_set_new(o, "replicates", json_integer(a->replicates));
        json_object_set_new(o, "skipped", json_integer(a->replicates - (json_int_t)r->used));
        json_object_set_new(o, "seed", json_integer(a->seed));
    } else {
        json_object_set_new(o, "se", cli_number(r->se));
    }
    json_object_set_new(o, "brier", r->probabilities ? cli_number(r->calibration.brier.value) : json_null());
    json_object_set_new(o, "ece", r->probabilities ? cli_number(r->calibration.ece.value) : json_null());
    if (c->group) {
        json_object_set_new(o, "groups", json_integer((json_int_t)c->groups));
    }
    json_object_set_new(o, "threshold", cli_number(a->point ? r->point.threshold : a->threshold));
    if (a->point) {
        json_point(a, r, o);
    }
    for (size_t i = 0; i < CLI_COUNT(decisions); i++) {
        json_object_set_new(o, decisions[i].name, cli_number(decisions[i].of(r->at).value));
    }
    if (reason(r)) {
        json_object_set_new(o, "undefined", json_string(reason(r)));
    }
    return cli_print_json(o);
}

static void print_metric(const char *name, ark_metric m, const char *note) {
    if (m.why) {
        printf("%-12s undefined: %s\n", name, m.why);
    } else {
        printf("%-12s %.4f%s\n", name, m.value, note);
    }
}

static void print_with_interval(
    const char *name, ark_metric m, ark_interval ci, double level, const char *method) {
    char note[200];
    if (ci.why) {
        snprintf(note, sizeof note, "   no interval: %s", ci.why);
    } else {
        snprintf(note, sizeof note, "   %g%% CI %.4f to %.4f, %s", 100 * level, ci.low, ci.high, method);
    }
    print_metric(name, m, note);
}

static int print_text(const args *a, const columns *c, const result *r) {
    bool boot = a->replicates > 0;
    char method[96] = "DeLong";
    if (boot) {
        snprintf(method, sizeof method, "bootstrap of %zu %s, %lld replicates", c->group ? c->groups : c->n,
            c->group ? "groups" : "rows", (long long)a->replicates);
    }
    printf("%-12s %zu\n%-12s %zu\n", "rows", r->n, "positives", r->positives);
    print_with_interval("AUROC", r->auroc, r->ci, a->level, method);
    if (boot) {
        print_with_interval("AP", r->ap, r->ap_boot.ci, a->level, method);
    } else {
        print_metric("AP", r->ap, "");
    }
    if (boot && r->used < (size_t)a->replicates) {
        printf("%-12s %lld resamples had one class only\n", "skipped",
            (long long)a->replicates - (long long)r->used);
    }
    if (r->probabilities) {
        print_metric("Brier", r->calibration.brier, "");
        print_metric("ECE", r->calibration.ece, "");
    }
    if (a->point && r->point.why) {
        printf("no operating point: %s in %s\n", r->point.why, a->chosen_on);
        return cli_flush();
    }
    if (a->point) {
        printf("at score >= %g, %s of %s\n", r->point.threshold, a->point, a->chosen_on);
        print_with_interval(
            "sensitivity", r->applied.sensitivity, r->applied.sensitivity_ci, a->level, "Wilson");
        print_with_interval(
            "specificity", r->applied.specificity, r->applied.specificity_ci, a->level, "Wilson");
        print_with_interval("PPV", r->applied.ppv, r->applied.ppv_ci, a->level, "Wilson");
        print_with_interval("NPV", r->applied.npv, r->applied.npv_ci, a->level, "Wilson");
        print_metric("accuracy", r->applied.accuracy, "");
        print_metric("f1", r->applied.f1, "");
        print_metric("mcc", r->applied.mcc, "");
        return cli_flush();
    }
    printf("at score >= %g\n", a->threshold);
    for (size_t i = 0; i < CLI_COUNT(decisions); i++) {
        print_metric(decisions[i].name, decisions[i].of(r->at), "");
    }
    return cli_flush();
}

/* "youden" or "sensitivity=0.9". */
static int parse_point(args *a) {
    const char *words[ARK_OP_F1 + 1];
    size_t len = strcspn(a->point, "=");
    for (int i = 0; i <= ARK_OP_F1; i++) {
        words[i] = ark_op_rule_name((ark_op_rule)i);
        if (strlen(words[i]) != len || strncmp(words[i], a->point, len) != 0) {
            continue;
        }
        bool wants = i == ARK_OP_SENSITIVITY || i == ARK_OP_SPECIFICITY || i == ARK_OP_PRECISION;
        bool has = a->point[len] == '=';
        a->rule = (ark_op_rule)i;
        if (wants != has ||
            (has && (!ark_parse_f64(a->point + len + 1, &a->target) || a->target < 0 || a->target > 1))) {
            return cli_usage("--operating-point: %s%s", words[i],
                wants ? " needs a target in 0..1, as in sensitivity=0.9" : " has no target");
        }
        return 0;
    }
    return cli_unknown("--operating-point", a->point, words, CLI_COUNT(words));
}

static int check_usage(const args *a, bool bootstrap_given) {
    if (!a->label || !a->score) {
        return cli_usage("%s is required", a->label ? "--score COL" : "--label COL");
    }
    if (bootstrap_given && (a->replicates < 1 || a->replicates > 1000000)) {
        return cli_usage("--bootstrap: %lld is outside 1..1000000", (long long)a->replicates);
    }
    if (a->seed < 0) {
        return cli_usage("--seed: %lld is negative", (long long)a->seed);
    }
    if (!(a->level > 0 && a->level < 1)) {
        return cli_usage("--level: %g is not between 0 and 1", a->level);
    }
    if (a->group && !bootstrap_given) {
        return cli_usage("--group needs --bootstrap: DeLong takes rows as independent");
    }
    if (!a->point != !a->chosen_on) {
        return cli_usage(
            "--operating-point RULE and --chosen-on TABLE.csv go together: a threshold chosen on "
            "the rows it is judged by says nothing");
    }
    if (a->point && !isnan(a->threshold)) {
        return cli_usage("--threshold and --operating-point exclude each other");
    }
    return 0;
}

int cmd_metrics(cli_ctx *ctx, int argc, char **argv) {
    args a = {.replicates = INT64_MIN, .level = 0.95, .threshold = NAN};
    const cli_opt opts[] = {
        {"--label", CLI_STR, "COL", &a.label, "column with the truth: 0 or 1 (required)"},
        {"--score", CLI_STR, "COL", &a.score, "column with the score, larger = more positive (required)"},
        {"--positive", CLI_STR, "VALUE", &a.positive,
            "label value that counts as positive, all others as negative"},
        {"--bootstrap", CLI_INT, "N", &a.replicates,
            "percentile bootstrap with N resamples instead of DeLong"},
        {"--seed", CLI_INT, "N", &a.seed, "seed of the resamples (default: 0)"},
        {"--group", CLI_STR, "COL", &a.group, "resample whole groups, e.g. patients, instead of rows"},
        {"--level", CLI_FLOAT, "P", &a.level, "confidence level (default: 0.95)"},
        {"--threshold", CLI_FLOAT, "T", &a.threshold,
            "score from which a row is called positive (default: 0.5)"},
        {"--operating-point", CLI_STR, "RULE", &a.point,
            "threshold by a rule instead: youden, f1, sensitivity=0.9, specificity=0.9, precision=0.8"},
        {"--chosen-on", CLI_STR, "VAL.csv", &a.chosen_on,
            "table with the same columns that the rule chooses the threshold on"},
    };
    columns c = {0};
    result r = {0};
    int rc = cli_parse(ctx, argc, argv, opts, CLI_COUNT(opts), 1, 1);
    bool bootstrap = a.replicates != INT64_MIN;
    if (rc || (rc = check_usage(&a, bootstrap)) || (a.point && (rc = parse_point(&a)))) {
        goto done;
    }
    a.table = ctx->pos[0];
    a.threads = ctx->threads;
    a.threshold = isnan(a.threshold) ? 0.5 : a.threshold;
    a.replicates = bootstrap ? a.replicates : 0;
    ark_status st = read_columns(&a, &c);
    if (st == ARK_OK) {
        st = compute(&a, &c, &r);
    }
    if (st == ARK_OK) {
        st = decide(&a, &c, &r);
    }
    if (st != ARK_OK) {
        rc = cli_fail(ctx, st);
        goto done;
    }
    if (reason(&r)) {
        fprintf(stderr, "arkfm metrics: %s: %s\n", a.table, reason(&r));
    }
    rc = ctx->json ? print_json(&a, &c, &r) : print_text(&a, &c, &r);
done:
    columns_free(&c);
    cli_done(ctx, opts, CLI_COUNT(opts));
    return rc;
}
