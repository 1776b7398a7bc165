/* Dataset entries of the YAML file: keys, defaults, paths. Reference table: docs/datasets.md. */
#include "data/dataset_priv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#include <string.h>

static const char *const known_keys[] = {
    "format",
    "data_dir",
    "list",
    "train_list",
    "val_list",
    "test_list",
    "image",
    "suffix",
    "patient",
    "split",
    "sex",
    "age",
    "view",
    "task_type",
    "classes",
    "diseases",
    "label",
    "test_diseases_name",
    "test_classes",
    "uncertain",
    "missing",
    "window",
    "exclude",
    "exclude_list",
};
enum { KNOWN_KEYS = sizeof known_keys / sizeof known_keys[0] };

/* Spellings of an enum's values. */
typedef struct word {
    const char *text;
    int value;
} word;

static const word formats[] = {{"csv", ARK__CSV}, {"list", ARK__LIST}};
static const word tasks[] = {{"multi-label", ARK_MULTILABEL}, {"multi-class", ARK_MULTICLASS},
    {"binary", ARK_BINARY}, {"multi-label classification", ARK_MULTILABEL},
    {"multi-class classification", ARK_MULTICLASS}, {"binary classification", ARK_BINARY}};
static const word uncertains[] = {{"lsr-ones", ARK_LSR_ONES}, {"ones", ARK_ONES}, {"zeros", ARK_ZEROS},
    {"lsr-zeros", ARK_LSR_ZEROS}, {"mask", ARK_MASK}};
static const word missings[] = {{"mask", ARK_MISSING_MASK}, {"zero", ARK_MISSING_ZERO}};
static const word windows[] = {
    {"auto", ARK_WINDOW_AUTO}, {"data", ARK_WINDOW_DATA}, {"full", ARK_WINDOW_FULL}};

size_t ark__items(const ark_yaml_node *n) {
    return !n ? 0 : n->kind == ARK_YAML_SEQ ? n->count : 1;
}

const char *ark__item(const ark_yaml_node *n, size_t i) {
    return n->kind == ARK_YAML_SEQ ? n->items[i]->text : n->text;
}

static ark_status wrong(const ark__spec *s, int line, const char *key, const char *what) {
    return ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: %s", s->yaml->path, line, s->name, key, what);
}

/* Text of an optional scalar key; *out stays as it is when the key is absent. */
static ark_status text_of(const ark__spec *s, const ark_yaml_node *node, const char *key, const char **out) {
    const ark_yaml_node *v = ark_yaml_get(node, key);
    if (!v) {
        return ARK_OK;
    }
    if (v->kind != ARK_YAML_SCALAR || !v->text[0]) {
        return wrong(s, v->line, key, "expected text");
    }
    *out = v->text;
    return ARK_OK;
}

/* An optional key with a closed set of words. */
static ark_status word_of(
    const ark__spec *s, const ark_yaml_node *node, const char *key, const word *words, size_t n, int *out) {
    const char *text = NULL;
    ARK_TRY(text_of(s, node, key, &text));
    const char *spellings[8];
    for (size_t i = 0; text && i < n; i++) {
        if (!strcmp(text, words[i].text)) {
            *out = words[i].value;
            return ARK_OK;
        }
        spellings[i] = words[i].text;
    }
    if (!text) {
        return ARK_OK;
    }
    const char *near = ark_nearest(text, spellings, n);
    return ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: unknown value '%s' (%s '%s')", s->yaml->path,
        ark_yaml_get(node, key)->line, s->name, key, text, near ? "did you mean" : "for example",
        near ? near : spellings[0]);
}
#define WORD_OF(s, node, key, words, out)                                                                    \
    word_of(s, node, key, words, sizeof(words) / sizeof((words)[0]), out)

/* An optional list of names: no blank, no repeat, at most ARK__MAX_CLASSES. */
static ark_status names_of(const ark__spec *s, const ark_yaml_node *v, const char *key) {
    if (v->kind == ARK_YAML_MAP) {
        return wrong(s, v->line, key, "expected a list of names");
    }
    if (ark__items(v) == 0 || ark__items(v) > ARK__MAX_CLASSES) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: %zu names, expected 1 to %d", s->yaml->path, v->line,
            s->name, key, ark__items(v), ARK__MAX_CLASSES);
    }
    ark__strset seen = {0};
    ark_status st = ARK_OK;
    for (size_t i = 0; st == ARK_OK && i < ark__items(v); i++) {
        const char *text = ark__item(v, i);
        uint32_t id;
        if (!text || !text[0]) {
            st = wrong(s, v->line, key, "expected a list of names");
        } else if ((st = ark__strset_add(&seen, text, &id)) == ARK_OK && id != i) {
            st = ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: '%s' twice", s->yaml->path, v->line, s->name, key, text);
        }
    }
    ark__strset_free(&seen);
    return st;
}

/* One of two spellings of a key, ours and upstream's. */
static ark_status either(const ark__spec *s, const ark_yaml_node *node, const char *ours, const char *theirs,
    const ark_yaml_node **out) {
    const ark_yaml_node *a = ark_yaml_get(node, ours), *b = ark_yaml_get(node, theirs);
    if (a && b) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: '%s' and '%s' mean the same, give one", s->yaml->path, b->line,
            s->name, ours, theirs);
    }
    *out = a ? a : b;
    return *out ? names_of(s, *out, a ? ours : theirs) : ARK_OK;
}

/* A list file: beside the YAML file, or else in data_dir. */
static ark_status resolve(
    const ark__spec *s, const ark_yaml_node *v, const char *key, const char *text, char **out) {
    char *yaml_dir = ark_path_dir(s->yaml->path);
    char *beside = yaml_dir ? ark_path_join(yaml_dir, text) : NULL;
    char *inside = ark_path_join(s->data_dir, text);
    ark_status st = ARK_OK;
    if (!beside || !inside) {
        st = ARK_ERR(ARK_ENOMEM, "out of memory: path of %s", text);
    } else if (ark_path_exists(beside)) {
        *out = beside;
        beside = NULL;
    } else if (ark_path_exists(inside)) {
        *out = inside;
        inside = NULL;
    } else {
        st = ARK_ERR(ARK_EIO, "%s:%d: %s: %s: no file %s (nor %s)", s->yaml->path, v->line, s->name, key,
            beside, inside);
    }
    ark_free(yaml_dir);
    ark_free(beside);
    ark_free(inside);
    return st;
}

static ark_status read_data_dir(ark__spec *s, const ark_yaml_node *node) {
    const char *text = ".";
    ARK_TRY(text_of(s, node, "data_dir", &text));
    char *yaml_dir = ark_path_dir(s->yaml->path);
    if (!strcmp(text, ".")) {
        s->data_dir = yaml_dir;
        yaml_dir = NULL;
    } else if (yaml_dir) {
        s->data_dir = ark_path_join(yaml_dir, text);
    }
    ark_free(yaml_dir);
    return s->data_dir ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory: path of %s", text);
}

/* `list`, or any of the three lists by split. */
static ark_status read_lists(ark__spec *s, const ark_yaml_node *node) {
    static const char *const keys[] = {"train_list", "val_list", "test_list"};
    const char *text = NULL;
    ARK_TRY(text_of(s, node, "list", &text));
    if (text) {
        s->lists[0].split = -1;
        ARK_TRY(resolve(s, ark_yaml_get(node, "list"), "list", text, &s->lists[0].path));
        s->n_lists = 1;
    }
    for (int i = 0; i < ARK_SPLIT_COUNT; i++) {
        const ark_yaml_node *v = ark_yaml_get(node, keys[i]);
        const char *path = NULL;
        ARK_TRY(text_of(s, node, keys[i], &path));
        if (!path) {
            continue;
        }
        if (text) {
            return wrong(s, v->line, keys[i], "give either list (with a split column) or lists by split");
        }
        s->lists[s->n_lists].split = i;
        ARK_TRY(resolve(s, v, keys[i], path, &s->lists[s->n_lists].path));
        s->n_lists++;
    }
    return s->n_lists ? ARK_OK : wrong(s, s->line, "list", "missing (or train_list, val_list, test_list)");
}

/* A word, or [centre, width]. */
static ark_status read_window(ark__spec *s, const ark_yaml_node *node) {
    const ark_yaml_node *v = ark_yaml_get(node, "window");
    if (v && v->kind == ARK_YAML_SEQ) {
        s->window.kind = ARK_WINDOW_FIXED;
        if (ark__items(v) != 2 || !ark__item(v, 0) || !ark__item(v, 1) ||
            !ark_parse_f64(ark__item(v, 0), &s->window.centre) ||
            !ark_parse_f64(ark__item(v, 1), &s->window.width) || s->window.width < 1) {
            return wrong(s, v->line, "window", "expected [CENTRE, WIDTH], the width at least 1");
        }
        return ARK_OK;
    }
    int kind = ARK_WINDOW_AUTO;
    ARK_TRY(WORD_OF(s, node, "window", windows, &kind));
    s->window.kind = (ark_window_kind)kind;
    return ARK_OK;
}

static ark_status read_exclude(ark__spec *s, const ark_yaml_node *node) {
    const char *text = NULL;
    ARK_TRY(text_of(s, node, "exclude_list", &text));
    if (text) {
        ARK_TRY(resolve(s, ark_yaml_get(node, "exclude_list"), "exclude_list", text, &s->exclude_list));
    }
    s->exclude = ark_yaml_get(node, "exclude");
    if (!s->exclude) {
        return ARK_OK;
    }
    if (s->exclude->kind != ARK_YAML_MAP) {
        return wrong(s, s->exclude->line, "exclude", "expected COLUMN: VALUE or COLUMN: [VALUES]");
    }
    for (size_t i = 0; i < s->exclude->count; i++) {
        const ark_yaml_node *v = s->exclude->items[i];
        bool ok = v->kind != ARK_YAML_MAP;
        for (size_t k = 0; ok && k < ark__items(v); k++) {
            ok = ark__item(v, k) != NULL;
        }
        if (!ok) {
            return wrong(s, v->line, "exclude", "expected COLUMN: VALUE or COLUMN: [VALUES]");
        }
    }
    return ARK_OK;
}

/* Task, classes and label column must agree. */
static ark_status check_classes(const ark__spec *s) {
    size_t k = ark__items(s->classes);
    int line = s->classes ? s->classes->line : s->line;
    if (!s->classes && !(s->label && s->task == ARK_MULTICLASS)) {
        return wrong(
            s, line, "classes", "missing (only a multi-class label column names its classes itself)");
    }
    if (s->label && s->task == ARK_MULTILABEL) {
        return wrong(s, line, "label", "one class name a row needs task_type multi-class or binary");
    }
    if (s->task == ARK_BINARY && k != (s->label ? 2 : 1)) {
        return wrong(s, line, "classes",
            s->label ? "a binary label column needs two names, the negative one first"
                     : "a binary task has one column; use multi-class for several");
    }
    if (s->task == ARK_MULTICLASS && s->classes && k < 2) {
        return wrong(s, line, "classes", "a multi-class task needs at least two");
    }
    for (size_t i = 0; i < ark__items(s->test_classes); i++) {
        const char *name = ark__item(s->test_classes, i);
        bool found = !s->classes; /* names from the label column are checked once they are known */
        for (size_t j = 0; !found && j < k; j++) {
            found = !strcmp(name, ark__item(s->classes, j));
        }
        if (!found) {
            return ARK_ERR(ARK_EINVAL, "%s:%d: %s: test class '%s' is not among the classes", s->yaml->path,
                s->test_classes->line, s->name, name);
        }
    }
    return ARK_OK;
}

static ark_status read_columns(ark__spec *s, const ark_yaml_node *node) {
    s->suffix = "";
    ARK_TRY(text_of(s, node, "image", &s->image));
    ARK_TRY(text_of(s, node, "suffix", &s->suffix));
    ARK_TRY(text_of(s, node, "patient", &s->patient));
    ARK_TRY(text_of(s, node, "split", &s->split));
    ARK_TRY(text_of(s, node, "sex", &s->sex));
    ARK_TRY(text_of(s, node, "age", &s->age));
    ARK_TRY(text_of(s, node, "view", &s->view));
    return text_of(s, node, "label", &s->label);
}

static ark_status read_entry(ark__spec *s, const ark_yaml_node *node) {
    if (node->kind != ARK_YAML_MAP) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: expected a dataset's keys (data_dir, list, classes, ...)",
            s->yaml->path, node->line, s->name);
    }
    ARK_TRY(ark_yaml_check_keys(s->yaml, node, s->name, known_keys, KNOWN_KEYS));
    int format = ARK__BY_CONTENT, task = -1, uncertain = ARK_LSR_ONES, missing = ARK_MISSING_MASK;
    ARK_TRY(WORD_OF(s, node, "format", formats, &format));
    ARK_TRY(WORD_OF(s, node, "task_type", tasks, &task));
    ARK_TRY(WORD_OF(s, node, "uncertain", uncertains, &uncertain));
    ARK_TRY(WORD_OF(s, node, "missing", missings, &missing));
    if (task < 0) {
        return wrong(s, s->line, "task_type", "missing (multi-label, multi-class or binary)");
    }
    s->format = (ark__format)format;
    s->task = (ark_task)task;
    s->uncertain = (ark_uncertain)uncertain;
    s->missing = (ark_missing)missing;
    ARK_TRY(read_data_dir(s, node));
    ARK_TRY(read_lists(s, node));
    ARK_TRY(read_columns(s, node));
    ARK_TRY(read_window(s, node));
    ARK_TRY(read_exclude(s, node));
    ARK_TRY(either(s, node, "classes", "diseases", &s->classes));
    ARK_TRY(either(s, node, "test_classes", "test_diseases_name", &s->test_classes));
    return check_classes(s);
}

ark_status ark__spec_read(const ark_yaml *y, const char *name, const ark_yaml_node *node, ark__spec *out) {
    *out = (ark__spec){.yaml = y, .name = name, .line = node->line};
    ark_status st = read_entry(out, node);
    if (st != ARK_OK) {
        ark__spec_free(out);
    }
    return st;
}

void ark__spec_free(ark__spec *s) {
    ark_free(s->data_dir);
    for (size_t i = 0; i < ARK_SPLIT_COUNT; i++) {
        ark_free(s->lists[i].path);
    }
    ark_free(s->exclude_list);
    *s = (ark__spec){0};
}
