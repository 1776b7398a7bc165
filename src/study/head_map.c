#include "study/head_map.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "eval/finding_names.h"
#include "io/yaml.h"

#include <stdio.h>
#include <string.h>

static ark_status add(struct ark_head_target *t, int head, int class) {
    for (size_t i = 0; i < t->n; i++) {
        if (t->from[i].head == head && t->from[i].class == class) {
            return ARK_OK;
        }
    }
    ark_head_class *more = ark_realloc(t->from, (t->n + 1) * sizeof *more);
    if (!more) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for a map of classes");
    }
    t->from = more;
    t->from[t->n++] = (ark_head_class){.head = head, .class = class};
    return ARK_OK;
}

/* --- the section --- */

static int index_of(const char *word, char *const *words, int n) {
    for (int i = 0; i < n; i++) {
        if (!strcmp(word, words[i])) {
            return i;
        }
    }
    return -1;
}

static ark_status unknown(
    const ark_yaml *y, int line, const char *what, const char *word, char *const *words, int n) {
    const char *near = ark_nearest(word, (const char *const *)words, (size_t)n);
    return ARK_ERR(ARK_EINVAL, "%s:%d: map: unknown %s '%s'%s%s%s", y->path, line, what, word,
        near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* "HEAD/CLASS", or "CLASS" of any head. Heads may have '/' in their names: the longest that fits. */
static ark_status add_named(
    const ark_yaml *y, const ark_yaml_node *node, const ark_net *net, struct ark_head_target *t) {
    const char *text;
    ARK_TRY(ark_yaml_str(y, node, "map", &text));
    int best = -1;
    size_t best_len = 0;
    for (int h = 0; h < net->n_heads; h++) {
        size_t len = strlen(net->heads[h].dataset);
        if (!strncmp(text, net->heads[h].dataset, len) && text[len] == '/' && len >= best_len) {
            best = h;
            best_len = len;
        }
    }
    if (best >= 0) {
        const ark_head *head = &net->heads[best];
        int class = index_of(text + best_len + 1, head->classes, head->n_classes);
        if (class < 0) {
            return unknown(y, node->line, "class", text + best_len + 1, head->classes, head->n_classes);
        }
        return add(t, best, class);
    }
    char *names[64];
    int n = 0;
    for (int h = 0; h < net->n_heads; h++) {
        int class = index_of(text, net->heads[h].classes, net->heads[h].n_classes);
        if (class >= 0) {
            ARK_TRY(add(t, h, class));
        }
        if (n < 64) {
            names[n++] = net->heads[h].dataset;
        }
    }
    char head[200];
    snprintf(head, sizeof head, "%.*s", (int)strcspn(text, "/"), text);
    return t->n ? ARK_OK : unknown(y, node->line, "head", head, names, n);
}

static ark_status read_entry(const ark_yaml *y, const ark_yaml_node *map, size_t i, const ark_net *net,
    const ark_dataset *data, ark_head_map *m) {
    int k = index_of(map->keys[i], data->classes, data->n_classes);
    const ark_yaml_node *v = map->items[i];
    if (k < 0) {
        return unknown(y, map->key_lines[i], "target", map->keys[i], data->classes, data->n_classes);
    }
    struct ark_head_target *t = &m->target[k];
    t->given = true;
    if (v->kind == ARK_YAML_SCALAR) {
        return add_named(y, v, net, t);
    }
    for (size_t j = 0; j < v->count; j++) {
        if (v->kind != ARK_YAML_SEQ) {
            return ARK_ERR(
                ARK_EINVAL, "%s:%d: map: %s: expected a list of HEAD/CLASS", y->path, v->line, map->keys[i]);
        }
        ARK_TRY(add_named(y, v->items[j], net, t));
    }
    return ARK_OK;
}

static ark_status read_section(
    const char *run_file, const ark_net *net, const ark_dataset *data, ark_head_map *m) {
    ark_yaml *y;
    ARK_TRY(ark_yaml_read(run_file, &y));
    const ark_yaml_node *map = ark_yaml_get(y->root, "map");
    ark_status st = ARK_OK;
    if (map && map->kind != ARK_YAML_MAP) {
        st = ARK_ERR(ARK_EINVAL, "%s:%d: map: expected CLASS: [HEAD/CLASS, ...]", run_file, map->line);
    }
    for (size_t i = 0; map && i < map->count && st == ARK_OK; i++) {
        st = read_entry(y, map, i, net, data, m);
    }
    ark_yaml_free(y);
    return st;
}

/* --- by name --- */

static ark_status match(const ark_net *net, const char *name, struct ark_head_target *t) {
    for (int h = 0; h < net->n_heads; h++) {
        const ark_head *head = &net->heads[h];
        for (int c = 0; c < head->n_classes; c++) {
            if (ark_same_finding(name, head->classes[c])) {
                ARK_TRY(add(t, h, c));
            }
        }
    }
    for (int h = 0; h < net->n_heads && t->n == 0 && !t->nearest[0]; h++) {
        const ark_head *head = &net->heads[h];
        size_t c = ark_nearest_finding(name, (const char *const *)head->classes, (size_t)head->n_classes);
        if (c < (size_t)head->n_classes) {
            snprintf(t->nearest, sizeof t->nearest, "%.90s/%.90s", head->dataset, head->classes[c]);
        }
    }
    return ARK_OK;
}

ark_status ark_head_map_read(
    const char *run_file, const ark_net *net, const ark_dataset *data, ark_head_map *out) {
    ark_head_map m = {.K = (size_t)data->n_classes};
    ark_status st = ARK_NEW(&m.target, m.K, "a map of classes");
    st = st || !run_file ? st : read_section(run_file, net, data, &m);
    for (size_t k = 0; k < m.K && st == ARK_OK; k++) {
        st = m.target[k].given ? ARK_OK : match(net, data->classes[k], &m.target[k]);
    }
    if (st != ARK_OK) {
        ark_head_map_free(&m);
        return st;
    }
    *out = m;
    return ARK_OK;
}

void ark_head_map_free(ark_head_map *m) {
    for (size_t k = 0; m->target && k < m->K; k++) {
        ark_free(m->target[k].from);
    }
    ark_free(m->target);
    *m = (ark_head_map){0};
}
