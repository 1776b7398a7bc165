#include "io/torch_write.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#include <libdeflate.h>
#include <string.h>

enum { MAX_PICKLE = 32 << 20, ALIGN = 64 };

/* --- pickle --- */

static ark_status put_byte(ark_buf *b, unsigned char c) {
    return ark_buf_add(b, &c, 1);
}

static ark_status put_le(ark_buf *b, uint64_t v, int bytes) {
    unsigned char out[8];
    for (int i = 0; i < bytes; i++) {
        out[i] = (unsigned char)(v >> 8 * i);
    }
    return ark_buf_add(b, out, (size_t)bytes);
}

/* BINUNICODE */
static ark_status put_text(ark_buf *b, const char *s) {
    ARK_TRY(put_byte(b, 'X'));
    ARK_TRY(put_le(b, strlen(s), 4));
    return ark_buf_adds(b, s);
}

/* BININT where it fits, else LONG1 of 8 bytes (the value is not negative). */
static ark_status put_int(ark_buf *b, int64_t v) {
    if (v <= INT32_MAX) {
        ARK_TRY(put_byte(b, 'J'));
        return put_le(b, (uint64_t)v, 4);
    }
    ARK_TRY(ark_buf_add(b, "\x8a\x08", 2));
    return put_le(b, (uint64_t)v, 8);
}

/* MARK numbers TUPLE */
static ark_status put_counts(ark_buf *b, int n, const int64_t *values) {
    ARK_TRY(put_byte(b, '('));
    for (int i = 0; i < n; i++) {
        ARK_TRY(put_int(b, values[i]));
    }
    return put_byte(b, 't');
}

static const char *storage_class(ark_st_dtype dt) {
    static const char *const names[ARK_ST_DTYPE_COUNT] = {[ARK_ST_BOOL] = "BoolStorage",
        [ARK_ST_U8] = "ByteStorage",
        [ARK_ST_I8] = "CharStorage",
        [ARK_ST_I16] = "ShortStorage",
        [ARK_ST_F16] = "HalfStorage",
        [ARK_ST_BF16] = "BFloat16Storage",
        [ARK_ST_I32] = "IntStorage",
        [ARK_ST_F32] = "FloatStorage",
        [ARK_ST_I64] = "LongStorage",
        [ARK_ST_F64] = "DoubleStorage"};
    return names[dt];
}

/* _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()) */
static ark_status put_tensor(ark_buf *b, const ark_st_tensor *t, size_t index) {
    int64_t stride[ARK_ST_MAX_DIMS], step = 1;
    if (!storage_class(t->dtype)) {
        return ARK_ERR(
            ARK_EINVAL, "tensor '%s': torch has no storage for %s", t->name, ark_st_dtype_name(t->dtype));
    }
    for (int d = t->ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= t->shape[d] > 0 ? t->shape[d] : 1;
    }
    int64_t numel = (int64_t)(t->bytes / ark_st_dtype_bytes(t->dtype));
    char key[24];
    snprintf(key, sizeof key, "%zu", index);
    ARK_TRY(put_text(b, t->name));
    ARK_TRY(ark_buf_adds(b, "ctorch._utils\n_rebuild_tensor_v2\n(("));
    ARK_TRY(put_text(b, "storage"));
    ARK_TRY(ark_buf_addf(b, "ctorch\n%s\n", storage_class(t->dtype)));
    ARK_TRY(put_text(b, key));
    ARK_TRY(put_text(b, "cpu"));
    ARK_TRY(put_int(b, numel));
    ARK_TRY(ark_buf_adds(b, "tQ"));
    ARK_TRY(put_int(b, 0));
    ARK_TRY(put_counts(b, t->ndim, t->shape));
    ARK_TRY(put_counts(b, t->ndim, stride));
    return ark_buf_adds(b, "\x89"
                           "ccollections\nOrderedDict\n)RtR");
}

static ark_status put_pickle(ark_buf *b, const ark_st_writer *w) {
    ARK_TRY(ark_buf_adds(b, "\x80\x02}("));
    ARK_TRY(put_text(b, "state_dict"));
    ARK_TRY(ark_buf_adds(b, "ccollections\nOrderedDict\n)R("));
    for (size_t i = 0; i < ark_st_writer_count(w); i++) {
        ARK_TRY(put_tensor(b, ark_st_writer_at(w, i), i));
    }
    ARK_TRY(put_byte(b, 'u'));
    if (ark_st_writer_meta_count(w)) {
        ARK_TRY(put_text(b, "arkfm"));
        ARK_TRY(ark_buf_adds(b, "}("));
        for (size_t i = 0; i < ark_st_writer_meta_count(w); i++) {
            const char *key, *value;
            ark_st_writer_meta_at(w, i, &key, &value);
            ARK_TRY(put_text(b, key));
            ARK_TRY(put_text(b, value));
        }
        ARK_TRY(put_byte(b, 'u'));
    }
    return ark_buf_adds(b, "u.");
}

/* --- zip --- */

/* One entry on its way to the directory. */
typedef struct entry {
    char name[40];
    uint64_t at, size; /* of the local header; of the data */
    uint32_t crc;
} entry;

typedef struct archive {
    ark_writer file;
    uint64_t at; /* bytes written */
    entry *entries;
    size_t n;
} archive;

static void put(archive *a, const void *bytes, size_t n) {
    ark_writer_put(&a->file, bytes, n);
    a->at += n;
}

static void put_field(unsigned char **p, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) {
        *(*p)++ = (unsigned char)(v >> 8 * i);
    }
}

/* What the local header and the directory say alike, from the version to the second size. Dates are
 * 1980-01-01, so that equal content gives equal bytes. */
static void put_common(unsigned char **p, const entry *e, bool wide) {
    put_field(p, wide ? 45 : 20, 2); /* version needed */
    put_field(p, 0x0800, 2);         /* names are UTF-8 */
    put_field(p, 0, 2);              /* stored */
    put_field(p, 0, 2);
    put_field(p, 0x21, 2);
    put_field(p, e->crc, 4);
    put_field(p, wide ? UINT32_MAX : e->size, 4);
    put_field(p, wide ? UINT32_MAX : e->size, 4);
}

/* Local header, padded by an extra field ("FB", as torch's) so that the data begins at a multiple of 64. */
static void put_entry(archive *a, const char *name, const void *data, size_t size) {
    unsigned char head[30 + 40 + 20 + 4 + ALIGN], *p = head;
    entry *e = &a->entries[a->n++];
    *e = (entry){.at = a->at, .size = size, .crc = libdeflate_crc32(0, data, size)};
    snprintf(e->name, sizeof e->name, "archive/%s", name);
    size_t name_len = strlen(e->name);
    bool wide = size >= UINT32_MAX;
    size_t fixed = 30 + name_len + (wide ? 20 : 0) + 4;
    size_t pad = (ALIGN - (size_t)((a->at + fixed) % ALIGN)) % ALIGN;
    put_field(&p, 0x04034b50, 4);
    put_common(&p, e, wide);
    put_field(&p, name_len, 2);
    put_field(&p, (wide ? 20 : 0) + 4 + pad, 2);
    memcpy(p, e->name, name_len);
    p += name_len;
    if (wide) {
        put_field(&p, 1, 2);
        put_field(&p, 16, 2);
        put_field(&p, size, 8);
        put_field(&p, size, 8);
    }
    put_field(&p, 0x4246, 2);
    put_field(&p, pad, 2);
    memset(p, 'Z', pad);
    put(a, head, fixed + pad);
    put(a, data, size);
}

static void put_directory_entry(archive *a, const entry *e) {
    unsigned char head[46 + 40 + 28], *p = head;
    bool wide = e->size >= UINT32_MAX, far = e->at >= UINT32_MAX;
    size_t name_len = strlen(e->name), extra = (wide ? 16 : 0) + (far ? 8 : 0);
    put_field(&p, 0x02014b50, 4);
    put_field(&p, 45, 2); /* made by */
    put_common(&p, e, wide || far);
    if (far && !wide) { /* only what does not fit goes to the extra field */
        unsigned char *sizes = p - 8;
        put_field(&sizes, e->size, 4);
        put_field(&sizes, e->size, 4);
    }
    put_field(&p, name_len, 2);
    put_field(&p, extra ? extra + 4 : 0, 2);
    put_field(&p, 0, 2); /* comment, disk, attributes */
    put_field(&p, 0, 2);
    put_field(&p, 0, 2);
    put_field(&p, 0, 4);
    put_field(&p, far ? UINT32_MAX : e->at, 4);
    memcpy(p, e->name, name_len);
    p += name_len;
    if (extra) {
        put_field(&p, 1, 2);
        put_field(&p, extra, 2);
    }
    if (wide) {
        put_field(&p, e->size, 8);
        put_field(&p, e->size, 8);
    }
    if (far) {
        put_field(&p, e->at, 8);
    }
    put(a, head, (size_t)(p - head));
}

/* Directory, zip64 end and locator (always there, as in torch's files), end. */
static void put_end(archive *a) {
    uint64_t directory = a->at;
    for (size_t i = 0; i < a->n; i++) {
        put_directory_entry(a, &a->entries[i]);
    }
    uint64_t bytes = a->at - directory, end64 = a->at;
    unsigned char tail[56 + 20 + 22], *p = tail;
    put_field(&p, 0x06064b50, 4);
    put_field(&p, 44, 8);
    put_field(&p, 45, 2);
    put_field(&p, 45, 2);
    put_field(&p, 0, 8); /* disks */
    put_field(&p, a->n, 8);
    put_field(&p, a->n, 8);
    put_field(&p, bytes, 8);
    put_field(&p, directory, 8);
    put_field(&p, 0x07064b50, 4);
    put_field(&p, 0, 4);
    put_field(&p, end64, 8);
    put_field(&p, 1, 4);
    put_field(&p, 0x06054b50, 4);
    put_field(&p, 0, 4);
    put_field(&p, a->n < UINT16_MAX ? a->n : UINT16_MAX, 2);
    put_field(&p, a->n < UINT16_MAX ? a->n : UINT16_MAX, 2);
    put_field(&p, bytes < UINT32_MAX ? bytes : UINT32_MAX, 4);
    put_field(&p, directory < UINT32_MAX ? directory : UINT32_MAX, 4);
    put_field(&p, 0, 2);
    put(a, tail, sizeof tail);
}

ark_status ark_pth_write(const ark_st_writer *w, const char *path) {
    archive a = {0};
    ark_buf pickle;
    ark_buf_init(&pickle, MAX_PICKLE);
    size_t n = ark_st_writer_count(w);
    ark_status st = put_pickle(&pickle, w);
    if (st != ARK_OK) {
        st = ark__err_prefix(st, "%s", path);
    }
    st = st ? st : ARK_NEW(&a.entries, n + 3, "zip entries");
    st = st ? st : ark_writer_open(&a.file, path);
    if (st == ARK_OK) {
        put_entry(&a, "data.pkl", pickle.data, pickle.len);
        put_entry(&a, "byteorder", "little", 6);
        for (size_t i = 0; i < n; i++) {
            const ark_st_tensor *t = ark_st_writer_at(w, i);
            char name[32];
            snprintf(name, sizeof name, "data/%zu", i);
            put_entry(&a, name, t->data, t->bytes);
        }
        put_entry(&a, "version", "3\n", 2);
        put_end(&a);
        st = ark_writer_commit(&a.file);
    }
    ark_free(a.entries);
    ark_buf_free(&pickle);
    return st;
}
