/* Plots as SVG, drawn by gnuplot: lines, ROC curves, bars with intervals.
 *
 * A plot that cannot be drawn - gnuplot is missing, there is no point - is no error: it carries the reason,
 * and a report shows that in its place. The background is transparent; dark lines expect a light card. */
#ifndef ARK_REPORT_SVG_H
#define ARK_REPORT_SVG_H

#include "ark/status.h"
#include "eval/roc_band.h"

#include <stdbool.h>
#include <stddef.h>

/* Freed by ark_svg_free. */
typedef struct ark_svg {
    char *title;
    char *text; /* one <svg> element, NUL-terminated; NULL when not drawn */
    size_t len;
    char *why; /* why not; NULL when drawn */
} ark_svg;

void ark_svg_free(ark_svg *svg);

/* Axes and frame. Zeroed = automatic. */
typedef struct ark_axes {
    const char *title; /* not drawn into the plot: what the report prints above it; NULL = none */
    const char *x_label, *y_label;
    bool log_x;              /* every x must be > 0 */
    double y_min, y_max;     /* both 0 = automatic */
    int width_px, height_px; /* 0 = 520 x 340 */
} ark_axes;

typedef struct ark_series {
    const char *name;
    const double *x, *y;      /* [n]; a NaN y interrupts the line */
    const double *low, *high; /* [n] shaded band around the line, or NULL */
    size_t n;
    bool dashed;
    int color; /* 0 = by position; 1..7 picks one, so that pairs (solid, dashed) can share it */
} ark_series;

/** Lines over common axes, the legend above. 1..32 series. */
ark_status ark_svg_lines(
    const ark_axes *axes, const ark_series *series, size_t n, ark_svg *out) ARK_MUST_CHECK;

typedef struct ark_roc_series {
    const char *name;
    ark_curve curve;
    ark_metric auroc;         /* shown in the legend with ci */
    ark_interval ci;          /* .why set = not shown */
    const ark_roc_band *band; /* shaded; NULL, or .why set = none */
} ark_roc_series;

/** ROC curves in a square with the diagonal of chance, names and areas below. Of axes
 * only title and size are used. */
ark_status ark_svg_roc(
    const ark_axes *axes, const ark_roc_series *series, size_t n, ark_svg *out) ARK_MUST_CHECK;

typedef struct ark_bar_series {
    const char *name;
    const double *value;      /* [categories]; NaN = nothing there */
    const double *low, *high; /* [categories] ends of the error bars, or NULL */
} ark_bar_series;

/** Groups of bars, one group per category, a bar per series. Bars start at 0: with another y_min points are
 *  drawn instead, because the length of a cut bar means nothing. 1..64 categories, 1..16 series. */
ark_status ark_svg_bars(const ark_axes *axes, const char *const *category, size_t categories,
    const ark_bar_series *series, size_t n, ark_svg *out) ARK_MUST_CHECK;

/* The values of one box of a box plot. */
typedef struct ark_box {
    const double *value; /* [n] finite */
    size_t n;            /* 0 = nothing there */
} ark_box;

typedef struct ark_box_series {
    const char *name;
    const ark_box *box; /* [categories] */
} ark_box_series;

/** Box plots, one group per category, a box per series: the box from the first to the third quartile with the
 *  median in it, whiskers to the last values within 1.5 box lengths, the values beyond as points (Tukey).
 *  1..64 categories, 1..16 series. */
ark_status ark_svg_boxes(const ark_axes *axes, const char *const *category, size_t categories,
    const ark_box_series *series, size_t n, ark_svg *out) ARK_MUST_CHECK;

#endif
