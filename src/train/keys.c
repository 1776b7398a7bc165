#include "train/keys.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"
#include "io/yaml.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_KEYS = 128, VALUE_BYTES = 4096 };

static void *field(const void *object, const ark_key *k) {
    return (char *)(uintptr_t)object + k->offset;
}

static char ***origins_of(const ark_key_table *t, const void *object) {
    return (char ***)(void *)((char *)(uintptr_t)object + t->origins);
}

static ark_status set_text(char **slot, const char *value) {
    char *copy = ark_strdup(value);
    if (!copy) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for the configuration");
    }
    ark_free(*slot);
    *slot = copy;
    return ARK_OK;
}

static ark_status set_word(const ark_key *k, const char *value, int64_t *slot) {
    size_t n = 0;
    char all[200] = "";
    for (; k->words[n]; n++) {
        if (!strcmp(k->words[n], value)) {
            *slot = (int64_t)n;
            return ARK_OK;
        }
        size_t len = strlen(all);
        snprintf(all + len, sizeof all - len, "%s%s", n ? ", " : "", k->words[n]);
    }
    const char *near = ark_nearest(value, k->words, n);
    return ARK_ERR(ARK_EINVAL, "%s: '%s' is not one of %s%s%s%s", k->name, value, all,
        near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

/* Parse text into the key's field. base: folder that relative paths refer to, or NULL for
 * the working folder. */
static ark_status set_value(void *object, const ark_key *k, const char *value, const char *base) {
    void *slot = field(object, k);
    bool b;
    int64_t i;
    double d;
    switch (k->kind) {
    case ARK_KEY_TEXT:
    case ARK_KEY_LIST:
        return set_text(slot, value);
    case ARK_KEY_PATH: {
        char *full = value[0] && base ? ark_path_join(base, value) : ark_strdup(value);
        ark_status st =
            full ? set_text(slot, full) : ARK_ERR(ARK_ENOMEM, "out of memory for the configuration");
        ark_free(full);
        return st;
    }
    case ARK_KEY_INT:
        if (!ark_parse_i64(value, &i) || (double)i < k->min || (double)i > k->max) {
            return ARK_ERR(
                ARK_EINVAL, "%s: '%s' is not a whole number in %.0f..%.0f", k->name, value, k->min, k->max);
        }
        memcpy(slot, &i, sizeof i);
        return ARK_OK;
    case ARK_KEY_REAL:
        if (!ark_parse_f64(value, &d) || d < k->min || d > k->max) {
            return ARK_ERR(ARK_EINVAL, "%s: '%s' is not a number in %g..%g", k->name, value, k->min, k->max);
        }
        memcpy(slot, &d, sizeof d);
        return ARK_OK;
    case ARK_KEY_BOOL:
        if (!ark_parse_bool(value, &b)) {
            return ARK_ERR(ARK_EINVAL, "%s: '%s' is not true or false", k->name, value);
        }
        i = b;
        memcpy(slot, &i, sizeof i);
        return ARK_OK;
    case ARK_KEY_WORD:
        return set_word(k, value, slot);
    }
    return ARK_ERR(ARK_EINVAL, "%s: unknown kind", k->name);
}

static ark_status set_key(const ark_key_table *t, void *object, size_t index, const char *value,
    const char *base, const char *origin) {
    ARK_TRY(set_value(object, &t->keys[index], value, base));
    return set_text(&(*origins_of(t, object))[index], origin);
}

static size_t find_key(const ark_key_table *t, const char *name) {
    size_t i = 0;
    while (i < t->n && strcmp(t->keys[i].name, name)) {
        i++;
    }
    return i;
}

static ark_status unknown_key(const ark_key_table *t, const char *where, const char *name) {
    const char *names[MAX_KEYS];
    size_t n = 0;
    for (; n < t->n && n < MAX_KEYS; n++) {
        names[n] = t->keys[n].name;
    }
    const char *near = ark_nearest(name, names, n);
    return ARK_ERR(ARK_EINVAL, "%s: unknown key '%s'%s%s%s", where, name, near ? " (did you mean '" : "",
        near ? near : "", near ? "'?)" : "");
}

/* A sequence of scalars, or one scalar, as items joined by ','. */
static ark_status join_list(
    const ark_yaml *y, const ark_yaml_node *n, const char *key, char *buf, size_t cap) {
    buf[0] = '\0';
    if (n->kind == ARK_YAML_SCALAR) {
        snprintf(buf, cap, "%s", n->text);
        return ARK_OK;
    }
    size_t len = 0;
    for (size_t i = 0; i < n->count; i++) {
        const char *item;
        if (n->kind != ARK_YAML_SEQ) {
            return ARK_ERR(ARK_EINVAL, "%s:%d: %s: expected a list", y->path, n->line, key);
        }
        ARK_TRY(ark_yaml_str(y, n->items[i], key, &item));
        int w = snprintf(buf + len, cap - len, "%s%s", i ? "," : "", item);
        if (strchr(item, ',') || w < 0 || (size_t)w >= cap - len) {
            return ARK_ERR(ARK_EINVAL, "%s:%d: %s: item too long or with a comma", y->path, n->line, key);
        }
        len += (size_t)w;
    }
    return ARK_OK;
}

static ark_status read_section(const ark_key_table *t, void *object, const ark_yaml *y, const char *section,
    const ark_yaml_node *map, const char *base) {
    for (size_t i = 0; i < map->count; i++) {
        const ark_yaml_node *v = map->items[i];
        char name[128], where[512], value[VALUE_BYTES];
        snprintf(name, sizeof name, "%s.%s", section, map->keys[i]);
        snprintf(where, sizeof where, "%s:%d", y->path, v->line);
        size_t index = find_key(t, name);
        if (index == t->n) {
            return unknown_key(t, where, name);
        }
        if (t->keys[index].kind == ARK_KEY_LIST) {
            ARK_TRY(join_list(y, v, name, value, sizeof value));
        } else if (v->kind != ARK_YAML_SCALAR) {
            return ARK_ERR(ARK_EINVAL, "%s: %s: expected one value", where, name);
        } else {
            snprintf(value, sizeof value, "%s", v->text);
        }
        ark_status st = set_key(t, object, index, value, base, where);
        if (st != ARK_OK) {
            return ark__err_prefix(st, "%s", where);
        }
    }
    return ARK_OK;
}

static bool is_foreign(const ark_key_table *t, const char *section) {
    for (size_t i = 0; t->foreign && t->foreign[i]; i++) {
        if (!strcmp(t->foreign[i], section)) {
            return true;
        }
    }
    return false;
}

ark_status ark_keys_read(const ark_key_table *t, void *object, const char *path) {
    ark_yaml *y;
    ARK_TRY(ark_yaml_read(path, &y));
    char *base = ark_path_dir(path);
    ark_status st = base ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for the configuration");
    if (st == ARK_OK && y->root->kind != ARK_YAML_MAP) {
        st = ARK_ERR(
            ARK_EINVAL, "%s:%d: expected sections such as '%s:'", path, y->root->line, t->example_section);
    }
    for (size_t i = 0; st == ARK_OK && i < y->root->count; i++) {
        const ark_yaml_node *section = y->root->items[i];
        if (is_foreign(t, y->root->keys[i])) {
            continue;
        }
        if (section->kind != ARK_YAML_MAP) {
            char where[512];
            snprintf(where, sizeof where, "%s:%d", path, section->line);
            st = unknown_key(t, where, y->root->keys[i]);
        } else {
            st = read_section(t, object, y, y->root->keys[i], section, base);
        }
    }
    ark_free(base);
    ark_yaml_free(y);
    return st;
}

ark_status ark_keys_defaults(const ark_key_table *t, void *object) {
    ARK_TRY(ARK_NEW(origins_of(t, object), t->n, "the configuration"));
    for (size_t i = 0; i < t->n; i++) {
        ARK_TRY(set_key(t, object, i, t->keys[i].fallback, NULL, "default"));
    }
    return ARK_OK;
}

ark_status ark_keys_set(const ark_key_table *t, void *object, const char *assignment) {
    const char *eq = strchr(assignment, '=');
    char name[128];
    if (!eq || eq == assignment || (size_t)(eq - assignment) >= sizeof name) {
        return ARK_ERR(ARK_EINVAL, "--set %s: expected key=value", assignment);
    }
    memcpy(name, assignment, (size_t)(eq - assignment));
    name[eq - assignment] = '\0';
    size_t index = find_key(t, name);
    if (index == t->n) {
        return unknown_key(t, "--set", name);
    }
    return set_key(t, object, index, eq + 1, NULL, "--set");
}

void ark_keys_free(const ark_key_table *t, void *object) {
    char ***origins = origins_of(t, object);
    for (size_t i = 0; i < t->n && *origins; i++) {
        const ark_key *k = &t->keys[i];
        if (k->kind <= ARK_KEY_LIST) {
            char **slot = field(object, k);
            ark_free(*slot);
            *slot = NULL;
        }
        ark_free((*origins)[i]);
    }
    ark_free(*origins);
    *origins = NULL;
}

void ark_keys_value(const ark_key_table *t, const void *object, size_t index, char *buf, size_t cap) {
    const ark_key *k = &t->keys[index];
    const void *slot = field(object, k);
    int64_t i = 0;
    double d = 0;
    if (k->kind <= ARK_KEY_LIST) {
        const char *s;
        memcpy(&s, slot, sizeof s);
        snprintf(buf, cap, "%s", s);
        return;
    }
    if (k->kind == ARK_KEY_REAL) {
        memcpy(&d, slot, sizeof d);
        for (int digits = 6; digits <= 17;
             digits++) { /* the shortest text that reads back to the same number */
            double back;
            snprintf(buf, cap, "%.*g", digits, d);
            if (ark_parse_f64(buf, &back) && back == d) {
                break;
            }
        }
        return;
    }
    memcpy(&i, slot, sizeof i);
    if (k->kind == ARK_KEY_WORD) {
        snprintf(buf, cap, "%s", k->words[i]);
    } else if (k->kind == ARK_KEY_BOOL) {
        snprintf(buf, cap, "%s", i ? "true" : "false");
    } else {
        snprintf(buf, cap, "%lld", (long long)i);
    }
}

/* Quote with YAML's double quotes; paths may hold anything. */
static void put_quoted(ark_writer *w, const char *s) {
    ark_writer_put(w, "\"", 1);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\') {
            ark_writer_put(w, "\\", 1);
        }
        ark_writer_put(w, s, 1);
    }
    ark_writer_put(w, "\"", 1);
}

static void put_list(ark_writer *w, const char *joined) {
    ark_writer_put(w, "[", 1);
    for (const char *s = joined; *s;) {
        size_t len = strcspn(s, ",");
        char item[VALUE_BYTES];
        snprintf(item, sizeof item, "%.*s", (int)len, s);
        put_quoted(w, item);
        s += len;
        if (*s == ',') {
            ark_writer_put(w, ", ", 2);
            s++;
        }
    }
    ark_writer_put(w, "]", 1);
}

ark_status ark_keys_write(const ark_key_table *t, const void *object, const char *path) {
    ark_writer w;
    ARK_TRY(ark_writer_open(&w, path));
    const char *section = "";
    char folder[VALUE_BYTES];
    const char *cwd = getcwd(folder, sizeof folder);
    for (size_t i = 0; i < t->n; i++) {
        const ark_key *k = &t->keys[i];
        size_t len = strcspn(k->name, ".");
        if (strncmp(section, k->name, len + 1)) {
            ark_writer_printf(&w, "%.*s:\n", (int)len, k->name);
            section = k->name;
        }
        char value[VALUE_BYTES];
        ark_keys_value(t, object, i, value, sizeof value);
        ark_writer_printf(&w, "    %s: ", k->name + len + 1);
        if (k->kind == ARK_KEY_LIST) {
            put_list(&w, value);
        } else if (k->kind < ARK_KEY_LIST) {
            if (k->kind == ARK_KEY_PATH && value[0] && value[0] != '/' && cwd) {
                char full[2 * VALUE_BYTES]; /* the copy lies in another folder */
                snprintf(full, sizeof full, "%s/%s", cwd, value);
                put_quoted(&w, full);
            } else {
                put_quoted(&w, value);
            }
        } else {
            ark_writer_printf(&w, "%s", value);
        }
        ark_writer_printf(&w, " # %s\n", (*origins_of(t, object))[i]);
    }
    return ark_writer_commit(&w);
}
