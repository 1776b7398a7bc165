/* CSV lists with a header: which column of which table says what. Reading a row: dataset_row.c. */
#include "data/dataset_priv.h"

#include "base/alloc.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long usual(const ark_csv *t, ark__field field) {
    for (const char *const *name = ark__usual_names[field]; t && *name; name++) {
        long c = ark_csv_find(t, *name);
        if (c >= 0) {
            return c;
        }
    }
    return -1;
}

/* Column of the image: the entry's, the preset's, a usual one. */
static long image_column(const ark__spec *s, const ark_csv *t) {
    if (s->image) {
        return ark_csv_find(t, s->image);
    }
    long c = s->preset && s->preset->image ? ark_csv_find(t, s->preset->image) : -1;
    return c >= 0 ? c : usual(t, ARK__IMAGE);
}

long ark__csv_image_column(const ark__spec *s, const ark_csv *t) {
    long c = image_column(s, t);
    return c >= 0 ? c : usual(t, ARK__IMAGE);
}

static bool same_text(const char *name, const char *text, size_t len) {
    return strlen(name) == len && !strncmp(name, text, len);
}

static bool is_image_name(const ark__spec *s, const char *text, size_t len) {
    if (s->image) {
        return same_text(s->image, text, len);
    }
    bool found = s->preset && s->preset->image && same_text(s->preset->image, text, len);
    for (const char *const *name = ark__usual_names[ARK__IMAGE]; *name && !found; name++) {
        found = same_text(*name, text, len);
    }
    return found;
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
        *out = is_image_name(s, p + quoted, n - 2 * (size_t)quoted);
        p += n + (p[n] == ',');
        if (*p == '\r' || *p == '\n') {
            break;
        }
    }
    return ARK_OK;
}

/* The first of the tables that has the column: the list, labels_list, metadata_list. */
static ark__place place_of(const ark__columns *c, const char *name) {
    for (int t = 0; t < ARK__TABLES; t++) {
        long col = c->tables[t] ? ark_csv_find(c->tables[t], name) : -1;
        if (col >= 0) {
            return (ark__place){t, col};
        }
    }
    return (ark__place){0, -1};
}

static ark_status need_place(const ark__columns *c, const char *name, ark__place *out) {
    *out = place_of(c, name);
    if (out->col >= 0) {
        return ARK_OK;
    }
    size_t col;
    for (int t = 0; t < ARK__TABLES; t++) {
        if (c->tables[t]) { /* names the file and the nearest column */
            return ark_csv_need(c->tables[t], name, &col);
        }
    }
    return ARK_ERR(ARK_EFORMAT, "no list with a column '%s'", name);
}

/* The named column, which must exist, or one of the usual names, which need not. */
static ark_status pick(const ark__columns *c, const char *name, ark__field field, ark__place *out) {
    if (name) {
        return need_place(c, name, out);
    }
    *out = (ark__place){0, -1};
    for (int t = 0; t < ARK__TABLES && out->col < 0; t++) {
        *out = (ark__place){t, usual(c->tables[t], field)};
    }
    return ARK_OK;
}

static ark_status find_views(const ark__spec *s, ark__columns *c) {
    size_t asked = ark__items(s->view);
    if (asked > ARK__MAX_VIEWS) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: view: %zu columns, limit %d", s->yaml->path, s->view->line,
            s->name, asked, ARK__MAX_VIEWS);
    }
    for (size_t i = 0; i < asked; i++) {
        ARK_TRY(need_place(c, ark__item(s->view, i), &c->views[c->n_views++]));
    }
    for (int i = 0; i < 2 && !asked && s->preset && s->preset->views[i]; i++) {
        ark__place p = place_of(c, s->preset->views[i]);
        c->views[c->n_views] = p;
        c->n_views += p.col >= 0;
    }
    if (!asked && c->n_views == 0) {
        ARK_TRY(pick(c, NULL, ARK__VIEW, &c->views[0]));
        c->n_views = c->views[0].col >= 0;
    }
    return ARK_OK;
}

/* Column of a class: its name, or a spelling that the entry or the preset knows for it. */
static long class_column(const ark__spec *s, const ark_csv *t, const char *name) {
    long col = ark_csv_find(t, name);
    for (size_t i = 0; col < 0 && s->aliases && i < s->aliases->count; i++) {
        col = strcmp(s->aliases->items[i]->text, name) ? -1 : ark_csv_find(t, s->aliases->keys[i]);
    }
    for (const char *const *p = s->preset ? s->preset->aliases : NULL; col < 0 && p && p[0]; p += 2) {
        col = strcmp(p[1], name) ? -1 : ark_csv_find(t, p[0]);
    }
    return col;
}

static ark_status find_labels(const ark__rows *r, ark__columns *c) {
    const ark__spec *s = r->spec;
    const ark_csv *t = c->tables[c->labels_from];
    size_t col;
    c->label = -1;
    if (s->label) {
        ARK_TRY(ark_csv_need(t, s->label, &col));
        c->label = (long)col;
        return ARK_OK;
    }
    c->label = s->preset && s->preset->label ? ark_csv_find(t, s->preset->label) : -1;
    if (c->label >= 0) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&c->classes, (size_t)r->d->n_classes, "class columns"));
    int found = 0;
    for (int k = 0; k < r->d->n_classes; k++) {
        c->classes[k] = class_column(s, t, r->d->classes[k]);
        found += c->classes[k] >= 0;
    }
    c->label_by_path = found == 0 && s->label_in_path;
    for (int k = 0; k < r->d->n_classes && !c->label_by_path; k++) {
        if (c->classes[k] < 0) {
            return ark_csv_need(t, r->d->classes[k], &col);
        }
    }
    return ARK_OK;
}

/* Column of the list (NULL: headerless, the image's name) and of the joined table that must agree. */
static ark_status find_key(
    const ark__columns *c, int table, const char *key, const ark__spec *s, long *in_list, size_t *in_table) {
    const ark_csv *list = c->tables[0], *t = c->tables[table];
    *in_list = list ? c->image : -1;
    if (list && key) {
        size_t col;
        ARK_TRY(ark_csv_need(list, key, &col));
        *in_list = (long)col;
    }
    long col = key ? ark_csv_find(t, key) : image_column(s, t);
    if (col < 0 && !key) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: no column of image paths (path, image, image_id, ...): name it with "
            "`labels_key` or `metadata_key`",
            ark_csv_path(t));
    }
    if (col < 0) {
        return ark_csv_need(t, key, in_table);
    }
    *in_table = (size_t)col;
    return ARK_OK;
}

/* Rows of the joined tables, and of the list itself where several rows are about one image. */
static ark_status find_joins(ark__rows *r, ark__columns *c) {
    const ark__spec *s = r->spec;
    size_t col = 0;
    if (c->tables[ARK__FROM_LABELS]) {
        ARK_TRY(find_key(c, ARK__FROM_LABELS, s->labels_key, s, &c->labels_key, &col));
        ARK_TRY(ark__join_new(c->tables[ARK__FROM_LABELS], col, &c->by_labels));
    } else if (s->votes != ARK_VOTES_NONE && c->tables[0]) {
        ARK_TRY(ark__join_new(c->tables[0], (size_t)c->image, &c->by_labels));
        ARK_TRY(ARK_NEW(&c->kept, ark_csv_rows(c->tables[0]), "rows that vote"));
    }
    if (c->tables[ARK__FROM_METADATA]) {
        ARK_TRY(find_key(c, ARK__FROM_METADATA, s->metadata_key, s, &c->metadata_key, &col));
        ARK_TRY(ark__join_new(c->tables[ARK__FROM_METADATA], col, &c->by_metadata));
    }
    return ARK_OK;
}

static ark_status find_in_list(const ark__rows *r, const ark_csv *t, int split, ark__columns *c) {
    const ark__spec *s = r->spec;
    size_t col;
    if (s->image) {
        ARK_TRY(ark_csv_need(t, s->image, &col));
    }
    c->image = image_column(s, t);
    if (c->image < 0) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: no column of image paths (path, Path, image, image_id, ...): name it with `image:`",
            ark_csv_path(t));
    }
    c->path = s->path;
    if (!c->path && s->preset && s->preset->path &&
        !strcmp(ark_csv_name(t, (size_t)c->image), s->preset->path_for)) {
        c->path = s->preset->path;
    }
    if (c->path) {
        ARK_TRY(ark__template_check(c->path, t));
    }
    if (split >= 0) {
        return ARK_OK;
    }
    ARK_TRY(pick(c, s->split, ARK__SPLIT, &c->split));
    if (c->split.col < 0 && s->hold_out[ARK_VAL] + s->hold_out[ARK_TEST] == 0) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: no column 'split': name it with `split:`, give train_list, val_list and test_list, or "
            "`hold_out:`",
            ark_csv_path(t));
    }
    return ARK_OK;
}

ark_status ark__columns_find(ark__rows *r, const ark_csv *t, int split, ark__columns *c) {
    const ark__spec *s = r->spec;
    *c = (ark__columns){.tables = {t, r->labels_table, r->metadata_table},
        .image = -1,
        .split = {0, -1},
        .label = -1,
        .labels_from = r->labels_table ? ARK__FROM_LABELS : 0};
    if (t) {
        ARK_TRY(find_in_list(r, t, split, c));
    }
    c->patient = (ark__place){0, -1};
    if (!s->patient_by_path) {
        ARK_TRY(pick(c, s->patient, ARK__PATIENT, &c->patient));
    }
    ARK_TRY(pick(c, s->sex, ARK__SEX, &c->sex));
    ARK_TRY(pick(c, s->age, ARK__AGE, &c->age));
    ARK_TRY(find_views(s, c));
    if (c->tables[c->labels_from]) {
        ARK_TRY(find_labels(r, c));
    }
    if (s->exclude) {
        ARK_TRY(ARK_NEW(&c->excludes, s->exclude->count, "exclude columns"));
        for (size_t i = 0; i < s->exclude->count; i++) {
            ARK_TRY(need_place(c, s->exclude->keys[i], &c->excludes[i]));
        }
    }
    return find_joins(r, c);
}

void ark__columns_free(ark__columns *c) {
    ark_free(c->classes);
    ark_free(c->excludes);
    ark_free(c->kept);
    ark__join_free(&c->by_labels);
    ark__join_free(&c->by_metadata);
    *c = (ark__columns){0};
}

ark_status ark__csv_rows(ark__rows *r, const ark_csv *t, int split) {
    ark__columns c;
    ark_status st = ark__columns_find(r, t, split, &c);
    if (st == ARK_OK) {
        st = ark__rows_reserve(r, ark_csv_rows(t));
    }
    for (size_t i = 0; st == ARK_OK && i < ark_csv_rows(t); i++) {
        st = ark__csv_row(r, &c, i, split);
    }
    ark__columns_free(&c);
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
