/* arkfm data check --html: the check as one page. */
#include "app/cli/data_check.h"

#include "app/cli/cli.h"
#include "base/alloc.h"
#include "base/err.h"
#include "report/html.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_ROWS = 500 };

/* Cells of a table, all owned. */
typedef struct grid {
    char **text;
    size_t rows, cols, used;
    bool no_memory;
} grid;

static ark_status grid_new(grid *g, size_t rows, size_t cols) {
    *g = (grid){.rows = rows, .cols = cols};
    return ARK_NEW(&g->text, rows * cols, "a table");
}

static void put(grid *g, const char *fmt, ...) ARK_PRINTF(2, 3);

static void put(grid *g, const char *fmt, ...) {
    char cell[4400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cell, sizeof cell, fmt, ap);
    va_end(ap);
    g->text[g->used] = ark_strdup(cell);
    g->no_memory = g->no_memory || !g->text[g->used];
    g->used++;
}

/* Add the table (if it has rows) and free the grid. */
static ark_status grid_add(
    ark_html *h, grid *g, const char *caption, const char *const *head, size_t text_cols) {
    ark_status st = g->no_memory ? ARK_ERR(ARK_ENOMEM, "out of memory for a table") : ARK_OK;
    if (st == ARK_OK && g->used) {
        ark_html_table t = {.caption = caption,
            .head = head,
            .cells = (const char *const *)g->text,
            .rows = g->used / g->cols,
            .cols = g->cols,
            .text_cols = text_cols};
        ark_html_table_add(h, &t);
    }
    for (size_t i = 0; i < g->used; i++) {
        ark_free(g->text[i]);
    }
    ark_free(g->text);
    return st;
}

static void add_facts(ark_html *h, const cli_check *a, const ark_check *c) {
    char images[32], leaks[32], twice[32], bad[32], time[64];
    snprintf(images, sizeof images, "%zu", c->n);
    snprintf(leaks, sizeof leaks, "%zu", c->leaks);
    snprintf(twice, sizeof twice, "%zu", c->n_groups);
    snprintf(bad, sizeof bad, "%zu", c->n_bad);
    snprintf(time, sizeof time, "in %.1f s", a->seconds);
    const ark_html_fact facts[] = {
        {"Images", images, time},
        {"Leaked images of val and test", leaks,
            c->leaks ? "another split knows the picture or the patient" : "none"},
        {"Pictures that occur more than once", twice, NULL},
        {"Unreadable files", bad, NULL},
    };
    ark_html_facts(h, facts, CLI_COUNT(facts));
    for (size_t i = 0; i < c->n_sets; i++) {
        if (c->sets[i].error) {
            ark_html_note(h, "%s was not read: %s", c->sets[i].name, c->sets[i].error);
        }
    }
    if (!a->opts.images) {
        ark_html_note(h, "No image was opened: only equal paths were looked for.");
    }
    if (!c->complete) {
        ark_html_note(h, "More than %d similar pairs: not all were looked at.", ARK_CHECK_MAX_PAIRS);
    }
}

static ark_status add_splits(ark_html *h, const ark_check *c) {
    static const char *const head[] = {
        "dataset", "split", "images", "patients", "patients shared with train", "with val"};
    grid g;
    ark_html_section(h, "Splits");
    ARK_TRY(grid_new(&g, 3 * c->n_sets, CLI_COUNT(head)));
    for (size_t i = 0; i < c->n_sets; i++) {
        const ark_check_set *s = &c->sets[i];
        for (int k = 0; s->data && k < ARK_SPLIT_COUNT; k++) {
            put(&g, "%s", s->name);
            put(&g, "%s", ark_split_name((ark_split)k));
            put(&g, "%zu", s->data->rows_n[k]);
            put(&g, "%zu", s->patients[k]);
            put(&g, "%zu", k == ARK_TRAIN ? 0 : s->shared[k == ARK_VAL ? ARK_TRAIN_VAL : ARK_TRAIN_TEST]);
            put(&g, "%zu", k == ARK_TEST ? s->shared[ARK_VAL_TEST] : 0);
        }
    }
    return grid_add(h, &g, "An image without a known patient counts as a patient of its own.", head, 2);
}

static ark_status add_classes(ark_html *h, const ark_check_set *s) {
    static const char *const head[] = {"class", "split", "positive", "negative", "uncertain", "missing"};
    char caption[512];
    grid g;
    ARK_TRY(grid_new(&g, 3 * (size_t)s->data->n_classes, CLI_COUNT(head)));
    for (int k = 0; k < s->data->n_classes; k++) {
        for (int split = 0; split < ARK_SPLIT_COUNT; split++) {
            const ark_check_labels *l = &s->labels[split][k];
            if (s->data->rows_n[split]) {
                put(&g, "%s", s->data->classes[k]);
                put(&g, "%s", ark_split_name((ark_split)split));
                put(&g, "%zu", l->positive);
                put(&g, "%zu", l->negative);
                put(&g, "%zu", l->uncertain);
                put(&g, "%zu", l->missing);
            }
        }
    }
    snprintf(caption, sizeof caption,
        "%.200s, %s. Left out of its lists: %zu excluded, %zu without labels, %zu of "
        "other views. Pictures with contradicting labels: %zu.",
        s->name, ark_task_name(s->data->task), s->data->n_excluded, s->data->n_unlabelled,
        s->data->n_other_views, s->conflicts);
    return grid_add(h, &g, caption, head, 2);
}

static ark_status add_overlaps(ark_html *h, const ark_check *c) {
    static const char *const head[] = {"images of", "split", "are also in", "split", "leak", "images"};
    size_t width = 3 * c->n_sets, rows = 0;
    grid g;
    for (size_t i = 0; i < width * width; i++) {
        rows += c->overlap[i] > 0;
    }
    ark_html_section(h, "Overlaps");
    if (!rows) {
        ark_html_para(h, "No picture occurs twice.");
        return ARK_OK;
    }
    ARK_TRY(grid_new(&g, rows, CLI_COUNT(head)));
    for (size_t i = 0; i < width * width; i++) {
        size_t a = i / width, b = i % width;
        if (c->overlap[i]) {
            put(&g, "%s", c->sets[b / 3].name);
            put(&g, "%s", ark_split_name((ark_split)(b % 3)));
            put(&g, "%s", c->sets[a / 3].name);
            put(&g, "%s", ark_split_name((ark_split)(a % 3)));
            put(&g, "%s", ark_check_leaks(a, b) ? "LEAK" : "");
            put(&g, "%zu", c->overlap[i]);
        }
    }
    return grid_add(h, &g,
        "Leak: training images that a val or test split holds too, in any dataset; and val images in the "
        "test "
        "split of one dataset.",
        head, 5);
}

/* Leaking groups first, up to MAX_ROWS images. */
static ark_status add_groups(ark_html *h, const ark_check *c) {
    static const char *const head[] = {"picture", "dataset", "split", "image", "same", "leaked", "bits"};
    grid g;
    if (c->n_groups == 0) {
        return ARK_OK;
    }
    ark_html_section(h, "Pictures that occur more than once");
    ARK_TRY(grid_new(&g, MAX_ROWS, CLI_COUNT(head)));
    for (int want = 1; want >= 0; want--) {
        for (size_t k = 0; k < c->n_groups; k++) {
            bool leak = false;
            for (size_t i = c->start[k]; i < c->start[k + 1]; i++) {
                leak = leak || c->leaked[c->members[i]];
            }
            for (size_t i = c->start[k]; leak == want && i < c->start[k + 1]; i++) {
                uint32_t m = c->members[i];
                size_t sample;
                const ark_check_set *s = ark_check_locate(c, m, &sample);
                if (g.used == g.rows * g.cols) {
                    break;
                }
                put(&g, "%zu", k + 1);
                put(&g, "%s", s->name);
                put(&g, "%s", ark_split_name((ark_split)s->data->split[sample]));
                put(&g, "%s", ark_dataset_image_name(s->data, sample));
                put(&g, "%s", cli_match_name((ark_match)c->match[m]));
                put(&g, "%s", c->leaked[m] ? "yes" : "");
                put(&g, "%d", c->distance[m]);
            }
        }
    }
    return grid_add(h, &g,
        "Same file, same pixels, or near: the picture hash differs in so many of 255 bits and the details "
        "agree. At most 500 images are listed, leaks first; --json lists all.",
        head, 6);
}

static ark_status add_bad(ark_html *h, const ark_check *c) {
    static const char *const head[] = {"reason"};
    grid g;
    if (c->n_bad == 0) {
        return ARK_OK;
    }
    ark_html_section(h, "Unreadable files");
    ARK_TRY(grid_new(&g, c->bad_listed, 1));
    for (size_t i = 0; i < c->bad_listed; i++) {
        put(&g, "%s", c->bad[i].reason);
    }
    return grid_add(h, &g, NULL, head, 1);
}

static ark_status build(ark_html *h, const cli_check *a, const ark_check *c) {
    add_facts(h, a, c);
    ARK_TRY(add_overlaps(h, c));
    ARK_TRY(add_splits(h, c));
    ARK_TRY(add_bad(h, c));
    ark_html_section(h, "Classes");
    for (size_t i = 0; i < c->n_sets; i++) {
        if (c->sets[i].data) {
            ARK_TRY(add_classes(h, &c->sets[i]));
        }
    }
    return add_groups(h, c);
}

ark_status cli_check_html(const cli_check *a, const ark_check *c, const char *path) {
    ark_html *h;
    ARK_TRY(ark_html_new("Data check", a->config, &h));
    ark_status st = build(h, a, c);
    st = st == ARK_OK ? ark_html_write(h, path) : st;
    ark_html_free(h);
    return st;
}
