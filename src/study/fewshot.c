#include "study/fewshot.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "eval/shots.h"
#include "eval/significance.h"
#include "study/fewshot_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- which sizes --- */

static int by_size(const void *a, const void *b) {
    const ark__shots *x = a, *y = b;
    return x->n < y->n ? -1 : x->n > y->n;
}

static void add_size(ark__fewshot *f, size_t n, const char *form, double value, size_t per_class) {
    ark__shots s = {.n = n, .per_class = per_class, .repeats = f->repeats};
    snprintf(s.name, sizeof s.name, form, value);
    size_t rows = f->in[0].f[ARK_TRAIN].n;
    if (s.n >= rows && per_class == 0) {
        s.n = rows;
        s.repeats = 1; /* every draw is the same */
    }
    for (size_t i = 0; i < f->n_shots; i++) {
        if (f->shots[i].n == s.n && f->shots[i].per_class == s.per_class) {
            return;
        }
    }
    f->shots[f->n_shots++] = s;
}

static ark_labelled train_of(const ark__fewshot *f, size_t source) {
    return ark_features_labelled(&f->in[source].f[ARK_TRAIN]);
}

/* How many rows per-class samples have in the first draw; one of all rows is drawn once. */
static ark_status measure(ark__fewshot *f) {
    ark_labelled train = train_of(f, 0);
    uint32_t *rows;
    ARK_TRY(ARK_NEW(&rows, train.n, "a sample"));
    ark_status st = ARK_OK;
    for (size_t k = 0; k < f->n_shots && st == ARK_OK; k++) {
        ark__shots *s = &f->shots[k];
        if (s->per_class) {
            st = ark_shots_per_class(
                &train, s->per_class, (uint64_t)f->job->config->seed, 0, rows, &s->n, NULL);
            s->repeats = s->n == train.n ? 1 : s->repeats;
        }
    }
    ark_free(rows);
    return st;
}

static ark_status choose_sizes(ark__fewshot *f) {
    const ark_study_config *c = f->job->config;
    double shots[ARK_STUDY_NUMBERS], percent[ARK_STUDY_NUMBERS];
    size_t n_shots, n_percent, rows = f->in[0].f[ARK_TRAIN].n;
    bool per_class = c->shots_per == 1;
    ARK_TRY(ark_study_numbers(
        c->shots[0] ? c->shots : "5,10,15,20,30", "fewshot.shots", 1, 1e9, shots, &n_shots));
    ARK_TRY(ark_study_numbers(
        c->percent[0] ? c->percent : "0.5,1,5,100", "fewshot.percent", 1e-6, 100, percent, &n_percent));
    for (size_t i = 0; i < n_shots; i++) {
        size_t k = (size_t)shots[i];
        if (per_class) {
            add_size(f, k * (f->K + 1), "%.0f per class", shots[i], k);
        } else if (k <= rows) {
            add_size(f, k, "%.0f", shots[i], 0);
        } else {
            ark_study_say(&f->job->hooks, "%zu shots left out: the training split has %zu images", k, rows);
        }
    }
    for (size_t i = 0; i < n_percent; i++) {
        size_t n = (size_t)round(percent[i] / 100 * (double)rows);
        add_size(f, n > 1 ? n : 2, "%g %%", percent[i], 0);
    }
    if (f->n_shots == 0) {
        return ARK_ERR(ARK_EINVAL, "no size of a sample is left: the training split has %zu images", rows);
    }
    ARK_TRY(measure(f));
    qsort(f->shots, f->n_shots, sizeof *f->shots, by_size);
    return ARK_OK;
}

/* --- samples: the same for every source --- */

typedef struct task {
    ark__fewshot *f;
    ark_status *status; /* [tasks] */
    char (*message)[256];
    uint32_t **order; /* [repeats] nested order of the training rows */
} task;

static ark_status make_orders(ark__fewshot *f, task *t) {
    ark_labelled train = train_of(f, 0);
    ark_readout_task kind =
        f->in[0].data->task == ARK_MULTICLASS ? ARK_READOUT_MULTICLASS : ARK_READOUT_MULTILABEL;
    for (size_t r = 0; r < f->repeats; r++) {
        ARK_TRY(ARK_NEW(&t->order[r], train.n, "an order of rows"));
        ARK_TRY(ark_shots_order(&train, kind, (uint64_t)f->job->config->seed, (uint32_t)r, t->order[r]));
    }
    return ARK_OK;
}

/* What per-class samples lack, in the first draw as in every other. */
static ark_status count_lacking(ark__fewshot *f) {
    ark_labelled train = train_of(f, 0);
    uint32_t *rows;
    size_t n;
    ARK_TRY(ARK_NEW(&rows, train.n, "a sample"));
    ark_status st = ARK_OK;
    for (size_t k = 0; k < f->n_shots && st == ARK_OK; k++) {
        if (f->shots[k].per_class) {
            st = ark_shots_per_class(&train, f->shots[k].per_class, 0, 0, rows, &n, f->lacking + k * f->K);
        }
    }
    ark_free(rows);
    return st;
}

/* rows [train.n]: the sample of one size and repeat. */
static ark_status sample(ark__fewshot *f, const task *t, size_t k, size_t r, uint32_t *rows, size_t *n) {
    const ark__shots *s = &f->shots[k];
    ark_labelled train = train_of(f, 0);
    if (s->per_class) {
        return ark_shots_per_class(
            &train, s->per_class, (uint64_t)f->job->config->seed, (uint32_t)r, rows, n, NULL);
    }
    memcpy(rows, t->order[r], s->n * sizeof *rows);
    *n = s->n;
    return ARK_OK;
}

/* --- one probe --- */

static ark_status test_auroc(ark__fewshot *f, size_t source, const ark_readout *r, double *out) {
    const ark_features *test = &f->in[source].f[ARK_TEST];
    ark_labelled rows = ark_features_labelled(test);
    double *p = NULL, *label = NULL;
    ark_class_auc *classes = NULL;
    ark_macro macro;
    size_t cells = test->n * f->K;
    ark_status st = ARK_NEW(&p, cells, "probabilities");
    st = st ? st : ARK_NEW(&label, cells, "labels");
    st = st ? st : ARK_NEW(&classes, f->K, "classes");
    st = st ? st : ark_readout_predict(r, &rows, 1, p);
    if (st == ARK_OK) {
        memcpy(label, test->label, cells * sizeof *label);
        ark_readout_mask_labels(r, label, test->n);
        ark_eval_table t = {.score = p, .label = label, .n = test->n, .K = f->K};
        st = ark_table_metrics(&t, classes, &macro);
    }
    for (size_t k = 0; k < f->K && st == ARK_OK; k++) {
        out[k] = classes[k].auroc.value;
    }
    out[f->K] = st == ARK_OK ? macro.auroc.value : NAN;
    ark_free(p);
    ark_free(label);
    ark_free(classes);
    return st;
}

/* A sample from which nothing can be fitted, or a choice that validation cannot make, leaves no value. */
static ark_status fit_sample(ark__fewshot *f, size_t source, const uint32_t *rows, size_t n, double *out) {
    ark_study_fit fit;
    ark_readout r;
    ark_labelled train = train_of(f, source), val = ark_features_labelled(&f->in[source].f[ARK_VAL]);
    train.rows = rows;
    train.n = n;
    ARK_TRY(ark_study_fit_opts(f->job->config, f->in[source].data->task, 1, &fit));
    ark_status st = ark_readout_fit(&train, val.n ? &val : NULL, &fit.opts, &r);
    if (st == ARK_EINVAL && strstr(ark_err_msg(), "no class has")) {
        return ARK_OK;
    }
    ARK_TRY(st);
    st = test_auroc(f, source, &r, out);
    ark_readout_free(&r);
    return st;
}

static void run_task(void *ctx, int64_t number, int thread) {
    (void)thread;
    task *t = ctx;
    ark__fewshot *f = t->f;
    size_t i = (size_t)number, K1 = f->K + 1, n = 0;
    size_t r = i % f->repeats, k = i / f->repeats % f->n_shots, s = i / f->repeats / f->n_shots;
    double *out = f->auroc + i * K1;
    for (size_t c = 0; c < K1; c++) {
        out[c] = NAN;
    }
    if (r >= f->shots[k].repeats) {
        return;
    }
    uint32_t *rows;
    ark_status st = ARK_NEW(&rows, f->in[s].f[ARK_TRAIN].n, "a sample");
    if (st == ARK_OK) {
        st = sample(f, t, k, r, rows, &n);
        st = st ? st : fit_sample(f, s, rows, n, out);
        ark_free(rows);
    }
    t->status[i] = st;
    if (st != ARK_OK) {
        snprintf(t->message[i], sizeof t->message[i], "%.255s", ark_err_msg());
    }
}

static ark_status run_all(ark__fewshot *f, task *t) {
    size_t tasks = f->job->n * f->n_shots * f->repeats, cells;
    if (ark_mul(tasks, f->K + 1, &cells)) {
        return ARK_ERR(ARK_ENOMEM, "%zu probes of %zu classes", tasks, f->K);
    }
    ARK_TRY(ARK_NEW(&f->auroc, cells, "results"));
    ARK_TRY(ARK_NEW(&f->lacking, f->n_shots * f->K, "results"));
    ARK_TRY(ARK_NEW(&t->status, tasks, "results"));
    ARK_TRY(ARK_NEW(&t->message, tasks, "results"));
    ARK_TRY(ARK_NEW(&t->order, f->repeats, "samples"));
    ARK_TRY(make_orders(f, t));
    ARK_TRY(count_lacking(f));
    ark_study_say(&f->job->hooks, "%zu probes: %zu sources, %zu sizes, up to %zu draws", tasks, f->job->n,
        f->n_shots, f->repeats);
    ark_parallel(f->threads, (int64_t)tasks, run_task, t);
    for (size_t i = 0; i < tasks; i++) {
        if (t->status[i] != ARK_OK) {
            return ARK_ERR(t->status[i], "%s", t->message[i]);
        }
    }
    return ARK_OK;
}

/* --- statistics --- */

static ark__shot_stat stat_of(double *v, size_t n, double level) {
    static const char none[] = "no draw has a value";
    ark__shot_stat s = {.mean = NAN, .sd = NAN, .used = n};
    if (n == 0) {
        s.ci = (ark_interval){.low = NAN, .high = NAN, .why = none};
        s.why = none;
        return s;
    }
    s.ci = ark_t_interval(v, n, level);
    ark_mean_sd(v, n, &s.mean, &s.sd);
    return s;
}

static const double *at(const ark__fewshot *f, size_t s, size_t k, size_t r) {
    return f->auroc + ((s * f->n_shots + k) * f->repeats + r) * (f->K + 1);
}

enum { MOST_REPEATS = 1000 };

ark__shot_stat ark__fewshot_stat(const ark__fewshot *f, size_t s, size_t k, size_t c) {
    double v[MOST_REPEATS];
    size_t n = 0;
    for (size_t r = 0; r < f->repeats; r++) {
        double x = at(f, s, k, r)[c];
        if (!isnan(x)) {
            v[n++] = x;
        }
    }
    return stat_of(v, n, f->job->config->level);
}

ark__shot_stat ark__fewshot_difference(const ark__fewshot *f, size_t s, size_t k) {
    double v[MOST_REPEATS];
    size_t n = 0;
    for (size_t r = 0; r < f->repeats; r++) {
        double x = at(f, 0, k, r)[f->K] - at(f, s, k, r)[f->K];
        if (!isnan(x)) {
            v[n++] = x;
        }
    }
    return stat_of(v, n, f->job->config->level);
}

/* --- the run --- */

static ark_status same_rows(const ark__fewshot *f, size_t source) {
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        const ark_features *a = &f->in[0].f[s], *b = &f->in[source].f[s];
        if (a->n != b->n || (a->n > 0 && memcmp(a->sample, b->sample, a->n * sizeof *a->sample) != 0)) {
            return ARK_ERR(ARK_EINVAL, "%s and %s have other images in split %s (%zu and %zu)",
                f->job->names[0], f->job->names[source], ark_split_name((ark_split)s), a->n, b->n);
        }
    }
    return ARK_OK;
}

static ark_status read_sources(ark__fewshot *f) {
    char folder[600], path[4400];
    ARK_TRY(ARK_NEW(&f->in, f->job->n, "sources"));
    for (size_t i = 0; i < f->job->n; i++) {
        snprintf(folder, sizeof folder, "embeddings/%.200s", f->job->names[i]);
        ARK_TRY(ark_study_inputs_read(f->job->config, &f->job->sources[i],
            ark_study_path(f->job, folder, path), f->threads, &f->job->hooks, &f->in[i]));
        ARK_TRY(same_rows(f, i));
    }
    ARK_TRY(ark_study_need_split(&f->in[0], ARK_TRAIN));
    ARK_TRY(ark_study_need_split(&f->in[0], ARK_TEST));
    f->K = f->in[0].f[ARK_TRAIN].K;
    ark_study_fit fit;
    ARK_TRY(ark_study_fit_opts(f->job->config, f->in[0].data->task, 1, &fit));
    return fit.opts.nC > 1 || f->job->config->optimizer == 1 ? ark_study_need_split(&f->in[0], ARK_VAL)
                                                             : ARK_OK;
}

ark_status ark_study_fewshot(const ark_study_job *job, json_t **result) {
    ark__fewshot f = {.job = job,
        .repeats = (size_t)job->config->repeats,
        .threads = job->threads > 0 ? job->threads : ark_cpu_count()};
    task t = {.f = &f};
    ark_status st = ark_study_begin(job);
    st = st ? st : read_sources(&f);
    st = st ? st : choose_sizes(&f);
    st = st ? st : run_all(&f, &t);
    if (st == ARK_OK) {
        st = ark__fewshot_write(&f, result);
    }
    for (size_t r = 0; t.order && r < f.repeats; r++) {
        ark_free(t.order[r]);
    }
    ark_free(t.order);
    ark_free(t.status);
    ark_free(t.message);
    for (size_t i = 0; f.in && i < job->n; i++) {
        ark_study_inputs_free(&f.in[i]);
    }
    ark_free(f.in);
    ark_free(f.auroc);
    ark_free(f.lacking);
    return st;
}
