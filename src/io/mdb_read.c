/* Reader of LMDB files. The layout is that of liblmdb's mdb.c, data version 1, on a 64-bit machine:
 *
 * page    u64 number, u16 -, u16 flags, then u16 lower, u16 upper (or u32 pages of a large value), then
 *         u16 offsets of nodes from the page's start
 * node    u16 lo, u16 hi, u16 flags, u16 key length, key, data; in a branch lo, hi and flags are the
 *         child's page number, in a leaf lo and hi are the data's length; a large value has the number of
 *         its first page for data
 * meta    pages 0 and 1, after the header: u32 magic, u32 version, u64 -, u64 map size, two databases (of
 *         free pages, main), u64 last page, u64 transaction; the one with the higher transaction counts
 * database  u32 page size (first database only), u16 flags, u16 depth, u64 branch, leaf and overflow
 *           pages, u64 entries, u64 root page */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/mathsafe.h"
#include "base/str.h"
#include "io/mdb.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

enum { PAGE_HEADER = 16, NODE_HEADER = 8, META_BYTES = PAGE_HEADER + 136, MAX_DEPTH = 32 };
enum { MIN_PAGE = 512, MAX_PAGE = 32768, MAX_KEY = 511 };
enum { BRANCH = 1, LEAF = 2, OVERFLOW = 4, META = 8, KIND = 0xff & ~0x10 }; /* 0x10: "dirty", may stay set */
enum { BIG = 1 };                                                           /* flag of a node */
static const uint32_t MAGIC = 0xBEEFC0DE;
static const uint64_t NO_PAGE = UINT64_MAX;

typedef struct database {
    uint16_t flags;
    uint64_t entries, root;
} database;

struct ark_mdb {
    ark_map map;
    bool mapped;
    char *path;
    size_t page_size;
    uint64_t pages; /* that the newest transaction knows */
    database free, main;
};

static uint64_t number(const unsigned char *p, int bytes) {
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) {
        v = v << 8 | p[i];
    }
    return v;
}

static database read_database(const unsigned char *p) {
    return (database){
        .flags = (uint16_t)number(p + 4, 2), .entries = number(p + 32, 8), .root = number(p + 40, 8)};
}

/* Take over a meta page when it is one. */
static bool read_meta(ark_mdb *m, size_t at, uint64_t *transaction) {
    if (m->map.len < META_BYTES || at > m->map.len - META_BYTES) {
        return false;
    }
    const unsigned char *p = m->map.data + at, *meta = p + PAGE_HEADER;
    uint64_t id = number(meta + 128, 8), page_size = number(meta + 24, 4), last = number(meta + 120, 8);
    if ((number(p + 10, 2) & KIND) != META || number(meta, 4) != MAGIC || number(meta + 4, 4) != 1 ||
        page_size < MIN_PAGE || page_size > MAX_PAGE || (page_size & (page_size - 1)) != 0 ||
        (m->page_size && (page_size != m->page_size || id <= *transaction))) {
        return false;
    }
    *transaction = id;
    m->page_size = (size_t)page_size;
    m->pages = last == UINT64_MAX ? last : last + 1;
    m->free = read_database(meta + 24);
    m->main = read_database(meta + 72);
    return true;
}

static ark_status read_metas(ark_mdb *m) {
    uint64_t transaction = 0;
    bool first = read_meta(m, 0, &transaction);
    if (!first) {
        /* The second page tells, if only its own size were known: try all. */
        for (size_t size = MIN_PAGE; size <= MAX_PAGE && !m->page_size; size *= 2) {
            if (read_meta(m, size, &transaction) && m->page_size != size) {
                m->page_size = 0;
            }
        }
    } else {
        (void)read_meta(m, m->page_size, &transaction);
    }
    if (!m->page_size) {
        return ARK_ERR(ARK_EFORMAT, "%s: not an LMDB file of version 1 (%zu bytes)", m->path, m->map.len);
    }
    if (m->pages < 2 || m->pages > m->map.len / m->page_size) {
        return ARK_ERR(ARK_EFORMAT, "%s: truncated: %zu bytes, %" PRIu64 " pages of %zu are written", m->path,
            m->map.len, m->pages, m->page_size);
    }
    if ((m->main.flags & 0x7fff) != 0) { /* 0x8000 says only that the flags are stored */
        return ARK_ERR(ARK_EFORMAT, "%s: main database with flags %#x", m->path, m->main.flags);
    }
    return ARK_OK;
}

static ark_status begin(ark_mdb *m, char *path) {
    m->path = path;
    return m->path ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for a path");
}

static ark_status finish(ark_mdb *m, ark_status st, ark_mdb **out) {
    st = st ? st : read_metas(m);
    if (st != ARK_OK) {
        ark_mdb_close(m);
        return st;
    }
    *out = m;
    return ARK_OK;
}

ark_status ark_mdb_open(const char *dir, ark_mdb **out) {
    ark_mdb *m;
    ARK_TRY(ARK_NEW(&m, 1, "an LMDB reader"));
    ark_status st = begin(m, ark_path_join(dir, "data.mdb"));
    st = st ? st : ark_map_open(m->path, &m->map);
    m->mapped = st == ARK_OK;
    return finish(m, st, out);
}

ark_status ark_mdb_parse(const void *bytes, size_t n, const char *name, ark_mdb **out) {
    ark_mdb *m;
    ARK_TRY(ARK_NEW(&m, 1, "an LMDB reader"));
    m->map = (ark_map){.data = bytes, .len = n};
    return finish(m, begin(m, ark_strdup(name)), out);
}

void ark_mdb_close(ark_mdb *m) {
    if (m) {
        if (m->mapped) {
            ark_map_close(&m->map);
        }
        ark_free(m->path);
        ark_free(m);
    }
}

const char *ark_mdb_path(const ark_mdb *m) {
    return m->path;
}

uint64_t ark_mdb_entries(const ark_mdb *m) {
    return m->main.entries;
}

/* ---- the walk ---- */

typedef struct walk {
    const ark_mdb *m;
    ark_mdb_visit *visit;
    void *arg;
    bool numbers;   /* keys are u64, as those of the list of free pages */
    uint64_t looks; /* pages that may still be looked at */
    uint64_t pairs;
    const unsigned char *last; /* key before, NULL at the start */
    size_t last_len;
} walk;

static ark_status damaged(const walk *w, uint64_t page, const char *what) {
    return ARK_ERR(ARK_EFORMAT, "%s: page %" PRIu64 " of %" PRIu64 " is damaged: %s", w->m->path, page,
        w->m->pages, what);
}

/* Header of a page by its number. */
static ark_status page_at(walk *w, uint64_t page, const unsigned char **out) {
    if (page < 2 || page >= w->m->pages) {
        return damaged(w, page, "no such page");
    }
    if (w->looks == 0) {
        return damaged(w, page, "reached a second time");
    }
    w->looks--;
    const unsigned char *p = w->m->map.data + (size_t)page * w->m->page_size;
    if (number(p, 8) != page) {
        return damaged(w, page, "it carries another page's number");
    }
    *out = p;
    return ARK_OK;
}

static bool ascends(const walk *w, const unsigned char *key, size_t len) {
    if (!w->last) {
        return true;
    }
    if (w->numbers) {
        return number(w->last, 8) < number(key, 8);
    }
    size_t both = len < w->last_len ? len : w->last_len;
    int order = memcmp(w->last, key, both);
    return order < 0 || (order == 0 && w->last_len < len);
}

/* The value of a leaf's node, whose data begin at p with `room` bytes left in the page. */
static ark_status value_of(walk *w, uint64_t page, unsigned flags, const unsigned char *p, size_t room,
    size_t len, ark_mdb_item *item) {
    item->len = len;
    item->value = p;
    if (flags == 0) {
        return len <= room ? ARK_OK : damaged(w, page, "a value reaches beyond it");
    }
    if (flags != BIG || room < 8) {
        return damaged(w, page, "a node of an unknown kind");
    }
    uint64_t first = number(p, 8);
    const unsigned char *big;
    ARK_TRY(page_at(w, first, &big));
    uint64_t pages = number(big + 12, 4);
    if ((number(big + 10, 2) & KIND) != OVERFLOW || pages > w->m->pages - first ||
        len > (size_t)pages * w->m->page_size - PAGE_HEADER || pages == 0) {
        return damaged(w, first, "it does not hold the value that it should");
    }
    if (w->looks < pages - 1) {
        return damaged(w, first, "reached a second time");
    }
    w->looks -= pages - 1;
    item->value = big + PAGE_HEADER;
    return ARK_OK;
}

static ark_status leaf_node(walk *w, uint64_t page, const unsigned char *node, size_t room) {
    size_t key_len = (size_t)number(node + 6, 2);
    const unsigned char *key = node + NODE_HEADER;
    if (key_len > room - NODE_HEADER || key_len == 0 || key_len > MAX_KEY || (w->numbers && key_len != 8)) {
        return damaged(w, page, "a key reaches beyond it");
    }
    if (!ascends(w, key, key_len)) {
        return damaged(w, page, "keys out of order");
    }
    w->last = key;
    w->last_len = key_len;
    ark_mdb_item item = {.key = key, .key_len = key_len};
    ARK_TRY(value_of(w, page, (unsigned)number(node + 4, 2), key + key_len, room - NODE_HEADER - key_len,
        (size_t)number(node, 4), &item));
    w->pairs++;
    return w->visit(w->arg, &item);
}

static ark_status walk_page(walk *w, uint64_t page, int depth) {
    const unsigned char *p;
    ARK_TRY(page_at(w, page, &p));
    size_t lower = (size_t)number(p + 12, 2), upper = (size_t)number(p + 14, 2), size = w->m->page_size;
    unsigned kind = (unsigned)number(p + 10, 2) & KIND;
    if (kind != BRANCH && kind != LEAF) {
        return damaged(w, page, "neither branch nor leaf");
    }
    if (lower < PAGE_HEADER + 2 || lower > upper || upper > size || lower % 2 != 0) {
        return damaged(w, page, "bounds of its nodes");
    }
    if (kind == BRANCH && depth >= MAX_DEPTH) {
        return damaged(w, page, "the tree is too deep");
    }
    for (size_t i = PAGE_HEADER; i < lower; i += 2) {
        size_t at = (size_t)number(p + i, 2);
        if (at < upper || at > size - NODE_HEADER) {
            return damaged(w, page, "a node lies outside of it");
        }
        const unsigned char *node = p + at;
        ARK_TRY(
            kind == LEAF ? leaf_node(w, page, node, size - at) : walk_page(w, number(node, 6), depth + 1));
    }
    return ARK_OK;
}

static ark_status walk_database(
    const ark_mdb *m, const database *d, bool numbers, ark_mdb_visit *visit, void *arg) {
    walk w = {.m = m, .visit = visit, .arg = arg, .numbers = numbers, .looks = m->pages};
    if (d->root != NO_PAGE) {
        ARK_TRY(walk_page(&w, d->root, 0));
    }
    if (w.pairs != d->entries) {
        return ARK_ERR(ARK_EFORMAT, "%s: damaged: %" PRIu64 " records, should be %" PRIu64, m->path, w.pairs,
            d->entries);
    }
    return ARK_OK;
}

ark_status ark_mdb_walk(const ark_mdb *m, ark_mdb_visit *visit, void *arg) {
    return walk_database(m, &m->main, false, visit, arg);
}

/* A list of free pages: how many, then their numbers from high to low. */
static ark_status visit_free(void *arg, const ark_mdb_item *item) {
    const ark_mdb *m = arg;
    const unsigned char *p = item->value;
    uint64_t before = m->pages, n = item->len >= 8 ? number(p, 8) : 0;
    bool ok = item->len >= 8 && n <= item->len / 8 - 1;
    for (uint64_t i = 0; ok && i < n; i++) {
        uint64_t page = number(p + 8 + 8 * i, 8);
        ok = page >= 2 && page < before;
        before = page;
    }
    return ok ? ARK_OK : ARK_ERR(ARK_EFORMAT, "%s: the list of free pages is damaged", m->path);
}

ark_status ark_mdb_check_free(const ark_mdb *m) {
    return walk_database(m, &m->free, true, visit_free, (void *)(uintptr_t)m);
}
