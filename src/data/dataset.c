/* Datasets from a YAML file: the order of work. Keys: dataset_yaml.c; lists:
 * dataset_csv.c, dataset_lists.c. */
#include "data/dataset_priv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "data/pack_priv.h"

#include <string.h>

static const size_t LIST_LIMIT = (size_t)1 << 30; /* bytes of a headerless list */

void ark__dataset_clear(ark_dataset *d) {
    ark_free(d->name);
    ark_free(d->data_dir);
    ark_pack_unref(d->pack);
    for (int k = 0; d->classes && k < d->n_classes; k++) {
        ark_free(d->classes[k]);
    }
    for (int k = 0; d->test_classes && k < d->n_test_classes; k++) {
        ark_free(d->test_classes[k]);
    }
    ark_free(d->classes);
    ark_free(d->test_classes);
    ark_free(d->paths);
    ark_free(d->path_text);
    ark_free(d->dir);
    ark_free(d->split);
    ark_free(d->labels);
    ark_free(d->patient);
    ark_free(d->sex);
    ark_free(d->age);
    ark_free(d->view);
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        ark_free(d->rows[s]);
    }
}

/* Copy of a name, or an error. */
static ark_status copy_name(const char *s, char **out) {
    *out = ark_strdup(s);
    return *out ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory: name of %zu bytes", strlen(s));
}

/* Class names: the spec's, the positive one of a binary pair, or those of the label column. */
static ark_status set_classes(const ark__spec *s, const ark__strset *found, ark_dataset *d) {
    bool pair = s->task == ARK_BINARY && s->label;
    size_t n = pair ? 1 : s->classes.items ? s->classes.n : found->n;
    ARK_TRY(ARK_NEW(&d->classes, n, "class names"));
    d->n_classes = (int)n;
    for (size_t k = 0; k < n; k++) {
        const char *name = s->classes.items ? s->classes.items[k + pair] : ark__strset_at(found, (uint32_t)k);
        ARK_TRY(copy_name(name, &d->classes[k]));
    }
    n = s->test_classes.n;
    if (n == 0) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&d->test_classes, n, "class names"));
    d->n_test_classes = (int)n;
    for (size_t k = 0; k < n; k++) {
        const char *name = s->test_classes.items[k];
        if (!s->classes.items && !ark__strset_has(found, name)) {
            return ARK_ERR(ARK_EINVAL, "%s:%d: %s: test class '%s' is not in column '%s'", s->yaml->path,
                s->test_classes.line, s->name, name, s->label);
        }
        ARK_TRY(copy_name(name, &d->test_classes[k]));
    }
    return ARK_OK;
}

/* Read the lists that are CSV, by format or content; tables[i] stays NULL for the others. */
static ark_status read_tables(const ark__spec *s, ark_csv **tables) {
    for (size_t i = 0; i < s->n_lists; i++) {
        bool csv = s->format == ARK__CSV;
        if (s->format == ARK__BY_CONTENT) {
            ARK_TRY(ark__is_csv(s, s->lists[i].path, &csv));
        }
        if (csv) {
            ARK_TRY(ark_csv_read(s->lists[i].path, 0, &tables[i]));
        } else if (s->lists[i].split < 0) {
            return ARK_ERR(ARK_EFORMAT,
                "%s: no header with an image column (path, Path, image, image_id, ...); a headerless list "
                "needs "
                "train_list, val_list or test_list",
                s->lists[i].path);
        } else if ((s->label || s->exclude) && !s->labels_list) {
            return ARK_ERR(ARK_EINVAL,
                "%s:%d: %s: '%s' needs CSV lists with a header (or a labels_list), %s has none",
                s->yaml->path, s->line, s->name, s->label ? "label" : "exclude", s->lists[i].path);
        }
    }
    return ARK_OK;
}

static ark_status read_excluded(ark__rows *r) {
    const ark__spec *s = r->spec;
    size_t values = 0;
    for (size_t i = 0; s->exclude && i < s->exclude->count; i++) {
        values += ark__items(s->exclude->items[i]);
    }
    ARK_TRY(ARK_NEW(&r->exclude_used, values, "exclude values"));
    if (!s->exclude_list) {
        return ARK_OK;
    }
    ark_csv *t;
    ARK_TRY(ark_csv_read(s->exclude_list, 0, &t));
    long col = ark__csv_image_column(s, t);
    ark_status st = col >= 0 ? ARK_OK : ARK_ERR(ARK_EFORMAT, "%s: no column of image paths", s->exclude_list);
    for (size_t i = 0; st == ARK_OK && i < ark_csv_rows(t); i++) {
        uint32_t id;
        st = ark__strset_add(&r->excluded, ark_csv_get(t, i, (size_t)col), &id);
    }
    ark_csv_free(t);
    return st;
}

/* A value that never occurs is a misspelling that would let the excluded rows in. */
static ark_status check_excludes(const ark__rows *r) {
    const ark_yaml_node *map = r->spec->exclude;
    size_t at = 0;
    for (size_t i = 0; map && i < map->count; i++) {
        for (size_t v = 0; v < ark__items(map->items[i]); v++, at++) {
            if (!r->exclude_used[at]) {
                return ARK_ERR(ARK_EINVAL, "%s:%d: %s: exclude: column '%s' never has the value '%s'",
                    r->spec->yaml->path, map->items[i]->line, r->spec->name, map->keys[i],
                    ark__item(map->items[i], v));
            }
        }
    }
    return ARK_OK;
}

static ark_status read_text_list(ark__rows *r, const ark__list_spec *list) {
    char *text;
    size_t len;
    ARK_TRY(ark_file_read(list->path, LIST_LIMIT, &text, &len));
    ark__columns c;
    ark_status st = ark__columns_find(r, NULL, list->split, &c);
    if (st == ARK_OK) {
        st = ark__list_rows(r, &c, list->path, text, len, (ark_split)list->split);
    }
    ark__columns_free(&c);
    ark_free(text);
    return st;
}

/* Why a list gave nothing. */
static ark_status no_samples(const ark__rows *r, const ark__list_spec *list) {
    const ark_dataset *d = r->d;
    if (d->n_unlabelled && r->spec->labels_list) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: no samples: none of its images is in %s", list->path, r->spec->labels_list);
    }
    return ARK_ERR(ARK_EFORMAT, "%s: no samples%s", list->path,
        d->n_excluded + d->n_other_views ? ": all are excluded, or of other views" : "");
}

static ark_status read_rows(ark__rows *r, ark_csv *const *tables) {
    ARK_TRY(ark__rows_begin(r));
    ARK_TRY(read_excluded(r));
    for (size_t i = 0; i < r->spec->n_lists; i++) {
        const ark__list_spec *list = &r->spec->lists[i];
        size_t before = r->d->n;
        ARK_TRY(tables[i] ? ark__csv_rows(r, tables[i], list->split) : read_text_list(r, list));
        if (r->d->n == before) {
            return no_samples(r, list);
        }
    }
    ARK_TRY(check_excludes(r));
    return ark__rows_finish(r);
}

static ark_status read_one(const ark_yaml *y, const char *name, const ark_yaml_node *node, ark_dataset *d) {
    ark__spec spec;
    if (ark_yaml_get(node, "pack")) {
        return ark__pack_entry(y, name, node, d);
    }
    ARK_TRY(ark__spec_read(y, name, node, &spec));
    ark_csv *tables[ARK_SPLIT_COUNT] = {NULL};
    ark__strset found = {0};
    ark__rows rows = {.spec = &spec, .d = d};
    d->task = spec.task;
    d->uncertain = spec.uncertain;
    d->missing = spec.missing;
    d->window = spec.window;
    ark_status st = copy_name(name, &d->name);
    if (st == ARK_OK) {
        st = read_tables(&spec, tables);
    }
    if (st == ARK_OK && spec.labels_list) {
        st = ark_csv_read(spec.labels_list, 0, &rows.labels_table);
    }
    if (st == ARK_OK && spec.metadata_list) {
        st = ark_csv_read(spec.metadata_list, 0, &rows.metadata_table);
    }
    if (st == ARK_OK && !spec.classes.items) {
        st = rows.labels_table ? ark__csv_classes(&spec, &rows.labels_table, 1, &found)
                               : ark__csv_classes(&spec, tables, spec.n_lists, &found);
    }
    if (st == ARK_OK) {
        st = set_classes(&spec, &found, d);
    }
    if (st == ARK_OK) {
        st = read_rows(&rows, tables);
    }
    ark__rows_free(&rows);
    ark__strset_free(&found);
    for (size_t i = 0; i < ARK_SPLIT_COUNT; i++) {
        ark_csv_free(tables[i]);
    }
    d->data_dir = spec.data_dir; /* goes on with the dataset */
    spec.data_dir = NULL;
    ark__spec_free(&spec);
    return st;
}

/* The entry of a wanted dataset, or an error with the nearest name. */
static ark_status find_entry(const ark_yaml *y, const char *name, const ark_yaml_node **out) {
    const ark_yaml_node *root = y->root;
    *out = ark_yaml_get(root, name);
    if (*out) {
        return ARK_OK;
    }
    const char *near = ark_nearest(name, root->keys, root->count);
    return ARK_ERR(ARK_EINVAL, "%s: no dataset '%s'%s%s%s", y->path, name, near ? " (did you mean '" : "",
        near ? near : "", near ? "'?)" : "");
}

static ark_status read_all(const ark_yaml *y, const char *const *names, size_t n_names, ark_datasets *d) {
    if (!y->root || y->root->kind != ARK_YAML_MAP || y->root->count == 0) {
        return ARK_ERR(ARK_EINVAL, "%s: expected a map of dataset names", y->path);
    }
    if (!names) {
        names = y->root->keys;
        n_names = y->root->count;
    }
    ARK_TRY(ARK_NEW(&d->items, n_names, "datasets"));
    d->path = ark_strdup(y->path);
    if (!d->path) {
        return ARK_ERR(ARK_ENOMEM, "out of memory: %s", y->path);
    }
    for (size_t i = 0; i < n_names; i++) {
        const ark_yaml_node *node;
        if (ark_datasets_find(d, names[i])) {
            return ARK_ERR(ARK_EINVAL, "%s: dataset '%s' asked for twice", y->path, names[i]);
        }
        ARK_TRY(find_entry(y, names[i], &node));
        d->n = i + 1; /* freed with the others if reading it fails */
        ARK_TRY(read_one(y, names[i], node, &d->items[i]));
    }
    return ARK_OK;
}

ark_status ark_datasets_read(const char *path, const char *const *names, size_t n_names, ark_datasets **out) {
    if (ark_path_is_dir(path)) {
        return ark__pack_datasets(path, names, n_names, out);
    }
    ark_yaml *y;
    ARK_TRY(ark_yaml_read(path, &y));
    ark_datasets *d = NULL;
    ark_status st = ARK_NEW(&d, 1, "datasets");
    if (st == ARK_OK) {
        st = read_all(y, names, n_names, d);
    }
    ark_yaml_free(y);
    if (st != ARK_OK) {
        ark_datasets_free(d);
        return st;
    }
    *out = d;
    return ARK_OK;
}

void ark_datasets_free(ark_datasets *d) {
    if (!d) {
        return;
    }
    for (size_t i = 0; d->items && i < d->n; i++) {
        ark__dataset_clear(&d->items[i]);
    }
    ark_free(d->items);
    ark_free(d->path);
    ark_free(d);
}

const ark_dataset *ark_datasets_find(const ark_datasets *d, const char *name) {
    for (size_t i = 0; i < d->n; i++) {
        if (d->items[i].name && !strcmp(d->items[i].name, name)) {
            return &d->items[i];
        }
    }
    return NULL;
}

const char *ark_dataset_image_name(const ark_dataset *d, size_t sample) {
    size_t n = d->dir ? strlen(d->dir) : 0;
    return d->paths[sample] + (n && !strncmp(d->paths[sample], d->dir, n) ? n : 0);
}

const char *ark_task_name(ark_task t) {
    static const char *const names[] = {
        [ARK_MULTILABEL] = "multi-label", [ARK_BINARY] = "binary", [ARK_MULTICLASS] = "multi-class"};
    return names[t];
}

const char *ark_split_name(ark_split s) {
    static const char *const names[] = {[ARK_TRAIN] = "train", [ARK_VAL] = "val", [ARK_TEST] = "test"};
    return names[s];
}
