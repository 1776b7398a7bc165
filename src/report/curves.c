#include "report/curves.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SERIES = 32, LOG_LIMIT = 1 << 28 };

typedef struct line {
    char name[128], dataset[96];
    double *x, *y;
    size_t n, cap;
} line;

typedef struct lines {
    line items[MAX_SERIES];
    size_t n;
    char datasets[MAX_SERIES][96]; /* in order of appearance in the log, whatever the event: their colours */
    size_t n_datasets;
} lines;

static size_t dataset_number(const lines *l, const char *dataset) {
    size_t i = 0;
    while (i < l->n_datasets && strcmp(l->datasets[i], dataset) != 0) {
        i++;
    }
    return i;
}

static void note_dataset(lines *l, const char *dataset) {
    if (l->n_datasets < MAX_SERIES && dataset_number(l, dataset) == l->n_datasets) {
        size_t len = strnlen(dataset, sizeof l->datasets[0] - 1);
        memcpy(l->datasets[l->n_datasets++], dataset, len); /* the rest is zero */
    }
}

/* The line of a dataset and model, new when it is the first point; NULL when there are too many. */
static line *find(lines *l, const char *dataset, const char *model) {
    char name[128];
    snprintf(name, sizeof name, "%.90s%s%.30s", dataset, model ? ", " : "", model ? model : "");
    for (size_t i = 0; i < l->n; i++) {
        if (!strcmp(l->items[i].name, name)) {
            return &l->items[i];
        }
    }
    if (l->n == MAX_SERIES) {
        return NULL;
    }
    line *k = &l->items[l->n++];
    snprintf(k->name, sizeof k->name, "%s", name);
    snprintf(k->dataset, sizeof k->dataset, "%.90s", dataset);
    return k;
}

static ark_status push(line *k, double x, double y) {
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 32;
        double *xs = ark_realloc(k->x, cap * sizeof *xs);
        k->x = xs ? xs : k->x;
        double *ys = xs ? ark_realloc(k->y, cap * sizeof *ys) : NULL;
        if (!ys) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for training curves");
        }
        k->y = ys;
        k->cap = cap;
    }
    k->x[k->n] = x;
    k->y[k->n++] = y;
    return ARK_OK;
}

static ark_status add_event(lines *l, const json_t *o, const char *event, const char *field) {
    const char *kind = json_string_value(json_object_get(o, "event"));
    const char *dataset = json_string_value(json_object_get(o, "dataset"));
    const json_t *epoch = json_object_get(o, "epoch"), *value = json_object_get(o, field);
    if (dataset) {
        note_dataset(l, dataset);
    }
    if (!kind || strcmp(kind, event) || !dataset || !json_is_integer(epoch) || !json_is_number(value)) {
        return ARK_OK;
    }
    line *k = find(l, dataset, json_string_value(json_object_get(o, "model")));
    return k ? push(k, (double)json_integer_value(epoch), json_number_value(value)) : ARK_OK;
}

static ark_status read_lines(const char *path, const char *event, const char *field, lines *l) {
    char *text;
    size_t len;
    ARK_TRY(ark_file_read(path, LOG_LIMIT, &text, &len));
    ark_status st = ARK_OK;
    size_t number = 1;
    for (char *s = text; st == ARK_OK && *s; number++) {
        size_t n = strcspn(s, "\n");
        json_t *o = json_loadb(s, n, 0, NULL);
        st = o ? add_event(l, o, event, field)
               : ARK_ERR(ARK_EFORMAT, "%s:%zu: not a JSON object", path, number);
        json_decref(o);
        s += n + (s[n] == '\n');
    }
    ark_free(text);
    return st;
}

ark_status ark_run_curves(
    const char *run_dir, const char *event, const char *field, const ark_axes *axes, ark_svg *out) {
    lines *l;
    ark_series series[MAX_SERIES];
    ARK_TRY(ARK_NEW(&l, 1, "training curves"));
    char *path = ark_path_join(run_dir, "metrics.jsonl");
    ark_status st = path ? read_lines(path, event, field, l) : ARK_ERR(ARK_ENOMEM, "out of memory");
    for (size_t i = 0; i < l->n; i++) {
        const line *k = &l->items[i];
        series[i] = (ark_series){.name = k->name,
            .x = k->x,
            .y = k->y,
            .n = k->n,
            .color = (int)(dataset_number(l, k->dataset) % 7) + 1,
            .dashed = strstr(k->name, ", student") != NULL};
    }
    if (st == ARK_OK && l->n == 0) {
        st = ARK_ERR(ARK_EFORMAT, "%s: no '%s' event with field '%s'", path, event, field);
    }
    if (st == ARK_OK) {
        st = ark_svg_lines(axes, series, l->n, out);
    }
    for (size_t i = 0; i < l->n; i++) {
        ark_free(l->items[i].x);
        ark_free(l->items[i].y);
    }
    ark_free(l);
    ark_free(path);
    return st;
}
