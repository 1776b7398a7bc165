#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/par.h"
#include "base/str.h"
#include "io/npy.h"
#include "study/json.h"
#include "study/probe_file.h"
#include "study/scored.h"
#include "study/study.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROCS = 8 };

typedef struct run {
    const ark_study_job *job;
    ark_study_inputs in;
    ark_study_fit fit;
    ark_readout r;
    bool fitted;
    ark_operating_point *points; /* K, chosen on validation; NULL without one */
    ark_scored val, test;
    int threads;
} run;

static bool multiclass(const run *w) {
    return w->in.data->task == ARK_MULTICLASS;
}

static const char *const *names(const run *w) {
    return (const char *const *)w->in.data->classes;
}

/* Probabilities and labels of a split; what was not fitted is missing. */
static ark_status score(run *w, ark_split split, ark_scored *out) {
    ark_features *f = &w->in.f[split];
    ark_labelled rows = ark_features_labelled(f);
    double *p;
    ARK_TRY(ARK_NEW(&p, f->n * f->K, "probabilities"));
    ark_status st = ark_readout_predict(&w->r, &rows, w->threads, p);
    ark_readout_mask_labels(&w->r, f->label, f->n);
    st = st ? st : ark_scored_new(p, f->label, f, names(w), out);
    out->left_out = w->r.left_out;
    ark_free(p);
    return st;
}

static ark_status fit(run *w) {
    const ark_study_config *c = w->job->config;
    ark_labelled train = ark_features_labelled(&w->in.f[ARK_TRAIN]),
                 val = ark_features_labelled(&w->in.f[ARK_VAL]);
    ARK_TRY(ark_study_need_split(&w->in, ARK_TRAIN));
    ARK_TRY(ark_study_need_split(&w->in, ARK_TEST));
    ARK_TRY(ark_study_fit_opts(c, w->in.data->task, w->threads, &w->fit));
    if (val.n == 0 && (w->fit.opts.nC > 1 || c->optimizer == 1)) {
        return ark_study_need_split(&w->in, ARK_VAL);
    }
    ark_study_say(&w->job->hooks, "fitting on %zu x %zu, %zu classes", train.n, train.d, train.K);
    ARK_TRY(ark_readout_fit(&train, val.n ? &val : NULL, &w->fit.opts, &w->r));
    w->fitted = true;
    return ARK_OK;
}

static ark_status evaluate(run *w) {
    const ark_study_config *c = w->job->config;
    if (w->in.f[ARK_VAL].n > 0) {
        ARK_TRY(ARK_NEW(&w->points, w->r.K, "operating points"));
        ARK_TRY(score(w, ARK_VAL, &w->val));
        ARK_TRY(ark_choose_points(&w->val.t, ark_study_rule(c), c->target, w->points));
        ARK_TRY(ark_scored_evaluate(&w->val, c, w->points, multiclass(w), w->threads));
    }
    ARK_TRY(score(w, ARK_TEST, &w->test));
    return ark_scored_evaluate(&w->test, c, w->points, multiclass(w), w->threads);
}

/* --- results --- */

static json_t *fit_json(const run *w) {
    const ark_readout *r = &w->r;
    bool adam = w->fit.opts.optimizer == ARK_READOUT_ADAM;
    json_t *o = json_object(), *tried = json_array(), *left = json_array();
    json_object_set_new(o, "optimizer", json_string(adam ? "adam" : "lbfgs"));
    json_object_set_new(o, "standardized", json_boolean(!w->fit.opts.raw));
    json_object_set_new(o, "selected_by",
        json_string(w->in.f[ARK_VAL].n == 0                     ? "nothing"
                    : w->fit.opts.select == ARK_SELECT_LOG_LOSS ? "validation log-loss"
                                                                : "validation AUROC"));
    json_object_set_new(o, adam ? "epoch" : "C", ark_json_number(r->C[r->best]));
    json_object_set_new(o, "iterations", json_integer((json_int_t)r->iterations));
    json_object_set_new(o, "unconverged", json_integer((json_int_t)r->unconverged));
    for (size_t c = 0; c < r->nC; c++) {
        json_array_append_new(
            tried, json_pack("[o,o]", ark_json_number(r->C[c]), ark_json_number(r->val[c])));
    }
    for (size_t k = 0; k < r->K; k++) {
        if (r->left_out[k]) {
            json_array_append_new(
                left, json_pack("{s:o,s:s}", "name", ark_json_text(names(w)[k]), "why", r->left_out[k]));
        }
    }
    json_object_set_new(o, "tried", tried);
    json_object_set_new(o, "left_out", left);
    return o;
}

static ark_status report(const run *w) {
    char path[4400], subtitle[300];
    ark_html *h;
    snprintf(subtitle, sizeof subtitle, "%.100s, %zu test images; embeddings of %.120s", w->in.data->name,
        w->test.t.n, w->job->names[0]);
    ARK_TRY(ark_html_new("Linear probe", subtitle, &h));
    ark_html_section(h, "Test split");
    ark_status st = ark_scored_html_table(&w->test, h, w->job->config->level);
    ark_html_section(h, "ROC curves on the test split");
    st = st ? st : ark_scored_html_roc(&w->test, h, w->job->config, ROCS, w->threads);
    if (st == ARK_OK && w->val.r) {
        ark_html_section(h, "Validation split");
        ark_html_para(h, "Selections and thresholds were made here, so these numbers flatter.");
        st = ark_scored_html_table(&w->val, h, w->job->config->level);
    }
    st = st ? st
            : ark_study_html_end(w->job, &w->in,
                  "Logistic regression on frozen embeddings in float64; what is chosen (regularisation or "
                  "epoch, thresholds) is chosen on validation; test images were used once, for the numbers "
                  "above.",
                  h);
    st = st ? st : ark_html_write(h, ark_study_path(w->job, "report.html", path));
    ark_html_free(h);
    return st;
}

static ark_status write_tables(const run *w) {
    char path[4400];
    const ark_study_job *job = w->job;
    ARK_TRY(ark_scored_write_classes(&w->test, ark_study_path(job, "classes.csv", path)));
    ARK_TRY(ark_scored_write_predictions(
        &w->test, w->in.data, ark_study_path(job, "predictions-test.csv", path)));
    if (w->val.r) {
        ARK_TRY(ark_scored_write_predictions(
            &w->val, w->in.data, ark_study_path(job, "predictions-val.csv", path)));
    }
    return ARK_OK;
}

static ark_status finish(const run *w, json_t **result) {
    json_t *o = ark_study_json(w->job, &w->in);
    if (w->fitted) {
        json_object_set_new(o, "fit", fit_json(w));
    }
    json_object_set_new(o, "val", w->val.r ? ark_scored_json(&w->val) : json_null());
    json_object_set_new(o, "test", ark_scored_json(&w->test));
    ark_status st = write_tables(w);
    st = st ? st : ark_study_results(w->job, o);
    st = st ? st : report(w);
    if (st != ARK_OK) {
        json_decref(o);
        return st;
    }
    *result = o;
    return ARK_OK;
}

static ark_status begin(run *w) {
    char cache[4400];
    w->threads = w->job->threads > 0 ? w->job->threads : ark_cpu_count();
    ARK_TRY(ark_study_begin(w->job));
    return ark_study_inputs_read(w->job->config, &w->job->sources[0],
        ark_study_path(w->job, "embeddings", cache), w->threads, &w->job->hooks, &w->in);
}

static void end(run *w) {
    ark_scored_free(&w->val);
    ark_scored_free(&w->test);
    ark_free(w->points);
    ark_readout_free(&w->r);
    ark_study_inputs_free(&w->in);
}

static ark_status save(const run *w) {
    char path[4400];
    return ark_probe_save(ark_study_path(w->job, "probe.safetensors", path), &w->r, names(w), w->points,
        w->in.source, w->in.layer);
}

ark_status ark_study_probe(const ark_study_job *job, json_t **result) {
    run w = {.job = job};
    ark_status st = begin(&w);
    st = st ? st : fit(&w);
    st = st ? st : evaluate(&w);
    st = st ? st : save(&w);
    st = st ? st : finish(&w, result);
    end(&w);
    return st;
}

/* --- a probe that is there already --- */

static size_t class_of(const ark_probe *p, const char *name) {
    size_t k = 0;
    while (k < p->readout.K && strcmp(p->classes[k], name) != 0) {
        k++;
    }
    return k;
}

/* The probe's scores for the dataset's classes, matched by name. */
static ark_status apply(run *w, const ark_probe *p, const char *path) {
    ark_features *f = &w->in.f[ARK_TEST];
    ark_labelled rows = ark_features_labelled(f);
    size_t K = f->K;
    double *all = NULL, *score_of = NULL;
    ark_status st = ARK_NEW(&all, f->n * p->readout.K, "probabilities");
    st = st ? st : ARK_NEW(&score_of, f->n * K, "probabilities");
    st = st ? st : ARK_NEW(&w->points, K, "operating points");
    st = st ? st : ark_readout_predict(&p->readout, &rows, w->threads, all);
    for (size_t k = 0; k < K && st == ARK_OK; k++) {
        size_t from = class_of(p, w->in.data->classes[k]);
        if (from == p->readout.K) {
            const char *near =
                ark_nearest(w->in.data->classes[k], (const char *const *)p->classes, p->readout.K);
            st = ARK_ERR(ARK_EINVAL, "%s has no class '%s'%s%s%s", path, w->in.data->classes[k],
                near ? " (the nearest is '" : "", near ? near : "", near ? "')" : "");
            break;
        }
        w->points[k] = p->points[from];
        for (size_t i = 0; i < f->n; i++) {
            score_of[i * K + k] = all[i * p->readout.K + from];
            if (p->readout.left_out[from]) {
                f->label[i * K + k] = NAN;
            }
        }
    }
    st = st ? st : ark_scored_new(score_of, f->label, f, names(w), &w->test);
    st = st ? st : ark_scored_evaluate(&w->test, w->job->config, w->points, multiclass(w), w->threads);
    ark_free(all);
    ark_free(score_of);
    return st;
}

ark_status ark_study_probe_apply(const ark_study_job *job, const char *path, json_t **result) {
    run w = {.job = job};
    ark_probe p = {.C = NAN};
    ark_status st = ark_probe_load(path, &p);
    st = st ? st : begin(&w);
    st = st ? st : ark_study_need_split(&w.in, ARK_TEST);
    st = st ? st : apply(&w, &p, path);
    st = st ? st : finish(&w, result);
    if (st == ARK_OK) {
        json_object_set_new(*result, "probe", ark_json_text(path));
    }
    ark_probe_free(&p);
    end(&w);
    return st;
}

static ark_status write_rows(const ark_probe *p, const double *prob, size_t n, const char *path) {
    ark_writer w;
    size_t K = p->readout.K;
    ARK_TRY(ark_writer_open(&w, path));
    ark_writer_printf(&w, "row");
    for (size_t k = 0; k < K; k++) {
        ark_writer_put(&w, ",", 1);
        ark_csv_put(&w, p->classes[k]);
    }
    for (size_t i = 0; i < n; i++) {
        ark_writer_printf(&w, "\n%zu", i);
        for (size_t k = 0; k < K; k++) {
            ark_writer_put(&w, ",", 1);
            ark_csv_put_number(&w, prob[i * K + k]);
        }
    }
    ark_writer_put(&w, "\n", 1);
    return ark_writer_commit(&w);
}

static ark_status predict_rows(
    const ark_probe *p, const ark_npy *a, const char *array, const char *out, int threads) {
    char path[4400];
    double *prob;
    ark_labelled rows = {.f32 = a->data, .n = (size_t)a->shape[0], .d = (size_t)a->shape[1]};
    for (int64_t i = 0; i < a->numel; i++) {
        if (!isfinite(a->data[i])) {
            return ARK_ERR(ARK_EINVAL, "%s: row %lld, feature %lld: not a finite number", array,
                (long long)(i / a->shape[1]), (long long)(i % a->shape[1]));
        }
    }
    ARK_TRY(ARK_NEW(&prob, rows.n * p->readout.K, "probabilities"));
    ark_status st = ark_readout_predict(&p->readout, &rows, threads, prob);
    st = st ? ark__err_prefix(st, "%s", array) : ark_mkdirs(out);
    snprintf(path, sizeof path, "%.4096s/predictions.csv", out);
    st = st ? st : write_rows(p, prob, rows.n, path);
    ark_free(prob);
    return st;
}

ark_status ark_study_probe_rows(
    const char *probe, const char *array, const char *out, int threads, json_t **result) {
    ark_probe p;
    ark_npy a = {0};
    ARK_TRY(ark_probe_load(probe, &p));
    ark_status st = ark__study_read_array(array, &a);
    st = st ? st : predict_rows(&p, &a, array, out, threads);
    if (st == ARK_OK) {
        *result = json_pack("{s:o,s:o,s:I,s:I}", "probe", ark_json_text(probe), "array", ark_json_text(array),
            "rows", (json_int_t)a.shape[0], "classes", (json_int_t)p.readout.K);
    }
    ark_npy_free(&a);
    ark_probe_free(&p);
    return st;
}
