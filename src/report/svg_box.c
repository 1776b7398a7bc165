/* Box plots: gnuplot draws, the quartiles are computed here, as numpy's are. */
#include "base/alloc.h"
#include "base/err.h"
#include "report/script.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SERIES = 16, MAX_CATEGORIES = 64 };

typedef struct summary {
    double low, q1, median, q3, high; /* low, high: ends of the whiskers */
} summary;

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* v sorted, n > 0 */
static summary summarise(const double *v, size_t n) {
    summary s = {.q1 = ark_quantile_sorted(v, n, 0.25),
        .median = ark_quantile_sorted(v, n, 0.5),
        .q3 = ark_quantile_sorted(v, n, 0.75)};
    double reach = 1.5 * (s.q3 - s.q1);
    size_t first = 0, last = n - 1;
    while (first < n - 1 && v[first] < s.q1 - reach) {
        first++;
    }
    while (last > 0 && v[last] > s.q3 + reach) {
        last--;
    }
    s.low = v[first];
    s.high = v[last];
    return s;
}

/* Blocks $bK: x low q1 median q3 high; $oK: x and y of the values beyond the whiskers. */
static ark_status add_data(ark__script *s, size_t k, const ark_box_series *v, size_t categories, double shift,
    bool *any, bool *beyond) {
    ark_buf outside;
    ark_status st = ARK_OK;
    ark_buf_init(&outside, ARK__SCRIPT_LIMIT);
    *any = *beyond = false;
    ARK__ADD(s, "$b%zu << EOD\n", k);
    for (size_t i = 0; i < categories && st == ARK_OK; i++) {
        size_t n = v->box[i].n;
        double *sorted, x = (double)i + shift;
        if (n == 0) {
            continue;
        }
        st = ARK_NEW(&sorted, n, "values of a box");
        if (st != ARK_OK) {
            break;
        }
        memcpy(sorted, v->box[i].value, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, ascending);
        summary b = summarise(sorted, n);
        ARK__ADD(s, "%.7g %.7g %.7g %.7g %.7g %.7g\n", x, b.low, b.q1, b.median, b.q3, b.high);
        *any = true;
        for (size_t j = 0; j < n && st == ARK_OK; j++) {
            if (sorted[j] < b.low || sorted[j] > b.high) {
                st = ark_buf_addf(&outside, "%.7g %.7g\n", x, sorted[j]);
                *beyond = true;
            }
        }
        ark_free(sorted);
    }
    ARK__ADD(s, "EOD\n");
    if (st == ARK_OK && *beyond) {
        ARK__ADD(s, "$o%zu << EOD\n%sEOD\n", k, outside.data);
    }
    ark_buf_free(&outside);
    return st;
}

static void add_plot(
    ark__script *s, size_t k, const char *name, double width, bool beyond, const char *separator) {
    const char *color = ark__plot_color(k, 0);
    ARK__ADD(s,
        "%s$b%zu using 1:3:2:6:5:(%.4g) with candlesticks whiskerbars 0.6 lc rgb '%s' fs transparent solid "
        "0.35 "
        "border",
        separator, k, width, color);
    ark__script_quoted(s, " title ", name, "");
    ARK__ADD(s, ", $b%zu using 1:4:4:4:4:(%.4g) with candlesticks lw 2 lc rgb '%s' notitle", k, width, color);
    if (beyond) {
        ARK__ADD(s, ", $o%zu using 1:2 with points pt 6 ps 0.4 lc rgb '%s' notitle", k, color);
    }
}

static ark_status check(size_t categories, const ark_box_series *series, size_t n, size_t *values) {
    if (categories < 1 || categories > MAX_CATEGORIES || n < 1 || n > MAX_SERIES) {
        return ARK_ERR(ARK_EINVAL, "plot of %zu categories x %zu series, allowed 1..%d x 1..%d", categories,
            n, MAX_CATEGORIES, MAX_SERIES);
    }
    *values = 0;
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < categories; i++) {
            const ark_box *b = &series[k].box[i];
            *values += b->n;
            for (size_t j = 0; j < b->n; j++) {
                if (!isfinite(b->value[j])) {
                    return ARK_ERR(ARK_EINVAL, "plot series '%s', category %zu, value %zu is not finite",
                        series[k].name, i, j);
                }
            }
        }
    }
    return ARK_OK;
}

ark_status ark_svg_boxes(const ark_axes *axes, const char *const *category, size_t categories,
    const ark_box_series *series, size_t n, ark_svg *out) {
    int width = axes->width_px ? axes->width_px : ARK__PLOT_WIDTH,
        height = axes->height_px ? axes->height_px : ARK__PLOT_HEIGHT;
    size_t values;
    bool any[MAX_SERIES], beyond[MAX_SERIES], first = true;
    ARK_TRY(ark__plot_check(axes, width, height));
    ARK_TRY(check(categories, series, n, &values));
    if (values == 0) {
        return ark__plot_none(axes->title, "there is no value to draw", out);
    }
    double step = 0.8 / (double)n;
    ark__script s = {.st = ARK_OK};
    ark_buf_init(&s.b, ARK__SCRIPT_LIMIT);
    ark__script_start(&s, axes, width, height);
    ark__script_legend_above(&s);
    ark__script_categories(&s, category, categories, width);
    for (size_t k = 0; k < n; k++) {
        double shift = ((double)k - ((double)n - 1) / 2) * step;
        ark_status st = add_data(&s, k, &series[k], categories, shift, &any[k], &beyond[k]);
        s.st = s.st ? s.st : st;
    }
    for (size_t k = 0; k < n; k++) {
        if (any[k]) {
            add_plot(&s, k, series[k].name, step * 0.8, beyond[k], first ? "plot " : ", ");
            first = false;
        }
    }
    ARK__ADD(&s, "\n");
    return ark__script_draw(&s, axes->title, out);
}
