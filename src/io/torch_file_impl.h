/* Between torch_file.c, which reads containers and tensors, and torch_keys.c, which looks at the
 * outermost dict. */
#ifndef ARK_IO_TORCH_FILE_IMPL_H
#define ARK_IO_TORCH_FILE_IMPL_H

#include "io/pickle.h"
#include "io/torch_file.h"
#include "io/torch_legacy.h"
#include "io/torch_values.h"
#include "io/torch_zip.h"

#include <stdio.h>

struct ark_pth_file {
    char *path;
    const unsigned char *bytes; /* borrowed */
    size_t bytes_n;
    ark_zip zip;
    const char *prefix; /* of every entry's name */
    size_t prefix_len;
    ark_pickle pickle;
    bool legacy, big_endian;
    ark_legacy old;
    const ark_pv *root;
    char *key;
    ark_pth_item *items;
    size_t items_n;
    char **meta; /* key, value, ... */
    size_t meta_n;
    size_t n, others, listed_bytes;
    ark_st_tensor *tensors, **by_name;
    char **names; /* of the tensors */
    size_t names_n;
};

/** Tensors among the values of a dict with text keys; 0 for anything else. */
size_t ark__pth_tensors_in(const ark_pv *v);
/** Describe what stands in the outermost dict. */
ark_status ark__pth_list_items(ark_pth_file *f) ARK_MUST_CHECK;
/** The dict of tensors that key means; sets f->key. */
ark_status ark__pth_choose(ark_pth_file *f, const char *key, const ark_pv **dict) ARK_MUST_CHECK;

#endif
