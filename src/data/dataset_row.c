/* One image of a list: its fields from the list and the joined tables, its labels, several rows as one. */
#include "data/dataset_priv.h"

#include "base/err.h"

#include <math.h>
#include <string.h>

/* A row of each table; there[t]: there is one. */
typedef struct at {
    size_t row[ARK__TABLES];
    bool there[ARK__TABLES];
} at;

static const char *field(const ark__columns *c, const at *a, ark__place p) {
    return p.col < 0 || !a->there[p.table] ? ""
                                           : ark_csv_get(c->tables[p.table], a->row[p.table], (size_t)p.col);
}

static ark_status bad_field(const ark_csv *t, size_t row, size_t col, const char *expected) {
    return ARK_ERR(ARK_EFORMAT, "%s:%zu: column '%s': '%s' is not %s", ark_csv_path(t), ark_csv_line(t, row),
        ark_csv_name(t, col), ark_csv_get(t, row, col), expected);
}

static ark_status bad_place(const ark__columns *c, const at *a, ark__place p, const char *expected) {
    return bad_field(c->tables[p.table], a->row[p.table], (size_t)p.col, expected);
}

/* Does a value under `exclude` drop this row? Every value that occurs is remembered. */
static bool is_excluded(const ark__rows *r, const ark__columns *c, const at *a) {
    const ark_yaml_node *map = r->spec->exclude;
    bool drop = false;
    size_t n = 0;
    for (size_t i = 0; map && i < map->count; i++) {
        const char *text = field(c, a, c->excludes[i]);
        for (size_t v = 0; v < ark__items(map->items[i]); v++, n++) {
            if (!strcmp(text, ark__item(map->items[i], v))) {
                r->exclude_used[n] = true;
                drop = true;
            }
        }
    }
    return drop;
}

/* Names joined by the separator: each sets its class, all others are 0; blank is missing. */
static ark_status read_findings(ark__rows *r, const ark_csv *t, size_t row, size_t col) {
    const ark__spec *s = r->spec;
    const char *text = ark_csv_get(t, row, col);
    size_t n_sep = strlen(s->separator);
    for (int k = 0; k < r->d->n_classes; k++) {
        r->labels[k] = *text ? 0 : NAN;
    }
    while (*text) {
        char name[256];
        const char *end = strstr(text, s->separator);
        size_t len = end ? (size_t)(end - text) : strlen(text);
        while (len && *text == ' ') {
            text++;
            len--;
        }
        size_t trimmed = len;
        while (trimmed && text[trimmed - 1] == ' ') {
            trimmed--;
        }
        if (trimmed >= sizeof name) {
            return bad_field(t, row, col, "a list of classes");
        }
        memcpy(name, text, trimmed);
        name[trimmed] = '\0';
        int k = ark__class_of(s, (const char *const *)r->d->classes, r->d->n_classes, name);
        if (k >= 0) {
            r->labels[k] = 1;
        } else if (!ark__is_no_finding(s, name)) {
            return ARK_ERR(ARK_EFORMAT,
                "%s:%zu: column '%s': '%s' is not a class (name it under no_finding if it is none)",
                ark_csv_path(t), ark_csv_line(t, row), ark_csv_name(t, col), name);
        }
        text += len + (end ? n_sep : 0);
    }
    return ARK_OK;
}

static ark_status read_class(ark__rows *r, const ark_csv *t, size_t row, size_t col) {
    const char *text = ark_csv_get(t, row, col);
    int index = -1;
    if (text[0]) {
        bool pair = r->spec->task == ARK_BINARY; /* negative, positive */
        index = pair ? ark__class_of(r->spec, r->spec->classes.items, 2, text)
                     : ark__class_of(r->spec, (const char *const *)r->d->classes, r->d->n_classes, text);
        if (index < 0) {
            return bad_field(t, row, col, "one of the classes");
        }
    }
    ark__label_class(r, index);
    return ARK_OK;
}

/* Labels of one row of the table of labels into r->labels. */
static ark_status read_labels(ark__rows *r, const ark__columns *c, size_t row) {
    const ark_csv *t = c->tables[c->labels_from];
    if (c->label >= 0) {
        return r->spec->task == ARK_MULTILABEL ? read_findings(r, t, row, (size_t)c->label)
                                               : read_class(r, t, row, (size_t)c->label);
    }
    for (int k = 0; k < r->d->n_classes; k++) {
        if (!ark__label_parse(ark_csv_get(t, row, (size_t)c->classes[k]), &r->labels[k])) {
            return bad_field(t, row, (size_t)c->classes[k], "a label (1, 0, -1 or blank)");
        }
    }
    return ark__label_check(r, ark_csv_path(t), ark_csv_line(t, row));
}

static bool same_label(float a, float b) {
    return a == b || (isnan(a) && isnan(b));
}

/* Class k out of `n` rows that said something, of which `yes`, `no` and `unsure`. */
static float verdict(ark_votes how, uint32_t yes, uint32_t no, uint32_t unsure) {
    uint32_t n = yes + no + unsure;
    if (n == 0) {
        return NAN;
    }
    if (how == ARK_VOTES_ANY) {
        return yes ? 1 : unsure ? -1 : 0;
    }
    return 2 * yes > n ? 1 : 2 * no > n ? 0 : -1;
}

/* A multi-class vote without a class that has more than half is missing, not half of each. */
static void count_votes(ark__rows *r) {
    int K = r->d->n_classes;
    bool won = r->spec->task != ARK_MULTICLASS;
    for (int k = 0; k < K; k++) {
        const uint32_t *v = r->votes + 3 * (size_t)k;
        r->labels[k] = verdict(r->spec->votes, v[0], v[1], v[2]);
        won = won || r->labels[k] == 1;
    }
    for (int k = 0; k < K && !won; k++) {
        r->labels[k] = NAN;
    }
}

/* Labels out of n rows of the table of labels. */
static ark_status read_votes(ark__rows *r, const ark__columns *c, const uint32_t *rows, size_t n) {
    size_t K = (size_t)r->d->n_classes;
    bool same = r->spec->votes == ARK_VOTES_NONE || r->spec->votes == ARK_VOTES_SAME;
    if (n == 1) {
        return read_labels(r, c, rows[0]);
    }
    memset(r->votes, 0, 3 * K * sizeof *r->votes);
    for (size_t i = 0; i < n; i++) {
        ARK_TRY(read_labels(r, c, rows[i]));
        for (size_t k = 0; k < K; k++) {
            float v = r->labels[k];
            if (i && same && !same_label(v, r->first[k])) {
                const ark_csv *t = c->tables[c->labels_from];
                return ARK_ERR(ARK_EFORMAT,
                    "%s:%zu: says of class '%s' another thing than line %zu of the same image; `votes: any` "
                    "or `majority` decides between rows",
                    ark_csv_path(t), ark_csv_line(t, rows[i]), r->d->classes[k], ark_csv_line(t, rows[0]));
            }
            r->first[k] = i ? r->first[k] : v;
            r->votes[3 * k + (v == 1 ? 0 : v == 0 ? 1 : 2)] += !isnan(v);
        }
    }
    if (!same) {
        count_votes(r);
    }
    return ARK_OK;
}

static ark_status label_from_path(ark__rows *r, const char *image, const char *file, size_t line) {
    const char *part = "";
    char text[64];
    size_t n = ark__pattern_find(r->spec->label_in_path, image, &part);
    bool ok = n > 0 && n < sizeof text;
    if (ok) {
        memcpy(text, part, n);
        text[n] = '\0';
        if (r->spec->task == ARK_MULTICLASS) {
            int k = ark__class_of(r->spec, (const char *const *)r->d->classes, r->d->n_classes, text);
            ark__label_class(r, k);
            ok = k >= 0;
        } else {
            ok = r->d->n_classes == 1 && ark__label_parse(text, &r->labels[0]);
        }
    }
    return ok ? ARK_OK
              : ARK_ERR(ARK_EFORMAT, "%s:%zu: '%.200s' has no label where label_in_path '%s' looks for it",
                    file, line, image, r->spec->label_in_path);
}

/* Patient, sex, age, view. */
static ark_status read_fields(const ark__columns *c, const at *a, ark__row *row) {
    const char *patient = field(c, a, c->patient);
    row->patient = patient[0] ? patient : row->patient;
    row->sex = ark__sex_parse(field(c, a, c->sex));
    for (int i = 0; i < c->n_views && !row->view; i++) {
        row->view = ark__view_parse(field(c, a, c->views[i]));
    }
    if (!ark__age_parse(field(c, a, c->age), &row->age)) {
        return bad_place(c, a, c->age, "an age in years");
    }
    return ARK_OK;
}

/* Rows of the joined tables. label_rows: those of labels_list, in file order. */
static void find_joined(const ark__columns *c, size_t i, const char *image, at *a,
    const uint32_t **label_rows, size_t *n_label_rows) {
    const ark_csv *list = c->tables[ARK__FROM_LIST];
    const uint32_t *found;
    a->row[ARK__FROM_LIST] = i;
    a->there[ARK__FROM_LIST] = list != NULL;
    *n_label_rows = 0;
    if (c->tables[ARK__FROM_LABELS]) {
        const char *key = c->labels_key < 0 ? image : ark_csv_get(list, i, (size_t)c->labels_key);
        *n_label_rows = ark__join_find(&c->by_labels, key, label_rows);
        a->there[ARK__FROM_LABELS] = *n_label_rows > 0;
        a->row[ARK__FROM_LABELS] = *n_label_rows ? (*label_rows)[0] : 0;
    }
    if (c->tables[ARK__FROM_METADATA]) {
        const char *key = c->metadata_key < 0 ? image : ark_csv_get(list, i, (size_t)c->metadata_key);
        a->there[ARK__FROM_METADATA] = ark__join_find(&c->by_metadata, key, &found) > 0;
        a->row[ARK__FROM_METADATA] = a->there[ARK__FROM_METADATA] ? found[0] : 0;
    }
}

/* Rows of the list about the image of row i that are not excluded, in c->kept. false: row i is not the first
 * of them, the image is done. */
static bool voters(ark__rows *r, const ark__columns *c, size_t i, at *a, size_t *kept) {
    const uint32_t *rows;
    size_t n = ark__join_find(&c->by_labels, ark_csv_get(c->tables[0], i, (size_t)c->image), &rows);
    if (rows[0] != i) {
        return false;
    }
    *kept = 0;
    for (size_t k = 0; k < n; k++) {
        a->row[0] = rows[k];
        c->kept[*kept] = rows[k];
        *kept += !is_excluded(r, c, a);
    }
    a->row[0] = *kept ? c->kept[0] : i;
    return true;
}

static ark_status read_split(const ark__columns *c, const at *a, size_t n, ark_split *out) {
    if (c->split.col < 0) { /* hold_out draws the others */
        *out = ARK_TRAIN;
        return ARK_OK;
    }
    if (!ark__split_parse(field(c, a, c->split), out)) {
        return bad_place(c, a, c->split, "a split (train, val or test)");
    }
    for (size_t k = 1; k < n && c->split.table == 0; k++) { /* c->kept[0..n) vote as one image */
        ark_split other;
        const char *text = ark_csv_get(c->tables[0], c->kept[k], (size_t)c->split.col);
        if (!ark__split_parse(text, &other) || other != *out) {
            return bad_field(c->tables[0], c->kept[k], (size_t)c->split.col,
                "the split that an earlier row of the same image has");
        }
    }
    return ARK_OK;
}

ark_status ark__csv_row(ark__rows *r, const ark__columns *c, size_t i, int split) {
    const ark_csv *t = c->tables[0];
    at a = {{0}, {0}};
    const uint32_t self = (uint32_t)i, *label_rows = &self;
    size_t n = 1, n_joined;
    const char *image = ark_csv_get(t, i, (size_t)c->image), *file = ark_csv_path(t);
    find_joined(c, i, image, &a, &label_rows, &n_joined);
    if (c->kept) {
        if (!voters(r, c, i, &a, &n)) {
            return ARK_OK;
        }
        label_rows = c->kept;
    } else {
        n = !is_excluded(r, c, &a);
    }
    if (n == 0) {
        r->d->n_excluded++;
        return ARK_OK;
    }
    if (c->labels_from == ARK__FROM_LABELS) {
        n = n_joined;
        r->d->n_unlabelled += n == 0;
        if (n == 0) {
            return ARK_OK;
        }
    }
    size_t line = ark_csv_line(t, a.row[0]);
    ark__row row = {.image = image, .patient = "", .split = (ark_split)split, .labels = r->labels};
    if (c->path) {
        ARK_TRY(ark__template_expand(c->path, t, a.row[0], r->image, ARK__MAX_PATH + 1));
        row.image = r->image;
    }
    if (split < 0) {
        ARK_TRY(read_split(c, &a, c->kept ? n : 1, &row.split));
    }
    ARK_TRY(read_fields(c, &a, &row));
    ARK_TRY(c->label_by_path ? label_from_path(r, row.image, file, line) : read_votes(r, c, label_rows, n));
    return ark__rows_add(r, &row, file, line);
}

ark_status ark__list_row(
    ark__rows *r, const ark__columns *c, ark__row *row, bool labelled, const char *file, size_t line) {
    at a = {{0}, {0}};
    const uint32_t *label_rows = NULL;
    size_t n;
    find_joined(c, 0, row->image, &a, &label_rows, &n);
    if (is_excluded(r, c, &a)) {
        r->d->n_excluded++;
        return ARK_OK;
    }
    ARK_TRY(read_fields(c, &a, row));
    if (!labelled && c->tables[ARK__FROM_LABELS] && n == 0) {
        r->d->n_unlabelled++;
        return ARK_OK;
    }
    if (!labelled) {
        ARK_TRY(n && !c->label_by_path ? read_votes(r, c, label_rows, n)
                                       : label_from_path(r, row->image, file, line));
    }
    return ark__rows_add(r, row, file, line);
}
