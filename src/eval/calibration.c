#include "eval/calibration.h"

#include "base/err.h"
#include "eval/significance.h"

#include <float.h>
#include <math.h>

/* Sums of one bin while rows are counted. */
typedef struct tally {
    size_t n, hits;
    double prob;
} tally;

typedef struct sums {
    tally bin[ARK_RELIABILITY_BINS_MAX];
    int bins;
    size_t n, positives;
    double squares, nll;
} sums;

static ark_status begin(sums *s, int bins, double level) {
    if (bins < 1 || bins > ARK_RELIABILITY_BINS_MAX) {
        return ARK_ERR(ARK_EINVAL, "%d reliability bins, expected 1 to %d", bins, ARK_RELIABILITY_BINS_MAX);
    }
    if (!(level > 0 && level < 1)) {
        return ARK_ERR(ARK_EINVAL, "confidence level %g is not between 0 and 1", level);
    }
    *s = (sums){.bins = bins};
    return ARK_OK;
}

/* Bin of p: the one with low < p <= high, judged by the same rounded edges that are reported. */
static int bin_of(double p, int bins) {
    int b = (int)ceil(p * bins) - 1;
    b = b < 0 ? 0 : b >= bins ? bins - 1 : b;
    while (b > 0 && p <= (double)b / bins) {
        b--;
    }
    while (b + 1 < bins && p > (double)(b + 1) / bins) {
        b++;
    }
    return b;
}

static void count(sums *s, double prob, bool hit) {
    tally *t = &s->bin[bin_of(prob, s->bins)];
    t->n++;
    t->hits += hit;
    t->prob += prob;
    s->n++;
    s->positives += hit;
}

/* -log p, of the nearest probability inside (0,1). */
static double surprise(double p) {
    return -log(p < DBL_MIN ? DBL_MIN : p > 1 - DBL_EPSILON / 2 ? 1 - DBL_EPSILON / 2 : p);
}

static ark_metric over_rows(double sum, size_t n) {
    return n ? (ark_metric){.value = sum / (double)n} : (ark_metric){.value = NAN, .why = "no labelled row"};
}

static void finish(const sums *s, double level, ark_reliability_bin *bin, ark_calibration *out) {
    double ece = 0, mce = 0;
    for (int b = 0; b < s->bins; b++) {
        const tally *t = &s->bin[b];
        double mean = t->n ? t->prob / (double)t->n : NAN,
               observed = t->n ? (double)t->hits / (double)t->n : NAN;
        if (t->n) {
            ece += (double)t->n * fabs(observed - mean);
            mce = fmax(mce, fabs(observed - mean));
        }
        if (bin) {
            bin[b] = (ark_reliability_bin){.low = (double)b / s->bins,
                .high = (double)(b + 1) / s->bins,
                .n = t->n,
                .mean_prob = mean,
                .observed = observed,
                .ci = ark_wilson(t->hits, t->n, level)};
        }
    }
    *out = (ark_calibration){.n = s->n,
        .positives = s->positives,
        .brier = over_rows(s->squares, s->n),
        .ece = over_rows(ece, s->n),
        .mce = s->n ? (ark_metric){.value = mce} : over_rows(0, 0),
        .log_loss = over_rows(s->nll, s->n)};
}

static ark_status check_prob(double p, size_t row) {
    return p >= 0 && p <= 1 ? ARK_OK : ARK_ERR(ARK_EINVAL, "row %zu: probability %g is not in [0,1]", row, p);
}

ark_status ark_calibrate_binary(const double *prob, const double *label, size_t n, size_t stride, int bins,
    double level, ark_reliability_bin *bin, ark_calibration *out) {
    sums s;
    ARK_TRY(begin(&s, bins, level));
    for (size_t i = 0; i < n; i++) {
        double p = prob[i * stride], y = label[i * stride];
        if (isnan(y)) {
            continue;
        }
        if (y != 0 && y != 1) {
            return ARK_ERR(ARK_EINVAL, "row %zu: label must be 0 or 1, got %g", i, y);
        }
        ARK_TRY(check_prob(p, i));
        count(&s, p, y == 1);
        s.squares += (p - y) * (p - y);
        s.nll += y == 1 ? surprise(p) : p < 0.5 ? -log1p(-p) : surprise(1 - p);
    }
    finish(&s, level, bin, out);
    return ARK_OK;
}

/* The true class of a row; -1 when its labels are missing. Anything but one-hot is refused. */
static ark_status true_class(const double *label, size_t K, size_t row, int *out) {
    size_t missing = 0;
    int at = -1;
    for (size_t k = 0; k < K; k++) {
        missing += isnan(label[k]);
        if (label[k] == 1 && at < 0) {
            at = (int)k;
        } else if (!isnan(label[k]) && label[k] != 0) {
            return ARK_ERR(ARK_EINVAL, "row %zu: labels are not one-hot", row);
        }
    }
    if (missing != K && (missing > 0 || at < 0)) {
        return ARK_ERR(ARK_EINVAL, "row %zu: labels are not one-hot", row);
    }
    *out = at;
    return ARK_OK;
}

ark_status ark_calibrate_multiclass(const double *prob, const double *label, size_t n, size_t K, int bins,
    double level, ark_reliability_bin *bin, ark_calibration *out) {
    sums s;
    ARK_TRY(begin(&s, bins, level));
    for (size_t i = 0; i < n; i++) {
        const double *p = prob + i * K;
        int truth, best = 0;
        ARK_TRY(true_class(label + i * K, K, i, &truth));
        if (truth < 0) {
            continue;
        }
        for (size_t k = 0; k < K; k++) {
            ARK_TRY(check_prob(p[k], i));
            double error = p[k] - (k == (size_t)truth);
            s.squares += error * error;
            best = p[k] > p[best] ? (int)k : best;
        }
        count(&s, p[best], best == truth);
        s.nll += surprise(p[truth]);
    }
    finish(&s, level, bin, out);
    return ARK_OK;
}

/* --- temperature --- */

typedef struct likelihood {
    ark_task task;
    const double *logit, *label;
    size_t n, K, counted; /* labelled entries; rows when the classes exclude each other */
} likelihood;

/* Negative log likelihood, slope and curvature in b of one sigmoid(b z) against y. */
static void add_sigmoid(double z, double y, double b, double sum[3]) {
    double bz = b * z, p = 1 / (1 + exp(-bz));
    sum[0] += fmax(bz, 0) - bz * y + log1p(exp(-fabs(bz)));
    sum[1] += (p - y) * z;
    sum[2] += p * (1 - p) * z * z;
}

/* The same of softmax(b z) at the class `truth`. */
static void add_softmax(const double *z, size_t K, int truth, double b, double sum[3]) {
    double top = z[0], mass = 0, mean = 0, square = 0;
    for (size_t k = 1; k < K; k++) {
        top = fmax(top, z[k]);
    }
    for (size_t k = 0; k < K; k++) {
        double e = exp(b * (z[k] - top)), d = z[k] - top;
        mass += e;
        mean += e * d;
        square += e * d * d;
    }
    mean /= mass;
    sum[0] += log(mass) - b * (z[truth] - top);
    sum[1] += mean - (z[truth] - top);
    sum[2] += square / mass - mean * mean;
}

/* Mean over what counts, at b = 1 / T > 0. Labels were checked by the first call, count_labels. */
static void evaluate(const likelihood *l, double b, double mean[3]) {
    double sum[3] = {0};
    for (size_t i = 0; i < l->n; i++) {
        const double *z = l->logit + i * l->K, *y = l->label + i * l->K;
        for (size_t k = 0; k < l->K; k++) {
            if (l->task != ARK_MULTICLASS && !isnan(y[k])) {
                add_sigmoid(z[k], y[k], b, sum);
            } else if (l->task == ARK_MULTICLASS && y[k] == 1) {
                add_softmax(z, l->K, (int)k, b, sum);
            }
        }
    }
    for (int j = 0; j < 3; j++) {
        mean[j] = sum[j] / (double)l->counted;
    }
}

static ark_status count_labels(likelihood *l) {
    for (size_t i = 0; i < l->n; i++) {
        int truth;
        if (l->task == ARK_MULTICLASS) {
            ARK_TRY(true_class(l->label + i * l->K, l->K, i, &truth));
            l->counted += truth >= 0;
        }
        for (size_t k = 0; k < l->K; k++) {
            double z = l->logit[i * l->K + k], y = l->label[i * l->K + k];
            if (isnan(y)) {
                continue;
            }
            if (!isfinite(z)) {
                return ARK_ERR(ARK_EINVAL, "row %zu: logit %g is not a finite number", i, z);
            }
            if (y != 0 && y != 1) {
                return ARK_ERR(ARK_EINVAL, "row %zu: label must be 0 or 1, got %g", i, y);
            }
            l->counted += l->task != ARK_MULTICLASS;
        }
    }
    return ARK_OK;
}

ark_status ark_fit_temperature(
    ark_task task, const double *logit, const double *label, size_t n, size_t K, ark_temperature *out) {
    likelihood l = {.task = task, .logit = logit, .label = label, .n = n, .K = K};
    ARK_TRY(count_labels(&l));
    if (l.counted == 0) {
        *out = (ark_temperature){.T = NAN, .nll_before = NAN, .nll_after = NAN, .why = "no labelled row"};
        return ARK_OK;
    }
    double low = 0.01, high = 100, b = 1, at[3];
    ark_temperature t = {0};
    evaluate(&l, b, at);
    t.nll_before = at[0];
    /* The slope grows with b, so its sign halves the interval; Newton's step is taken where it stays
     * inside. */
    for (int i = 0; i < 200 && high - low > 1e-14 * high; i++) {
        if (at[1] > 0) {
            high = b;
        } else {
            low = b;
        }
        double step = at[2] > 0 ? b - at[1] / at[2] : -1;
        double next = step > low && step < high ? step : sqrt(low * high);
        if (fabs(next - b) <= 1e-15 * b) {
            break;
        }
        b = next;
        evaluate(&l, b, at);
    }
    t.T = 1 / b;
    t.nll_after = at[0];
    t.why = b > 99.99      ? "the labels are separated: no temperature is low enough"
            : b < 0.010001 ? "the scores say nothing about the labels: no temperature is high enough"
                           : NULL;
    *out = t;
    return ARK_OK;
}
