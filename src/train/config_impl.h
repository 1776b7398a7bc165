/* Inside of the run configuration. */
#ifndef ARK_TRAIN_CONFIG_IMPL_H
#define ARK_TRAIN_CONFIG_IMPL_H

#include "train/config.h"

#include <stddef.h>

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
    size_t offset;
    const char *fallback; /* the default, as text */
    const char *const *words;
    double min, max;
    const char *help;
} ark_key;

extern const ark_key ark__keys[];
extern const size_t ark__key_count;

#endif
