/* CSV lists with a header. */
#include "data/dataset_priv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Usual names of a column, best first, for when the YAML entry names none. */
static const char *const image_names[] = {"path", "Path", "image_path", "image", "Image", "image_id",
    "Image Index", "filename", "file", "dicom_id", NULL};
static const char *const patient_names[] = {
    "patient_id", "patient", "PatientID", "Patient ID", "patientId", "subject_id", NULL};
static const char *const split_names[] = {"split", "Split", NULL};
static const char *const sex_names[] = {"sex", "Sex", "Patient Sex", "Patient Gender", "gender", NULL};
static const char *const age_names[] = {"age", "Age", "Patient Age", NULL};
static const char *const view_names[] = {"view", "View", "View Position", "ViewPosition", "AP/PA", NULL};

/* Columns of one table; -1 = not there. */
typedef struct columns {
    long image, patient, split, sex, age, view, label;
    size_t *classes;  /* K, without a label column */
    size_t *excludes; /* one per key of spec->exclude */
} columns;

static long usual(const ark_csv *t, const char *const *names) {
    for (; *names; names++) {
        long c = ark_csv_find(t, *names);
        if (c >= 0) {
            return c;
        }
    }
    return -1;
}

/* The named column, which must exist, or one of the usual names, which need not. */
static ark_status pick(const ark_csv *t, const char *name, const char *const *names, long *out) {
    if (!name) {
        *out = usual(t, names);
        return ARK_OK;
    }
    size_t c;
    ARK_TRY(ark_csv_need(t, name, &c));
    *out = (long)c;
    return ARK_OK;
}

long ark__csv_image_column(const ark__spec *s, const ark_csv *t) {
    return s->image ? ark_csv_find(t, s->image) : usual(t, image_names);
}

ark_status ark__is_csv(const ark__spec *s, const char *path, bool *out) {
    char line[65536];
    FILE *f = fopen(path, "rb");
    if (!f) {
        return ARK_ERR(ARK_EIO, "%s: cannot open", path);
    }
    char *got = fgets(line, sizeof line, f);
    fclose(f);
    *out = false;
    const char *p = got ? line : "";
    if (!strncmp(p, "\xEF\xBB\xBF", 3)) {
        p += 3;
    }
    while (*p && !*out) { /* a field that is the name of an image column */
        size_t n = strcspn(p, ",\r\n");
        bool quoted = n >= 2 && p[0] == '"' && p[n - 1] == '"';
        const char *field = p + quoted;
        size_t len = n - 2 * (size_t)quoted;
        if (s->image) {
            *out = strlen(s->image) == len && !strncmp(s->image, field, len);
        }
        for (size_t i = 0; !s->image && image_names[i] && !*out; i++) {
            *out = strlen(image_names[i]) == len && !strncmp(image_names[i], field, len);
        }
        p += n + (p[n] == ',');
        if (*p == '\r' || *p == '\n') {
            break;
        }
    }
    return ARK_OK;
}

static ark_status find_columns(const ark__rows *r, const ark_csv *t, int split, columns *c) {
    const ark__spec *s = r->spec;
    c->label = -1;
    ARK_TRY(pick(t, s->image, image_names, &c->image));
    if (c->image < 0) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: no column of image paths (path, Path, image, image_id, ...): name it with `image:`",
            ark_csv_path(t));
    }
    ARK_TRY(pick(t, s->patient, patient_names, &c->patient));
    ARK_TRY(pick(t, s->sex, sex_names, &c->sex));
    ARK_TRY(pick(t, s->age, age_names, &c->age));
    ARK_TRY(pick(t, s->view, view_names, &c->view));
    if (split < 0) {
        ARK_TRY(pick(t, s->split, split_names, &c->split));
        if (c->split < 0) {
            return ARK_ERR(ARK_EFORMAT,
                "%s: no column 'split': name it with `split:`, or give train_list, val_list and test_list",
                ark_csv_path(t));
        }
    }
    if (s->label) {
        ARK_TRY(pick(t, s->label, NULL, &c->label));
    } else {
        ARK_TRY(ARK_NEW(&c->classes, (size_t)r->d->n_classes, "class columns"));
        for (int k = 0; k < r->d->n_classes; k++) {
            ARK_TRY(ark_csv_need(t, r->d->classes[k], &c->classes[k]));
        }
    }
    if (s->exclude) {
        ARK_TRY(ARK_NEW(&c->excludes, s->exclude->count, "exclude columns"));
        for (size_t i = 0; i < s->exclude->count; i++) {
            ARK_TRY(ark_csv_need(t, s->exclude->keys[i], &c->excludes[i]));
        }
    }
    return ARK_OK;
}

static ark_status bad_field(const ark_csv *t, size_t row, size_t col, const char *expected) {
    return ARK_ERR(ARK_EFORMAT, "%s:%zu: column '%s': '%s' is not %s", ark_csv_path(t), ark_csv_line(t, row),
        ark_csv_name(t, col), ark_csv_get(t, row, col), expected);
}

static const char *field_or_blank(const ark_csv *t, size_t row, long col) {
    return col < 0 ? "" : ark_csv_get(t, row, (size_t)col);
}

static bool split_parse(const char *text, ark_split *out) {
    static const struct {
        const char *text;
        ark_split split;
    } words[] = {{"train", ARK_TRAIN}, {"val", ARK_VAL}, {"validate", ARK_VAL}, {"valid", ARK_VAL},
        {"test", ARK_TEST}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!strcmp(text, words[i].text)) {
            *out = words[i].split;
            return true;
        }
    }
    return false;
}

static char sex_parse(const char *s) {
    if (!strcasecmp(s, "m") || !strcasecmp(s, "male")) {
        return 'M';
    }
    return !strcasecmp(s, "f") || !strcasecmp(s, "female") ? 'F' : 0;
}

static char view_parse(const char *s) {
    if (!strcmp(s, "PA") || !strcmp(s, "AP")) {
        return s[0];
    }
    return !strcmp(s, "L") || !strcmp(s, "LL") || !strcasecmp(s, "lateral") ? 'L' : 0;
}

/* Years: blank, 61, 61.5, or DICOM's 061Y. */
static bool age_parse(const char *s, float *out) {
    char digits[32];
    size_t n = strlen(s);
    double v = NAN;
    if (n >= sizeof digits) {
        return false;
    }
    memcpy(digits, s, n + 1);
    if (n > 1 && digits[n - 1] == 'Y') {
        digits[n - 1] = '\0';
    }
    if (n && (!ark_parse_f64(digits, &v) || v < 0 || v > 1000)) {
        return false;
    }
    *out = (float)v;
    return true;
}

/* Does a value under `exclude` drop this row? Every value that occurs is remembered. */
static bool is_excluded(const ark__rows *r, const ark_csv *t, size_t row, const columns *c) {
    const ark_yaml_node *map = r->spec->exclude;
    bool drop = false;
    size_t at = 0;
    for (size_t i = 0; map && i < map->count; i++) {
        const char *text = ark_csv_get(t, row, c->excludes[i]);
        for (size_t v = 0; v < ark__items(map->items[i]); v++, at++) {
            if (!strcmp(text, ark__item(map->items[i], v))) {
                r->exclude_used[at] = true;
                drop = true;
            }
        }
    }
    return drop;
}

static ark_status read_labels(ark__rows *r, const ark_csv *t, size_t row, const columns *c) {
    if (c->label < 0) {
        for (int k = 0; k < r->d->n_classes; k++) {
            if (!ark__label_parse(ark_csv_get(t, row, c->classes[k]), &r->labels[k])) {
                return bad_field(t, row, c->classes[k], "a label (1, 0, -1 or blank)");
            }
        }
        return ark__label_check(r, ark_csv_path(t), ark_csv_line(t, row));
    }
    const char *text = ark_csv_get(t, row, (size_t)c->label);
    int index = -1;
    if (text[0]) {
        bool binary = r->spec->task == ARK_BINARY;
        int k = binary ? 2 : r->d->n_classes;
        for (index = 0; index < k; index++) {
            if (!strcmp(text, binary ? ark__item(r->spec->classes, (size_t)index) : r->d->classes[index])) {
                break;
            }
        }
        if (index == k) {
            return bad_field(t, row, (size_t)c->label, "one of the classes");
        }
    }
    ark__label_class(r, index);
    return ARK_OK;
}

static ark_status read_row(ark__rows *r, const ark_csv *t, size_t i, int split, const columns *c) {
    if (is_excluded(r, t, i, c)) {
        return ARK_OK;
    }
    ark__row row = {
        .image = ark_csv_get(t, i, (size_t)c->image),
        .patient = field_or_blank(t, i, c->patient),
        .split = (ark_split)split,
        .sex = sex_parse(field_or_blank(t, i, c->sex)),
        .view = view_parse(field_or_blank(t, i, c->view)),
        .labels = r->labels,
    };
    if (split < 0 && !split_parse(ark_csv_get(t, i, (size_t)c->split), &row.split)) {
        return bad_field(t, i, (size_t)c->split, "a split (train, val or test)");
    }
    if (!age_parse(field_or_blank(t, i, c->age), &row.age)) {
        return bad_field(t, i, (size_t)c->age, "an age in years");
    }
    ARK_TRY(read_labels(r, t, i, c));
    return ark__rows_add(r, &row, ark_csv_path(t), ark_csv_line(t, i));
}

ark_status ark__csv_rows(ark__rows *r, const ark_csv *t, int split) {
    columns c = {0};
    ark_status st = find_columns(r, t, split, &c);
    if (st == ARK_OK) {
        st = ark__rows_reserve(r, ark_csv_rows(t));
    }
    for (size_t i = 0; st == ARK_OK && i < ark_csv_rows(t); i++) {
        st = read_row(r, t, i, split, &c);
    }
    ark_free(c.classes);
    ark_free(c.excludes);
    return st;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The set again, its strings in sorted order. */
static ark_status sort_set(ark__strset *set) {
    const char **names;
    ARK_TRY(ARK_NEW(&names, set->n, "class names"));
    ark__strset sorted = {0};
    for (uint32_t i = 0; i < set->n; i++) {
        names[i] = ark__strset_at(set, i);
    }
    qsort(names, set->n, sizeof *names, by_bytes);
    ark_status st = ARK_OK;
    for (uint32_t i = 0, id; st == ARK_OK && i < set->n; i++) {
        st = ark__strset_add(&sorted, names[i], &id);
    }
    ark_free(names);
    ark__strset_free(set);
    *set = sorted;
    return st;
}

ark_status ark__csv_classes(const ark__spec *s, ark_csv *const *lists, size_t n, ark__strset *out) {
    for (size_t l = 0; l < n; l++) {
        size_t col;
        if (!lists[l]) {
            return ARK_ERR(ARK_EINVAL, "%s:%d: %s: `label` needs CSV lists with a header", s->yaml->path,
                s->line, s->name);
        }
        ARK_TRY(ark_csv_need(lists[l], s->label, &col));
        for (size_t i = 0; i < ark_csv_rows(lists[l]); i++) {
            const char *text = ark_csv_get(lists[l], i, col);
            uint32_t id;
            if (text[0]) {
                ARK_TRY(ark__strset_add(out, text, &id));
            }
            if (out->n > ARK__MAX_CLASSES) {
                return ARK_ERR(ARK_EFORMAT, "%s: column '%s': more than %d different classes",
                    ark_csv_path(lists[l]), s->label, ARK__MAX_CLASSES);
            }
        }
    }
    if (out->n < 2) {
        return ARK_ERR(ARK_EFORMAT, "%s: column '%s': %u class names, a multi-class task needs at least two",
            ark_csv_path(lists[0]), s->label, out->n);
    }
    return sort_set(out);
}
