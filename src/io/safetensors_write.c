/* Writing of safetensors files. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mathsafe.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "io/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100000000 };

typedef ark_st_tensor item; /* its name is ours */

typedef struct meta {
    char *key, *value;
} meta;

struct ark_st_writer {
    item *items;
    size_t count, cap;
    meta *metas;
    size_t meta_count, meta_cap;
};

ark_status ark_st_writer_new(ark_st_writer **out) {
    return ARK_NEW(out, 1, "a weight writer");
}

void ark_st_writer_free(ark_st_writer *w) {
    if (!w) {
        return;
    }
    for (size_t i = 0; i < w->count; i++) {
        ark_free((char *)(uintptr_t)w->items[i].name);
    }
    for (size_t i = 0; i < w->meta_count; i++) {
        ark_free(w->metas[i].key);
        ark_free(w->metas[i].value);
    }
    ark_free(w->items);
    ark_free(w->metas);
    ark_free(w);
}

static bool is_utf8(const char *s) {
    size_t n = strlen(s);
    return ark_utf8_valid(s, n) == n;
}

ark_status ark_st_writer_meta(ark_st_writer *w, const char *key, const char *value) {
    if (!is_utf8(key) || !is_utf8(value)) {
        return ARK_ERR(ARK_EINVAL, "metadata '%s': not UTF-8", key);
    }
    for (size_t i = 0; i < w->meta_count; i++) {
        if (!strcmp(w->metas[i].key, key)) {
            return ARK_ERR(ARK_EINVAL, "metadata '%s' was given twice", key);
        }
    }
    if (w->meta_count == w->meta_cap) {
        size_t cap = w->meta_cap ? 2 * w->meta_cap : 16;
        meta *more = ark_realloc(w->metas, cap * sizeof *more);
        if (!more) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for metadata '%s'", key);
        }
        w->metas = more;
        w->meta_cap = cap;
    }
    meta m = {ark_strdup(key), ark_strdup(value)};
    if (!m.key || !m.value) {
        ark_free(m.key);
        ark_free(m.value);
        return ARK_ERR(ARK_ENOMEM, "out of memory for metadata '%s'", key);
    }
    w->metas[w->meta_count++] = m;
    return ARK_OK;
}

static ark_status check_item(const ark_st_writer *w, const item *it, const char *name) {
    if (!is_utf8(name) || !strcmp(name, "__metadata__")) {
        return ARK_ERR(ARK_EINVAL, "tensor '%s': not a name that a file can hold", name);
    }
    for (size_t i = 0; i < w->count; i++) {
        if (!strcmp(w->items[i].name, name)) {
            return ARK_ERR(ARK_EINVAL, "tensor '%s' was given twice", name);
        }
    }
    if ((unsigned)it->dtype >= ARK_ST_DTYPE_COUNT || it->ndim < 0 || it->ndim > ARK_ST_MAX_DIMS) {
        return ARK_ERR(ARK_EINVAL, "tensor '%s': dtype %d, %d dimensions (limit %d)", name, (int)it->dtype,
            it->ndim, ARK_ST_MAX_DIMS);
    }
    return ARK_OK;
}

ark_status ark_st_writer_add(ark_st_writer *w, const char *name, ark_st_dtype dtype, int ndim,
    const int64_t *shape, const void *data) {
    item it = {.dtype = dtype, .ndim = ndim, .data = data};
    ARK_TRY(check_item(w, &it, name));
    it.bytes = ark_st_dtype_bytes(dtype);
    for (int i = 0; i < ndim; i++) {
        if (shape[i] < 0 || ark_mul(it.bytes, (size_t)shape[i], &it.bytes)) {
            return ARK_ERR(ARK_EINVAL, "tensor '%s': dimension %d is %" PRId64 ": negative or too large",
                name, i, shape[i]);
        }
        it.shape[i] = shape[i];
    }
    if (w->count == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        item *more = ark_realloc(w->items, cap * sizeof *more);
        if (!more) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for tensor '%s'", name);
        }
        w->items = more;
        w->cap = cap;
    }
    it.name = ark_strdup(name);
    if (!it.name) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for tensor '%s'", name);
    }
    w->items[w->count++] = it;
    return ARK_OK;
}

static int by_alignment_then_name(const void *a, const void *b) {
    const item *x = a, *y = b;
    size_t nx = ark_st_dtype_bytes(x->dtype), ny = ark_st_dtype_bytes(y->dtype);
    return nx != ny ? (nx > ny ? -1 : 1) : strcmp(x->name, y->name);
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const meta *)a)->key, ((const meta *)b)->key);
}

static ark_status put_string(ark_buf *b, const char *s) {
    ARK_TRY(ark_buf_adds(b, "\""));
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            ARK_TRY(ark_buf_addf(b, "\\%c", c));
        } else if (c < 0x20) {
            ARK_TRY(ark_buf_addf(b, "\\u%04x", c));
        } else {
            ARK_TRY(ark_buf_add(b, s, 1));
        }
    }
    return ark_buf_adds(b, "\"");
}

static ark_status put_metas(ark_buf *b, const ark_st_writer *w) {
    ARK_TRY(ark_buf_adds(b, "\"__metadata__\":{"));
    for (size_t i = 0; i < w->meta_count; i++) {
        ARK_TRY(ark_buf_adds(b, i ? "," : ""));
        ARK_TRY(put_string(b, w->metas[i].key));
        ARK_TRY(ark_buf_adds(b, ":"));
        ARK_TRY(put_string(b, w->metas[i].value));
    }
    return ark_buf_adds(b, "}");
}

static ark_status put_item(ark_buf *b, const item *it, size_t begin) {
    ARK_TRY(put_string(b, it->name));
    ARK_TRY(ark_buf_addf(b, ":{\"dtype\":\"%s\",\"shape\":[", ark_st_dtype_name(it->dtype)));
    for (int i = 0; i < it->ndim; i++) {
        ARK_TRY(ark_buf_addf(b, "%s%" PRId64, i ? "," : "", it->shape[i]));
    }
    return ark_buf_addf(b, "],\"data_offsets\":[%zu,%zu]}", begin, begin + it->bytes);
}

/* The JSON header, padded with blanks so that the data begins at a multiple of 8. */
static ark_status make_header(ark_buf *b, const ark_st_writer *w) {
    size_t begin = 0;
    ARK_TRY(ark_buf_adds(b, "{"));
    if (w->meta_count) {
        ARK_TRY(put_metas(b, w));
    }
    for (size_t i = 0; i < w->count; i++) {
        ARK_TRY(ark_buf_adds(b, i || w->meta_count ? "," : ""));
        ARK_TRY(put_item(b, &w->items[i], begin));
        if (ark_add(begin, w->items[i].bytes, &begin)) {
            return ARK_ERR(ARK_EINVAL, "tensor '%s': the file would be too large", w->items[i].name);
        }
    }
    ARK_TRY(ark_buf_adds(b, "}"));
    static const char blanks[] = "       ";
    return ark_buf_add(b, blanks, ark_round_up(b->len, 8) - b->len);
}

ark_status ark_st_writer_save(ark_st_writer *w, const char *path) {
    if (w->count > 1) {
        qsort(w->items, w->count, sizeof *w->items, by_alignment_then_name);
    }
    if (w->meta_count > 1) {
        qsort(w->metas, w->meta_count, sizeof *w->metas, by_key);
    }
    ark_buf header;
    ark_buf_init(&header, MAX_HEADER);
    ark_writer file = {0};
    ark_status st = make_header(&header, w);
    if (st != ARK_OK) {
        st = ark__err_prefix(st, "%s", path);
        goto done;
    }
    st = ark_writer_open(&file, path);
    if (st != ARK_OK) {
        goto done;
    }
    uint64_t len = header.len;
    ark_writer_put(&file, &len, sizeof len);
    ark_writer_put(&file, header.data, header.len);
    for (size_t i = 0; i < w->count; i++) {
        ark_writer_put(&file, w->items[i].data, w->items[i].bytes);
    }
    st = ark_writer_commit(&file);
done:
    ark_buf_free(&header);
    return st;
}

size_t ark_st_writer_count(const ark_st_writer *w) {
    return w->count;
}

const ark_st_tensor *ark_st_writer_at(const ark_st_writer *w, size_t i) {
    ARK_ASSERT(i < w->count);
    return &w->items[i];
}

size_t ark_st_writer_meta_count(const ark_st_writer *w) {
    return w->meta_count;
}

void ark_st_writer_meta_at(const ark_st_writer *w, size_t i, const char **key, const char **value) {
    ARK_ASSERT(i < w->meta_count);
    *key = w->metas[i].key;
    *value = w->metas[i].value;
}
