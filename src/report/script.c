#include "report/script.h"

#include "base/alloc.h"
#include "base/err.h"
#include "report/gnuplot.h"
#include "report/text.h"

#include <math.h>
#include <string.h>

/* Okabe and Ito's palette, told apart with colour-blind eyes too; yellow is left out (too pale for lines). */
static const char *const palette[] = {
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#4b5563"};
_Static_assert(sizeof palette / sizeof palette[0] == ARK__COLORS, "the header says how many");

const char ark__plot_ink[] = "#334155", ark__plot_axis[] = "#94a3b8", ark__plot_grid[] = "#e2e8f0";

/* before 'text' after */
void ark__script_quoted(ark__script *s, const char *before, const char *text, const char *after) {
    ARK__ADD(s, "%s'", before);
    if (s->st == ARK_OK) {
        s->st = ark_text_put(&s->b, text, ARK_QUOTE_GNUPLOT);
    }
    ARK__ADD(s, "'%s", after);
}

void ark__script_number(ark__script *s, double v) {
    if (isfinite(v)) {
        ARK__ADD(s, " %.7g", v);
    } else {
        ARK__ADD(s, " NaN");
    }
}

void ark__script_start(ark__script *s, const ark_axes *a, int width, int height) {
    ARK__ADD(s, "set encoding utf8\n");
    ARK__ADD(
        s, "set terminal svg size %d,%d dynamic noenhanced rounded font 'sans-serif,13'\n", width, height);
    ARK__ADD(s, "set border 3 lc rgb '%s'\n", ark__plot_axis);
    ARK__ADD(s, "set tics nomirror out scale 0.5 textcolor rgb '%s'\n", ark__plot_ink);
    ARK__ADD(s, "set grid ytics lt 1 lw 1 lc rgb '%s'\n", ark__plot_grid);
    if (a->x_label) {
        ark__script_quoted(s, "set xlabel ", a->x_label, "");
        ARK__ADD(s, " textcolor rgb '%s'\n", ark__plot_ink);
    }
    if (a->y_label) {
        ark__script_quoted(s, "set ylabel ", a->y_label, "");
        ARK__ADD(s, " textcolor rgb '%s'\n", ark__plot_ink);
    }
    if (a->log_x) {
        ARK__ADD(s, "set logscale x\nset format x '%%g'\n");
    }
    if (a->y_min != 0 || a->y_max != 0) {
        ARK__ADD(s, "set yrange [%.7g:%.7g]\n", a->y_min, a->y_max);
    }
}

void ark__script_legend_above(ark__script *s) {
    ARK__ADD(s, "set key tmargin left horizontal Left reverse samplen 2 spacing 1.2 textcolor rgb '%s'\n",
        ark__plot_ink);
}

const char *ark__plot_color(size_t position, int chosen) {
    return palette[(chosen > 0 ? (size_t)chosen - 1 : position) % ARK__COLORS];
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

ark_status ark__plot_none(const char *title, const char *why, ark_svg *out) {
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
ark_status ark__script_draw(ark__script *s, const char *title, ark_svg *out) {
    char *raw = NULL;
    size_t len = 0;
    ark_status st = s->st;
    if (st == ARK_OK) {
        st = ark_gnuplot_run(s->b.data, s->b.len, &raw, &len);
        if (st == ARK_OK) {
            st = keep_element(raw, len, title, out);
        }
        if (st == ARK_ENOTBUILT || st == ARK_EIO) {
            st = ark__plot_none(title, ark_err_msg(), out);
        }
    }
    ark_free(raw);
    ark_buf_free(&s->b);
    return st;
}

/* --- checks, categories --- */

ark_status ark__plot_check(const ark_axes *a, int width, int height) {
    if (width < 100 || height < 100 || width > 5000 || height > 5000) {
        return ARK_ERR(ARK_EINVAL, "plot of %d x %d pixels, allowed 100..5000", width, height);
    }
    if (!isfinite(a->y_min) || !isfinite(a->y_max) ||
        ((a->y_min != 0 || a->y_max != 0) && !(a->y_min < a->y_max))) {
        return ARK_ERR(ARK_EINVAL, "plot range %g to %g is empty", a->y_min, a->y_max);
    }
    return ARK_OK;
}

/* Category names below the axis, slanted when they would run into each other. */
void ark__script_categories(ark__script *s, const char *const *category, size_t categories, int width) {
    size_t longest = 0;
    for (size_t i = 0; i < categories; i++) {
        size_t len = strlen(category[i]);
        longest = len > longest ? len : longest;
    }
    bool slanted = longest * 8 * categories > (size_t)width - 80;
    ARK__ADD(s, "set xtics scale 0 %s (", slanted ? "rotate by 35 right" : "");
    for (size_t i = 0; i < categories; i++) {
        ark__script_quoted(s, i ? ", " : "", category[i], "");
        ARK__ADD(s, " %zu", i);
    }
    ARK__ADD(s, ")\nset xrange [-0.6:%g]\n", (double)categories - 0.4);
}
