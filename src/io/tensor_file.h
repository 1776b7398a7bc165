/* A file of named tensors, whichever format: safetensors, or a .pth of torch.save. Told apart by content. */
#ifndef ARK_IO_TENSOR_FILE_H
#define ARK_IO_TENSOR_FILE_H

#include "io/safetensors.h"
#include "io/torch_file.h"

typedef enum ark_tensor_format {
    ARK_TF_SAFETENSORS,
    ARK_TF_TORCH_ZIP,
    ARK_TF_TORCH_LEGACY
} ark_tensor_format;

typedef struct ark_tensor_file ark_tensor_file; /* owns a read-only map */

/** Map and check a file (io/safetensors.h, io/torch_file.h). key chooses the dict in a .pth, NULL the
 * usual one; for safetensors, which have none, a key is ARK_EINVAL. */
ark_status ark_tensor_file_open(const char *path, const char *key, ark_tensor_file **out) ARK_MUST_CHECK;
/** The same over n bytes of memory, which must outlive the result; name appears in messages. */
ark_status ark_tensor_file_open_memory(
    const void *bytes, size_t n, const char *name, const char *key, ark_tensor_file **out) ARK_MUST_CHECK;
void ark_tensor_file_close(ark_tensor_file *f);

ark_tensor_format ark_tensor_file_format(const ark_tensor_file *f);
const char *ark_tensor_format_name(ark_tensor_format format); /* "safetensors", "torch zip", "torch legacy" */
size_t ark_tensor_file_count(const ark_tensor_file *f);
const ark_st_tensor *ark_tensor_file_at(const ark_tensor_file *f, size_t i);
/** By name as the file has it, or NULL. */
const ark_st_tensor *ark_tensor_file_find(const ark_tensor_file *f, const char *name);
/** Text metadata: a safetensors file's __metadata__, a .pth's dict "arkfm"; NULL when there is no such
 * key. */
const char *ark_tensor_file_meta(const ark_tensor_file *f, const char *key);
size_t ark_tensor_file_meta_count(const ark_tensor_file *f);
void ark_tensor_file_meta_at(const ark_tensor_file *f, size_t i, const char **key, const char **value);
/** The .pth behind it, for its keys; NULL for safetensors. */
const ark_pth_file *ark_tensor_file_pth(const ark_tensor_file *f);

#endif
