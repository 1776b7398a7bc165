/* A self-contained HTML report: text, tables, plots and images in one file that loads nothing.
 *
 * Every text is escaped; there is no way to pass markup through. Plots are inlined as SVG, images as base64.
 * Readable on a phone, in dark mode and on paper. The first failure sticks: adding functions return
 * nothing, and ark_html_write reports it. */
#ifndef ARK_REPORT_HTML_H
#define ARK_REPORT_HTML_H

#include "ark/status.h"
#include "report/svg.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ark_html ark_html;

/** subtitle: NULL = none. Freed by ark_html_free. */
ark_status ark_html_new(const char *title, const char *subtitle, ark_html **out) ARK_MUST_CHECK;
void ark_html_free(ark_html *h);

/** Start a section; its title also appears in the list at the top. */
void ark_html_section(ark_html *h, const char *title);
/** A paragraph, printf-like. */
void ark_html_para(ark_html *h, const char *fmt, ...) ARK_PRINTF(2, 3);
/** A paragraph set apart: something the reader must not miss. */
void ark_html_note(ark_html *h, const char *fmt, ...) ARK_PRINTF(2, 3);
/** Preformatted text, e.g. the command that made the report. */
void ark_html_code(ark_html *h, const char *text);

/* One of a row of key numbers: "Mean AUROC", "0.871", "0.852 to 0.889". */
typedef struct ark_html_fact {
    const char *label, *value;
    const char *detail; /* NULL = none */
} ark_html_fact;
void ark_html_facts(ark_html *h, const ark_html_fact *facts, size_t n);

typedef struct ark_html_table {
    const char *caption;      /* NULL = none */
    const char *const *head;  /* [cols] */
    const char *const *cells; /* (rows,cols); NULL = empty */
    size_t rows, cols;
    size_t text_cols;   /* leading columns aligned left; the others are numbers, aligned right */
    const bool *strong; /* (rows,cols) cells in bold, e.g. the best of a column; NULL = none */
} ark_html_table;
void ark_html_table_add(ark_html *h, const ark_html_table *t);

/* A plot and what is to be seen in it. */
typedef struct ark_html_plot {
    const ark_svg *svg;
    const char *caption; /* NULL = none */
} ark_html_plot;
/** Plots side by side where the page is wide enough. One that was not drawn is replaced by the reason. */
void ark_html_plots(ark_html *h, const ark_html_plot *plots, size_t n);

typedef struct ark_html_image {
    const char *path;           /* PNG or JPEG file, read now; or NULL: */
    const unsigned char *bytes; /* an encoded PNG or JPEG in memory */
    size_t len;
    const char *caption; /* NULL = none; also what a screen reader says */
} ark_html_image;
/** A gallery of images of at most 16 MiB each; PNGs under 256 pixels are shown without smoothing. An
 *  unreadable or unknown file is a failure. */
void ark_html_images(ark_html *h, const ark_html_image *images, size_t n);

/** Write the page atomically. h stays valid and may be added to.
 *  @return ARK_OK | the first failure of any call before | ARK_EIO */
ark_status ark_html_write(ark_html *h, const char *path) ARK_MUST_CHECK;

#endif
