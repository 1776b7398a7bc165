/* Text cells of a report's table, filled row by row. */
#ifndef ARK_REPORT_GRID_H
#define ARK_REPORT_GRID_H

#include "report/html.h"

enum { ARK_GRID_CELL = 64 };

typedef struct ark_grid {
    char (*text)[ARK_GRID_CELL]; /* longer text is cut */
    const char **cells;
    bool *strong;
    size_t rows, cols, used;
} ark_grid;

/** rows, cols > 0. Free also after failure. */
ark_status ark_grid_new(ark_grid *g, size_t rows, size_t cols) ARK_MUST_CHECK;
void ark_grid_free(ark_grid *g);
/** The next cell; past the last one: nothing. */
void ark_grid_put(ark_grid *g, bool strong, const char *fmt, ...) ARK_PRINTF(3, 4);
/** "0.871 [0.852, 0.889]", "0.871", or "undefined". */
void ark_grid_stat(ark_grid *g, bool strong, double value, const ark_interval *ci);
/** Add the rows that are filled to a report. head [cols]; text_cols as in ark_html_table. */
void ark_grid_add(
    ark_html *h, const ark_grid *g, const char *const *head, size_t text_cols, const char *caption);

#endif
