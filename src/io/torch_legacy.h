/* The container of torch.save before PyTorch 1.6: five pickles (magic, version, byte order, object,
 * keys), then each storage as a count and its elements, in the order of the keys. */
#ifndef ARK_IO_TORCH_LEGACY_H
#define ARK_IO_TORCH_LEGACY_H

#include "io/pickle.h"

typedef struct ark_legacy_storage {
    const char *key; /* key_len bytes */
    size_t key_len;
    size_t itemsize;
    const unsigned char *data; /* NULL: the file does not hold it */
    size_t bytes;
} ark_legacy_storage;

typedef struct ark_legacy {
    ark_pickle object, keys;
    ark_legacy_storage *storages; /* by key */
    size_t n;
} ark_legacy;

/** Whether bytes begin as such a file does. */
bool ark_legacy_is(const void *bytes, size_t n);
/** Read n bytes, which must outlive the result: ARK_EFORMAT names path and reason. */
ark_status ark_legacy_open(const void *bytes, size_t n, const char *path, ark_legacy *out) ARK_MUST_CHECK;
void ark_legacy_free(ark_legacy *l);
/** By key of len bytes, or NULL. */
const ark_legacy_storage *ark_legacy_find(const ark_legacy *l, const char *key, size_t len);

#endif
