/* Lists under a preset. Bytes: preset; flags (1 a list with a header, 2 a labels_list follows, 4 several
 * readers decide by majority, 8 no lateral views, 16 patients held out); then the list, a form feed, the
 * labels_list. */
#include "base/alloc.h"
#include "base/err.h"
#include "data/dataset_priv.h"
#include "fuzz.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static ark_yaml *entry(uint8_t preset, uint8_t flags) {
    char text[512];
    const ark__preset *p = &ark__presets[preset % ark__preset_count];
    int n = snprintf(text, sizeof text, "s:\n  format: %s\n  train_list: /dev/null\n%s%s%s", p->name,
        flags & 4 ? "  votes: majority\n" : "", flags & 8 ? "  views: frontal\n" : "",
        flags & 16 ? "  hold_out: {val: 30, test: 30}\n" : "");
    ark_yaml *y;
    ARK_ASSERT(n > 0 && ark_yaml_parse(text, (size_t)n, "fuzz.yaml", &y) == ARK_OK);
    return y;
}

/* What every accepted list must satisfy. */
static void check(const ark_dataset *d, const ark__spec *s) {
    size_t rows = d->rows_n[0] + d->rows_n[1] + d->rows_n[2];
    ARK_ASSERT(rows == d->n);
    for (size_t i = 0; i < d->n; i++) {
        int ones = 0, missing = 0;
        for (int k = 0; k < d->n_classes; k++) {
            float v = d->labels[i * (size_t)d->n_classes + (size_t)k];
            ARK_ASSERT(isnan(v) || v == 0 || v == 1 || v == -1);
            ones += v == 1;
            missing += isnan(v) != 0;
        }
        ARK_ASSERT(d->task != ARK_MULTICLASS || ones == 1 || missing == d->n_classes);
        ARK_ASSERT(d->paths[i][0] && strlen(d->paths[i]) <= ARK__MAX_PATH);
        ARK_ASSERT(d->patient[i] < d->n);
        ARK_ASSERT(s->views & ark__view_bit(d->view[i]));
    }
}

static ark_status read_list(ark__rows *r, char *text, size_t n, bool header) {
    ARK_TRY(ark__rows_begin(r));
    ark_csv *t = NULL;
    ark__columns c;
    ark_status st;
    if (header) {
        ARK_TRY(ark_csv_parse(text, n, "fuzz.csv", 0, true, &t));
        st = ark__csv_rows(r, t, ARK_TRAIN);
    } else {
        st = ark__columns_find(r, NULL, ARK_TRAIN, &c);
        if (st == ARK_OK) {
            st = ark__list_rows(r, &c, "fuzz.txt", text, n, ARK_TRAIN);
        }
        ark__columns_free(&c);
    }
    ark_csv_free(t);
    return st == ARK_OK ? ark__rows_finish(r) : st;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    if (n < 2) {
        return 0;
    }
    char *text = ark_strndup((const char *)bytes + 2, n - 2);
    ARK_ASSERT(text);
    size_t len = n - 2;
    char *more = bytes[1] & 2 ? memchr(text, '\f', len) : NULL;
    ark_yaml *y = entry(bytes[0], bytes[1]);
    ark__spec spec;
    ARK_ASSERT(ark__spec_read(y, "s", y->root->items[0], &spec) == ARK_OK);
    ark_dataset d = {.name = "s", .task = spec.task, .n_classes = (int)spec.classes.n};
    d.classes = (char **)spec.classes.items;
    ark__rows rows = {.spec = &spec, .d = &d};
    if (more) {
        *more = '\0';
        if (ark_csv_parse(more + 1, len - (size_t)(more + 1 - text), "fuzz-labels.csv", 0, true,
                &rows.labels_table) != ARK_OK) {
            rows.labels_table = NULL;
        }
        len = (size_t)(more - text);
    }
    if (read_list(&rows, text, len, bytes[1] & 1) == ARK_OK) {
        check(&d, &spec);
    }
    ark__rows_free(&rows);
    d.name = NULL;
    d.classes = NULL;
    ark__dataset_clear(&d);
    ark__spec_free(&spec);
    ark_yaml_free(y);
    ark_free(text);
    return 0;
}
