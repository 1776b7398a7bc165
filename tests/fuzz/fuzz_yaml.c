/* Parse, then walk the tree with aliases expanded, as a reader of configurations would. */
#include "base/err.h"
#include "fuzz.h"
#include "io/yaml.h"

enum { MAX_NODES = 100000, MAX_DEPTH = 33 }; /* the parser's limits; a scalar may lie below 32 collections */

static size_t walk(const ark_yaml *y, const ark_yaml_node *n, int depth) {
    size_t nodes = 1;
    ARK_ASSERT(depth <= MAX_DEPTH && n->line >= 1);
    if (n->kind == ARK_YAML_SCALAR) {
        int64_t i;
        double f;
        bool b;
        const char *s;
        (void)!ark_yaml_i64(y, n, "k", &i);
        (void)!ark_yaml_f64(y, n, "k", &f);
        (void)!ark_yaml_bool(y, n, "k", &b);
        (void)!ark_yaml_str(y, n, "k", &s);
        return nodes;
    }
    for (size_t i = 0; i < n->count; i++) {
        if (n->kind == ARK_YAML_MAP) {
            ARK_ASSERT(ark_yaml_get(n, n->keys[i]) == n->items[i]);
        }
        nodes += walk(y, n->items[i], depth + 1);
    }
    return nodes;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    ark_yaml *y = NULL;
    if (ark_yaml_parse((const char *)bytes, n, "fuzz", &y) != ARK_OK) {
        ARK_ASSERT(!y);
        return 0;
    }
    ARK_ASSERT(walk(y, y->root, 1) <= MAX_NODES);
    ark_yaml_free(y);
    return 0;
}
