#include "common/check.h"

#include "base/alloc.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void fail_with(const char *fmt, ...) {
    char msg[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof msg, fmt, ap);
    va_end(ap);
    print_error("%s\n", msg);
    fail();
    abort();
}

void must_at(ark_status st, const char *call, const char *file, int line) {
    require(st == ARK_OK, "%s:%d: %s: %s", file, line, call, ark_err_msg());
}

static double rms(const double *v, int64_t n) {
    double sum = 0.0;
    int64_t finite = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(v[i])) {
            sum += v[i] * v[i];
            finite++;
        }
    }
    return finite > 0 ? sqrt(sum / (double)finite) : 0.0;
}

static double error_at(double got, double want, double scale, double tiny) {
    if (isnan(want) || isinf(want) || !isfinite(got)) {
        return (isnan(want) && isnan(got)) || got == want ? 0.0 : INFINITY;
    }
    double diff = fabs(got - want);
    return diff <= tiny ? 0.0 : diff / fmax(fabs(want), scale);
}

double worst_error(
    const float *got, const double *want, int64_t n, int64_t row, tolerance tol, int64_t *where) {
    double all = rms(want, n), worst = 0.0;
    *where = 0;
    for (int64_t start = 0; start < n; start += row) {
        int64_t len = n - start < row ? n - start : row;
        double scale = fmax(rms(want + start, len), tol.floor * all);
        for (int64_t i = start; i < start + len; i++) {
            double e = error_at(got[i], want[i], scale, tol.tiny);
            if (e > worst) {
                worst = e;
                *where = i;
            }
        }
    }
    return worst;
}

double check_close(
    const float *got, const double *want, int64_t n, int64_t row, tolerance tol, const char *what) {
    int64_t at;
    double e = worst_error(got, want, n, row, tol, &at);
    require(e <= tol.rel,
        "%s: element %lld of %lld (rows of %lld): got %.9g, expected %.9g, error %.3g > %.3g", what,
        (long long)at, (long long)n, (long long)row, (double)got[at], want[at], e, tol.rel);
    return e;
}

double *widen(const float *v, int64_t n) {
    double *out = ark_calloc((size_t)n, sizeof *out);
    require(out != NULL, "out of memory");
    for (int64_t i = 0; i < n; i++) {
        out[i] = v[i];
    }
    return out;
}
