/* Tables of keys: one table gives a run file's parsing, defaults, ranges, origins and resolved copy.
 *
 * An object (a struct of settings) has a field per key and a `char **origins`. Values come from the default,
 * then the run's YAML file, then --set key=value, and each remembers its origin. Keys are "section.key". */
#ifndef ARK_TRAIN_KEYS_H
#define ARK_TRAIN_KEYS_H

#include "ark/status.h"

#include <stddef.h>
#include <stdint.h>

typedef enum ark_key_kind {
    ARK_KEY_PATH, /* char *; made relative to the run file's folder */
    ARK_KEY_TEXT, /* char * */
    ARK_KEY_LIST, /* char *, items joined by ',' */
    ARK_KEY_INT,  /* int64_t */
    ARK_KEY_REAL, /* double */
    ARK_KEY_BOOL, /* int64_t 0 or 1 */
    ARK_KEY_WORD, /* int64_t, index into words */
} ark_key_kind;

typedef struct ark_key {
    const char *name;
    ark_key_kind kind;
    size_t offset;        /* of the field in the object */
    const char *fallback; /* the default, as text */
    const char *const *words;
    double min, max;
    const char *help;
} ark_key;

typedef struct ark_key_table {
    const ark_key *keys; /* at most 128; those of a section lie together */
    size_t n;
    size_t origins;              /* offset of the object's char **origins */
    const char *example_section; /* for the message about a file without sections */
    const char *const *foreign;  /* sections that somebody else reads, NULL-terminated; NULL = none */
} ark_key_table;

/** Allocate origins and set every default; text fields must be NULL before. Free also after failure. */
ark_status ark_keys_defaults(const ark_key_table *t, void *object) ARK_MUST_CHECK;
/** Values of a YAML file. Relative paths are relative to its folder. Unknown keys and bad values: ARK_EINVAL
 *  naming file, line, key and the nearest valid word. */
ark_status ark_keys_read(const ark_key_table *t, void *object, const char *path) ARK_MUST_CHECK;
/** One --set: "train.epochs=4". */
ark_status ark_keys_set(const ark_key_table *t, void *object, const char *assignment) ARK_MUST_CHECK;
void ark_keys_free(const ark_key_table *t, void *object);
/** Write the values as YAML that ark_keys_read accepts, each with its origin as a comment; paths absolute. */
ark_status ark_keys_write(const ark_key_table *t, const void *object, const char *path) ARK_MUST_CHECK;
/** One value as text. index < n. */
void ark_keys_value(const ark_key_table *t, const void *object, size_t index, char *buf, size_t cap);

#endif
