#include "io/npz.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/str.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

/* PKWARE's APPNOTE: a local header before each member's data, the central directory behind all of them, its
 * place told by the end record. Sizes are taken from the central directory alone. */

enum { MAX_MEMBERS = 4096, MAX_NAME = 255, END_BYTES = 22, COMMENT_MAX = 65535, MOST_EXPANSION = 1032 };
#define MAX_DATA ((uint64_t)16 << 30)

typedef struct member {
    char name[MAX_NAME + 1]; /* without ".npy" */
    unsigned method;         /* 0 stored, 8 deflated */
    uint32_t crc;
    uint64_t packed, size, header; /* bytes in the file, bytes of data, offset of the local header */
} member;

struct ark_npz {
    ark_map map; /* of a file; empty over memory */
    const unsigned char *b;
    size_t n;
    char *file;
    member *members;
    size_t count;
};

static uint64_t get(const unsigned char *p, int bytes) {
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++) {
        v |= (uint64_t)p[i] << 8 * i;
    }
    return v;
}

/* --- the directory --- */

typedef struct directory {
    uint64_t at, bytes, entries;
} directory;

/* The end record is the last thing in the file but for a comment of at most 65,535 bytes. */
static ark_status find_end(const ark_npz *z, size_t *at) {
    size_t most = z->n < END_BYTES + COMMENT_MAX ? z->n : END_BYTES + COMMENT_MAX;
    for (size_t back = END_BYTES; back <= most; back++) {
        const unsigned char *p = z->b + z->n - back;
        if (get(p, 4) == 0x06054b50 && get(p + 20, 2) == back - END_BYTES) {
            *at = z->n - back;
            return ARK_OK;
        }
    }
    return ARK_ERR(ARK_EFORMAT, "%s: not a zip file, or a truncated one: no end record", z->file);
}

/* The zip64 end record replaces values of the short one that say 0xffff... */
static ark_status find_directory(const ark_npz *z, directory *d) {
    size_t end;
    ARK_TRY(find_end(z, &end));
    const unsigned char *p = z->b + end;
    *d = (directory){.at = get(p + 16, 4), .bytes = get(p + 12, 4), .entries = get(p + 10, 2)};
    if (get(p + 4, 2) != 0 || get(p + 6, 2) != 0) {
        return ARK_ERR(ARK_EFORMAT, "%s: a zip file of several volumes", z->file);
    }
    if (end >= 20 && get(p - 20, 4) == 0x07064b50) {
        uint64_t at = get(p - 20 + 8, 8);
        if (at > end - 20 || end - 20 - at < 56 || get(z->b + at, 4) != 0x06064b50) {
            return ARK_ERR(ARK_EFORMAT, "%s: its zip64 end record is not where it should be", z->file);
        }
        *d = (directory){
            .at = get(z->b + at + 48, 8), .bytes = get(z->b + at + 40, 8), .entries = get(z->b + at + 32, 8)};
    }
    if (d->at > end || d->bytes > end - d->at || d->entries > MAX_MEMBERS || d->bytes / 46 < d->entries) {
        return ARK_ERR(ARK_EFORMAT,
            "%s: central directory of %llu members in %llu bytes at %llu does not fit a file of %zu bytes "
            "(limit %d members)",
            z->file, (unsigned long long)d->entries, (unsigned long long)d->bytes, (unsigned long long)d->at,
            z->n, MAX_MEMBERS);
    }
    return ARK_OK;
}

/* Values that do not fit 32 bits stand in extra field 1, in this order, and only those. */
static ark_status wide_values(const ark_npz *z, const unsigned char *extra, size_t len, member *m) {
    uint64_t *const slots[] = {&m->size, &m->packed, &m->header};
    for (size_t at = 0; at + 4 <= len;) {
        size_t id = (size_t)get(extra + at, 2), bytes = (size_t)get(extra + at + 2, 2);
        const unsigned char *p = extra + at + 4;
        if (bytes > len - at - 4) {
            return ARK_ERR(ARK_EFORMAT, "%s: member '%s': an extra field is cut off", z->file, m->name);
        }
        for (size_t i = 0, used = 0; id == 1 && i < 3; i++) {
            if (*slots[i] != UINT32_MAX) {
                continue;
            }
            if (bytes - used < 8) {
                return ARK_ERR(ARK_EFORMAT, "%s: member '%s': a zip64 size is missing", z->file, m->name);
            }
            *slots[i] = get(p + used, 8);
            used += 8;
        }
        at += 4 + bytes;
    }
    return ARK_OK;
}

static ark_status read_member(ark_npz *z, const unsigned char *p, size_t left, size_t *bytes) {
    if (left < 46 || get(p, 4) != 0x02014b50) {
        return ARK_ERR(ARK_EFORMAT, "%s: member %zu: no entry of a central directory", z->file, z->count);
    }
    size_t name = (size_t)get(p + 28, 2), extra = (size_t)get(p + 30, 2), comment = (size_t)get(p + 32, 2);
    *bytes = 46 + name + extra + comment;
    if (*bytes > left || name > MAX_NAME || memchr(p + 46, 0, name)) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: an entry of %zu bytes, a name of %zu, %zu left", z->file, *bytes, name, left);
    }
    if (name < 4 || memcmp(p + 46 + name - 4, ".npy", 4) != 0) {
        return ARK_OK;
    }
    member *m = &z->members[z->count];
    *m = (member){.method = (unsigned)get(p + 10, 2),
        .crc = (uint32_t)get(p + 16, 4),
        .packed = get(p + 20, 4),
        .size = get(p + 24, 4),
        .header = get(p + 42, 4)};
    snprintf(m->name, sizeof m->name, "%.*s", (int)name - 4, (const char *)p + 46);
    ARK_TRY(wide_values(z, p + 46 + name, extra, m));
    if (get(p + 8, 2) & 1) {
        return ARK_ERR(ARK_EFORMAT, "%s: member '%s' is encrypted", z->file, m->name);
    }
    for (size_t i = 0; i < z->count; i++) {
        if (!strcmp(z->members[i].name, m->name)) {
            return ARK_ERR(ARK_EFORMAT, "%s: two members are named '%s'", z->file, m->name);
        }
    }
    z->count++;
    return ARK_OK;
}

static ark_status read_directory(ark_npz *z) {
    directory d;
    ARK_TRY(find_directory(z, &d));
    ARK_TRY(ARK_NEW(&z->members, (size_t)d.entries + 1, "members"));
    const unsigned char *p = z->b + d.at;
    size_t left = (size_t)d.bytes, bytes = 0;
    for (uint64_t i = 0; i < d.entries; i++, p += bytes, left -= bytes) {
        ARK_TRY(read_member(z, p, left, &bytes));
    }
    return ARK_OK;
}

ark_status ark_npz_open_memory(const void *bytes, size_t n, const char *name, ark_npz **out) {
    ark_npz *z;
    ARK_TRY(ARK_NEW(&z, 1, "an archive"));
    z->b = bytes;
    z->n = n;
    z->file = ark_strdup(name);
    ark_status st = z->file ? read_directory(z) : ARK_ERR(ARK_ENOMEM, "out of memory for an archive");
    if (st != ARK_OK) {
        ark_npz_close(z);
        return st;
    }
    *out = z;
    return ARK_OK;
}

ark_status ark_npz_open(const char *path, ark_npz **out) {
    ark_map map;
    ARK_TRY(ark_map_open(path, &map));
    ark_status st = ark_npz_open_memory(map.data, map.len, path, out);
    if (st != ARK_OK) {
        ark_map_close(&map);
        return st;
    }
    (*out)->map = map;
    return ARK_OK;
}

void ark_npz_close(ark_npz *z) {
    if (z) {
        ark_map_close(&z->map);
        ark_free(z->file);
        ark_free(z->members);
        ark_free(z);
    }
}

size_t ark_npz_count(const ark_npz *z) {
    return z->count;
}

const char *ark_npz_name(const ark_npz *z, size_t i) {
    return z->members[i].name;
}

/* --- a member --- */

static ark_status find_member(const ark_npz *z, const char *name, const member **out) {
    char all[512] = "";
    size_t len = 0;
    for (size_t i = 0; i < z->count; i++) {
        if (!strcmp(z->members[i].name, name)) {
            *out = &z->members[i];
            return ARK_OK;
        }
        if (len < sizeof all) {
            len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", z->members[i].name);
        }
    }
    return ARK_ERR(ARK_EINVAL, "%s has no array '%s'; it has: %s", z->file, name, *all ? all : "none");
}

/* Where the member's bytes are: behind its local header, whose own name and extra field may differ. */
static ark_status locate(const ark_npz *z, const member *m, const unsigned char **data) {
    if (m->header > z->n || z->n - m->header < 30 || get(z->b + m->header, 4) != 0x04034b50) {
        return ARK_ERR(ARK_EFORMAT, "%s: member '%s': no header at %llu", z->file, m->name,
            (unsigned long long)m->header);
    }
    const unsigned char *p = z->b + m->header;
    uint64_t at = m->header + 30 + get(p + 26, 2) + get(p + 28, 2);
    if (at > z->n || m->packed > z->n - at) {
        return ARK_ERR(ARK_EFORMAT, "%s: member '%s': %llu bytes at %llu do not fit a file of %zu", z->file,
            m->name, (unsigned long long)m->packed, (unsigned long long)at, z->n);
    }
    if (m->size > MAX_DATA || m->size / MOST_EXPANSION > m->packed + 1) {
        return ARK_ERR(ARK_EFORMAT, "%s: member '%s' claims %llu bytes in %llu packed ones", z->file, m->name,
            (unsigned long long)m->size, (unsigned long long)m->packed);
    }
    *data = z->b + at;
    return ARK_OK;
}

static ark_status inflate(const ark_npz *z, const member *m, const unsigned char *packed, void *out) {
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (!d) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory", z->file);
    }
    enum libdeflate_result rc =
        libdeflate_deflate_decompress(d, packed, (size_t)m->packed, out, (size_t)m->size, NULL);
    libdeflate_free_decompressor(d);
    return rc == LIBDEFLATE_SUCCESS
               ? ARK_OK
               : ARK_ERR(ARK_EFORMAT, "%s: member '%s': its compressed data are damaged", z->file, m->name);
}

static ark_status parse(const ark_npz *z, const member *m, const void *bytes, ark_npy *out) {
    char name[MAX_NAME + 64];
    uint32_t crc = libdeflate_crc32(0, bytes, (size_t)m->size);
    if (crc != m->crc) {
        return ARK_ERR(ARK_EFORMAT, "%s: member '%s': checksum %08x, the directory says %08x", z->file,
            m->name, (unsigned)crc, (unsigned)m->crc);
    }
    snprintf(name, sizeof name, "%.60s:%s", ark_path_base(z->file), m->name);
    return ark_npy_parse(bytes, (size_t)m->size, name, out);
}

ark_status ark_npz_read(const ark_npz *z, const char *name, ark_npy *out) {
    const member *m;
    const unsigned char *data;
    ARK_TRY(find_member(z, name, &m));
    ARK_TRY(locate(z, m, &data));
    if (m->method == 0 && m->packed == m->size) {
        return parse(z, m, data, out);
    }
    if (m->method != 8) {
        return ARK_ERR(ARK_EFORMAT, "%s: member '%s': compression method %u is not supported, only deflate",
            z->file, m->name, m->method);
    }
    void *bytes = ark_malloc((size_t)m->size);
    if (!bytes) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for %llu bytes", z->file, (unsigned long long)m->size);
    }
    ark_status st = inflate(z, m, data, bytes);
    st = st ? st : parse(z, m, bytes, out);
    ark_free(bytes);
    return st;
}
