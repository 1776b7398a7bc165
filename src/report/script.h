/* gnuplot scripts: what every kind of plot begins and ends with. */
#ifndef ARK_REPORT_SCRIPT_H
#define ARK_REPORT_SCRIPT_H

#include "base/str.h"
#include "report/svg.h"

enum { ARK__PLOT_WIDTH = 520, ARK__PLOT_HEIGHT = 340, ARK__SCRIPT_LIMIT = 64 << 20, ARK__COLORS = 7 };

/* A script; the first failure sticks. */
typedef struct ark__script {
    ark_buf b;
    ark_status st;
} ark__script;

#define ARK__ADD(s, ...)                                                                                     \
    do {                                                                                                     \
        if ((s)->st == ARK_OK) {                                                                             \
            (s)->st = ark_buf_addf(&(s)->b, __VA_ARGS__);                                                    \
        }                                                                                                    \
    } while (0)

extern const char ark__plot_ink[], ark__plot_axis[], ark__plot_grid[];

/** before 'text' after */
void ark__script_quoted(ark__script *s, const char *before, const char *text, const char *after);
/** " 0.5", or " NaN". */
void ark__script_number(ark__script *s, double v);
/** Start a script: terminal, border, labels, ranges. */
void ark__script_start(ark__script *s, const ark_axes *a, int width, int height);
void ark__script_legend_above(ark__script *s);
/** Category names below the axis at 0, 1, ..; slanted when they would run into each other. */
void ark__script_categories(ark__script *s, const char *const *category, size_t categories, int width);
/** Colour number `chosen` (1..), or by position when 0. */
const char *ark__plot_color(size_t position, int chosen);
/** ARK_EINVAL for sizes outside 100..5000 pixels and empty ranges. */
ark_status ark__plot_check(const ark_axes *a, int width, int height) ARK_MUST_CHECK;
/** A plot that says why it is none. */
ark_status ark__plot_none(const char *title, const char *why, ark_svg *out) ARK_MUST_CHECK;
/** Run the script and free it. A gnuplot that is missing or fails leaves a plot that says so. */
ark_status ark__script_draw(ark__script *s, const char *title, ark_svg *out) ARK_MUST_CHECK;

#endif
