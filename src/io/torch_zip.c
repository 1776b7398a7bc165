/* Format: APPNOTE.TXT 6.3 of PKWARE, sections 4.3 and 4.5 (zip64). */
#include "io/torch_zip.h"

#include "base/alloc.h"
#include "base/err.h"

#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_ENTRIES = 200000,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT = 65535,
};

typedef struct file {
    const unsigned char *p;
    size_t n;
    const char *path;
} file;

/* The central directory: place and size in the file, number of entries. */
typedef struct directory {
    uint64_t at, bytes, count;
} directory;

static uint64_t le(const unsigned char *p, int bytes) {
    uint64_t x = 0;
    for (int i = bytes; i-- > 0;) {
        x = x << 8 | p[i];
    }
    return x;
}

static bool is_record(const unsigned char *p, char a, char b) {
    return p[0] == 'P' && p[1] == 'K' && p[2] == (unsigned char)a && p[3] == (unsigned char)b;
}

/* The end record is the last thing in the file but for a comment, whose length it tells. */
static ark_status find_end(const file *f, size_t *out) {
    for (size_t back = END_BYTES; back <= END_BYTES + MAX_COMMENT && back <= f->n; back++) {
        const unsigned char *p = f->p + f->n - back;
        if (is_record(p, 5, 6) && le(p + 20, 2) == back - END_BYTES) {
            *out = f->n - back;
            return ARK_OK;
        }
    }
    return ARK_ERR(ARK_EFORMAT, "%s: a zip without its directory (truncated?)", f->path);
}

static ark_status read_end64(const file *f, size_t end, directory *d) {
    const unsigned char *locator = f->p + end - LOCATOR_BYTES;
    uint64_t at = le(locator + 8, 8);
    if (end < LOCATOR_BYTES + END64_BYTES || at > end - LOCATOR_BYTES - END64_BYTES ||
        !is_record(f->p + at, 6, 6)) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: zip64 end record at %llu: there is none", f->path, (unsigned long long)at);
    }
    d->count = le(f->p + at + 32, 8);
    d->bytes = le(f->p + at + 40, 8);
    d->at = le(f->p + at + 48, 8);
    return ARK_OK;
}

static ark_status read_end(const file *f, directory *d) {
    size_t end;
    ARK_TRY(find_end(f, &end));
    d->count = le(f->p + end + 10, 2);
    d->bytes = le(f->p + end + 12, 4);
    d->at = le(f->p + end + 16, 4);
    if (end >= LOCATOR_BYTES && is_record(f->p + end - LOCATOR_BYTES, 6, 7)) {
        ARK_TRY(read_end64(f, end, d));
    }
    if (d->at > end || d->bytes > end - d->at) {
        return ARK_ERR(ARK_EFORMAT, "%s: zip directory of %llu bytes at %llu, the file has %zu", f->path,
            (unsigned long long)d->bytes, (unsigned long long)d->at, f->n);
    }
    if (d->count > MAX_ENTRIES || d->count * CENTRAL_BYTES > d->bytes) {
        return ARK_ERR(ARK_EFORMAT, "%s: %llu zip entries in a directory of %llu bytes (limit %d)", f->path,
            (unsigned long long)d->count, (unsigned long long)d->bytes, MAX_ENTRIES);
    }
    return ARK_OK;
}

/* Sizes and place that did not fit 32 bits, in this order, each only where the plain field is all ones. */
static bool read_extra64(const unsigned char *extra, size_t n, uint64_t *const fields[3]) {
    while (n >= 4) {
        size_t id = (size_t)le(extra, 2), len = (size_t)le(extra + 2, 2);
        if (len > n - 4) {
            return false;
        }
        if (id == 1) {
            const unsigned char *p = extra + 4;
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != UINT32_MAX) {
                    continue;
                }
                if ((size_t)(p - extra) + 8 > len + 4) {
                    return false;
                }
                *fields[i] = le(p, 8);
                p += 8;
            }
            return true;
        }
        extra += 4 + len;
        n -= 4 + len;
    }
    return true; /* a field of all ones is then meant literally, and refused as too large */
}

/* The payload begins after the local header's own name and extra field, which differ from the directory's. */
static ark_status find_payload(const file *f, const directory *d, ark_zip_entry *e, uint64_t at) {
    int shown = e->name_len < 80 ? (int)e->name_len : 80;
    const unsigned char *p = f->p + at;
    if (d->at < LOCAL_BYTES || at > d->at - LOCAL_BYTES || !is_record(p, 3, 4)) {
        return ARK_ERR(ARK_EFORMAT, "%s: zip entry %.*s: no local header at %llu", f->path, shown, e->name,
            (unsigned long long)at);
    }
    size_t name_len = (size_t)le(p + 26, 2);
    uint64_t data = at + LOCAL_BYTES + name_len + le(p + 28, 2);
    if (data > d->at || e->size > d->at - data) {
        return ARK_ERR(ARK_EFORMAT, "%s: zip entry %.*s: %zu bytes at %llu, the directory begins at %llu",
            f->path, shown, e->name, e->size, (unsigned long long)data, (unsigned long long)d->at);
    }
    if (name_len != e->name_len || memcmp(p + LOCAL_BYTES, e->name, name_len) != 0) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: zip entry %.*s has another name in its own header", f->path, shown, e->name);
    }
    e->header = (size_t)at;
    e->data = f->p + data;
    return ARK_OK;
}

/* One entry of the directory; *left and *p move behind it. */
static ark_status read_entry(
    const file *f, const directory *d, const unsigned char **p, size_t *left, ark_zip_entry *e) {
    const unsigned char *c = *p;
    if (*left < CENTRAL_BYTES || !is_record(c, 1, 2)) {
        return ARK_ERR(ARK_EFORMAT, "%s: the zip directory ends early", f->path);
    }
    size_t name_len = (size_t)le(c + 28, 2), extra_len = (size_t)le(c + 30, 2);
    size_t whole = CENTRAL_BYTES + name_len + extra_len + (size_t)le(c + 32, 2);
    if (whole > *left) {
        return ARK_ERR(ARK_EFORMAT, "%s: the zip directory ends early", f->path);
    }
    e->name = (const char *)c + CENTRAL_BYTES;
    e->name_len = name_len;
    e->crc = (uint32_t)le(c + 16, 4);
    int shown = name_len < 80 ? (int)name_len : 80;
    uint64_t packed = le(c + 20, 4), size = le(c + 24, 4), at = le(c + 42, 4);
    if (!read_extra64(c + CENTRAL_BYTES + name_len, extra_len, (uint64_t *const[3]){&size, &packed, &at})) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: zip entry %.*s: a zip64 field that is cut off", f->path, shown, e->name);
    }
    if (le(c + 8, 2) & 1) {
        return ARK_ERR(ARK_EFORMAT, "%s: zip entry %.*s is encrypted", f->path, shown, e->name);
    }
    if (le(c + 10, 2) != 0 && memmem(e->name, name_len, "/code/", 6)) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: a TorchScript program (torch.jit.save), not weights: save its state_dict()", f->path);
    }
    if (le(c + 10, 2) != 0 || packed != size) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: zip entry %.*s is compressed (method %llu, %llu bytes for %llu); torch.save stores entries "
            "as they "
            "are",
            f->path, shown, e->name, (unsigned long long)le(c + 10, 2), (unsigned long long)packed,
            (unsigned long long)size);
    }
    if (size > f->n) {
        return ARK_ERR(ARK_EFORMAT, "%s: zip entry %.*s: %llu bytes in a file of %zu", f->path, shown,
            e->name, (unsigned long long)size, f->n);
    }
    e->size = (size_t)size;
    *p += whole;
    *left -= whole;
    return find_payload(f, d, e, at);
}

static int by_place(const void *a, const void *b) {
    const ark_zip_entry *x = a, *y = b;
    return (x->header > y->header) - (x->header < y->header);
}

static int compare_names(const char *a, size_t na, const char *b, size_t nb) {
    int c = memcmp(a, b, na < nb ? na : nb);
    return c ? c : (na > nb) - (na < nb);
}

static int by_name(const void *a, const void *b) {
    const ark_zip_entry *x = a, *y = b;
    return compare_names(x->name, x->name_len, y->name, y->name_len);
}

static ark_status check_entries(const file *f, ark_zip *z) {
    qsort(z->entries, z->n, sizeof *z->entries, by_place);
    for (size_t i = 1; i < z->n; i++) {
        const ark_zip_entry *a = &z->entries[i - 1], *b = &z->entries[i];
        if ((size_t)(a->data - f->p) + a->size > b->header) {
            return ARK_ERR(ARK_EFORMAT, "%s: zip entries %.*s and %.*s overlap", f->path,
                a->name_len < 80 ? (int)a->name_len : 80, a->name, b->name_len < 80 ? (int)b->name_len : 80,
                b->name);
        }
    }
    qsort(z->entries, z->n, sizeof *z->entries, by_name);
    for (size_t i = 1; i < z->n; i++) {
        const ark_zip_entry *e = &z->entries[i];
        if (by_name(e - 1, e) == 0) {
            return ARK_ERR(ARK_EFORMAT, "%s: two zip entries named %.*s", f->path,
                e->name_len < 80 ? (int)e->name_len : 80, e->name);
        }
    }
    return ARK_OK;
}

ark_status ark_zip_open(const void *bytes, size_t n, const char *path, ark_zip *out) {
    file f = {.p = bytes, .n = n, .path = path};
    directory d;
    ark_zip z = {.path = path};
    ARK_TRY(read_end(&f, &d));
    ARK_TRY(ARK_NEW(&z.entries, (size_t)d.count, "zip entries"));
    const unsigned char *p = f.p + d.at;
    size_t left = (size_t)d.bytes;
    ark_status st = ARK_OK;
    for (; z.n < d.count && st == ARK_OK; z.n++) {
        st = read_entry(&f, &d, &p, &left, &z.entries[z.n]);
    }
    st = st ? st : check_entries(&f, &z);
    if (st != ARK_OK) {
        ark_zip_free(&z);
        return st;
    }
    *out = z;
    return ARK_OK;
}

void ark_zip_free(ark_zip *z) {
    ark_free(z->entries);
    *z = (ark_zip){0};
}

ark_zip_entry *ark_zip_find(const ark_zip *z, const char *name, size_t len) {
    size_t low = 0, high = z->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        ark_zip_entry *e = &z->entries[mid];
        int c = compare_names(name, len, e->name, e->name_len);
        if (c == 0) {
            return e;
        }
        if (c < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return NULL;
}

ark_status ark_zip_verify(const ark_zip *z, ark_zip_entry *e) {
    if (e->verified || e->crc == 0) {
        return ARK_OK;
    }
    uint32_t crc = libdeflate_crc32(0, e->data, e->size);
    if (crc != e->crc) {
        return ARK_ERR(ARK_EFORMAT, "%s: zip entry %.*s: CRC %08x, its bytes have %08x (damaged)", z->path,
            e->name_len < 80 ? (int)e->name_len : 80, e->name, (unsigned)e->crc, (unsigned)crc);
    }
    e->verified = true;
    return ARK_OK;
}
