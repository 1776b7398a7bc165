#include "report/svg.h"

#include "base/alloc.h"
#include "base/err.h"
#include "report/gnuplot.h"
#include "report/text.h"

#include <math.h>
#include <string.h>

enum {
    DEFAULT_WIDTH = 520,
    DEFAULT_HEIGHT = 340,
    SCRIPT_LIMIT = 64 << 20,
    MAX_SERIES = 32,
    MAX_BAR_SERIES = 16,
    MAX_CATEGORIES = 64
};

/* Okabe and Ito's palette, told apart with colour-blind eyes too; yellow is left out (too pale for lines). */
static const char *const palette[] = {
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4b5563"};
enum { COLORS = sizeof palette / sizeof palette[0] };

static const char ink[] = "#334155", axis_color[] = "#94a3b8", grid_color[] = "#e2e8f0";

void ark_svg_free(ark_svg *svg) {
    ark_free(svg->title);
    ark_free(svg->text);
    ark_free(svg->why);
    *svg = (ark_svg){0};
}

/* --- the script: the first failure sticks --- */

typedef struct script {
    ark_buf b;
    ark_status st;
} script;

#define ADD(s, ...)                                                                                          \
    do {                                                                                                     \
        if ((s)->st == ARK_OK) {                                                                             \
            (s)->st = ark_buf_addf(&(s)->b, __VA_ARGS__);                                                    \
        }                                                                                                    \
    } while (0)

/* before 'text' after */
static void add_quoted(script *s, const char *before, const char *text, const char *after) {
    ADD(s, "%s'", before);
    if (s->st == ARK_OK) {
        s->st = ark_text_put(&s->b, text, ARK_QUOTE_GNUPLOT);
    }
    ADD(s, "'%s", after);
}

static void add_number(script *s, double v) {
    if (isfinite(v)) {
        ADD(s, " %.7g", v);
    } else {
        ADD(s, " NaN");
    }
}

static void add_frame(script *s, const ark_axes *a, int width, int height) {
    ADD(s, "set encoding utf8\n");
    ADD(s, "set terminal svg size %d,%d dynamic noenhanced rounded font 'sans-serif,13'\n", width, height);
    ADD(s, "set border 3 lc rgb '%s'\n", axis_color);
    ADD(s, "set tics nomirror out scale 0.5 textcolor rgb '%s'\n", ink);
    ADD(s, "set grid ytics lt 1 lw 1 lc rgb '%s'\n", grid_color);
    if (a->x_label) {
        add_quoted(s, "set xlabel ", a->x_label, "");
        ADD(s, " textcolor rgb '%s'\n", ink);
    }
    if (a->y_label) {
        add_quoted(s, "set ylabel ", a->y_label, "");
        ADD(s, " textcolor rgb '%s'\n", ink);
    }
    if (a->log_x) {
        ADD(s, "set logscale x\nset format x '%%g'\n");
    }
    if (a->y_min != 0 || a->y_max != 0) {
        ADD(s, "set yrange [%.7g:%.7g]\n", a->y_min, a->y_max);
    }
}

static void add_legend_above(script *s) {
    ADD(s, "set key tmargin left horizontal Left reverse samplen 2 spacing 1.2 textcolor rgb '%s'\n", ink);
}

static const char *color_of(size_t position, int chosen) {
    return palette[(chosen > 0 ? (size_t)chosen - 1 : position) % COLORS];
}

/* --- running it --- */

static ark_status set_title(ark_svg *svg, const char *title) {
    if (title) {
        svg->title = ark_strdup(title);
        if (!svg->title) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for a plot");
        }
    }
    return ARK_OK;
}

static ark_status not_drawn(const char *title, const char *why, ark_svg *out) {
    ark_svg svg = {0};
    ark_status st = set_title(&svg, title);
    if (st == ARK_OK) {
        svg.why = ark_strdup(why);
        st = svg.why ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for a plot");
    }
    if (st != ARK_OK) {
        ark_svg_free(&svg);
        return st;
    }
    *out = svg;
    return ARK_OK;
}

/* Keep the <svg> element: what stands before it is for files of their own. */
static ark_status keep_element(char *raw, size_t len, const char *title, ark_svg *out) {
    char *element = strstr(raw, "<svg");
    if (!element || strlen(raw) != len) {
        return ARK_ERR(ARK_EIO, "gnuplot printed no SVG");
    }
    ark_svg svg = {.text = ark_strdup(element), .len = strlen(element)};
    ark_status st = svg.text ? set_title(&svg, title) : ARK_ERR(ARK_ENOMEM, "out of memory for a plot");
    if (st != ARK_OK) {
        ark_svg_free(&svg);
        return st;
    }
    *out = svg;
    return ARK_OK;
}

/* Run the script and free it. A gnuplot that is missing or fails leaves a plot that says so. */
static ark_status draw(script *s, const char *title, ark_svg *out) {
    char *raw = NULL;
    size_t len = 0;
    ark_status st = s->st;
    if (st == ARK_OK) {
        st = ark_gnuplot_run(s->b.data, s->b.len, &raw, &len);
        if (st == ARK_OK) {
            st = keep_element(raw, len, title, out);
        }
        if (st == ARK_ENOTBUILT || st == ARK_EIO) {
            st = not_drawn(title, ark_err_msg(), out);
        }
    }
    ark_free(raw);
    ark_buf_free(&s->b);
    return st;
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

static void add_series_data(script *s, size_t k, const ark_series *v, thinning t) {
    ADD(s, "$d%zu << EOD\n", k);
    for (size_t i = 0; i < v->n; i++) {
        if (thinned_out(&t, v->x[i], v->y[i]) && i + 1 < v->n) {
            continue;
        }
        add_number(s, v->x[i]);
        add_number(s, v->y[i]);
        if (v->low) {
            add_number(s, v->low[i]);
            add_number(s, v->high[i]);
        }
        ADD(s, "\n");
    }
    ADD(s, "EOD\n");
}

static void add_series_plot(script *s, size_t k, const ark_series *v, const char *sep) {
    const char *color = color_of(k, v->color);
    if (v->low) {
        ADD(s, "%s$d%zu using 1:3:4 with filledcurves fc rgb '%s' fs transparent solid 0.15 noborder notitle",
            sep, k, color);
        sep = ", ";
    }
    ADD(s, "%s$d%zu using 1:2 with %s lw 2 dt %d lc rgb '%s' pt 7 ps 0.35", sep, k,
        v->n <= 60 ? "linespoints" : "lines", v->dashed ? 2 : 1, color);
    add_quoted(s, " title ", v->name, "");
}

static ark_status check_size(const ark_axes *a, int width, int height) {
    if (width < 100 || height < 100 || width > 5000 || height > 5000) {
        return ARK_ERR(ARK_EINVAL, "plot of %d x %d pixels, allowed 100..5000", width, height);
    }
    if (!isfinite(a->y_min) || !isfinite(a->y_max) ||
        ((a->y_min != 0 || a->y_max != 0) && !(a->y_min < a->y_max))) {
        return ARK_ERR(ARK_EINVAL, "plot range %g to %g is empty", a->y_min, a->y_max);
    }
    return ARK_OK;
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
    int width = axes->width_px ? axes->width_px : DEFAULT_WIDTH,
        height = axes->height_px ? axes->height_px : DEFAULT_HEIGHT;
    size_t points = 0;
    ARK_TRY(check_size(axes, width, height));
    ARK_TRY(check_series(axes, series, n, &points));
    if (points == 0) {
        return not_drawn(axes->title, "there is no point to draw", out);
    }
    script s = {.st = ARK_OK};
    ark_buf_init(&s.b, SCRIPT_LIMIT);
    add_frame(&s, axes, width, height);
    add_legend_above(&s);
    thinning t = thinning_for(series, n, axes->log_x);
    for (size_t k = 0; k < n; k++) {
        add_series_data(&s, k, &series[k], t);
    }
    for (size_t k = 0; k < n; k++) {
        add_series_plot(&s, k, &series[k], k ? ", " : "plot ");
    }
    ADD(&s, "\n");
    return draw(&s, axes->title, out);
}

/* --- ROC --- */

static void add_roc_name(script *s, const ark_roc_series *v) {
    add_quoted(s, " title ", v->name, ".'");
    if (ark_metric_defined(v->auroc)) {
        ADD(s, "  %.3f", v->auroc.value);
    }
    if (!v->ci.why) {
        ADD(s, " [%.3f, %.3f]", v->ci.low, v->ci.high);
    }
    ADD(s, "'");
}

ark_status ark_svg_roc(const ark_axes *axes, const ark_roc_series *series, size_t n, ark_svg *out) {
    int side = axes->width_px ? axes->width_px : DEFAULT_WIDTH;
    int height = axes->height_px ? axes->height_px : side + 22 * (int)(n < MAX_SERIES ? n : MAX_SERIES);
    ark_axes a = {.x_label = "1 − specificity", .y_label = "sensitivity"};
    ARK_TRY(check_size(&a, side, height));
    if (n < 1 || n > MAX_SERIES) {
        return ARK_ERR(ARK_EINVAL, "plot of %zu ROC curves, allowed 1..%d", n, MAX_SERIES);
    }
    script s = {.st = ARK_OK};
    ark_buf_init(&s.b, SCRIPT_LIMIT);
    add_frame(&s, &a, side, height);
    ADD(&s, "set size ratio -1\nset xrange [0:1]\nset yrange [0:1]\nset xtics 0.2\nset ytics 0.2\n");
    ADD(&s, "set format '%%.1f'\nset grid xtics ytics lt 1 lw 1 lc rgb '%s'\n", grid_color);
    ADD(&s,
        "set key bmargin center vertical maxcols 1 Left reverse samplen 1.5 spacing 1.25 height 1 textcolor "
        "rgb "
        "'%s'\n",
        ink);
    ADD(&s, "set arrow from 0,0 to 1,1 nohead lw 1 dt 2 lc rgb '%s'\n", axis_color);
    size_t points = 0;
    for (size_t k = 0; k < n; k++) {
        ark_series line = {.x = series[k].curve.x, .y = series[k].curve.y, .n = series[k].curve.n};
        add_series_data(&s, k, &line, thinning_for(&line, 1, false));
        points += line.n;
    }
    if (points == 0) {
        ark_buf_free(&s.b);
        return not_drawn(axes->title, "there is no curve to draw", out);
    }
    for (size_t k = 0; k < n; k++) {
        ADD(&s, "%s$d%zu using 1:2 with lines lw 2 dt %d lc rgb '%s'", k ? ", " : "plot ", k,
            k < COLORS ? 1 : 2, color_of(k, 0));
        add_roc_name(&s, &series[k]);
    }
    ADD(&s, "\n");
    return draw(&s, axes->title, out);
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

/* Category names below the axis, slanted when they would run into each other. */
static void add_categories(script *s, const char *const *category, size_t categories, int width) {
    size_t longest = 0;
    for (size_t i = 0; i < categories; i++) {
        size_t len = strlen(category[i]);
        longest = len > longest ? len : longest;
    }
    bool slanted = longest * 8 * categories > (size_t)width - 80;
    ADD(s, "set xtics scale 0 %s (", slanted ? "rotate by 35 right" : "");
    for (size_t i = 0; i < categories; i++) {
        add_quoted(s, i ? ", " : "", category[i], "");
        ADD(s, " %zu", i);
    }
    ADD(s, ")\nset xrange [-0.6:%g]\n", (double)categories - 0.4);
}

static void add_bar_data(script *s, size_t k, const ark_bar_series *v, size_t categories, double shift) {
    ADD(s, "$d%zu << EOD\n", k);
    for (size_t i = 0; i < categories; i++) {
        if (!isfinite(v->value[i])) {
            continue;
        }
        add_number(s, (double)i + shift);
        add_number(s, v->value[i]);
        add_number(s, v->low ? v->low[i] : NAN);
        add_number(s, v->low ? v->high[i] : NAN);
        ADD(s, "\n");
    }
    ADD(s, "EOD\n");
}

static void add_bar_plot(
    script *s, size_t k, const ark_bar_series *v, bool points, double width, const char *sep) {
    const char *color = color_of(k, 0);
    if (points) {
        ADD(s, "%s$d%zu using 1:2 with points pt 7 ps 0.8 lc rgb '%s'", sep, k, color);
    } else {
        ADD(s, "%s$d%zu using 1:2:(%.4g) with boxes fc rgb '%s' fs solid 0.85 noborder", sep, k, width,
            color);
    }
    add_quoted(s, " title ", v->name, "");
    if (v->low) {
        ADD(s, ", $d%zu using 1:3:(0):($4-$3) with vectors nohead lw 1.5 lc rgb '%s' notitle", k,
            points ? color : ink);
    }
}

ark_status ark_svg_bars(const ark_axes *axes, const char *const *category, size_t categories,
    const ark_bar_series *series, size_t n, ark_svg *out) {
    int width = axes->width_px ? axes->width_px : DEFAULT_WIDTH,
        height = axes->height_px ? axes->height_px : DEFAULT_HEIGHT;
    size_t bars = 0;
    ARK_TRY(check_size(axes, width, height));
    ARK_TRY(check_bars(categories, series, n, &bars));
    if (bars == 0) {
        return not_drawn(axes->title, "there is no value to draw", out);
    }
    bool points = axes->y_min != 0;
    double step = (points ? 0.5 : 0.8) / (double)n;
    script s = {.st = ARK_OK};
    ark_buf_init(&s.b, SCRIPT_LIMIT);
    add_frame(&s, axes, width, height);
    add_legend_above(&s);
    if (axes->y_min == 0 && axes->y_max == 0) {
        ADD(&s, "set yrange [0:*]\n");
    }
    add_categories(&s, category, categories, width);
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
    ADD(&s, "\n");
    return draw(&s, axes->title, out);
}
