#include "io/tensor_file.h"

#include "base/alloc.h"
#include "base/err.h"

#include <string.h>

struct ark_tensor_file {
    ark_map map; /* empty when the bytes are the caller's */
    ark_st_file *st;
    ark_pth_file *pth; /* one of the two */
};

ark_status ark_tensor_file_open_memory(
    const void *bytes, size_t n, const char *name, const char *key, ark_tensor_file **out) {
    ark_tensor_file *f;
    ARK_TRY(ARK_NEW(&f, 1, "a tensor file"));
    ark_status st = ARK_OK;
    if (ark_pth_is(bytes, n)) {
        st = ark_pth_open_memory(bytes, n, name, key, &f->pth);
    } else if (key) {
        st = ARK_ERR(ARK_EINVAL, "%s: no .pth file, so there is no key '%.60s' in it", name, key);
    } else {
        st = ark_st_open_memory(bytes, n, name, &f->st);
    }
    if (st != ARK_OK) {
        ark_tensor_file_close(f);
        return st;
    }
    *out = f;
    return ARK_OK;
}

ark_status ark_tensor_file_open(const char *path, const char *key, ark_tensor_file **out) {
    ark_map map;
    ark_tensor_file *f;
    ARK_TRY(ark_map_open(path, &map));
    ark_status st = ark_tensor_file_open_memory(map.data, map.len, path, key, &f);
    if (st != ARK_OK) {
        ark_map_close(&map);
        return st;
    }
    f->map = map;
    *out = f;
    return ARK_OK;
}

void ark_tensor_file_close(ark_tensor_file *f) {
    if (!f) {
        return;
    }
    ark_st_close(f->st);
    ark_pth_close(f->pth);
    ark_map_close(&f->map);
    ark_free(f);
}

ark_tensor_format ark_tensor_file_format(const ark_tensor_file *f) {
    return f->st ? ARK_TF_SAFETENSORS : ark_pth_is_legacy(f->pth) ? ARK_TF_TORCH_LEGACY : ARK_TF_TORCH_ZIP;
}

const char *ark_tensor_format_name(ark_tensor_format format) {
    static const char *const names[] = {"safetensors", "torch zip", "torch legacy"};
    return names[format];
}

size_t ark_tensor_file_count(const ark_tensor_file *f) {
    return f->st ? ark_st_count(f->st) : ark_pth_count(f->pth);
}

const ark_st_tensor *ark_tensor_file_at(const ark_tensor_file *f, size_t i) {
    return f->st ? ark_st_at(f->st, i) : ark_pth_at(f->pth, i);
}

const ark_st_tensor *ark_tensor_file_find(const ark_tensor_file *f, const char *name) {
    return f->st ? ark_st_find(f->st, name) : ark_pth_find(f->pth, name);
}

const char *ark_tensor_file_meta(const ark_tensor_file *f, const char *key) {
    if (f->st) {
        return ark_st_meta(f->st, key);
    }
    for (size_t i = 0; i < ark_pth_meta_count(f->pth); i++) {
        const char *name, *value;
        ark_pth_meta_at(f->pth, i, &name, &value);
        if (!strcmp(name, key)) {
            return value;
        }
    }
    return NULL;
}

size_t ark_tensor_file_meta_count(const ark_tensor_file *f) {
    return f->st ? ark_st_meta_count(f->st) : ark_pth_meta_count(f->pth);
}

void ark_tensor_file_meta_at(const ark_tensor_file *f, size_t i, const char **key, const char **value) {
    if (f->st) {
        ark_st_meta_at(f->st, i, key, value);
    } else {
        ark_pth_meta_at(f->pth, i, key, value);
    }
}

const ark_pth_file *ark_tensor_file_pth(const ark_tensor_file *f) {
    return f->pth;
}
