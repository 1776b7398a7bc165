/* Typed reads from a YAML tree. */
#include "base/err.h"
#include "base/str.h"
#include "io/yaml.h"

#include <ctype.h>
#include <string.h>

const ark_yaml_node *ark_yaml_get(const ark_yaml_node *map, const char *key) {
    if (!map || map->kind != ARK_YAML_MAP) {
        return NULL;
    }
    for (size_t i = 0; i < map->count; i++) {
        if (!strcmp(map->keys[i], key)) {
            return map->items[i];
        }
    }
    return NULL;
}

static bool in_list(const char *word, const char *const *known, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!strcmp(word, known[i])) {
            return true;
        }
    }
    return false;
}

ark_status ark_yaml_check_keys(
    const ark_yaml *y, const ark_yaml_node *map, const char *where, const char *const *known, size_t n) {
    if (map->kind != ARK_YAML_MAP) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s%sexpected keys with values", y->path, map->line, where,
            *where ? ": " : "");
    }
    for (size_t i = 0; i < map->count; i++) {
        if (!in_list(map->keys[i], known, n)) {
            const char *near = ark_nearest(map->keys[i], known, n);
            return ARK_ERR(ARK_EINVAL, "%s:%d: unknown key '%s'%s%s%s%s%s", y->path, map->key_lines[i],
                map->keys[i], *where ? " in " : "", where, near ? " (did you mean '" : "", near ? near : "",
                near ? "'?)" : "");
        }
    }
    return ARK_OK;
}

static ark_status wrong(const ark_yaml *y, const ark_yaml_node *n, const char *key, const char *wanted) {
    static const char *const kinds[] = {"", "a list", "keys with values"};
    if (n->kind != ARK_YAML_SCALAR || (!*n->text && !n->quoted)) {
        const char *got = n->kind == ARK_YAML_SCALAR ? "nothing" : kinds[n->kind];
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: expected %s, got %s", y->path, n->line, key, wanted, got);
    }
    const char *note = n->quoted ? " in quotes" : "";
    return ARK_ERR(
        ARK_EINVAL, "%s:%d: %s: expected %s, got '%s'%s", y->path, n->line, key, wanted, n->text, note);
}

static bool is_plain(const ark_yaml_node *n) {
    return n->kind == ARK_YAML_SCALAR && !n->quoted;
}

ark_status ark_yaml_i64(const ark_yaml *y, const ark_yaml_node *n, const char *key, int64_t *out) {
    return is_plain(n) && ark_parse_i64(n->text, out) ? ARK_OK : wrong(y, n, key, "a whole number");
}

ark_status ark_yaml_f64(const ark_yaml *y, const ark_yaml_node *n, const char *key, double *out) {
    return is_plain(n) && ark_parse_f64(n->text, out) ? ARK_OK : wrong(y, n, key, "a number");
}

ark_status ark_yaml_bool(const ark_yaml *y, const ark_yaml_node *n, const char *key, bool *out) {
    char word[8] = "";
    if (is_plain(n)) {
        for (size_t i = 0; i + 1 < sizeof word && n->text[i]; i++) {
            word[i] = (char)tolower((unsigned char)n->text[i]);
        }
        if (strlen(n->text) < sizeof word && ark_parse_bool(word, out)) {
            return ARK_OK;
        }
    }
    return wrong(y, n, key, "true or false");
}

ark_status ark_yaml_str(const ark_yaml *y, const ark_yaml_node *n, const char *key, const char **out) {
    if (n->kind != ARK_YAML_SCALAR || (!*n->text && !n->quoted)) {
        return wrong(y, n, key, "text");
    }
    *out = n->text;
    return ARK_OK;
}
