#include "io/torch_legacy.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "io/torch_values.h"

#include <stdlib.h>
#include <string.h>

/* 0x1950a86a20f9469cfc6c, little-endian. */
static const unsigned char magic[] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
enum { VERSION = 1001 };

bool ark_legacy_is(const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    return n >= 14 && p[0] == 0x80 && p[2] == 0x8a && p[3] == sizeof magic &&
           !memcmp(p + 4, magic, sizeof magic);
}

typedef struct reader {
    const unsigned char *p;
    size_t left;
    const char *path;
} reader;

static ark_status next_pickle(reader *r, ark_pickle *out) {
    ARK_TRY(ark_pickle_parse(r->p, r->left, r->path, out));
    r->p += out->used;
    r->left -= out->used;
    return ARK_OK;
}

/* The pickles before the object: only the version has something to say. Storages are little-endian
 * whatever machine wrote them (torch/csrc/serialization.cpp). */
static ark_status skip_preamble(reader *r) {
    ark_pickle p = {0};
    ARK_TRY(next_pickle(r, &p));
    ark_pickle_free(&p);
    ARK_TRY(next_pickle(r, &p));
    bool known = p.root->kind == ARK_PV_INT && p.root->i == VERSION;
    long long version = p.root->kind == ARK_PV_INT ? (long long)p.root->i : -1;
    ark_pickle_free(&p);
    if (!known) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: version %lld of the old torch format, %d is known", r->path, version, VERSION);
    }
    ARK_TRY(next_pickle(r, &p));
    ark_pickle_free(&p);
    return ARK_OK;
}

static int by_key(const void *a, const void *b) {
    const ark_legacy_storage *x = a, *y = b;
    int c = memcmp(x->key, y->key, x->key_len < y->key_len ? x->key_len : y->key_len);
    return c ? c : (x->key_len > y->key_len) - (x->key_len < y->key_len);
}

static ark_legacy_storage *find(const ark_legacy *l, const char *key, size_t len) {
    ark_legacy_storage wanted = {.key = key, .key_len = len};
    return l->n ? bsearch(&wanted, l->storages, l->n, sizeof *l->storages, by_key) : NULL;
}

const ark_legacy_storage *ark_legacy_find(const ark_legacy *l, const char *key, size_t len) {
    return find(l, key, len);
}

/* One row per storage that the object refers to: only its references tell the type. */
static ark_status collect(const reader *r, ark_legacy *l) {
    ARK_TRY(ARK_NEW(&l->storages, l->object.n_persids, "storages"));
    for (size_t i = 0; i < l->object.n_persids; i++) {
        ark_torch_storage s;
        ARK_TRY(ark_torch_storage_read(l->object.persids[i], r->path, &s));
        l->storages[l->n++] =
            (ark_legacy_storage){.key = s.key, .key_len = s.key_len, .itemsize = ark_st_dtype_bytes(s.dtype)};
    }
    qsort(l->storages, l->n, sizeof *l->storages, by_key);
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (kept && by_key(&l->storages[kept - 1], &l->storages[i]) == 0) {
            if (l->storages[kept - 1].itemsize != l->storages[i].itemsize) {
                return ARK_ERR(ARK_EFORMAT, "%s: storage %.*s has elements of %zu and of %zu bytes", r->path,
                    l->storages[i].key_len < 64 ? (int)l->storages[i].key_len : 64, l->storages[i].key,
                    l->storages[kept - 1].itemsize, l->storages[i].itemsize);
            }
            continue;
        }
        l->storages[kept++] = l->storages[i];
    }
    l->n = kept;
    return ARK_OK;
}

static ark_status read_storage(reader *r, const ark_pv *key, ark_legacy *l) {
    if (key->kind != ARK_PV_STR && key->kind != ARK_PV_BYTES) {
        return ARK_ERR(ARK_EFORMAT, "%s: a storage key that is no text", r->path);
    }
    int shown = key->n < 64 ? (int)key->n : 64;
    ark_legacy_storage *s = find(l, key->s, key->n);
    uint64_t count = 0;
    size_t bytes;
    if (!s || s->data) {
        return ARK_ERR(ARK_EFORMAT, "%s: storage %.*s %s", r->path, shown, key->s,
            s ? "is listed twice" : "belongs to no tensor");
    }
    if (r->left >= sizeof count) {
        memcpy(&count, r->p, sizeof count);
    }
    if (r->left < sizeof count || ark_mul((size_t)count, s->itemsize, &bytes) ||
        bytes > r->left - sizeof count) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: storage %.*s: %llu elements of %zu bytes, the file has %zu bytes left", r->path, shown,
            key->s, (unsigned long long)count, s->itemsize, r->left);
    }
    s->data = r->p + sizeof count;
    s->bytes = bytes;
    r->p = s->data + bytes;
    r->left -= sizeof count + bytes;
    return ARK_OK;
}

static ark_status read_all(reader *r, ark_legacy *l) {
    ARK_TRY(skip_preamble(r));
    ARK_TRY(next_pickle(r, &l->object));
    ARK_TRY(next_pickle(r, &l->keys));
    if (l->keys.root->kind != ARK_PV_LIST) {
        return ARK_ERR(ARK_EFORMAT, "%s: the keys of its storages are no list", r->path);
    }
    ARK_TRY(collect(r, l));
    for (uint32_t i = 0; i < l->keys.root->n; i++) {
        ARK_TRY(read_storage(r, l->keys.root->items[i], l));
    }
    return ARK_OK;
}

ark_status ark_legacy_open(const void *bytes, size_t n, const char *path, ark_legacy *out) {
    reader r = {.p = bytes, .left = n, .path = path};
    ark_legacy l = {0};
    ark_status st = read_all(&r, &l);
    if (st != ARK_OK) {
        ark_legacy_free(&l);
        return st;
    }
    *out = l;
    return ARK_OK;
}

void ark_legacy_free(ark_legacy *l) {
    ark_pickle_free(&l->object);
    ark_pickle_free(&l->keys);
    ark_free(l->storages);
    *l = (ark_legacy){0};
}
