#include "report/svg.h"

#include "base/alloc.h"
#include "base/err.h"
#include "report/script.h"

#include <math.h>
#include <string.h>

enum { MAX_SERIES = 32, MAX_BAR_SERIES = 16, MAX_CATEGORIES = 64 };

void ark_svg_free(ark_svg *svg) {
    ark_free(svg->title);
    ark_free(svg->text);
    ark_free(svg->why);
    *svg = (ark_svg){0};
}

/* --- lines --- */

/* Points closer than a third of a pixel or so to the last one drawn are left out. */
typedef struct thinning {
    bool log_x;
    double x_step, y_step;
    double x, y;
    bool any;
} thinning;

static void widen(double v, double *lo, double *hi) {
    if (isfinite(v)) {
        *lo = fmin(*lo, v);
        *hi = fmax(*hi, v);
    }
}

static thinning thinning_for(const ark_series *series, size_t n, bool log_x) {
    double x_lo = INFINITY, x_hi = -INFINITY, y_lo = INFINITY, y_hi = -INFINITY;
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < series[k].n; i++) {
            widen(log_x ? log(series[k].x[i]) : series[k].x[i], &x_lo, &x_hi);
            widen(series[k].y[i], &y_lo, &y_hi);
        }
    }
    return (thinning){.log_x = log_x, .x_step = (x_hi - x_lo) / 2000, .y_step = (y_hi - y_lo) / 1500};
}

static bool thinned_out(thinning *t, double x, double y) {
    x = t->log_x ? log(x) : x;
    if (t->any && isfinite(y) && fabs(x - t->x) < t->x_step && fabs(y - t->y) < t->y_step) {
        return true;
    }
    t->x = x;
    t->y = y;
    t->any = true;
    return false;
}

static void add_series_data(ark__script *s, size_t k, const ark_series *v, thinning t) {
    ARK__ADD(s, "$d%zu << EOD\n", k);
    for (size_t i = 0; i < v->n; i++) {
        if (thinned_out(&t, v->x[i], v->y[i]) && i + 1 < v->n) {
            continue;
        }
        ark__script_number(s, v->x[i]);
        ark__script_number(s, v->y[i]);
        if (v->low) {
            ark__script_number(s, v->low[i]);
            ark__script_number(s, v->high[i]);
        }
        ARK__ADD(s, "\n");
    }
    ARK__ADD(s, "EOD\n");
}

static void add_series_plot(ark__script *s, size_t k, const ark_series *v, const char *sep) {
    const char *color = ark__plot_color(k, v->color);
    if (v->low) {
        ARK__ADD(s,
            "%s$d%zu using 1:3:4 with filledcurves fc rgb '%s' fs transparent solid 0.15 noborder notitle",
            sep, k, color);
        sep = ", ";
    }
    ARK__ADD(s, "%s$d%zu using 1:2 with %s lw 2 dt %d lc rgb '%s' pt 7 ps 0.35", sep, k,
        v->n <= 60 ? "linespoints" : "lines", v->dashed ? 2 : 1, color);
    ark__script_quoted(s, " title ", v->name, "");
}

static ark_status check_series(const ark_axes *a, const ark_series *series, size_t n, size_t *points) {
    if (n < 1 || n > MAX_SERIES) {
        return ARK_ERR(ARK_EINVAL, "plot of %zu series, allowed 1..%d", n, MAX_SERIES);
    }
    *points = 0;
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < series[k].n; i++) {
            double x = series[k].x[i];
            if (!isfinite(x) || (a->log_x && x <= 0)) {
                return ARK_ERR(ARK_EINVAL, "plot series '%s', point %zu: x = %g has no place on the axis",
                    series[k].name, i, x);
            }
            *points += isfinite(series[k].y[i]);
        }
    }
    return ARK_OK;
}

ark_status ark_svg_lines(const ark_axes *axes, const ark_series *series, size_t n, ark_svg *out) {
    int width = axes->width_px ? axes->width_px : ARK__PLOT_WIDTH,
        height = axes->height_px ? axes->height_px : ARK__PLOT_HEIGHT;
    size_t points = 0;
    ARK_TRY(ark__plot_check(axes, width, height));
    ARK_TRY(check_series(axes, series, n, &points));
    if (points == 0) {
        return ark__plot_none(axes->title, "there is no point to draw", out);
    }
    ark__script s = {.st = ARK_OK};
    ark_buf_init(&s.b, ARK__SCRIPT_LIMIT);
    ark__script_start(&s, axes, width, height);
    ark__script_legend_above(&s);
    thinning t = thinning_for(series, n, axes->log_x);
    for (size_t k = 0; k < n; k++) {
        add_series_data(&s, k, &series[k], t);
    }
    for (size_t k = 0; k < n; k++) {
        add_series_plot(&s, k, &series[k], k ? ", " : "plot ");
    }
    ARK__ADD(&s, "\n");
    return ark__script_draw(&s, axes->title, out);
}

/* --- ROC --- */

static void add_roc_name(ark__script *s, const ark_roc_series *v) {
    ark__script_quoted(s, " title ", v->name, ".'");
    if (ark_metric_defined(v->auroc)) {
        ARK__ADD(s, "  %.3f", v->auroc.value);
    }
    if (!v->ci.why) {
        ARK__ADD(s, " [%.3f, %.3f]", v->ci.low, v->ci.high);
    }
    ARK__ADD(s, "'");
}

static bool has_band(const ark_roc_band *b) {
    return b && !b->why;
}

static void add_band_data(ark__script *s, size_t k, const ark_roc_band *b) {
    if (!has_band(b)) {
        return;
    }
    ARK__ADD(s, "$b%zu << EOD\n", k);
    for (size_t i = 0; i < ARK_ROC_BAND_POINTS; i++) {
        ARK__ADD(s, "%.7g %.7g %.7g\n", b->x[i], b->low[i], b->high[i]);
    }
    ARK__ADD(s, "EOD\n");
}

ark_status ark_svg_roc(const ark_axes *axes, const ark_roc_series *series, size_t n, ark_svg *out) {
    int side = axes->width_px ? axes->width_px : ARK__PLOT_WIDTH;
    int height = axes->height_px ? axes->height_px : side + 22 * (int)(n < MAX_SERIES ? n : MAX_SERIES);
    ark_axes a = {.x_label = "1 − specificity", .y_label = "sensitivity"};
    ARK_TRY(ark__plot_check(&a, side, height));
    if (n < 1 || n > MAX_SERIES) {
        return ARK_ERR(ARK_EINVAL, "plot of %zu ROC curves, allowed 1..%d", n, MAX_SERIES);
    }
    ark__script s = {.st = ARK_OK};
    ark_buf_init(&s.b, ARK__SCRIPT_LIMIT);
    ark__script_start(&s, &a, side, height);
    ARK__ADD(&s, "set size ratio -1\nset xrange [0:1]\nset yrange [0:1]\nset xtics 0.2\nset ytics 0.2\n");
    ARK__ADD(&s, "set format '%%.1f'\nset grid xtics ytics lt 1 lw 1 lc rgb '%s'\n", ark__plot_grid);
    ARK__ADD(&s,
        "set key bmargin center vertical maxcols 1 Left reverse samplen 1.5 spacing 1.25 height 1 textcolor "
        "rgb "
        "'%s'\n",
        ark__plot_ink);
    ARK__ADD(&s, "set arrow from 0,0 to 1,1 nohead lw 1 dt 2 lc rgb '%s'\n", ark__plot_axis);
    size_t points = 0;
    bool any = false;
    for (size_t k = 0; k < n; k++) {
        ark_series line = {.x = series[k].curve.x, .y = series[k].curve.y, .n = series[k].curve.n};
        add_series_data(&s, k, &line, thinning_for(&line, 1, false));
        add_band_data(&s, k, series[k].band);
        points += line.n;
    }
    if (points == 0) {
        ark_buf_free(&s.b);
        return ark__plot_none(axes->title, "there is no curve to draw", out);
    }
    for (size_t k = 0; k < n; k++) {
        if (has_band(series[k].band)) {
            ARK__ADD(&s,
                "%s$b%zu using 1:2:3 with filledcurves fc rgb '%s' fs transparent solid 0.15 noborder "
                "notitle",
                any ? ", " : "plot ", k, ark__plot_color(k, 0));
            any = true;
        }
        ARK__ADD(&s, "%s$d%zu using 1:2 with lines lw 2 dt %d lc rgb '%s'", any ? ", " : "plot ", k,
            k < ARK__COLORS ? 1 : 2, ark__plot_color(k, 0));
        any = true;
        add_roc_name(&s, &series[k]);
    }
    ARK__ADD(&s, "\n");
    return ark__script_draw(&s, axes->title, out);
}

/* --- bars --- */

static ark_status check_bars(size_t categories, const ark_bar_series *series, size_t n, size_t *bars) {
    if (categories < 1 || categories > MAX_CATEGORIES || n < 1 || n > MAX_BAR_SERIES) {
        return ARK_ERR(ARK_EINVAL, "plot of %zu categories x %zu series, allowed 1..%d x 1..%d", categories,
            n, MAX_CATEGORIES, MAX_BAR_SERIES);
    }
    *bars = 0;
    for (size_t k = 0; k < n; k++) {
        for (size_t i = 0; i < categories; i++) {
            *bars += isfinite(series[k].value[i]);
        }
    }
    return ARK_OK;
}

static bool has_value(const ark_bar_series *v, size_t categories) {
    for (size_t i = 0; i < categories; i++) {
        if (isfinite(v->value[i])) {
            return true;
        }
    }
    return false;
}

static void add_bar_data(ark__script *s, size_t k, const ark_bar_series *v, size_t categories, double shift) {
    ARK__ADD(s, "$d%zu << EOD\n", k);
    for (size_t i = 0; i < categories; i++) {
        if (!isfinite(v->value[i])) {
            continue;
        }
        ark__script_number(s, (double)i + shift);
        ark__script_number(s, v->value[i]);
        ark__script_number(s, v->low ? v->low[i] : NAN);
        ark__script_number(s, v->low ? v->high[i] : NAN);
        ARK__ADD(s, "\n");
    }
    ARK__ADD(s, "EOD\n");
}

static void add_bar_plot(
    ark__script *s, size_t k, const ark_bar_series *v, bool points, double width, const char *sep) {
    const char *color = ark__plot_color(k, 0);
    if (points) {
        ARK__ADD(s, "%s$d%zu using 1:2 with points pt 7 ps 0.8 lc rgb '%s'", sep, k, color);
    } else {
        ARK__ADD(s, "%s$d%zu using 1:2:(%.4g) with boxes fc rgb '%s' fs solid 0.85 noborder", sep, k, width,
            color);
    }
    ark__script_quoted(s, " title ", v->name, "");
    if (v->low) {
        ARK__ADD(s, ", $d%zu using 1:3:(0):($4-$3) with vectors nohead lw 1.5 lc rgb '%s' notitle", k,
            points ? color : ark__plot_ink);
    }
}

ark_status ark_svg_bars(const ark_axes *axes, const char *const *category, size_t categories,
    const ark_bar_series *series, size_t n, ark_svg *out) {
    int width = axes->width_px ? axes->width_px : ARK__PLOT_WIDTH,
        height = axes->height_px ? axes->height_px : ARK__PLOT_HEIGHT;
    size_t bars = 0;
    ARK_TRY(ark__plot_check(axes, width, height));
    ARK_TRY(check_bars(categories, series, n, &bars));
    if (bars == 0) {
        return ark__plot_none(axes->title, "there is no value to draw", out);
    }
    bool points = axes->y_min != 0;
    double step = (points ? 0.5 : 0.8) / (double)n;
    ark__script s = {.st = ARK_OK};
    ark_buf_init(&s.b, ARK__SCRIPT_LIMIT);
    ark__script_start(&s, axes, width, height);
    ark__script_legend_above(&s);
    if (axes->y_min == 0 && axes->y_max == 0) {
        ARK__ADD(&s, "set yrange [0:*]\n");
    }
    ark__script_categories(&s, category, categories, width);
    for (size_t k = 0; k < n; k++) {
        add_bar_data(&s, k, &series[k], categories, ((double)k - ((double)n - 1) / 2) * step);
    }
    bool any = false;
    for (size_t k = 0; k < n; k++) {
        if (!has_value(&series[k], categories)) {
            continue;
        }
        add_bar_plot(&s, k, &series[k], points, step * 0.9, any ? ", " : "plot ");
        any = true;
    }
    ARK__ADD(&s, "\n");
    return ark__script_draw(&s, axes->title, out);
}
