/* Results of runs as JSON files. */
#ifndef ARK_TRAIN_JSON_FILE_H
#define ARK_TRAIN_JSON_FILE_H

#include "ark/status.h"

#include <jansson.h>

/** Parse a file of at most 256 MiB; *out is the caller's (json_decref). ARK_EIO | ARK_EFORMAT with file and
 *  line | ARK_ENOMEM. */
ark_status ark__json_read(const char *path, json_t **out) ARK_MUST_CHECK;
/** Write indented, numbers with all their digits. Atomic. o is borrowed. */
ark_status ark__json_write(const char *path, const json_t *o) ARK_MUST_CHECK;

#endif
