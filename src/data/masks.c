/* The list of a segmentation dataset. */
#include "data/masks.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "data/strset.h"
#include "io/csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 64, NAME_BYTES = 256 };

/* Columns of the open list; -1 where it has none. */
typedef struct columns {
    size_t image, mask[MAX_CLASSES];
    long patient, split;
} columns;

/* pattern with "{class}" replaced. */
static ark_status column_name(const char *pattern, const char *cls, char out[NAME_BYTES]) {
    const char *at = strstr(pattern, "{class}");
    int head = at ? (int)(at - pattern) : (int)strlen(pattern);
    int n = snprintf(out, NAME_BYTES, "%.*s%s%s", head, pattern, at ? cls : "", at ? at + 7 : "");
    return n >= 0 && n < NAME_BYTES ? ARK_OK : ARK_ERR(ARK_EINVAL, "class %s: column name too long", cls);
}

static ark_status find_columns(const ark_mask_spec *spec, const ark_csv *t, columns *c) {
    ARK_TRY(ark_csv_need(t, spec->image, &c->image));
    for (int k = 0; k < spec->n_classes; k++) {
        char name[NAME_BYTES];
        ARK_TRY(column_name(spec->column, spec->classes[k], name));
        ARK_TRY(ark_csv_need(t, name, &c->mask[k]));
    }
    c->patient = ark_csv_find(t, spec->patient);
    c->split = ark_csv_find(t, spec->split);
    return ARK_OK;
}

static ark_status parse_split(const ark_csv *t, size_t row, const columns *c, ark_split only, uint8_t *out) {
    static const struct {
        const char *word;
        ark_split split;
    } words[] = {{"train", ARK_TRAIN}, {"val", ARK_VAL}, {"valid", ARK_VAL}, {"validate", ARK_VAL},
        {"validation", ARK_VAL}, {"test", ARK_TEST}};
    if (c->split < 0) {
        *out = (uint8_t)only;
        return ARK_OK;
    }
    const char *text = ark_csv_get(t, row, (size_t)c->split);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!strcmp(text, words[i].word)) {
            *out = (uint8_t)words[i].split;
            return ARK_OK;
        }
    }
    return ARK_ERR(ARK_EFORMAT, "%s:%zu: column '%s': '%s' is not train, val or test", ark_csv_path(t),
        ark_csv_line(t, row), ark_csv_name(t, (size_t)c->split), text);
}

static ark_status join(const char *dir, const char *file, char **out) {
    *out = file[0] == '/' ? ark_strdup(file) : ark_path_join(dir, file);
    return *out ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for image paths");
}

static ark_status read_row(const ark_mask_spec *spec, const ark_csv *t, const columns *c, const char *dir,
    size_t row, ark__strset *patients, ark_mask_set *s) {
    int annotated = 0;
    const char *image = ark_csv_get(t, row, c->image);
    if (!image[0]) {
        return ARK_ERR(ARK_EFORMAT, "%s:%zu: no image name", ark_csv_path(t), ark_csv_line(t, row));
    }
    ARK_TRY(join(dir, image, &s->images[row]));
    for (int k = 0; k < spec->n_classes; k++) {
        const char *mask = ark_csv_get(t, row, c->mask[k]);
        if (mask[0]) {
            ARK_TRY(join(dir, mask, &s->masks[row * (size_t)spec->n_classes + (size_t)k]));
            annotated++;
        }
    }
    if (!annotated) {
        return ARK_ERR(ARK_EFORMAT, "%s:%zu: no mask of any class", ark_csv_path(t), ark_csv_line(t, row));
    }
    ARK_TRY(parse_split(t, row, c, spec->only, &s->split[row]));
    const char *patient = c->patient < 0 ? "" : ark_csv_get(t, row, (size_t)c->patient);
    char own[32];
    if (!patient[0]) { /* unknown: a patient of its own */
        snprintf(own, sizeof own, "\001row %zu", row);
        patient = own;
    }
    return ark__strset_add(patients, patient, &s->patient[row]);
}

static ark_status list_splits(ark_mask_set *s) {
    for (int p = 0; p < ARK_SPLIT_COUNT; p++) {
        ARK_TRY(ARK_NEW(&s->rows[p], s->n, "rows of a split"));
        for (size_t i = 0; i < s->n; i++) {
            if (s->split[i] == p) {
                s->rows[p][s->rows_n[p]++] = (uint32_t)i;
            }
        }
    }
    return ARK_OK;
}

static ark_status read_table(const ark_mask_spec *spec, const ark_csv *t, const char *dir, ark_mask_set *s) {
    columns c;
    ark__strset patients = {0};
    size_t k = (size_t)spec->n_classes;
    ARK_TRY(find_columns(spec, t, &c));
    s->n = ark_csv_rows(t);
    s->n_classes = spec->n_classes;
    s->foreground = spec->foreground;
    s->ignore = spec->ignore;
    if (s->n == 0 || s->n > INT32_MAX) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu rows", spec->list, s->n);
    }
    ARK_TRY(ARK_NEW(&s->classes, k, "class names"));
    ARK_TRY(ARK_NEW(&s->images, s->n, "image paths"));
    ARK_TRY(ARK_NEW(&s->masks, s->n * k, "mask paths"));
    ARK_TRY(ARK_NEW(&s->patient, s->n, "patients"));
    ARK_TRY(ARK_NEW(&s->split, s->n, "splits"));
    for (size_t i = 0; i < k; i++) {
        s->classes[i] = ark_strdup(spec->classes[i]);
        if (!s->classes[i]) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for class names");
        }
    }
    ark_status st = ARK_OK;
    for (size_t i = 0; i < s->n && st == ARK_OK; i++) {
        st = read_row(spec, t, &c, dir, i, &patients, s);
    }
    s->patients = patients.n;
    ark__strset_free(&patients);
    return st ? st : list_splits(s);
}

ark_status ark_mask_set_read(const ark_mask_spec *spec, ark_mask_set *out) {
    ark_mask_set s = {0};
    ark_csv *t = NULL;
    if (spec->n_classes < 1 || spec->n_classes > MAX_CLASSES) {
        return ARK_ERR(ARK_EINVAL, "%d segmentation classes, expected 1 to %d", spec->n_classes, MAX_CLASSES);
    }
    ARK_TRY(ark_csv_read(spec->list, 0, &t));
    char *dir = spec->data_dir ? ark_strdup(spec->data_dir) : ark_path_dir(spec->list);
    ark_status st = dir ? read_table(spec, t, dir, &s) : ARK_ERR(ARK_ENOMEM, "out of memory for a path");
    ark_free(dir);
    ark_csv_free(t);
    if (st != ARK_OK) {
        ark_mask_set_free(&s);
        return st;
    }
    *out = s;
    return ARK_OK;
}

void ark_mask_set_free(ark_mask_set *s) {
    for (size_t i = 0; s->images && i < s->n; i++) {
        ark_free(s->images[i]);
    }
    for (size_t i = 0; s->masks && i < s->n * (size_t)s->n_classes; i++) {
        ark_free(s->masks[i]);
    }
    for (int k = 0; s->classes && k < s->n_classes; k++) {
        ark_free(s->classes[k]);
    }
    for (int p = 0; p < ARK_SPLIT_COUNT; p++) {
        ark_free(s->rows[p]);
    }
    ark_free(s->classes);
    ark_free(s->images);
    ark_free(s->masks);
    ark_free(s->patient);
    ark_free(s->split);
    *s = (ark_mask_set){0};
}

static int by_number(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

ark_status ark_mask_set_thin(ark_mask_set *s, double fraction, uint64_t seed) {
    if (!(fraction > 0 && fraction <= 1)) {
        return ARK_ERR(ARK_EINVAL, "share of the training images %g is outside (0,1]", fraction);
    }
    size_t n = s->rows_n[ARK_TRAIN];
    if (n > 1 && fraction < 1) {
        ark_rng r = ark_rng_at(seed, ARK_RNG_ORDER, UINT64_MAX, UINT32_MAX, 0);
        ark_rng_shuffle(&r, s->rows[ARK_TRAIN], (uint32_t)n);
        s->rows_n[ARK_TRAIN] = (size_t)ceil(fraction * (double)n - 1e-9);
        qsort(s->rows[ARK_TRAIN], s->rows_n[ARK_TRAIN], sizeof(uint32_t), by_number);
    }
    return ARK_OK;
}
