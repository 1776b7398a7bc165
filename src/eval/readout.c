#include "eval/readout.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "eval/adam.h"
#include "eval/logreg.h"
#include "eval/tile.h"

#include <math.h>
#include <string.h>

enum { MAX_C = 64, MAX_EPOCHS = 100000 };

ark_readout_opts ark_readout_default_opts(void) {
    static const double grid[] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 1e1, 1e2};
    return (ark_readout_opts){.task = ARK_READOUT_MULTILABEL,
        .select = ARK_SELECT_AUROC,
        .C = grid,
        .nC = sizeof grid / sizeof grid[0],
        .tolerance = 1e-6,
        .max_iterations = 1000,
        .adam = {.lr = 1e-4, .batch = 512, .epochs = 100}};
}

void ark_readout_free(ark_readout *r) {
    ark_free(r->mean);
    ark_free(r->scale);
    ark_free(r->w);
    ark_free(r->left_out);
    ark_free(r->C);
    ark_free(r->val);
    *r = (ark_readout){0};
}

/* --- features --- */

/* Mean and population deviation of every feature, in two passes over the rows. A feature whose deviation is
 * rounding noise of its mean is constant. t: room for a tile. */
static void moments(const ark_labelled *data, double *t, double *mean, double *scale) {
    double n = (double)data->n;
    size_t width = ark_tile_width(data->d);
    memset(mean, 0, data->d * sizeof *mean);
    memset(scale, 0, data->d * sizeof *scale);
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < data->n; i += ARK_TILE_ROWS) {
            size_t rows = data->n - i < ARK_TILE_ROWS ? data->n - i : ARK_TILE_ROWS;
            ark_tile_load(data, i, rows, NULL, NULL, t);
            for (size_t r = 0; r < rows; r++) {
                const double *x = t + r * width;
                for (size_t j = 0; j < data->d && pass == 0; j++) {
                    mean[j] += x[j] / n;
                }
                for (size_t j = 0; j < data->d && pass == 1; j++) {
                    scale[j] += (x[j] - mean[j]) * (x[j] - mean[j]) / n;
                }
            }
        }
    }
    for (size_t j = 0; j < data->d; j++) {
        scale[j] = sqrt(scale[j]);
        if (scale[j] <= 1e-13 * n * fabs(mean[j])) {
            scale[j] = 1;
        }
    }
}

static ark_status inverse_of(const double *scale, size_t d, double **out) {
    ARK_TRY(ARK_NEW(out, d, "feature deviations"));
    for (size_t j = 0; j < d; j++) {
        (*out)[j] = 1 / scale[j];
    }
    return ARK_OK;
}

/* --- input checks --- */

static ark_status check_row_labels(
    const ark_labelled *data, size_t i, ark_readout_task task, const char *split) {
    const double *y = data->label + ark_labelled_row(data, i) * data->K;
    size_t ones = 0, missing = 0;
    for (size_t k = 0; k < data->K; k++) {
        if (!isnan(y[k]) && y[k] != 0 && y[k] != 1) {
            return ARK_ERR(ARK_EINVAL, "%s row %zu, class %zu: label must be 0, 1 or missing, got %g", split,
                i, k, y[k]);
        }
        ones += y[k] == 1;
        missing += isnan(y[k]);
    }
    if (task == ARK_READOUT_MULTICLASS && missing != data->K && (missing > 0 || ones != 1)) {
        return ARK_ERR(
            ARK_EINVAL, "%s row %zu: %zu classes are set, a multi-class row has exactly one", split, i, ones);
    }
    return ARK_OK;
}

static ark_status check_data(const ark_labelled *data, ark_readout_task task, const char *split) {
    if (data->n > INT32_MAX || data->d == 0 || data->K == 0) {
        return ARK_ERR(
            ARK_ESHAPE, "%s: %zu rows of %zu features, %zu classes", split, data->n, data->d, data->K);
    }
    for (size_t i = 0; i < data->n; i++) {
        size_t at = ark_labelled_row(data, i) * data->d;
        for (size_t j = 0; j < data->d; j++) {
            if (!isfinite(data->f32 ? (double)data->f32[at + j] : data->f64[at + j])) {
                return ARK_ERR(ARK_EINVAL, "%s row %zu, feature %zu: not a finite number", split, i, j);
            }
        }
        ARK_TRY(check_row_labels(data, i, task, split));
    }
    return ARK_OK;
}

static ark_status check_grid(const ark_readout_opts *o, const ark_labelled *val) {
    if (o->nC < 1 || o->nC > MAX_C) {
        return ARK_ERR(ARK_EINVAL, "readout: %zu values of C, allowed 1..%d", o->nC, MAX_C);
    }
    for (size_t c = 0; c < o->nC; c++) {
        if (!(o->C[c] > (c ? o->C[c - 1] : 0)) || !isfinite(o->C[c])) {
            return ARK_ERR(ARK_EINVAL, "readout: C value %zu (%g) must be positive and above the one before",
                c, o->C[c]);
        }
    }
    if (!val && o->nC > 1) {
        return ARK_ERR(ARK_EINVAL, "readout: choosing among %zu values of C needs a validation split", o->nC);
    }
    return ARK_OK;
}

static ark_status check_opts(const ark_readout_opts *o, const ark_labelled *train, const ark_labelled *val) {
    const ark_readout_adam *a = &o->adam;
    if (o->optimizer == ARK_READOUT_LBFGS) {
        ARK_TRY(check_grid(o, val));
    } else if (!(a->lr > 0) || !isfinite(a->lr) || a->batch < 1 || a->epochs < 1 || a->epochs > MAX_EPOCHS) {
        return ARK_ERR(ARK_EINVAL, "readout: Adam with lr %g, batch %zu, %zu epochs: out of range", a->lr,
            a->batch, a->epochs);
    }
    if (val && (val->d != train->d || val->K != train->K)) {
        return ARK_ERR(ARK_ESHAPE, "readout: train has %zu features and %zu classes, validation %zu and %zu",
            train->d, train->K, val->d, val->K);
    }
    return ARK_OK;
}

/* --- which classes --- */

static const char *absent(size_t positives, size_t rows) {
    if (positives == 0) {
        return "no positive row in train";
    }
    return positives == rows ? "no negative row in train" : NULL;
}

/* Set left_out, and out[0..m) to the classes that can be fitted. */
static ark_status choose_classes(const ark_labelled *train, ark_readout *r, size_t *out, size_t *m) {
    size_t *count; /* K positives, K labelled rows, and labelled rows of any class */
    ARK_TRY(ARK_NEW(&count, 2 * r->K + 1, "class counts"));
    for (size_t i = 0; i < train->n; i++) {
        const double *y = train->label + ark_labelled_row(train, i) * r->K;
        for (size_t k = 0; k < r->K; k++) {
            count[k] += y[k] == 1;
            count[r->K + k] += !isnan(y[k]);
        }
    }
    *m = 0;
    for (size_t k = 0; k < r->K; k++) {
        r->left_out[k] = absent(count[k], count[r->K + k]);
        if (!r->left_out[k]) {
            out[(*m)++] = k;
        }
    }
    ark_free(count);
    return *m > 0 ? ARK_OK : ARK_ERR(ARK_EINVAL, "readout: no class has both labels in train");
}

/* --- fitting --- */

/* All that is tried: weights of the m fitted classes for every C or epoch. */
typedef struct fitting {
    const ark_labelled *train, *val;
    const ark_readout_opts *o;
    size_t *out, m;
    double *inverse;
    double *w; /* (nC, m, d+1) */
    ark_logreg_fit *fits;
    int threads;
} fitting;

static ark_status fit_lbfgs(fitting *f, ark_readout *r) {
    bool softmax = r->task == ARK_READOUT_MULTICLASS;
    ARK_TRY(ARK_NEW(&f->fits, r->nC * f->m, "fits"));
    ark_logreg p = {.data = f->train,
        .mean = r->mean,
        .inverse = f->inverse,
        .out = f->out,
        .m = f->m,
        .softmax = softmax,
        .C = r->C,
        .nC = r->nC,
        .tolerance = f->o->tolerance,
        .max_iterations = f->o->max_iterations,
        .threads = f->threads};
    ARK_TRY(ark_logreg_minimise(&p, f->w, f->fits));
    for (size_t i = 0; i < r->nC * (softmax ? 1 : f->m); i++) {
        r->iterations += (size_t)f->fits[i].iterations;
    }
    return ARK_OK;
}

static ark_status fit(fitting *f, ark_readout *r) {
    size_t cells;
    if (ark_mul(r->nC, f->m * (r->d + 1), &cells)) {
        return ARK_ERR(ARK_ENOMEM, "readout: %zu values tried x %zu weights", r->nC, f->m * (r->d + 1));
    }
    ARK_TRY(ARK_NEW(&f->w, cells, "weights along the grid"));
    if (f->o->optimizer == ARK_READOUT_LBFGS) {
        return fit_lbfgs(f, r);
    }
    ark__adam_job job = {.data = f->train,
        .mean = r->mean,
        .inverse = f->inverse,
        .out = f->out,
        .m = f->m,
        .softmax = r->task == ARK_READOUT_MULTICLASS,
        .opts = &f->o->adam,
        .threads = f->threads};
    return ark__adam_fit(&job, f->w);
}

/* --- choosing C --- */

static double log_loss(const double *p, const double *label, size_t n, size_t K, ark_readout_task task) {
    double sum = 0;
    size_t entries = 0;
    for (size_t i = 0; i < n * K; i++) {
        if (label[i] == 1 || (label[i] == 0 && task == ARK_READOUT_MULTILABEL)) {
            sum -= log(fmax(label[i] == 1 ? p[i] : 1 - p[i], 1e-300));
            entries++;
        }
    }
    return entries ? sum / (double)entries : NAN;
}

/* Probabilities (n,K) of the fitted classes; NaN for the others. w (m,d+1). */
static ark_status predict(const ark_readout *r, const double *inverse, const size_t *out, size_t m,
    const double *w, const ark_labelled *data, int threads, double *prob) {
    double *z;
    size_t cells;
    if (ark_mul(data->n, m, &cells)) {
        return ARK_ERR(ARK_ENOMEM, "readout: %zu rows, %zu classes", data->n, m);
    }
    ARK_TRY(ARK_NEW(&z, cells, "logits"));
    ark_status st = ark_logreg_logits(data, r->mean, inverse, w, m, threads, z);
    for (size_t i = 0; i < data->n && st == ARK_OK; i++) {
        double *row = z + i * m, *p = prob + i * r->K;
        for (size_t k = 0; k < r->K; k++) {
            p[k] = NAN;
        }
        if (r->task == ARK_READOUT_MULTICLASS) {
            ark_logreg_probabilities(row, m);
        }
        for (size_t k = 0; k < m; k++) {
            if (r->task == ARK_READOUT_MULTILABEL) {
                ark_logreg_probabilities(&row[k], 1);
            }
            p[out[k]] = row[k];
        }
    }
    ark_free(z);
    return st;
}

/* The criterion of one try. label (n,K) is missing for classes left out. */
static ark_status criterion(const ark_readout *r, ark_readout_select select, const ark_eval_table *t,
    ark_class_auc *room, double *v) {
    if (select == ARK_SELECT_LOG_LOSS) {
        *v = log_loss(t->score, t->label, t->n, t->K, r->task);
        return ARK_OK;
    }
    ark_macro macro;
    ARK_TRY(ark_table_metrics(t, room, &macro));
    *v = macro.auroc.value;
    return ARK_OK;
}

/* r->val and r->best, from the validation probabilities of every try. */
static ark_status choose(const fitting *f, ark_readout *r) {
    size_t n = f->val->n, K = r->K, weights = f->m * (r->d + 1);
    double *label = NULL, *prob = NULL, sign = f->o->select == ARK_SELECT_LOG_LOSS ? -1 : 1;
    ark_class_auc *room = NULL;
    ark_status st = ARK_NEW(&label, n * K, "validation labels");
    st = st ? st : ARK_NEW(&prob, n * K, "validation probabilities");
    st = st ? st : ARK_NEW(&room, K, "validation metrics");
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        memcpy(label + i * K, f->val->label + ark_labelled_row(f->val, i) * K, K * sizeof *label);
    }
    if (st == ARK_OK) {
        ark_readout_mask_labels(r, label, n);
    }
    ark_eval_table t = {.score = prob, .label = label, .n = n, .K = K};
    for (size_t c = 0; c < r->nC && st == ARK_OK; c++) {
        st = predict(r, f->inverse, f->out, f->m, f->w + c * weights, f->val, f->threads, prob);
        st = st ? st : criterion(r, f->o->select, &t, room, &r->val[c]);
        if (st == ARK_OK && sign * r->val[c] > sign * r->val[r->best]) {
            r->best = c;
        }
    }
    if (st == ARK_OK && isnan(r->val[0])) {
        st = ARK_ERR(ARK_EINVAL, "readout: no class has %s in the validation split",
            f->o->select == ARK_SELECT_LOG_LOSS ? "a label" : "both labels");
    }
    ark_free(label);
    ark_free(prob);
    ark_free(room);
    return st;
}

static ark_status readout_new(const ark_labelled *train, const ark_readout_opts *o, ark_readout *r) {
    bool adam = o->optimizer == ARK_READOUT_ADAM;
    *r = (ark_readout){.task = o->task, .d = train->d, .K = train->K, .nC = adam ? o->adam.epochs : o->nC};
    ARK_TRY(ARK_NEW(&r->mean, r->d, "feature means"));
    ARK_TRY(ARK_NEW(&r->scale, r->d, "feature deviations"));
    ARK_TRY(ARK_NEW(&r->w, r->K * (r->d + 1), "readout weights"));
    ARK_TRY(ARK_NEW(&r->left_out, r->K, "classes"));
    ARK_TRY(ARK_NEW(&r->C, r->nC, "grid"));
    ARK_TRY(ARK_NEW(&r->val, r->nC, "grid"));
    for (size_t c = 0; c < r->nC; c++) {
        r->C[c] = adam ? (double)c + 1 : o->C[c];
        r->val[c] = NAN;
    }
    return ARK_OK;
}

static ark_status standardise(const ark_labelled *train, const ark_readout_opts *o, ark_readout *r) {
    double *t;
    if (o->raw) {
        for (size_t j = 0; j < r->d; j++) {
            r->scale[j] = 1;
        }
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&t, ARK_TILE_ROWS * ark_tile_width(r->d), "a tile of features"));
    moments(train, t, r->mean, r->scale);
    ark_free(t);
    return ARK_OK;
}

/* The chosen weights, each class in its row. */
static void keep(const fitting *f, ark_readout *r) {
    size_t stride = r->d + 1;
    const double *w = f->w + r->best * f->m * stride;
    bool softmax = r->task == ARK_READOUT_MULTICLASS;
    for (size_t k = 0; k < f->m; k++) {
        memcpy(r->w + f->out[k] * stride, w + k * stride, stride * sizeof *w);
        r->unconverged += f->fits && !f->fits[softmax ? r->best : r->best * f->m + k].converged;
    }
}

ark_status ark_readout_fit(
    const ark_labelled *train, const ark_labelled *val, const ark_readout_opts *o, ark_readout *out) {
    ARK_TRY(check_opts(o, train, val));
    ARK_TRY(check_data(train, o->task, "train"));
    if (val) {
        ARK_TRY(check_data(val, o->task, "validation"));
    }
    ark_readout r;
    fitting f = {
        .train = train, .val = val, .o = o, .threads = o->threads > 0 ? o->threads : ark_cpu_count()};
    ark_status st = readout_new(train, o, &r);
    st = st ? st : ARK_NEW(&f.out, r.K, "classes");
    st = st ? st : choose_classes(train, &r, f.out, &f.m);
    st = st ? st : standardise(train, o, &r);
    st = st ? st : inverse_of(r.scale, r.d, &f.inverse);
    st = st ? st : fit(&f, &r);
    r.best = o->optimizer == ARK_READOUT_ADAM && !val ? r.nC - 1 : 0;
    st = st || !val ? st : choose(&f, &r);
    if (st == ARK_OK) {
        keep(&f, &r);
        *out = r;
    } else {
        ark_readout_free(&r);
    }
    ark_free(f.out);
    ark_free(f.inverse);
    ark_free(f.w);
    ark_free(f.fits);
    return st;
}

/* --- using it --- */

void ark_readout_mask_labels(const ark_readout *r, double *label, size_t n) {
    for (size_t k = 0; k < r->K; k++) {
        for (size_t i = 0; i < n && r->left_out[k]; i++) {
            label[i * r->K + k] = NAN;
        }
    }
}

ark_status ark_readout_predict(const ark_readout *r, const ark_labelled *data, int threads, double *out) {
    if (data->d != r->d) {
        return ARK_ERR(ARK_ESHAPE, "readout: fitted on %zu features, got %zu", r->d, data->d);
    }
    size_t *classes = NULL, m = 0, stride = r->d + 1;
    double *w = NULL, *inverse = NULL;
    ark_status st = ARK_NEW(&classes, r->K, "classes");
    st = st ? st : ARK_NEW(&w, r->K * stride, "weights");
    st = st ? st : inverse_of(r->scale, r->d, &inverse);
    for (size_t k = 0; k < r->K && st == ARK_OK; k++) {
        if (!r->left_out[k]) {
            memcpy(w + m * stride, r->w + k * stride, stride * sizeof *w);
            classes[m++] = k;
        }
    }
    threads = threads > 0 ? threads : ark_cpu_count();
    st = st ? st : predict(r, inverse, classes, m, w, data, threads, out);
    ark_free(classes);
    ark_free(w);
    ark_free(inverse);
    return st;
}
