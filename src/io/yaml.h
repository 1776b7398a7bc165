/* YAML as a tree of scalars, sequences and mappings with line numbers. Bounded size, depth and aliases; no
 * tags, no merge keys, one document. */
#ifndef ARK_IO_YAML_H
#define ARK_IO_YAML_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ark_yaml_kind { ARK_YAML_SCALAR, ARK_YAML_SEQ, ARK_YAML_MAP } ark_yaml_kind;

/* A node is owned by its document. An alias yields the node that it names, so a node may
 * have several parents. */
typedef struct ark_yaml_node {
    ark_yaml_kind kind;
    int line;                     /* 1-based */
    const char *text;             /* scalar: its text ("" for null, ~ and nothing at all); else NULL */
    bool quoted;                  /* scalar was quoted or a block (then never null, number or boolean) */
    size_t count;                 /* items or pairs */
    const char **keys;            /* map: keys in file order */
    int *key_lines;               /* map: line of each key */
    struct ark_yaml_node **items; /* seq: items, map: values */
} ark_yaml_node;

typedef struct ark_yaml {
    char *path;
    ark_yaml_node *root; /* an empty file has a scalar "" */
} ark_yaml;

/** Parse a file: duplicate keys, non-scalar keys, cyclic or exploding aliases (more than 100,000 nodes after
 * expansion, 256 anchors), depth over 32, size over 16 MiB are ARK_EFORMAT naming file, line and reason. */
ark_status ark_yaml_read(const char *path, ark_yaml **out) ARK_MUST_CHECK;
/** The same from memory; name appears in messages. */
ark_status ark_yaml_parse(const char *text, size_t n, const char *name, ark_yaml **out) ARK_MUST_CHECK;
void ark_yaml_free(ark_yaml *y);

/** Value of a key, or NULL; node may be NULL or not a map (then NULL). */
const ark_yaml_node *ark_yaml_get(const ark_yaml_node *map, const char *key);
/** Refuse keys outside the list: "FILE:LINE: unknown key 'epoch' in train (did you mean 'epochs'?)",
 * ARK_EINVAL, and a node that is not a mapping. where = "" names no place. */
ark_status ark_yaml_check_keys(const ark_yaml *y, const ark_yaml_node *map, const char *where,
    const char *const *known, size_t n) ARK_MUST_CHECK;
/* Typed reads with messages "FILE:LINE: KEY: expected a whole number, got 'x'", ARK_EINVAL. The node must not
 * be NULL. Booleans are true/false, yes/no, on/off, 1/0 in any case; text must not be null. */
ark_status ark_yaml_i64(
    const ark_yaml *y, const ark_yaml_node *n, const char *key, int64_t *out) ARK_MUST_CHECK;
ark_status ark_yaml_f64(
    const ark_yaml *y, const ark_yaml_node *n, const char *key, double *out) ARK_MUST_CHECK;
ark_status ark_yaml_bool(
    const ark_yaml *y, const ark_yaml_node *n, const char *key, bool *out) ARK_MUST_CHECK;
ark_status ark_yaml_str(
    const ark_yaml *y, const ark_yaml_node *n, const char *key, const char **out) ARK_MUST_CHECK;

#endif
