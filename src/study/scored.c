#include "study/scored.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "study/json.h"

#include <math.h>
#include <string.h>

ark_status ark_scored_new(const double *score, const double *label, const ark_features *f,
    const char *const *names, ark_scored *s) {
    size_t cells, twice;
    *s = (ark_scored){.sample = f->sample, .patient = f->patient, .patients = f->patients};
    if (ark_mul(f->n, f->K, &cells) || ark_mul(cells, 2, &twice)) {
        return ARK_ERR(ARK_ENOMEM, "scores of %zu rows, %zu classes", f->n, f->K);
    }
    ARK_TRY(ARK_NEW(&s->block, twice, "scores"));
    memcpy(s->block, score, cells * sizeof *score);
    memcpy(s->block + cells, label, cells * sizeof *label);
    s->t =
        (ark_eval_table){.score = s->block, .label = s->block + cells, .n = f->n, .K = f->K, .names = names};
    return ARK_OK;
}

void ark_scored_free(ark_scored *s) {
    ark_free(s->block);
    ark_free(s->r);
    *s = (ark_scored){0};
}

ark_bootstrap_opts ark_scored_bootstrap(const ark_scored *s, const ark_study_config *c, int threads) {
    return (ark_bootstrap_opts){.replicates = c->bootstrap,
        .seed = (uint64_t)c->seed,
        .level = c->level,
        .threads = threads,
        .group = s->patient,
        .groups = s->patients};
}

/* Over rows that have a class. A class without scores leaves the question open. */
static ark_metric accuracy_of(const ark_scored *s) {
    size_t right = 0, rows = 0, K = s->t.K;
    for (size_t i = 0; i < s->t.n; i++) {
        const double *p = s->t.score + i * K, *y = s->t.label + i * K;
        size_t best = 0, truth = K;
        for (size_t k = 0; k < K; k++) {
            if (isnan(p[k])) {
                return (ark_metric){.value = NAN, .why = "a class was left out"};
            }
            best = p[k] > p[best] ? k : best;
            truth = y[k] == 1 ? k : truth;
        }
        rows += truth < K;
        right += truth < K && best == truth;
    }
    return rows ? (ark_metric){.value = (double)right / (double)rows}
                : (ark_metric){.value = NAN, .why = "no row with a class"};
}

ark_status ark_scored_evaluate(ark_scored *s, const ark_study_config *c, const ark_operating_point *points,
    bool multiclass, int threads) {
    ark_bootstrap_opts o = ark_scored_bootstrap(s, c, threads);
    ARK_TRY(ARK_NEW(&s->r, s->t.K, "results per class"));
    s->points = points;
    ARK_TRY(ark_class_results(&s->t, points, c->level, s->r));
    for (size_t k = 0; k < s->t.K; k++) {
        if (s->left_out && s->left_out[k]) { /* the reason, rather than that all labels are missing */
            s->r[k].delong.auroc.why = s->r[k].ap.why = s->left_out[k];
        }
    }
    s->mean = ark_class_results_mean(s->r, s->t.K);
    s->accuracy =
        multiclass ? accuracy_of(s) : (ark_metric){.value = NAN, .why = "only of exclusive classes"};
    return ark_bootstrap_table(&s->t, &o, NULL, NULL, &s->macro);
}

/* --- JSON --- */

json_t *ark_scored_json(const ark_scored *s) {
    json_t *o = json_object(), *classes = json_array();
    json_object_set_new(o, "n", json_integer((json_int_t)s->t.n));
    json_object_set_new(o, "patients", json_integer((json_int_t)s->patients));
    ark_json_metric(o, "mean_auroc", s->mean.auroc);
    json_object_set_new(o, "mean_auroc_ci", ark_json_interval(&s->macro.auroc.ci));
    ark_json_metric(o, "mean_ap", s->mean.ap);
    json_object_set_new(o, "mean_ap_ci", ark_json_interval(&s->macro.ap.ci));
    ark_json_metric(o, "mean_f1", s->mean.f1);
    ark_json_metric(o, "mean_mcc", s->mean.mcc);
    json_object_set_new(o, "classes_defined", json_integer((json_int_t)s->mean.classes));
    ark_json_metric(o, "accuracy", s->accuracy);
    for (size_t k = 0; k < s->t.K; k++) {
        json_array_append_new(
            classes, ark_json_class(s->t.names[k], &s->r[k], s->points ? &s->points[k] : NULL));
    }
    json_object_set_new(o, "classes", classes);
    return o;
}

/* --- CSV --- */

void ark_csv_put(ark_writer *w, const char *s) {
    ark_writer_put(w, "\"", 1);
    for (; *s; s++) {
        ark_writer_put(w, "\"\"", *s == '"' ? 2 : 0);
        ark_writer_put(w, s, *s != '"');
    }
    ark_writer_put(w, "\"", 1);
}

void ark_csv_put_number(ark_writer *w, double v) {
    if (isfinite(v)) {
        ark_writer_printf(w, "%.9g", v);
    }
}

static void put_joined(ark_writer *w, const char *a, const char *b) {
    char text[512];
    snprintf(text, sizeof text, "%.480s%s", a, b);
    ark_csv_put(w, text);
}

ark_status ark_scored_write_predictions(const ark_scored *s, const ark_dataset *data, const char *path) {
    ark_writer w;
    size_t K = s->t.K;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w, "path");
    for (size_t k = 0; k < K; k++) {
        ark_writer_put(&w, ",", 1);
        ark_csv_put(&w, s->t.names[k]);
        ark_writer_put(&w, ",", 1);
        put_joined(&w, s->t.names[k], " score");
    }
    for (size_t i = 0; i < s->t.n; i++) {
        ark_writer_put(&w, "\n", 1);
        ark_csv_put(&w, data->paths[s->sample[i]]);
        for (size_t k = 0; k < K; k++) {
            double y = s->t.label[i * K + k];
            ark_writer_printf(&w, ",%s,", isnan(y) ? "" : y == 1 ? "1" : "0");
            ark_csv_put_number(&w, s->t.score[i * K + k]);
        }
    }
    ark_writer_put(&w, "\n", 1);
    return ark_writer_commit(&w);
}

ark_status ark_scored_write_classes(const ark_scored *s, const char *path) {
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w,
        "class,n,positives,auroc,auroc_low,auroc_high,ap,brier,ece,threshold,f1,mcc,accuracy,"
        "sensitivity,specificity,ppv,npv,undefined\n");
    for (size_t k = 0; k < s->t.K; k++) {
        const ark_class_result *r = &s->r[k];
        double v[] = {r->delong.auroc.value, r->delong.ci.low, r->delong.ci.high, r->ap.value, r->brier.value,
            r->ece.value, s->points ? s->points[k].threshold : NAN, r->at.f1.value, r->at.mcc.value,
            r->at.accuracy.value, r->at.sensitivity.value, r->at.specificity.value, r->at.ppv.value,
            r->at.npv.value};
        ark_csv_put(&w, s->t.names[k]);
        ark_writer_printf(&w, ",%zu,%zu", r->n, r->positives);
        for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
            ark_writer_put(&w, ",", 1);
            ark_csv_put_number(&w, v[i]);
        }
        ark_writer_put(&w, ",", 1);
        ark_csv_put(&w, r->delong.auroc.why ? r->delong.auroc.why : "");
        ark_writer_put(&w, "\n", 1);
    }
    return ark_writer_commit(&w);
}
