/* The zip container of torch.save since PyTorch 1.6: every entry stored as it is, so tensors can be read
 * where they lie in the file. Sizes and CRCs come from the central directory; local headers written by
 * torch hold zeros. */
#ifndef ARK_IO_TORCH_ZIP_H
#define ARK_IO_TORCH_ZIP_H

#include "ark/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ark_zip_entry {
    const char *name; /* name_len bytes of the central directory, not terminated */
    size_t name_len;
    const unsigned char *data; /* size bytes of the file */
    size_t size;
    uint32_t crc;  /* 0: none, torch can leave them out */
    size_t header; /* place of the local header */
    bool verified; /* ark_zip_verify has passed */
} ark_zip_entry;

typedef struct ark_zip {
    const char *path;       /* borrowed, for messages */
    ark_zip_entry *entries; /* by name */
    size_t n;
} ark_zip;

/** Read the directory of a zip of n bytes, which must outlive the result. Refused with ARK_EFORMAT naming
 * the entry: compressed or encrypted entries, entries that reach beyond the file, overlap each other or
 * share a name, more than 200,000 of them. */
ark_status ark_zip_open(const void *bytes, size_t n, const char *path, ark_zip *out) ARK_MUST_CHECK;
void ark_zip_free(ark_zip *z);
/** By name of len bytes, or NULL. */
ark_zip_entry *ark_zip_find(const ark_zip *z, const char *name, size_t len);
/** Compare an entry's bytes with its CRC, once: ARK_EFORMAT with both. */
ark_status ark_zip_verify(const ark_zip *z, ark_zip_entry *e) ARK_MUST_CHECK;

#endif
