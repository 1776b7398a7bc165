/* .pth and .pth.tar files of torch.save, zip container or the one before 1.6: the tensors of one dict in
 * them. Nothing of the file is executed (io/pickle.h). */
#ifndef ARK_IO_TORCH_FILE_H
#define ARK_IO_TORCH_FILE_H

#include "io/safetensors.h"

/* One thing under a text key of the outermost dict. */
typedef struct ark_pth_item {
    const char *key;
    size_t tensors; /* a dict with this many tensors: a key to choose */
    bool is_number; /* int, float, bool */
    double number;
    const char *text; /* what it is, or its value */
} ark_pth_item;

typedef struct ark_pth_file ark_pth_file; /* read-only map + tree of values */

/** Whether bytes begin as a file of torch.save, or as another zip or pickle, which then is refused with a
 * reason. */
bool ark_pth_is(const void *bytes, size_t n);

/** Open over n bytes of memory, which must outlive the result; name appears in messages.
 *
 * key chooses the dict of tensors: a key of the outermost dict, "a/b" for one further in, "." for the
 * outermost itself; NULL: teacher, state_dict, model, model_state_dict or net, whichever is there first,
 * else the only one.
 *
 * Checked: every offset and stride against its storage, every storage against the file, CRCs of what is
 * listed (where the file has them). ARK_EFORMAT names file, tensor and both numbers; ARK_EINVAL: no such
 * key, with those there are. Limits: 100,000 tensors, 8 dimensions, those of io/pickle.h and
 * io/torch_zip.h; all tensors together at most 16 times the file (they may share storages). */
ark_status ark_pth_open_memory(
    const void *bytes, size_t n, const char *name, const char *key, ark_pth_file **out) ARK_MUST_CHECK;
void ark_pth_close(ark_pth_file *f);

size_t ark_pth_count(const ark_pth_file *f);
/** i-th tensor in the dict's order; owned by f. */
const ark_st_tensor *ark_pth_at(const ark_pth_file *f, size_t i);
/** By name, or NULL. O(log n). */
const ark_st_tensor *ark_pth_find(const ark_pth_file *f, const char *name);
/** Things in the chosen dict that are no tensors (numbers, nested dicts, objects). */
size_t ark_pth_others(const ark_pth_file *f);
/** The chosen key, "" for the outermost dict. */
const char *ark_pth_key(const ark_pth_file *f);
bool ark_pth_is_legacy(const ark_pth_file *f);

/** Items of the outermost dict that are no tensors, in its order. */
size_t ark_pth_item_count(const ark_pth_file *f);
const ark_pth_item *ark_pth_item_at(const ark_pth_file *f, size_t i);

/** Text metadata as arkfm writes it beside the tensors: the dict "arkfm". */
size_t ark_pth_meta_count(const ark_pth_file *f);
void ark_pth_meta_at(const ark_pth_file *f, size_t i, const char **key, const char **value);

#endif
