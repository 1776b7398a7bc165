#include "report/grid.h"

#include "base/alloc.h"
#include "base/err.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

ark_status ark_grid_new(ark_grid *g, size_t rows, size_t cols) {
    *g = (ark_grid){.rows = rows, .cols = cols};
    g->text = ark_calloc(rows * cols, sizeof *g->text);
    g->cells = ark_calloc(rows * cols, sizeof *g->cells);
    g->strong = ark_calloc(rows * cols, sizeof *g->strong);
    return g->text && g->cells && g->strong ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for a table");
}

void ark_grid_free(ark_grid *g) {
    ark_free(g->text);
    ark_free(g->cells);
    ark_free(g->strong);
    *g = (ark_grid){0};
}

void ark_grid_put(ark_grid *g, bool strong, const char *fmt, ...) {
    if (g->used >= g->rows * g->cols) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->text[g->used], ARK_GRID_CELL, fmt, ap);
    va_end(ap);
    g->cells[g->used] = g->text[g->used];
    g->strong[g->used++] = strong;
}

void ark_grid_stat(ark_grid *g, bool strong, double value, const ark_interval *ci) {
    if (!isfinite(value)) {
        ark_grid_put(g, false, "undefined");
    } else if (!ci || ci->why) {
        ark_grid_put(g, strong, "%.3f", value);
    } else {
        ark_grid_put(g, strong, "%.3f [%.3f, %.3f]", value, ci->low, ci->high);
    }
}

void ark_grid_add(
    ark_html *h, const ark_grid *g, const char *const *head, size_t text_cols, const char *caption) {
    ark_html_table t = {.caption = caption,
        .head = head,
        .cells = g->cells,
        .rows = g->used / g->cols,
        .cols = g->cols,
        .text_cols = text_cols,
        .strong = g->strong};
    ark_html_table_add(h, &t);
}
