#include "eval/readout.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "eval/logreg.h"

#include <math.h>
#include <string.h>

enum { MAX_C = 64, ROWS_PER_TASK = 64 };

ark_readout_opts ark_readout_default_opts(void) {
    static const double grid[] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 1e1, 1e2};
    return (ark_readout_opts){.task = ARK_READOUT_MULTILABEL,
        .select = ARK_SELECT_AUROC,
        .C = grid,
        .nC = sizeof grid / sizeof grid[0],
        .tolerance = 1e-6,
        .max_iterations = 1000};
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

static double feature(const ark_labelled *data, size_t i, size_t j) {
    size_t at = i * data->d + j;
    return data->f32 ? (double)data->f32[at] : data->f64[at];
}

/* Mean and population deviation of every feature, in two passes over the rows. A feature whose deviation is
 * rounding noise of its mean is constant. */
static void moments(const ark_labelled *data, double *mean, double *scale) {
    double n = (double)data->n;
    memset(mean, 0, data->d * sizeof *mean);
    memset(scale, 0, data->d * sizeof *scale);
    for (size_t i = 0; i < data->n; i++) {
        for (size_t j = 0; j < data->d; j++) {
            mean[j] += feature(data, i, j) / n;
        }
    }
    for (size_t i = 0; i < data->n; i++) {
        for (size_t j = 0; j < data->d; j++) {
            double x = feature(data, i, j) - mean[j];
            scale[j] += x * x / n;
        }
    }
    for (size_t j = 0; j < data->d; j++) {
        scale[j] = sqrt(scale[j]);
        if (scale[j] <= 1e-13 * n * fabs(mean[j])) {
            scale[j] = 1;
        }
    }
}

/* x (n,d) = (feature - mean) / scale. */
static ark_status standardise(
    const ark_labelled *data, const double *mean, const double *scale, double **x_out) {
    size_t cells;
    if (ark_mul(data->n, data->d, &cells)) {
        return ARK_ERR(ARK_ENOMEM, "%zu x %zu features", data->n, data->d);
    }
    double *x;
    ARK_TRY(ARK_NEW(&x, cells, "standardised features"));
    for (size_t i = 0; i < data->n; i++) {
        for (size_t j = 0; j < data->d; j++) {
            x[i * data->d + j] = (feature(data, i, j) - mean[j]) / scale[j];
        }
    }
    *x_out = x;
    return ARK_OK;
}

/* --- input checks --- */

static ark_status check_row_labels(
    const ark_labelled *data, size_t i, ark_readout_task task, const char *split) {
    const double *y = data->label + i * data->K;
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
        for (size_t j = 0; j < data->d; j++) {
            if (!isfinite(feature(data, i, j))) {
                return ARK_ERR(ARK_EINVAL, "%s row %zu, feature %zu: not a finite number", split, i, j);
            }
        }
        ARK_TRY(check_row_labels(data, i, task, split));
    }
    return ARK_OK;
}

static ark_status check_opts(const ark_readout_opts *o, const ark_labelled *train, const ark_labelled *val) {
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
    if (val && (val->d != train->d || val->K != train->K)) {
        return ARK_ERR(ARK_ESHAPE, "readout: train has %zu features and %zu classes, validation %zu and %zu",
            train->d, train->K, val->d, val->K);
    }
    return ARK_OK;
}

/* --- fitting --- */

/* What the fits share. A task is one independent problem: a class, or all classes of a softmax. */
typedef struct fitting {
    const ark_labelled *train, *val;
    const ark_readout_opts *o;
    const char **left_out; /* [K] */
    const double *xt, *xv; /* standardised features */
    double *w;             /* [nC] (K, d+1) */
    double *p;             /* [nC] (n_val, K) validation probabilities */
    uint8_t *converged;    /* [nC] [K] */
    ark_status *status;    /* [K] of each task */
    int threads;
} fitting;

/* Probabilities of the classes out[0..m) of one task for the rows of x; column k of prob (n,K). */
static void predict_rows(const double *w, size_t d, const size_t *out, size_t m, const double *x, size_t n,
    size_t K, double *z, double *prob) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < m; j++) {
            ark_logreg_logits(w + out[j] * (d + 1), d, 1, x + i * d, &z[j]);
        }
        ark_logreg_probabilities(z, m);
        for (size_t j = 0; j < m; j++) {
            prob[i * K + out[j]] = z[j];
        }
    }
}

/* Fit the classes out[0..m) along the grid, each value of C from the optimum of the one before. */
static ark_status fit_grid(fitting *f, const size_t *out, size_t m, const uint32_t *rows,
    const int32_t *label, size_t used, int threads) {
    size_t d = f->train->d, K = f->train->K, stride = d + 1;
    double *w = NULL, *z = NULL;
    ark_status st = ARK_NEW(&w, m * stride, "weights");
    if (st != ARK_OK || (st = ARK_NEW(&z, m, "logits")) != ARK_OK) {
        goto done;
    }
    for (size_t c = 0; c < f->o->nC; c++) {
        ark_logreg p = {.x = f->xt,
            .d = d,
            .rows = rows,
            .label = label,
            .used = used,
            .K = m,
            .C = f->o->C[c],
            .tolerance = f->o->tolerance,
            .max_iterations = f->o->max_iterations,
            .threads = threads};
        ark_logreg_fit fit;
        if ((st = ark_logreg_minimise(&p, w, &fit)) != ARK_OK) {
            goto done;
        }
        double *all = f->w + c * K * stride;
        for (size_t j = 0; j < m; j++) {
            memcpy(all + out[j] * stride, w + j * stride, stride * sizeof *w);
            f->converged[c * K + out[j]] = fit.converged;
        }
        if (f->val) {
            predict_rows(all, d, out, m, f->xv, f->val->n, K, z, f->p + c * f->val->n * K);
        }
    }
done:
    ark_free(w);
    ark_free(z);
    return st;
}

static const char *absent(size_t positives, size_t rows) {
    if (positives == 0) {
        return "no positive row in train";
    }
    return positives == rows ? "no negative row in train" : NULL;
}

/* Task of ark_parallel: the binary problem of class k. */
static void fit_binary(void *ctx, int64_t task, int thread) {
    (void)thread;
    fitting *f = ctx;
    size_t k = (size_t)task, n = f->train->n, K = f->train->K, used = 0, positives = 0;
    uint32_t *rows = NULL;
    int32_t *label = NULL;
    ark_status st = ARK_NEW(&rows, n, "rows");
    if (st != ARK_OK || (st = ARK_NEW(&label, n, "labels")) != ARK_OK) {
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        double y = f->train->label[i * K + k];
        if (!isnan(y)) {
            rows[used] = (uint32_t)i;
            label[used++] = y == 1;
            positives += y == 1;
        }
    }
    f->left_out[k] = absent(positives, used);
    if (!f->left_out[k]) {
        st = fit_grid(f, &k, 1, rows, label, used, 1);
    }
done:
    f->status[k] = st;
    ark_free(rows);
    ark_free(label);
}

/* The softmax over the classes that occur in train. */
static ark_status fit_softmax(fitting *f) {
    size_t n = f->train->n, K = f->train->K, used = 0, m = 0;
    size_t *count = NULL, *out = NULL;
    uint32_t *rows = NULL;
    int32_t *label = NULL;
    ark_status st = ARK_NEW(&count, K, "class counts");
    if (st != ARK_OK || (st = ARK_NEW(&out, K, "classes")) != ARK_OK ||
        (st = ARK_NEW(&rows, n, "rows")) != ARK_OK || (st = ARK_NEW(&label, n, "labels")) != ARK_OK) {
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < K; k++) {
            if (f->train->label[i * K + k] == 1) {
                rows[used] = (uint32_t)i;
                label[used++] = (int32_t)k;
                count[k]++;
            }
        }
    }
    for (size_t k = 0; k < K; k++) {
        f->left_out[k] = absent(count[k], used);
        if (count[k] > 0) {
            count[k] = m; /* from here on: the class's output */
            out[m++] = k;
        }
    }
    for (size_t i = 0; i < used; i++) {
        label[i] = (int32_t)count[label[i]];
    }
    if (m > 1) {
        st = fit_grid(f, out, m, rows, label, used, f->threads);
    }
done:
    ark_free(count);
    ark_free(out);
    ark_free(rows);
    ark_free(label);
    return st;
}

static ark_status fit_all(fitting *f) {
    size_t K = f->train->K, left = 0;
    if (f->o->task == ARK_READOUT_MULTICLASS) {
        ARK_TRY(fit_softmax(f));
    } else {
        ark_parallel(f->threads, (int64_t)K, fit_binary, f);
        for (size_t k = 0; k < K; k++) {
            if (f->status[k] != ARK_OK) {
                return ARK_ERR(f->status[k], "readout of class %zu: %s", k, ark_status_text(f->status[k]));
            }
        }
    }
    for (size_t k = 0; k < K; k++) {
        left += f->left_out[k] != NULL;
    }
    return left < K ? ARK_OK : ARK_ERR(ARK_EINVAL, "readout: no class has both labels in train");
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

/* out->val and out->best, from the validation probabilities of every C. */
static ark_status choose(const fitting *f, ark_readout *out) {
    size_t n = f->val->n, K = f->val->K;
    double *label = NULL;
    ark_class_auc *per_class = NULL;
    ark_status st = ARK_NEW(&label, n * K, "validation labels");
    if (st != ARK_OK || (st = ARK_NEW(&per_class, K, "validation metrics")) != ARK_OK) {
        goto done;
    }
    memcpy(label, f->val->label, n * K * sizeof *label);
    ark_readout_mask_labels(out, label, n);
    for (size_t c = 0; c < out->nC; c++) {
        const double *p = f->p + c * n * K;
        if (f->o->select == ARK_SELECT_LOG_LOSS) {
            out->val[c] = log_loss(p, label, n, K, out->task);
        } else {
            ark_eval_table t = {.score = p, .label = label, .n = n, .K = K};
            ark_macro macro;
            if ((st = ark_table_metrics(&t, per_class, &macro)) != ARK_OK) {
                goto done;
            }
            out->val[c] = macro.auroc.value;
        }
        double sign = f->o->select == ARK_SELECT_LOG_LOSS ? -1 : 1;
        if (sign * out->val[c] > sign * out->val[out->best]) {
            out->best = c;
        }
    }
    if (isnan(out->val[0])) {
        st = ARK_ERR(ARK_EINVAL, "readout: no class has %s in the validation split",
            f->o->select == ARK_SELECT_LOG_LOSS ? "a label" : "both labels");
    }
done:
    ark_free(label);
    ark_free(per_class);
    return st;
}

static ark_status readout_new(const ark_labelled *train, const ark_readout_opts *o, ark_readout *r) {
    *r = (ark_readout){.task = o->task, .d = train->d, .K = train->K, .nC = o->nC};
    ARK_TRY(ARK_NEW(&r->mean, r->d, "feature means"));
    ARK_TRY(ARK_NEW(&r->scale, r->d, "feature deviations"));
    ARK_TRY(ARK_NEW(&r->w, r->K * (r->d + 1), "readout weights"));
    ARK_TRY(ARK_NEW(&r->left_out, r->K, "classes"));
    ARK_TRY(ARK_NEW(&r->C, r->nC, "grid"));
    ARK_TRY(ARK_NEW(&r->val, r->nC, "grid"));
    memcpy(r->C, o->C, r->nC * sizeof *r->C);
    for (size_t c = 0; c < r->nC; c++) {
        r->val[c] = NAN;
    }
    return ARK_OK;
}

static ark_status fitting_new(fitting *f, ark_readout *r, double **xt, double **xv) {
    size_t weights = r->K * (r->d + 1), scores = f->val ? f->val->n * r->K : 0;
    moments(f->train, r->mean, r->scale);
    ARK_TRY(standardise(f->train, r->mean, r->scale, xt));
    if (f->val) {
        ARK_TRY(standardise(f->val, r->mean, r->scale, xv));
    }
    f->xt = *xt;
    f->xv = *xv;
    ARK_TRY(ARK_NEW(&f->w, r->nC * weights, "weights along the grid"));
    ARK_TRY(ARK_NEW(&f->p, r->nC * scores, "validation probabilities"));
    ARK_TRY(ARK_NEW(&f->converged, r->nC * r->K, "fits"));
    return ARK_NEW(&f->status, r->K, "fits");
}

ark_status ark_readout_fit(
    const ark_labelled *train, const ark_labelled *val, const ark_readout_opts *o, ark_readout *out) {
    ARK_TRY(check_opts(o, train, val));
    ARK_TRY(check_data(train, o->task, "train"));
    if (val) {
        ARK_TRY(check_data(val, o->task, "validation"));
    }
    ark_readout r;
    double *xt = NULL, *xv = NULL;
    fitting f = {
        .train = train, .val = val, .o = o, .threads = o->threads > 0 ? o->threads : ark_cpu_count()};
    ark_status st = readout_new(train, o, &r);
    if (st != ARK_OK || (st = fitting_new(&f, &r, &xt, &xv)) != ARK_OK) {
        goto done;
    }
    f.left_out = r.left_out;
    if ((st = fit_all(&f)) != ARK_OK || (val && (st = choose(&f, &r)) != ARK_OK)) {
        goto done;
    }
    memcpy(r.w, f.w + r.best * r.K * (r.d + 1), r.K * (r.d + 1) * sizeof *r.w);
    for (size_t k = 0; k < r.K; k++) {
        r.unconverged += !r.left_out[k] && !f.converged[r.best * r.K + k];
    }
    *out = r;
    r = (ark_readout){0};
done:
    ark_readout_free(&r);
    ark_free(xt);
    ark_free(xv);
    ark_free(f.w);
    ark_free(f.p);
    ark_free(f.converged);
    ark_free(f.status);
    return st;
}

/* --- use --- */

void ark_readout_mask_labels(const ark_readout *r, double *label, size_t n) {
    for (size_t i = 0; i < n * r->K; i++) {
        if (r->left_out[i % r->K]) {
            label[i] = NAN;
        }
    }
}

typedef struct prediction {
    const ark_readout *r;
    const double *x;
    size_t n;
    size_t *classes, m; /* those fitted */
    double *z;          /* [threads][K] */
    double *out;
} prediction;

static void predict_block(void *ctx, int64_t task, int thread) {
    prediction *p = ctx;
    const ark_readout *r = p->r;
    size_t first = (size_t)task * ROWS_PER_TASK,
           n = p->n - first < ROWS_PER_TASK ? p->n - first : ROWS_PER_TASK;
    const double *x = p->x + first * r->d;
    double *z = p->z + (size_t)thread * r->K, *out = p->out + first * r->K;
    if (r->task == ARK_READOUT_MULTICLASS) {
        predict_rows(r->w, r->d, p->classes, p->m, x, n, r->K, z, out);
        return;
    }
    for (size_t j = 0; j < p->m; j++) {
        predict_rows(r->w, r->d, &p->classes[j], 1, x, n, r->K, z, out);
    }
}

ark_status ark_readout_predict(const ark_readout *r, const ark_labelled *data, int threads, double *out) {
    if (data->d != r->d) {
        return ARK_ERR(ARK_ESHAPE, "readout: fitted on %zu features, got %zu", r->d, data->d);
    }
    threads = threads > 0 ? threads : ark_cpu_count();
    prediction p = {.r = r, .n = data->n, .out = out};
    double *x = NULL;
    ark_status st = standardise(data, r->mean, r->scale, &x);
    if (st != ARK_OK || (st = ARK_NEW(&p.classes, r->K, "classes")) != ARK_OK ||
        (st = ARK_NEW(&p.z, (size_t)threads * r->K, "logits")) != ARK_OK) {
        goto done;
    }
    p.x = x;
    for (size_t k = 0; k < r->K; k++) {
        if (!r->left_out[k]) {
            p.classes[p.m++] = k;
        }
    }
    for (size_t i = 0; i < data->n * r->K; i++) {
        out[i] = NAN;
    }
    ark_parallel(threads, (int64_t)((data->n + ROWS_PER_TASK - 1) / ROWS_PER_TASK), predict_block, &p);
done:
    ark_free(x);
    ark_free(p.classes);
    ark_free(p.z);
    return st;
}
