/* Probes on training samples with other shares of men, tested on each sex. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "base/rng.h"
#include "study/bias_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW_ROWS = 10 };

typedef struct design {
    ark__bias *b;
    uint32_t *of_sex[ARK__SEXES];    /* training rows of women, men */
    uint32_t *test_rows[ARK__SEXES]; /* test rows */
    ark_status *status;              /* [shares * repeats] */
    char (*message)[256];
} design;

/* --- who is there --- */

static size_t rows_of_sex(const ark__bias *b, ark_split split, size_t sex, uint32_t *out) {
    const ark_features *f = &b->in.f[split];
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        if (b->in.data->sex[f->sample[i]] == ark__sex_names[sex][0]) {
            out[n++] = (uint32_t)i;
        }
    }
    return n;
}

static ark_status list_rows(design *d) {
    ark__bias *b = d->b;
    for (size_t s = 0; s < ARK__SEXES; s++) {
        ARK_TRY(ARK_NEW(&d->of_sex[s], b->in.f[ARK_TRAIN].n, "rows of a sex"));
        ARK_TRY(ARK_NEW(&d->test_rows[s], b->in.f[ARK_TEST].n, "rows of a sex"));
        b->available[s] = rows_of_sex(b, ARK_TRAIN, s, d->of_sex[s]);
        b->tested[s] = rows_of_sex(b, ARK_TEST, s, d->test_rows[s]);
    }
    return ARK_OK;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Shares, and the size that every sample has. */
static ark_status choose_samples(ark__bias *b) {
    const ark_study_config *c = b->job->config;
    size_t fewer = b->available[0] < b->available[1] ? b->available[0] : b->available[1];
    ARK_TRY(ark_study_numbers(c->male_percent[0] ? c->male_percent : "0,50,100", "bias.male_percent", 0, 100,
        b->share, &b->shares));
    qsort(b->share, b->shares, sizeof *b->share, ascending);
    if (b->shares < 2 || b->share[0] == b->share[b->shares - 1]) {
        return ARK_ERR(ARK_EINVAL, "bias.male_percent: at least two different shares are compared");
    }
    b->rows = c->train_rows ? (size_t)c->train_rows : fewer * 9 / 10;
    if (fewer == 0 || b->tested[0] == 0 || b->tested[1] == 0) {
        b->why_not = "training or test images of one sex, or their sex, are missing";
    } else if (b->rows > fewer) {
        return ARK_ERR(ARK_EINVAL,
            "bias.train_rows: %zu training images of one sex are asked for, there are %zu of women and %zu "
            "of "
            "men",
            b->rows, b->available[0], b->available[1]);
    } else if (b->rows < FEW_ROWS) {
        b->why_not = "fewer than ten training images of one sex";
    }
    return ARK_OK;
}

/* --- one probe --- */

/* The first n of the rows of one sex in the order of this repeat. */
static ark_status draw(const design *d, size_t sex, uint32_t repeat, size_t n, uint32_t *out) {
    size_t all = d->b->available[sex];
    uint32_t *order;
    ARK_TRY(ARK_NEW(&order, all, "an order of rows"));
    memcpy(order, d->of_sex[sex], all * sizeof *order);
    ark_rng rng = ark_rng_at((uint64_t)d->b->job->config->seed, ARK_RNG_SHOTS, repeat, (uint32_t)sex, 1);
    ark_rng_shuffle(&rng, order, (uint32_t)all);
    memcpy(out, order, n * sizeof *out);
    ark_free(order);
    return ARK_OK;
}

/* AUROC and false negative rate of every class on the test rows of one sex. */
static ark_status test_sex(const design *d, const ark_readout *r, const ark_operating_point *points,
    size_t sex, size_t share, size_t repeat) {
    ark__bias *b = d->b;
    ark_labelled rows = ark_features_labelled(&b->in.f[ARK_TEST]);
    double *p = NULL, *label = NULL;
    ark_class_result *result = NULL;
    rows.rows = d->test_rows[sex];
    rows.n = b->tested[sex];
    ark_status st = ARK_NEW(&p, rows.n * b->K, "probabilities");
    st = st ? st : ARK_NEW(&label, rows.n * b->K, "labels");
    st = st ? st : ARK_NEW(&result, b->K, "results");
    st = st ? st : ark_readout_predict(r, &rows, 1, p);
    if (st == ARK_OK) {
        for (size_t i = 0; i < rows.n; i++) {
            memcpy(label + i * b->K, rows.label + (size_t)rows.rows[i] * b->K, b->K * sizeof *label);
        }
        ark_readout_mask_labels(r, label, rows.n);
        ark_eval_table t = {.score = p, .label = label, .n = rows.n, .K = b->K};
        st = ark_class_results(&t, points, b->job->config->level, result);
    }
    for (size_t k = 0; k < b->K && st == ARK_OK; k++) {
        ark_interval unused;
        b->value[ark__bias_at(b, share, repeat, sex, k, 0)] = result[k].delong.auroc.value;
        b->value[ark__bias_at(b, share, repeat, sex, k, 1)] = ark_fnr(&result[k].at, &unused).value;
    }
    ark_free(p);
    ark_free(label);
    ark_free(result);
    return st;
}

/* Thresholds on the whole validation split, for both sexes alike. */
static ark_status choose_points(const design *d, const ark_readout *r, ark_operating_point *points) {
    const ark__bias *b = d->b;
    ark_labelled val = ark_features_labelled(&b->in.f[ARK_VAL]);
    double *p = NULL, *label = NULL;
    ark_status st = ARK_NEW(&p, val.n * b->K, "probabilities");
    st = st ? st : ARK_NEW(&label, val.n * b->K, "labels");
    st = st ? st : ark_readout_predict(r, &val, 1, p);
    if (st == ARK_OK) {
        memcpy(label, val.label, val.n * b->K * sizeof *label);
        ark_readout_mask_labels(r, label, val.n);
        ark_eval_table t = {.score = p, .label = label, .n = val.n, .K = b->K};
        st = ark_choose_points(&t, ark_study_rule(b->job->config), b->job->config->target, points);
    }
    ark_free(p);
    ark_free(label);
    return st;
}

static ark_status evaluate(const design *d, const ark_readout *r, size_t share, size_t repeat) {
    ark_operating_point *points;
    ARK_TRY(ARK_NEW(&points, d->b->K, "operating points"));
    ark_status st = choose_points(d, r, points);
    for (size_t sex = 0; sex < ARK__SEXES && st == ARK_OK; sex++) {
        st = test_sex(d, r, points, sex, share, repeat);
    }
    ark_free(points);
    return st;
}

static ark_status fit_and_test(const design *d, size_t share, size_t repeat, uint32_t *rows) {
    ark__bias *b = d->b;
    ark_labelled train = ark_features_labelled(&b->in.f[ARK_TRAIN]),
                 val = ark_features_labelled(&b->in.f[ARK_VAL]);
    ark_study_fit fit;
    ark_readout r;
    size_t men = (size_t)round(b->share[share] / 100 * (double)b->rows);
    ARK_TRY(draw(d, 0, (uint32_t)repeat, b->rows - men, rows));
    ARK_TRY(draw(d, 1, (uint32_t)repeat, men, rows + b->rows - men));
    train.rows = rows;
    train.n = b->rows;
    ARK_TRY(ark_study_fit_opts(b->job->config, b->in.data->task, 1, &fit));
    ark_status st = ark_readout_fit(&train, &val, &fit.opts, &r);
    if (st == ARK_EINVAL && strstr(ark_err_msg(), "no class has")) {
        return ARK_OK; /* nothing to fit in this draw: no value */
    }
    ARK_TRY(st);
    st = evaluate(d, &r, share, repeat);
    ark_readout_free(&r);
    return st;
}

static void run_task(void *ctx, int64_t number, int thread) {
    (void)thread;
    design *d = ctx;
    size_t i = (size_t)number, repeat = i % d->b->repeats, share = i / d->b->repeats;
    uint32_t *rows;
    ark_status st = ARK_NEW(&rows, d->b->rows, "a sample");
    if (st == ARK_OK) {
        st = fit_and_test(d, share, repeat, rows);
        ark_free(rows);
    }
    d->status[i] = st;
    if (st != ARK_OK) {
        snprintf(d->message[i], sizeof d->message[i], "%.255s", ark_err_msg());
    }
}

/* --- significance --- */

size_t ark__bias_values(const ark__bias *b, size_t share, size_t sex, size_t k, size_t measure, double *out) {
    size_t n = 0;
    for (size_t r = 0; r < b->repeats; r++) {
        double v = b->value[ark__bias_at(b, share, r, sex, k, measure)];
        if (!isnan(v)) {
            out[n++] = v;
        }
    }
    return n;
}

/* One family per measure: all findings on both sexes. */
static ark_status test_all(ark__bias *b) {
    size_t m = ARK__SEXES * b->K;
    double *v = NULL, *p = NULL;
    ARK_TRY(ARK_NEW(&b->tests, ARK__MEASURES * m, "tests"));
    ark_status st = ARK_NEW(&v, 2 * b->repeats, "values");
    st = st ? st : ARK_NEW(&p, m, "tests");
    for (size_t measure = 0; measure < ARK__MEASURES && st == ARK_OK; measure++) {
        ark__sex_test *tests = b->tests + measure * m;
        for (size_t i = 0; i < m && st == ARK_OK; i++) {
            size_t sex = i / b->K, k = i % b->K;
            size_t n_a = ark__bias_values(b, 0, sex, k, measure, v);
            size_t n_b = ark__bias_values(b, b->shares - 1, sex, k, measure, v + b->repeats);
            st = ark_welch_test(v, n_a, v + b->repeats, n_b, b->job->config->level, &tests[i].welch);
            p[i] = tests[i].welch.why ? NAN : tests[i].welch.p;
        }
        st = st ? st : ark_holm(p, m, p);
        for (size_t i = 0; i < m && st == ARK_OK; i++) {
            tests[i].holm = p[i];
        }
    }
    ark_free(v);
    ark_free(p);
    return st;
}

bool ark__bias_found(const ark__bias *b, size_t measure, size_t sex, size_t k) {
    const ark__sex_test *t = ark__bias_test(b, measure, sex, k);
    double own_better = sex == 0 ? t->welch.difference : -t->welch.difference; /* few men minus many */
    if (measure == 1) {
        own_better = -own_better; /* of false negatives fewer are better */
    }
    return t->holm < 0.05 && own_better > 0;
}

/* --- all of it --- */

static ark_status run(design *d) {
    ark__bias *b = d->b;
    size_t tasks = b->shares * b->repeats, cells;
    if (ark_mul(tasks, ARK__SEXES * ARK__MEASURES * b->K, &cells)) {
        return ARK_ERR(ARK_ENOMEM, "%zu probes of %zu classes", tasks, b->K);
    }
    ARK_TRY(ARK_NEW(&b->value, cells, "results"));
    ARK_TRY(ARK_NEW(&d->status, tasks, "results"));
    ARK_TRY(ARK_NEW(&d->message, tasks, "results"));
    for (size_t i = 0; i < cells; i++) {
        b->value[i] = NAN;
    }
    ark_study_say(&b->job->hooks, "%zu probes on %zu training images each: %zu shares of men, %zu draws",
        tasks, b->rows, b->shares, b->repeats);
    ark_parallel(b->threads, (int64_t)tasks, run_task, d);
    for (size_t i = 0; i < tasks; i++) {
        if (d->status[i] != ARK_OK) {
            return ARK_ERR(d->status[i], "%s", d->message[i]);
        }
    }
    return test_all(b);
}

ark_status ark__bias_design(ark__bias *b) {
    design d = {.b = b};
    ark_status st = list_rows(&d);
    st = st ? st : choose_samples(b);
    if (st == ARK_OK && b->why_not) {
        ark_study_say(&b->job->hooks, "no probes by sex: %s", b->why_not);
    } else {
        st = st ? st : run(&d);
    }
    for (size_t s = 0; s < ARK__SEXES; s++) {
        ark_free(d.of_sex[s]);
        ark_free(d.test_rows[s]);
    }
    ark_free(d.status);
    ark_free(d.message);
    return st;
}
