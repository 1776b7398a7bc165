#include "io/torch_file.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "io/torch_file_impl.h"
#include "io/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 100000, MAX_SHARING = 16 };

bool ark_pth_is(const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    if (n > 8 && !memcmp(p + 4, "\0\0\0", 4) && p[8] == '{') {
        return false; /* safetensors whose header has 0x04034b50 or 0x..0280 bytes */
    }
    bool zip = n >= 4 && (!memcmp(p, "PK\3\4", 4) || !memcmp(p, "PK\5\6", 4));
    bool pickle = n >= 3 && p[0] == 0x80 && p[1] >= 1 && p[1] <= 5 && p[2] != 0;
    bool tar = n >= 262 && !memcmp(p + 257, "ustar", 5);
    return zip || pickle || tar;
}

/* --- where storages lie --- */

static ark_status in_zip(ark_pth_file *f, const char *name, const ark_torch_storage *s,
    const unsigned char **data, size_t *bytes) {
    char path[512];
    int n = snprintf(path, sizeof path, "%.*sdata/%.*s", (int)f->prefix_len, f->prefix,
        s->key_len < 256 ? (int)s->key_len : 256, s->key);
    ark_zip_entry *e = n > 0 && (size_t)n < sizeof path ? ark_zip_find(&f->zip, path, (size_t)n) : NULL;
    if (!e) {
        return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': no entry data/%.*s in the file", f->path, name,
            s->key_len < 80 ? (int)s->key_len : 80, s->key);
    }
    ARK_TRY(ark_zip_verify(&f->zip, e));
    *data = e->data;
    *bytes = e->size;
    return ARK_OK;
}

static ark_status in_legacy(ark_pth_file *f, const char *name, const ark_torch_storage *s,
    const unsigned char **data, size_t *bytes) {
    const ark_legacy_storage *found = ark_legacy_find(&f->old, s->key, s->key_len);
    if (!found || !found->data) {
        return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': storage %.*s is not in the file", f->path, name,
            s->key_len < 80 ? (int)s->key_len : 80, s->key);
    }
    *data = found->data;
    *bytes = found->bytes;
    return ARK_OK;
}

/* --- tensors of the chosen dict --- */

static ark_status add_tensor(ark_pth_file *f, const char *name, const ark_pv *call) {
    ark_st_tensor *t = &f->tensors[f->n];
    ark_torch_storage s;
    size_t offset, claimed, bytes;
    const unsigned char *data;
    *t = (ark_st_tensor){.name = name};
    ARK_TRY(ark_torch_tensor_read(call, f->path, t, &s, &offset));
    ARK_TRY(f->legacy ? in_legacy(f, name, &s, &data, &bytes) : in_zip(f, name, &s, &data, &bytes));
    if (ark_mul(s.numel, ark_st_dtype_bytes(s.dtype), &claimed) || claimed > bytes) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: tensor '%s': a storage of %zu elements of %zu bytes, the file has %zu bytes", f->path, name,
            s.numel, ark_st_dtype_bytes(s.dtype), bytes);
    }
    t->data = data + offset;
    t->big_endian = f->big_endian;
    f->listed_bytes += t->bytes;
    if (f->listed_bytes > MAX_SHARING * f->bytes_n) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: tensor '%s': more than %d times the file's %zu bytes by sharing storages", f->path, name,
            MAX_SHARING, f->bytes_n);
    }
    f->n++;
    return ARK_OK;
}

/* A text of the file as a string. */
static ark_status string_of(const ark_pth_file *f, const ark_pv *v, const char *what, char **out) {
    bool text = v->kind == ARK_PV_STR || v->kind == ARK_PV_BYTES;
    if (!text || memchr(v->s, '\0', v->n) || ark_utf8_valid(v->s, v->n) != v->n) {
        return ARK_ERR(ARK_EFORMAT, "%s: %s that is not text", f->path, what);
    }
    *out = ark_strndup(v->s, v->n);
    return *out ? ARK_OK : ARK_ERR(ARK_ENOMEM, "%s: out of memory for %s", f->path, what);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(ark_st_tensor *const *)a)->name, (*(ark_st_tensor *const *)b)->name);
}

static int name_is(const void *key, const void *item) {
    return strcmp(key, (*(ark_st_tensor *const *)item)->name);
}

static ark_status index_names(ark_pth_file *f) {
    ARK_TRY(ARK_NEW(&f->by_name, f->n, "the tensor index"));
    for (size_t i = 0; i < f->n; i++) {
        f->by_name[i] = &f->tensors[i];
    }
    qsort(f->by_name, f->n, sizeof *f->by_name, by_name);
    for (size_t i = 1; i < f->n; i++) {
        if (!strcmp(f->by_name[i - 1]->name, f->by_name[i]->name)) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s' appears twice", f->path, f->by_name[i]->name);
        }
    }
    return ARK_OK;
}

static ark_status list_tensors(ark_pth_file *f, const ark_pv *dict) {
    size_t n = ark__pth_tensors_in(dict);
    if (n > MAX_TENSORS) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu tensors, limit %d", f->path, n, MAX_TENSORS);
    }
    ARK_TRY(ARK_NEW(&f->tensors, n, "tensors"));
    ARK_TRY(ARK_NEW(&f->names, n, "tensor names"));
    for (uint32_t i = 0; i < dict->n; i += 2) {
        const ark_pv *key = dict->items[i], *call = ark_torch_as_tensor(dict->items[i + 1]);
        bool named = key->kind == ARK_PV_STR || key->kind == ARK_PV_BYTES;
        if (!call || !named) {
            f->others++;
            continue;
        }
        char *name;
        ARK_TRY(string_of(f, key, "a tensor's name", &name));
        f->names[f->names_n++] = name;
        ARK_TRY(add_tensor(f, name, call));
    }
    return index_names(f);
}

/* --- metadata of ours --- */

static ark_status read_meta(ark_pth_file *f) {
    const ark_pv *dict = ark_pv_get(f->root, "arkfm");
    if (!dict || dict->kind != ARK_PV_DICT) {
        return ARK_OK;
    }
    ARK_TRY(ARK_NEW(&f->meta, dict->n, "metadata"));
    for (uint32_t i = 0; i < dict->n; i += 2) {
        ARK_TRY(string_of(f, dict->items[i], "arkfm's metadata", &f->meta[f->meta_n]));
        f->meta_n++;
        ARK_TRY(string_of(f, dict->items[i + 1], "arkfm's metadata", &f->meta[f->meta_n]));
        f->meta_n++;
    }
    return ARK_OK;
}

/* --- containers --- */

/* The name that all entries have before data.pkl. */
static ark_status find_prefix(ark_pth_file *f, ark_zip_entry **pickle) {
    static const char tail[] = "data.pkl";
    size_t len = sizeof tail - 1;
    *pickle = NULL;
    for (size_t i = 0; i < f->zip.n; i++) {
        ark_zip_entry *e = &f->zip.entries[i];
        if (e->name_len >= len && !memcmp(e->name + e->name_len - len, tail, len) &&
            (e->name_len == len || e->name[e->name_len - len - 1] == '/') &&
            (!*pickle || e->name_len < (*pickle)->name_len)) {
            *pickle = e;
        }
    }
    if (!*pickle) {
        return ARK_ERR(ARK_EFORMAT, "%s: a zip without data.pkl: not written by torch.save", f->path);
    }
    f->prefix = (*pickle)->name;
    f->prefix_len = (*pickle)->name_len - len;
    if (f->prefix_len > 200) {
        return ARK_ERR(ARK_EFORMAT, "%s: names of %zu bytes before data.pkl", f->path, f->prefix_len);
    }
    return ARK_OK;
}

static ark_zip_entry *find_part(const ark_pth_file *f, const char *part) {
    char name[300];
    int n = snprintf(name, sizeof name, "%.*s%s", (int)f->prefix_len, f->prefix, part);
    return ark_zip_find(&f->zip, name, (size_t)n);
}

static ark_status read_byte_order(ark_pth_file *f) {
    ark_zip_entry *e = find_part(f, "byteorder");
    if (!e || (e->size == 6 && !memcmp(e->data, "little", 6))) {
        return ARK_OK;
    }
    f->big_endian = e->size == 3 && !memcmp(e->data, "big", 3);
    if (!f->big_endian) {
        return ARK_ERR(ARK_EFORMAT, "%s: byteorder is neither little nor big", f->path);
    }
    return ARK_OK;
}

static ark_status open_zip(ark_pth_file *f) {
    ark_zip_entry *pickle;
    ARK_TRY(ark_zip_open(f->bytes, f->bytes_n, f->path, &f->zip));
    ARK_TRY(find_prefix(f, &pickle));
    if (find_part(f, "constants.pkl")) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: a TorchScript program (torch.jit.save), not weights: save its state_dict()", f->path);
    }
    ARK_TRY(read_byte_order(f));
    ARK_TRY(ark_zip_verify(&f->zip, pickle));
    ARK_TRY(ark_pickle_parse(pickle->data, pickle->size, f->path, &f->pickle));
    f->root = f->pickle.root;
    return ARK_OK;
}

static ark_status open_bytes(ark_pth_file *f) {
    if (f->bytes_n >= 2 && !memcmp(f->bytes, "PK", 2)) {
        return open_zip(f);
    }
    if (ark_legacy_is(f->bytes, f->bytes_n)) {
        f->legacy = true;
        ARK_TRY(ark_legacy_open(f->bytes, f->bytes_n, f->path, &f->old));
        f->root = f->old.object.root;
        return ARK_OK;
    }
    /* Other pickles are read all the same, so that a hostile one is named for what it asks. */
    if (f->bytes[0] == 0x80) {
        ARK_TRY(ark_pickle_parse(f->bytes, f->bytes_n, f->path, &f->pickle));
        return ARK_ERR(ARK_EFORMAT, "%s: a pickle that torch.save did not write", f->path);
    }
    return ARK_ERR(ARK_EFORMAT, "%s: a tar archive; weights of torch before 0.1.10 are not read", f->path);
}

static ark_status read_all(ark_pth_file *f, const char *key) {
    const ark_pv *dict;
    ARK_TRY(open_bytes(f));
    ARK_TRY(ark__pth_list_items(f));
    ARK_TRY(ark__pth_choose(f, key, &dict));
    ARK_TRY(read_meta(f));
    return list_tensors(f, dict);
}

ark_status ark_pth_open_memory(
    const void *bytes, size_t n, const char *name, const char *key, ark_pth_file **out) {
    ark_pth_file *f;
    ARK_TRY(ARK_NEW(&f, 1, "a weight file"));
    f->bytes = bytes;
    f->bytes_n = n;
    f->path = ark_strdup(name);
    ark_status st = f->path ? read_all(f, key) : ARK_ERR(ARK_ENOMEM, "%s: out of memory", name);
    if (st != ARK_OK) {
        ark_pth_close(f);
        return st;
    }
    *out = f;
    return ARK_OK;
}

static void free_strings(char **strings, size_t n) {
    for (size_t i = 0; strings && i < n; i++) {
        ark_free(strings[i]);
    }
    ark_free(strings);
}

void ark_pth_close(ark_pth_file *f) {
    if (!f) {
        return;
    }
    free_strings(f->names, f->names_n);
    free_strings(f->meta, f->meta_n);
    for (size_t i = 0; i < f->items_n; i++) {
        ark_free((char *)f->items[i].key);
        ark_free((char *)f->items[i].text);
    }
    ark_free(f->items);
    ark_free(f->tensors);
    ark_free(f->by_name);
    ark_free(f->key);
    ark_zip_free(&f->zip);
    ark_legacy_free(&f->old);
    ark_pickle_free(&f->pickle);
    ark_free(f->path);
    ark_free(f);
}

/* --- looking --- */

size_t ark_pth_count(const ark_pth_file *f) {
    return f->n;
}

const ark_st_tensor *ark_pth_at(const ark_pth_file *f, size_t i) {
    ARK_ASSERT(i < f->n);
    return &f->tensors[i];
}

const ark_st_tensor *ark_pth_find(const ark_pth_file *f, const char *name) {
    ark_st_tensor **t = f->n ? bsearch(name, f->by_name, f->n, sizeof *f->by_name, name_is) : NULL;
    return t ? *t : NULL;
}

size_t ark_pth_others(const ark_pth_file *f) {
    return f->others;
}

const char *ark_pth_key(const ark_pth_file *f) {
    return f->key;
}

bool ark_pth_is_legacy(const ark_pth_file *f) {
    return f->legacy;
}

size_t ark_pth_item_count(const ark_pth_file *f) {
    return f->items_n;
}

const ark_pth_item *ark_pth_item_at(const ark_pth_file *f, size_t i) {
    ARK_ASSERT(i < f->items_n);
    return &f->items[i];
}

size_t ark_pth_meta_count(const ark_pth_file *f) {
    return f->meta_n / 2;
}

void ark_pth_meta_at(const ark_pth_file *f, size_t i, const char **key, const char **value) {
    ARK_ASSERT(2 * i + 1 < f->meta_n);
    *key = f->meta[2 * i];
    *value = f->meta[2 * i + 1];
}
