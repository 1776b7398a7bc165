#include "eval/auc_ci.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "base/par.h"
#include "eval/resample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double ark_normal_quantile(double p) {
    ARK_ASSERT(p > 0 && p < 1);
    if (p > 0.5) {
        return -ark_normal_quantile(1 - p);
    }
    /* Abramowitz & Stegun 26.2.23 is good to 5e-4; Halley's method on the distribution triples the digits. */
    double t = sqrt(-2 * log(p));
    double z = -(t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                         (1 + t * (1.432788 + t * (0.189269 + t * 0.001308))));
    for (int i = 0; i < 3; i++) {
        double error = 0.5 * erfc(-z / sqrt(2.0)) - p;
        double u = error * sqrt(2 * acos(-1.0)) * exp(z * z / 2);
        z -= u / (1 + z * u / 2);
    }
    return z;
}

static ark_status check_level(double level) {
    if (!(level > 0 && level < 1)) {
        return ARK_ERR(ARK_EINVAL, "confidence level %g is not between 0 and 1", level);
    }
    return ARK_OK;
}

static ark_interval no_interval(const char *why) {
    return (ark_interval){.low = NAN, .high = NAN, .why = why};
}

static ark_interval normal_interval(
    double centre, double variance, double level, double lowest, double highest) {
    double half = ark_normal_quantile(0.5 + level / 2) * sqrt(variance);
    return (ark_interval){.low = fmax(lowest, centre - half), .high = fmin(highest, centre + half)};
}

/* --- DeLong --- */

/* component[row] of DeLong: for a positive row the share of negatives it beats, for a negative row the
 * share of positives that beat it, ties counting half. Their means are both the AUROC. */
static void components(const ark_ranked *r, double *component) {
    size_t i = 0, tp0 = 0, fp0 = 0;
    for (size_t g = 0; g < r->groups; g++) {
        double tied_pos = (double)(r->tp[g] - tp0), tied_neg = (double)(r->fp[g] - fp0);
        double beaten = ((double)(r->negatives - r->fp[g]) + 0.5 * tied_neg) / (double)r->negatives;
        double beaten_by = ((double)tp0 + 0.5 * tied_pos) / (double)r->positives;
        for (; i < r->end[g]; i++) {
            component[r->row[i]] = r->positive[i] ? beaten : beaten_by;
        }
        tp0 = r->tp[g];
        fp0 = r->fp[g];
    }
}

/* Covariance of two AUROCs from their components a and b (the same array: the variance). */
static double covariance(const ark_ranked *r, const double *a, double auc_a, const double *b, double auc_b) {
    double pos = 0, neg = 0;
    for (size_t i = 0; i < r->n; i++) {
        size_t row = r->row[i];
        double product = (a[row] - auc_a) * (b[row] - auc_b);
        if (r->positive[i]) {
            pos += product;
        } else {
            neg += product;
        }
    }
    double m = (double)r->positives, n = (double)r->negatives;
    return pos / ((m - 1) * m) + neg / ((n - 1) * n);
}

static const char *too_few(const ark_ranked *r) {
    if (r->positives < 2) {
        return r->positives ? "a single positive row" : "no positive row";
    }
    if (r->negatives < 2) {
        return r->negatives ? "a single negative row" : "no negative row";
    }
    return NULL;
}

/* Room for a value at every row index that r mentions. */
static ark_status new_components(const ark_ranked *r, double **out) {
    size_t rows = 0;
    for (size_t i = 0; i < r->n; i++) {
        rows = r->row[i] >= rows ? (size_t)r->row[i] + 1 : rows;
    }
    ARK_TRY(ARK_NEW(out, rows, "DeLong components"));
    components(r, *out);
    return ARK_OK;
}

ark_status ark_delong_ci(const ark_ranked *r, double level, ark_delong *out) {
    ARK_TRY(check_level(level));
    ark_delong d = {.auroc = ark_auroc(r), .variance = NAN};
    const char *why = too_few(r);
    if (why) {
        d.ci = no_interval(why);
    } else {
        double *v;
        ARK_TRY(new_components(r, &v));
        d.variance = covariance(r, v, d.auroc.value, v, d.auroc.value);
        ark_free(v);
        d.ci = normal_interval(d.auroc.value, d.variance, level, 0, 1);
    }
    *out = d;
    return ARK_OK;
}

static ark_status compare(const ark_ranked r[2], double level, ark_delong_pair *d) {
    double *v[2] = {NULL, NULL};
    ark_status st = new_components(&r[0], &v[0]);
    if (st == ARK_OK) {
        st = new_components(&r[1], &v[1]);
    }
    if (st != ARK_OK) {
        goto done;
    }
    /* The variance of the difference is that of the components' differences: no cancellation. */
    for (size_t i = 0; i < r[0].n; i++) {
        v[0][i] -= v[1][i];
    }
    double variance = covariance(&r[0], v[0], d->difference, v[0], d->difference);
    d->se = sqrt(variance);
    d->ci = normal_interval(d->difference, variance, level, -1, 1);
    if (d->se > 0) {
        d->z = d->difference / d->se;
        d->p = erfc(fabs(d->z) / sqrt(2.0));
    } else if (d->difference == 0) {
        d->z = 0;
        d->p = 1;
    }
done:
    ark_free(v[0]);
    ark_free(v[1]);
    return st;
}

ark_status ark_delong_paired(const double *score_a, const double *score_b, const double *label, size_t n,
    double level, ark_delong_pair *out) {
    ARK_TRY(check_level(level));
    ark_ranked r[2] = {{0}, {0}};
    ark_status st = ark_rank(score_a, label, n, &r[0]);
    if (st == ARK_OK) {
        st = ark_rank(score_b, label, n, &r[1]);
    }
    if (st != ARK_OK) {
        goto done;
    }
    ark_delong_pair d = {.auroc = {ark_auroc(&r[0]), ark_auroc(&r[1])}, .se = NAN, .z = NAN, .p = NAN};
    d.difference = d.auroc[0].value - d.auroc[1].value;
    const char *why = too_few(&r[0]);
    if (why) {
        d.ci = no_interval(why);
    } else {
        st = compare(r, level, &d);
    }
    if (st == ARK_OK) {
        *out = d;
    }
done:
    ark_ranked_free(&r[0]);
    ark_ranked_free(&r[1]);
    return st;
}

/* --- bootstrap --- */

double ark_quantile_sorted(const double *sorted, size_t n, double q) {
    ARK_ASSERT(n > 0 && q >= 0 && q <= 1);
    double at = q * (double)(n - 1);
    size_t below = (size_t)at;
    if (below + 1 >= n) {
        return sorted[n - 1];
    }
    double t = at - (double)below, a = sorted[below], b = sorted[below + 1];
    return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t); /* numpy's _lerp: exact at both ends */
}

/* One set of resamples, applied to the ranked classes of one or two models. */
typedef struct bootstrap {
    const ark_bootstrap_opts *o;
    size_t n;           /* rows */
    size_t K, models;   /* classes per model */
    ark_ranked *ranked; /* [models][K] */
    uint32_t *weight;   /* [threads][n] how often each row was drawn */
    uint32_t *drawn;    /* [threads][groups] how often each group was drawn; NULL without groups */
    size_t columns;     /* models * K * 2 */
    double *value;      /* [columns][replicates]: AUROC, AP of each class; NaN where undefined */
} bootstrap;

static void replicate(void *ctx, int64_t task, int thread) {
    bootstrap *b = ctx;
    const ark_bootstrap_opts *o = b->o;
    uint32_t *weight = b->weight + (size_t)thread * b->n;
    uint32_t *drawn = b->drawn ? b->drawn + (size_t)thread * o->groups : NULL;
    ark__resample(o, b->n, (uint64_t)task, weight, drawn);
    for (size_t c = 0; c < b->models * b->K; c++) {
        ark_metric auroc, ap;
        ark_weighted_auc(&b->ranked[c], weight, &auroc, &ap);
        b->value[(2 * c) * (size_t)o->replicates + (size_t)task] = auroc.value;
        b->value[(2 * c + 1) * (size_t)o->replicates + (size_t)task] = ap.value;
    }
}

static void bootstrap_free(bootstrap *b) {
    for (size_t c = 0; b->ranked && c < b->models * b->K; c++) {
        ark_ranked_free(&b->ranked[c]);
    }
    ark_free(b->ranked);
    ark_free(b->weight);
    ark_free(b->drawn);
    ark_free(b->value);
    *b = (bootstrap){0};
}

/* Rank every class of every model and fill b->value. On failure b is empty. */
static ark_status bootstrap_run(
    const ark_eval_table *const *tables, size_t models, const ark_bootstrap_opts *o, bootstrap *b) {
    *b = (bootstrap){.o = o, .n = tables[0]->n, .K = tables[0]->K, .models = models};
    ARK_TRY(ark__resample_check(o, b->n));
    int threads = o->threads > 0 ? o->threads : ark_cpu_count();
    size_t cells, rows, drawn;
    b->columns = models * b->K * 2;
    ark_status st = ARK_OK;
    if (ark_mul(b->columns, (size_t)o->replicates, &cells) || ark_mul((size_t)threads, b->n, &rows) ||
        ark_mul((size_t)threads, o->group ? o->groups : 0, &drawn)) {
        return ARK_ERR(
            ARK_ENOMEM, "bootstrap: %lld replicates of %zu values", (long long)o->replicates, b->columns);
    }
    if ((st = ARK_NEW(&b->ranked, models * b->K, "ranked classes")) != ARK_OK ||
        (st = ARK_NEW(&b->weight, rows, "bootstrap weights")) != ARK_OK ||
        (st = ARK_NEW(&b->value, cells, "bootstrap values")) != ARK_OK ||
        (o->group && (st = ARK_NEW(&b->drawn, drawn, "bootstrap groups")) != ARK_OK)) {
        goto fail;
    }
    for (size_t m = 0; m < models; m++) {
        for (size_t k = 0; k < b->K; k++) {
            st = ark_rank_class(tables[m], k, &b->ranked[m * b->K + k]);
            if (st != ARK_OK) {
                goto fail;
            }
        }
    }
    if (b->n > 0) {
        ark_parallel(threads, o->replicates, replicate, b);
    }
    return ARK_OK;
fail:
    bootstrap_free(b);
    return st;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Percentile interval of the values that are not NaN; v is sorted in place. */
static void percentile(double *v, size_t n, double level, ark_boot_stat *s) {
    s->used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(v[i])) {
            v[s->used++] = v[i];
        }
    }
    if (!ark_metric_defined(s->estimate)) {
        s->ci = no_interval(s->estimate.why);
    } else if (s->used == 0) {
        s->ci = no_interval("every resample lost one class");
    } else {
        qsort(v, s->used, sizeof *v, ascending);
        s->ci = (ark_interval){.low = ark_quantile_sorted(v, s->used, 0.5 - level / 2),
            .high = ark_quantile_sorted(v, s->used, 0.5 + level / 2)};
    }
}

/* out[r] = mean over the classes defined on the data of column(class)[r]; returns how many there are and
 * their mean on the data. which: 0 = AUROC, 1 = AP. */
static size_t class_mean(const bootstrap *b, size_t model, int which, double *out, ark_metric *estimate) {
    size_t R = (size_t)b->o->replicates, classes = 0;
    double sum = 0;
    memset(out, 0, R * sizeof *out);
    for (size_t k = 0; k < b->K; k++) {
        size_t c = model * b->K + k;
        const ark_ranked *r = &b->ranked[c];
        ark_metric m = which == 0 ? ark_auroc(r) : ark_average_precision(r);
        if (!ark_metric_defined(m)) {
            continue;
        }
        classes++;
        sum += m.value;
        const double *v = b->value + (2 * c + (size_t)which) * R;
        for (size_t i = 0; i < R; i++) {
            out[i] += v[i];
        }
    }
    for (size_t i = 0; i < R; i++) {
        out[i] = classes ? out[i] / (double)classes : NAN;
    }
    *estimate = classes ? (ark_metric){.value = sum / (double)classes}
                        : (ark_metric){.value = NAN, .why = "no class has both labels"};
    return classes;
}

static void class_stat(bootstrap *b, size_t k, int which, ark_boot_stat *s) {
    const ark_ranked *r = &b->ranked[k];
    size_t R = (size_t)b->o->replicates;
    s->estimate = which == 0 ? ark_auroc(r) : ark_average_precision(r);
    percentile(b->value + (2 * k + (size_t)which) * R, R, b->o->level, s);
}

ark_status ark_bootstrap_table(const ark_eval_table *t, const ark_bootstrap_opts *o,
    ark_boot_stat *per_class_auroc, ark_boot_stat *per_class_ap, ark_boot_macro *macro) {
    bootstrap b;
    ARK_TRY(bootstrap_run(&t, 1, o, &b));
    double *mean = NULL;
    ark_status st = ARK_NEW(&mean, (size_t)o->replicates, "bootstrap means");
    if (st != ARK_OK) {
        goto done;
    }
    ark_boot_stat *stats[2] = {&macro->auroc, &macro->ap};
    ark_boot_stat *per_class[2] = {per_class_auroc, per_class_ap};
    for (int which = 0; which < 2; which++) {
        macro->classes = class_mean(&b, 0, which, mean, &stats[which]->estimate);
        percentile(mean, (size_t)o->replicates, o->level, stats[which]);
        for (size_t k = 0; per_class[which] && k < t->K; k++) { /* sorts the columns: after the mean */
            class_stat(&b, k, which, &per_class[which][k]);
        }
    }
    ark_free(mean);
done:
    bootstrap_free(&b);
    return st;
}

ark_status ark_bootstrap_paired(
    const ark_eval_table *a, const ark_eval_table *b, const ark_bootstrap_opts *o, ark_boot_pair *out) {
    if (a->n != b->n || a->K != b->K) {
        return ARK_ERR(ARK_ESHAPE, "cannot compare %zu x %zu scores with %zu x %zu", a->n, a->K, b->n, b->K);
    }
    ark_eval_table second = *b;
    second.label = a->label;
    const ark_eval_table *tables[2] = {a, &second};
    bootstrap boot;
    ARK_TRY(bootstrap_run(tables, 2, o, &boot));
    size_t R = (size_t)o->replicates;
    double *mean = NULL; /* [2][R] */
    ark_status st = ARK_NEW(&mean, 2 * R, "bootstrap means");
    if (st != ARK_OK) {
        goto done;
    }
    ark_boot_pair p = {.p = NAN};
    ark_metric ma, mb;
    p.classes = class_mean(&boot, 0, 0, mean, &ma);
    class_mean(&boot, 1, 0, mean + R, &mb);
    p.difference.estimate = (ark_metric){.value = ma.value - mb.value, .why = ma.why};
    size_t low = 0, high = 0;
    for (size_t i = 0; i < R; i++) {
        mean[i] -= mean[R + i];
        low += mean[i] <= 0; /* false for NaN */
        high += mean[i] >= 0;
    }
    percentile(mean, R, o->level, &p.difference);
    if (p.difference.used > 0) {
        p.p = fmin(1, 2 * (1 + (double)(low < high ? low : high)) / (1 + (double)p.difference.used));
    }
    *out = p;
    ark_free(mean);
done:
    bootstrap_free(&boot);
    return st;
}
