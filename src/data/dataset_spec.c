/* What the keys of an entry mean together: classes, their spellings, the label column. */
#include "data/dataset_priv.h"

#include "base/err.h"

#include <string.h>

static bool among(const ark__names *names, const char *text) {
    for (size_t i = 0; i < names->n; i++) {
        if (!strcmp(names->items[i], text)) {
            return true;
        }
    }
    return false;
}

/* Class that the text is an alias of, or NULL: the entry's word first, then the preset's. */
static const char *alias_of(const ark__spec *s, const char *text) {
    const ark_yaml_node *v = ark_yaml_get(s->aliases, text);
    if (v) {
        return v->text;
    }
    for (const char *const *p = s->preset ? s->preset->aliases : NULL; p && p[0]; p += 2) {
        if (!strcmp(p[0], text)) {
            return p[1];
        }
    }
    return NULL;
}

int ark__class_of(const ark__spec *s, const char *const *classes, int n, const char *text) {
    for (int pass = 0; pass < 2 && text; pass++) {
        for (int k = 0; k < n; k++) {
            if (!strcmp(classes[k], text)) {
                return k;
            }
        }
        text = alias_of(s, text);
    }
    return -1;
}

/* A name of the preset that this entry leaves out of its classes counts as none, too. */
bool ark__is_no_finding(const ark__spec *s, const char *text) {
    if (among(&s->no_finding, text)) {
        return true;
    }
    if (s->preset && s->preset->no_finding && !strcmp(s->preset->no_finding, text)) {
        return true;
    }
    for (const char *const *p = s->preset ? s->preset->classes : NULL; p && *p; p++) {
        if (!strcmp(*p, text)) {
            return true;
        }
    }
    return false;
}

static ark_status wrong(const ark__spec *s, int line, const char *key, const char *what) {
    return ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: %s", s->yaml->path, line, s->name, key, what);
}

static ark_status check_test_classes(ark__spec *s, bool asked) {
    size_t kept = 0;
    for (size_t i = 0; i < s->test_classes.n; i++) {
        const char *name = s->test_classes.items[i];
        bool found = !s->classes.items || among(&s->classes, name); /* of a label column: checked when read */
        if (!found && asked) {
            return ARK_ERR(ARK_EINVAL, "%s:%d: %s: test class '%s' is not among the classes", s->yaml->path,
                s->test_classes.line, s->name, name);
        }
        s->test_classes.items[kept] = name;
        kept += found;
    }
    s->test_classes.n = kept;
    return ARK_OK;
}

ark_status ark__spec_check(ark__spec *s, bool test_classes_asked) {
    size_t k = s->classes.n;
    int line = s->classes.items ? s->classes.line : s->line;
    if (!s->classes.items && !(s->label && s->task == ARK_MULTICLASS)) {
        return wrong(
            s, line, "classes", "missing (only a multi-class label column names its classes itself)");
    }
    if (s->task == ARK_BINARY && k != (s->label ? 2 : 1)) {
        return wrong(s, line, "classes",
            s->label ? "a binary label column needs two names, the negative one first"
                     : "a binary task has one column; use multi-class for several");
    }
    if (s->task == ARK_MULTICLASS && s->classes.items && k < 2) {
        return wrong(s, line, "classes", "a multi-class task needs at least two");
    }
    if (s->votes == ARK_VOTES_ANY && s->task == ARK_MULTICLASS) {
        return wrong(s, s->line, "votes", "'any' has no meaning for classes that exclude each other");
    }
    return check_test_classes(s, test_classes_asked);
}
