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
    "separator",
    "no_finding",
    "aliases",
    "path",
    "patient_in_path",
    "label_in_path",
    "subdirs",
    "labels_list",
    "labels_key",
    "metadata_list",
    "metadata_key",
    "votes",
    "views",
    "hold_out",
};
enum { KNOWN_KEYS = sizeof known_keys / sizeof known_keys[0] };

enum { MAX_WORDS = 8 };

/* Spellings of an enum's values. */
typedef struct word {
    const char *text;
    int value;
} word;

static const word tasks[] = {{"multi-label", ARK_MULTILABEL}, {"multi-class", ARK_MULTICLASS},
    {"binary", ARK_BINARY}, {"multi-label classification", ARK_MULTILABEL},
    {"multi-class classification", ARK_MULTICLASS}, {"binary classification", ARK_BINARY}};
static const word uncertains[] = {{"lsr-ones", ARK_LSR_ONES}, {"ones", ARK_ONES}, {"zeros", ARK_ZEROS},
    {"lsr-zeros", ARK_LSR_ZEROS}, {"mask", ARK_MASK}};
static const word missings[] = {{"mask", ARK_MISSING_MASK}, {"zero", ARK_MISSING_ZERO}};
static const word windows[] = {
    {"auto", ARK_WINDOW_AUTO}, {"data", ARK_WINDOW_DATA}, {"full", ARK_WINDOW_FULL}};
static const word votes[] = {{"none", ARK_VOTES_NONE}, {"same", ARK_VOTES_SAME}, {"any", ARK_VOTES_ANY},
    {"majority", ARK_VOTES_MAJORITY}};
static const ark__preset no_preset = {.name = "csv"};

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
    const char *spellings[MAX_WORDS];
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
static ark_status names_of(const ark__spec *s, const ark_yaml_node *v, const char *key, ark__names *out) {
    if (v->kind == ARK_YAML_MAP) {
        return wrong(s, v->line, key, "expected a list of names");
    }
    size_t n = ark__items(v);
    if (n == 0 || n > ARK__MAX_CLASSES) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: %zu names, expected 1 to %d", s->yaml->path, v->line,
            s->name, key, n, ARK__MAX_CLASSES);
    }
    *out = (ark__names){.n = n, .line = v->line};
    ARK_TRY(ARK_NEW(&out->items, n, "names"));
    ark__strset seen = {0};
    ark_status st = ARK_OK;
    for (size_t i = 0; st == ARK_OK && i < n; i++) {
        const char *text = ark__item(v, i);
        uint32_t id;
        if (!text || !text[0]) {
            st = wrong(s, v->line, key, "expected a list of names");
        } else if ((st = ark__strset_add(&seen, text, &id)) == ARK_OK && id != i) {
            st = ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: '%s' twice", s->yaml->path, v->line, s->name, key, text);
        }
        out->items[i] = text;
    }
    ark__strset_free(&seen);
    return st;
}

/* One of two spellings of a key, ours and upstream's; else what the preset has. */
static ark_status either(const ark__spec *s, const ark_yaml_node *node, const char *ours, const char *theirs,
    const char *const *preset, ark__names *out) {
    const ark_yaml_node *a = ark_yaml_get(node, ours), *b = ark_yaml_get(node, theirs);
    if (a && b) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: '%s' and '%s' mean the same, give one", s->yaml->path, b->line,
            s->name, ours, theirs);
    }
    if (a || b) {
        return names_of(s, a ? a : b, a ? ours : theirs, out);
    }
    size_t n = 0;
    while (preset && preset[n]) {
        n++;
    }
    if (n) {
        *out = (ark__names){.n = n, .line = s->line};
        ARK_TRY(ARK_NEW(&out->items, n, "names"));
        memcpy(out->items, preset, n * sizeof *out->items);
    }
    return ARK_OK;
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

/* An optional key that names a file. */
static ark_status file_of(const ark__spec *s, const ark_yaml_node *node, const char *key, char **out) {
    const char *text = NULL;
    ARK_TRY(text_of(s, node, key, &text));
    return text ? resolve(s, ark_yaml_get(node, key), key, text, out) : ARK_OK;
}

static ark_status read_exclude(ark__spec *s, const ark_yaml_node *node) {
    ARK_TRY(file_of(s, node, "exclude_list", &s->exclude_list));
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

/* Names of the label column that belong to no class. */
static ark_status read_label_names(ark__spec *s, const ark_yaml_node *node) {
    const ark_yaml_node *v = ark_yaml_get(node, "no_finding");
    s->separator = "|";
    ARK_TRY(text_of(s, node, "separator", &s->separator));
    if (v) {
        ARK_TRY(names_of(s, v, "no_finding", &s->no_finding));
    }
    s->aliases = ark_yaml_get(node, "aliases");
    bool ok = !s->aliases || s->aliases->kind == ARK_YAML_MAP;
    for (size_t i = 0; s->aliases && ok && i < s->aliases->count; i++) {
        ok = s->aliases->items[i]->kind == ARK_YAML_SCALAR;
    }
    return ok ? ARK_OK : wrong(s, s->aliases->line, "aliases", "expected SPELLING: CLASS");
}

static ark_status read_columns(ark__spec *s, const ark_yaml_node *node) {
    s->suffix = s->preset->suffix ? s->preset->suffix : "";
    s->suffix_if_bare = !ark_yaml_get(node, "suffix");
    ARK_TRY(text_of(s, node, "image", &s->image));
    const ark_yaml_node *suffix = ark_yaml_get(node, "suffix");
    if (suffix && suffix->kind == ARK_YAML_SCALAR && suffix->quoted && !suffix->text[0]) {
        s->suffix = ""; /* "": not the preset's */
    } else {
        ARK_TRY(text_of(s, node, "suffix", &s->suffix));
    }
    ARK_TRY(text_of(s, node, "patient", &s->patient));
    ARK_TRY(text_of(s, node, "split", &s->split));
    ARK_TRY(text_of(s, node, "sex", &s->sex));
    ARK_TRY(text_of(s, node, "age", &s->age));
    s->view = ark_yaml_get(node, "view");
    for (size_t i = 0; i < ark__items(s->view); i++) {
        if (s->view->kind == ARK_YAML_MAP || !ark__item(s->view, i) || !ark__item(s->view, i)[0]) {
            return wrong(s, s->view->line, "view", "expected a column or a list of columns");
        }
    }
    return text_of(s, node, "label", &s->label);
}

/* A pattern, checked. */
static ark_status pattern_of(
    const ark__spec *s, const ark_yaml_node *node, const char *key, const char **out) {
    ARK_TRY(text_of(s, node, key, out));
    ark_status st = *out ? ark__pattern_check(*out) : ARK_OK;
    return st == ARK_OK ? st
                        : ark__err_prefix(st, "%s:%d: %s: %s", s->yaml->path, ark_yaml_get(node, key)->line,
                              s->name, key);
}

static ark_status read_paths(ark__spec *s, const ark_yaml_node *node) {
    s->patient_in_path = s->preset->patient_in_path;
    s->label_in_path = s->preset->label_in_path;
    ARK_TRY(pattern_of(s, node, "patient_in_path", &s->patient_in_path));
    ARK_TRY(pattern_of(s, node, "label_in_path", &s->label_in_path));
    s->patient_by_path = ark_yaml_get(node, "patient_in_path") != NULL;
    if (s->patient_by_path && s->patient) {
        return wrong(s, ark_yaml_get(node, "patient")->line, "patient", "give either a column or a pattern");
    }
    ARK_TRY(text_of(s, node, "path", &s->path));
    ark_status st = s->path ? ark__template_check(s->path, NULL) : ARK_OK;
    if (st != ARK_OK) {
        return ark__err_prefix(
            st, "%s:%d: %s: path", s->yaml->path, ark_yaml_get(node, "path")->line, s->name);
    }
    const ark_yaml_node *v = ark_yaml_get(node, "subdirs");
    if (!v) {
        memcpy(s->subdirs, s->preset->subdirs, sizeof s->subdirs);
        return ARK_OK;
    }
    if (v->kind == ARK_YAML_SCALAR && !v->text[0]) { /* `subdirs:` = not the preset's */
        return ARK_OK;
    }
    static const char *const splits[] = {"train", "val", "test"};
    ARK_TRY(ark_yaml_check_keys(s->yaml, v, "subdirs", splits, ARK_SPLIT_COUNT));
    for (int i = 0; i < ARK_SPLIT_COUNT; i++) {
        ARK_TRY(text_of(s, v, splits[i], &s->subdirs[i]));
    }
    return ARK_OK;
}

static ark_status read_joins(ark__spec *s, const ark_yaml_node *node) {
    s->labels_key = s->preset->labels_key;
    s->metadata_key = s->preset->metadata_key;
    ARK_TRY(file_of(s, node, "labels_list", &s->labels_list));
    ARK_TRY(file_of(s, node, "metadata_list", &s->metadata_list));
    ARK_TRY(text_of(s, node, "labels_key", &s->labels_key));
    return text_of(s, node, "metadata_key", &s->metadata_key);
}

unsigned ark__view_bit(char view) {
    return view == 'P' ? 1u : view == 'A' ? 2u : view == 'L' ? 4u : 8u;
}

/* `views: all`, `frontal` (all that are not known to be lateral), or a list of PA, AP, lateral, unknown. */
static ark_status read_views(ark__spec *s, const ark_yaml_node *node) {
    static const word words[] = {
        {"all", 15}, {"frontal", 11}, {"PA", 1}, {"AP", 2}, {"lateral", 4}, {"unknown", 8}};
    const ark_yaml_node *v = ark_yaml_get(node, "views");
    s->views = v ? 0 : ARK__ALL_VIEWS;
    for (size_t i = 0; i < ark__items(v); i++) {
        const char *text = v->kind == ARK_YAML_MAP ? NULL : ark__item(v, i);
        unsigned bits = 0;
        for (size_t w = 0; text && w < sizeof words / sizeof words[0]; w++) {
            bits |= strcmp(text, words[w].text) ? 0 : (unsigned)words[w].value;
        }
        if (!bits) {
            return wrong(s, v->line, "views", "expected all, frontal, or a list of PA, AP, lateral, unknown");
        }
        s->views |= bits;
    }
    return ARK_OK;
}

/* `hold_out: {val: 10, test: 20}`: percent of the patients of train. */
static ark_status read_hold_out(ark__spec *s, const ark_yaml_node *node) {
    static const char *const keys[] = {"val", "test"};
    const ark_yaml_node *v = ark_yaml_get(node, "hold_out");
    if (!v) {
        return ARK_OK;
    }
    ARK_TRY(ark_yaml_check_keys(s->yaml, v, "hold_out", keys, 2));
    for (int i = 0; i < 2; i++) {
        const ark_yaml_node *p = ark_yaml_get(v, keys[i]);
        double *out = &s->hold_out[i ? ARK_TEST : ARK_VAL];
        if (p) {
            ARK_TRY(ark_yaml_f64(s->yaml, p, keys[i], out));
        }
        if (*out < 0 || *out > 90) {
            return wrong(s, v->line, "hold_out", "expected percentages from 0 to 90");
        }
    }
    return s->hold_out[ARK_VAL] + s->hold_out[ARK_TEST] <= 95
               ? ARK_OK
               : wrong(s, v->line, "hold_out", "val and test together are over 95 percent");
}

/* The word of `format`: a file format or a preset. Without it, an entry spelled like the released ones
 * (`diseases`) under a released name is read as there. */
static ark_status read_format(ark__spec *s, const ark_yaml_node *node, bool *asked) {
    const char *text = NULL, *words[32] = {"csv", "list"};
    size_t n = 2;
    ARK_TRY(text_of(s, node, "format", &text));
    s->preset = &no_preset;
    *asked = false;
    for (size_t i = 0; i < ark__preset_count; i++) {
        const ark__preset *p = &ark__presets[i];
        words[n++] = p->name;
        bool named = text && !strcmp(text, p->name);
        if (named ||
            (!text && p->released && !strcmp(s->name, p->released) && ark_yaml_get(node, "diseases"))) {
            s->preset = p;
            *asked = named;
        }
    }
    if (!text || *asked) {
        s->format = ARK__BY_CONTENT;
    } else if (!strcmp(text, "csv") || !strcmp(text, "list")) {
        s->format = text[0] == 'c' ? ARK__CSV : ARK__LIST;
    } else {
        const char *near = ark_nearest(text, words, n);
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: format: unknown value '%s' (%s '%s')", s->yaml->path,
            ark_yaml_get(node, "format")->line, s->name, text, near ? "did you mean" : "for example",
            near ? near : words[0]);
    }
    return ARK_OK;
}

static ark_status read_entry(ark__spec *s, const ark_yaml_node *node) {
    if (node->kind != ARK_YAML_MAP) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: expected a dataset's keys (data_dir, list, classes, ...)",
            s->yaml->path, node->line, s->name);
    }
    ARK_TRY(ark_yaml_check_keys(s->yaml, node, s->name, known_keys, KNOWN_KEYS));
    bool asked;
    ARK_TRY(read_format(s, node, &asked));
    const ark__preset *p = s->preset;
    int task = p == &no_preset ? -1 : (int)p->task, vote = (int)p->votes;
    int uncertain = asked ? (int)p->uncertain : ARK_LSR_ONES, missing = asked ? (int)p->missing : 0;
    ARK_TRY(WORD_OF(s, node, "task_type", tasks, &task));
    ARK_TRY(WORD_OF(s, node, "uncertain", uncertains, &uncertain));
    ARK_TRY(WORD_OF(s, node, "missing", missings, &missing));
    ARK_TRY(WORD_OF(s, node, "votes", votes, &vote));
    if (task < 0) {
        return wrong(s, s->line, "task_type", "missing (multi-label, multi-class or binary)");
    }
    s->task = (ark_task)task;
    s->uncertain = (ark_uncertain)uncertain;
    s->missing = (ark_missing)missing;
    s->votes = (ark_votes)vote;
    ARK_TRY(read_data_dir(s, node));
    ARK_TRY(read_lists(s, node));
    ARK_TRY(read_columns(s, node));
    ARK_TRY(read_window(s, node));
    ARK_TRY(read_label_names(s, node));
    ARK_TRY(read_paths(s, node));
    ARK_TRY(read_joins(s, node));
    ARK_TRY(read_views(s, node));
    ARK_TRY(read_hold_out(s, node));
    ARK_TRY(read_exclude(s, node));
    ARK_TRY(either(s, node, "classes", "diseases", p->classes, &s->classes));
    ARK_TRY(either(s, node, "test_classes", "test_diseases_name", p->test_classes, &s->test_classes));
    return ark__spec_check(s, ark_yaml_get(node, "test_classes") || ark_yaml_get(node, "test_diseases_name"));
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
    ark_free(s->labels_list);
    ark_free(s->metadata_list);
    ark_free(s->classes.items);
    ark_free(s->test_classes.items);
    ark_free(s->no_finding.items);
    *s = (ark__spec){0};
}
