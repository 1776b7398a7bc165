/* What the calls and references in a pickle of torch.save mean: storages and the tensors over them. */
#ifndef ARK_IO_TORCH_VALUES_H
#define ARK_IO_TORCH_VALUES_H

#include "io/pickle.h"
#include "io/safetensors.h"

/* A persistent id: ("storage", class, key, location, elements), with view metadata behind it in old files. */
typedef struct ark_torch_storage {
    const char *key; /* key_len bytes, not terminated */
    size_t key_len;
    ark_st_dtype dtype; /* U8 where the class is UntypedStorage, whose elements are bytes */
    bool untyped;
    size_t numel;  /* of the whole storage */
    size_t offset; /* of a view within it; 0 for the whole */
    size_t view;   /* elements of the view; numel for the whole */
} ark_torch_storage;

/** ARK_EFORMAT names path and what is wrong; a storage of a type that no weights have (complex,
 * quantised) too. */
ark_status ark_torch_storage_read(
    const ark_pv *persid, const char *path, ark_torch_storage *out) ARK_MUST_CHECK;

/** The call that makes a tensor, under any number of Parameter calls; NULL when v makes something else. */
const ark_pv *ark_torch_as_tensor(const ark_pv *v);
/** Shape, strides and dtype of such a call, and the byte of the storage at which it begins, all checked
 * against the storage's number of elements. t->name must be set; t->data is left to the caller. */
ark_status ark_torch_tensor_read(const ark_pv *call, const char *path, ark_st_tensor *t,
    ark_torch_storage *storage, size_t *offset_bytes) ARK_MUST_CHECK;

#endif
