#include "eval/significance.h"

#include "base/alloc.h"
#include "base/err.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Continued fraction of the incomplete beta function (Abramowitz & Stegun 26.5.8), evaluated from the front
 * by Lentz's method; converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b) {
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 10000; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        for (int k = 0; k < 2; k++) {
            double step = k ? odd : even;
            d = 1 + step * d;
            c = 1 + step / c;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            f *= c * d;
        }
        if (fabs(c * d - 1) < DBL_EPSILON) {
            break;
        }
    }
    return f;
}

/* ln Gamma(a + 1/2) - ln Gamma(a): an expansion where the difference of two logarithms would lose digits. */
static double log_gamma_half_step(double a) {
    if (a < 200) {
        int sign;
        return lgamma_r(a + 0.5, &sign) - lgamma_r(a, &sign);
    }
    double u = 1 / a, u2 = u * u;
    return 0.5 * log(a) - u * (1.0 / 8 - u2 * (1.0 / 192 - u2 * (1.0 / 640 - u2 * 17.0 / 14336)));
}

/* Regularised incomplete beta I_x(a, 1/2); y = 1 - x, which the caller knows more exactly. */
static double beta_half(double x, double y, double a) {
    if (x <= 0) {
        return 0;
    }
    if (y <= 0) {
        return 1;
    }
    /* 1/B(a, 1/2) = Gamma(a + 1/2) / (Gamma(a) sqrt(pi)) */
    double log_x = x < 0.5 ? log(x) : log1p(-y);
    double front = exp(log_gamma_half_step(a) + a * log_x + 0.5 * log(y)) / sqrt(acos(-1.0));
    return x < (a + 1) / (a + 2.5) ? front * beta_fraction(x, a, 0.5) / a
                                   : 1 - front * beta_fraction(y, 0.5, a) / 0.5;
}

double ark_student_two_sided(double t, double df) {
    double t2 = t * t;
    return isinf(t2) ? 0 : beta_half(df / (df + t2), t2 / (df + t2), df / 2);
}

double ark_student_quantile(double level, double df) {
    double low = 0, high = 1, tail = 1 - level;
    while (ark_student_two_sided(high, df) > tail && high < 1e150) {
        low = high;
        high *= 2;
    }
    for (int i = 0; i < 200 && high - low > 2 * DBL_EPSILON * high; i++) {
        double mid = low + (high - low) / 2;
        if (ark_student_two_sided(mid, df) > tail) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low + (high - low) / 2;
}

void ark_mean_sd(const double *x, size_t n, double *mean, double *sd) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i];
    }
    *mean = n > 0 ? sum / (double)n : NAN;
    for (size_t i = 0; i < n; i++) {
        squares += (x[i] - *mean) * (x[i] - *mean);
    }
    *sd = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
}

static ark_status check_finite(const double *x, size_t n, const char *which) {
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            return ARK_ERR(ARK_EINVAL, "Welch test: value %zu of the %s sample is %g", i, which, x[i]);
        }
    }
    return ARK_OK;
}

ark_status ark_welch_test(
    const double *a, size_t n_a, const double *b, size_t n_b, double level, ark_welch *out) {
    ARK_TRY(check_finite(a, n_a, "first"));
    ARK_TRY(check_finite(b, n_b, "second"));
    if (!(level > 0 && level < 1)) {
        return ARK_ERR(ARK_EINVAL, "confidence level %g is not between 0 and 1", level);
    }
    ark_welch w = {.t = NAN, .df = NAN, .p = NAN};
    ark_mean_sd(a, n_a, &w.mean[0], &w.sd[0]);
    ark_mean_sd(b, n_b, &w.mean[1], &w.sd[1]);
    w.difference = w.mean[0] - w.mean[1];
    double va = w.sd[0] * w.sd[0] / (double)n_a, vb = w.sd[1] * w.sd[1] / (double)n_b;
    w.why = n_a < 2 || n_b < 2 ? "fewer than two values" : va + vb > 0 ? NULL : "no spread in either sample";
    if (w.why) {
        w.ci = (ark_interval){.low = NAN, .high = NAN, .why = w.why};
        *out = w;
        return ARK_OK;
    }
    double se = sqrt(va + vb), share_a = va / (va + vb), share_b = vb / (va + vb);
    w.t = w.difference / se;
    w.df = 1 / (share_a * share_a / (double)(n_a - 1) + share_b * share_b / (double)(n_b - 1));
    w.p = ark_student_two_sided(w.t, w.df);
    double half = se * ark_student_quantile(level, w.df);
    w.ci = (ark_interval){.low = w.difference - half, .high = w.difference + half};
    *out = w;
    return ARK_OK;
}

typedef struct ranked_p {
    double p;
    size_t at;
} ranked_p;

static int by_p(const void *a, const void *b) {
    const ranked_p *x = a, *y = b;
    return x->p != y->p ? (x->p > y->p) - (x->p < y->p) : (x->at > y->at) - (x->at < y->at);
}

ark_status ark_holm(const double *p, size_t m, double *adjusted) {
    ranked_p *order;
    size_t n = 0;
    ARK_TRY(ARK_NEW(&order, m, "p values"));
    for (size_t i = 0; i < m; i++) {
        if (isnan(p[i])) {
            continue;
        }
        if (!(p[i] >= 0 && p[i] <= 1)) {
            ark_free(order);
            return ARK_ERR(ARK_EINVAL, "Holm correction: p value %zu is %g, not in [0,1]", i, p[i]);
        }
        order[n++] = (ranked_p){p[i], i};
    }
    if (n > 0) {
        qsort(order, n, sizeof *order, by_p);
    }
    for (size_t i = 0; i < m; i++) {
        adjusted[i] = p[i]; /* NaN stays; the others are written below */
    }
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, fmin(1, (double)(n - i) * order[i].p));
        adjusted[order[i].at] = largest;
    }
    ark_free(order);
    return ARK_OK;
}

ark_interval ark_wilson(size_t hits, size_t n, double level) {
    if (n == 0) {
        return (ark_interval){.low = NAN, .high = NAN, .why = "no row"};
    }
    double z = ark_normal_quantile(0.5 + level / 2), z2 = z * z, rows = (double)n,
           share = (double)hits / rows;
    double centre = (share + z2 / (2 * rows)) / (1 + z2 / rows);
    double half = z / (1 + z2 / rows) * sqrt(share * (1 - share) / rows + z2 / (4 * rows * rows));
    return (ark_interval){.low = hits == 0 ? 0 : centre - half, .high = hits == n ? 1 : centre + half};
}

ark_interval ark_t_interval(const double *x, size_t n, double level) {
    double mean, sd;
    if (n < 2) {
        return (ark_interval){.low = NAN, .high = NAN, .why = "fewer than two values"};
    }
    ark_mean_sd(x, n, &mean, &sd);
    double half = ark_student_quantile(level, (double)n - 1) * sd / sqrt((double)n);
    return (ark_interval){.low = mean - half, .high = mean + half};
}
