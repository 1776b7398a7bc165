#include "io/safetensors.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/mathsafe.h"
#include "io/scalar.h"
#include "io/st_json.h"
#include "io/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_HEADER = 100000000, MAX_TENSORS = 100000 };

typedef struct pair {
    const char *key, *value;
} pair;

/* A tensor and where its entry says its data lies, relative to the end of the header. */
typedef struct entry {
    ark_st_tensor t;
    size_t begin, end;
} entry;

struct ark_st_file {
    char *path;
    ark_map map;
    bool mapped; /* map is ours to close */
    char *pool;  /* all names and metadata */
    entry *entries;
    size_t count, cap;
    entry **by_name;
    pair *meta;
    size_t meta_count, meta_cap;
};

static const struct {
    const char *name;
    int bits;
} dtypes[] = {
#define ROW(name, bits) {#name, bits},
    ARK_ST_DTYPES(ROW)
#undef ROW
};

const char *ark_st_dtype_name(ark_st_dtype dt) {
    return (unsigned)dt < ARK_ST_DTYPE_COUNT ? dtypes[dt].name : "?";
}

size_t ark_st_dtype_bytes(ark_st_dtype dt) {
    ARK_ASSERT((unsigned)dt < ARK_ST_DTYPE_COUNT);
    return (size_t)dtypes[dt].bits / 8;
}

static ark_status parse_dtype(const ark_st_file *f, ark_stj *j, ark_st_tensor *t) {
    const char *name;
    ARK_TRY(ark_stj_string(j, &name));
    for (int i = 0; i < ARK_ST_DTYPE_COUNT; i++) {
        if (!strcmp(name, dtypes[i].name)) {
            t->dtype = (ark_st_dtype)i;
            return ARK_OK;
        }
    }
    return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': dtype '%s' is not supported", f->path, t->name, name);
}

static ark_status parse_shape(const ark_st_file *f, ark_stj *j, ark_st_tensor *t) {
    ARK_TRY(ark_stj_need(j, '['));
    t->ndim = 0;
    if (ark_stj_take(j, ']')) {
        return ARK_OK;
    }
    do {
        if (t->ndim == ARK_ST_MAX_DIMS) {
            return ARK_ERR(
                ARK_EFORMAT, "%s: tensor '%s': more than %d dimensions", f->path, t->name, ARK_ST_MAX_DIMS);
        }
        ARK_TRY(ark_stj_count(j, "a dimension", &t->shape[t->ndim++]));
    } while (ark_stj_take(j, ','));
    return ark_stj_need(j, ']');
}

static ark_status parse_offsets(ark_stj *j, entry *e) {
    int64_t begin, end;
    ARK_TRY(ark_stj_need(j, '['));
    ARK_TRY(ark_stj_count(j, "a data offset", &begin));
    ARK_TRY(ark_stj_need(j, ','));
    ARK_TRY(ark_stj_count(j, "a data offset", &end));
    ARK_TRY(ark_stj_need(j, ']'));
    e->begin = (size_t)begin;
    e->end = (size_t)end;
    return ARK_OK;
}

/* {"dtype":...,"shape":[...],"data_offsets":[begin,end]} in any order. */
static ark_status parse_entry(const ark_st_file *f, ark_stj *j, entry *e) {
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    unsigned seen = 0;
    ARK_TRY(ark_stj_need(j, '{'));
    do {
        const char *key;
        ARK_TRY(ark_stj_string(j, &key));
        ARK_TRY(ark_stj_need(j, ':'));
        unsigned which = 0;
        while (which < 3 && strcmp(key, fields[which]) != 0) {
            which++;
        }
        if (which == 3 || seen & 1u << which) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': %s key '%s'", f->path, e->t.name,
                which == 3 ? "unknown" : "repeated", key);
        }
        seen |= 1u << which;
        ARK_TRY(which == 0   ? parse_dtype(f, j, &e->t)
                : which == 1 ? parse_shape(f, j, &e->t)
                             : parse_offsets(j, e));
    } while (ark_stj_take(j, ','));
    ARK_TRY(ark_stj_need(j, '}'));
    for (unsigned i = 0; i < 3; i++) {
        if (!(seen & 1u << i)) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': no %s", f->path, e->t.name, fields[i]);
        }
    }
    return ARK_OK;
}

/* Room for one more of size bytes. */
static ark_status grow(const ark_st_file *f, void *items, size_t count, size_t *cap, size_t size) {
    if (count < *cap) {
        return ARK_OK;
    }
    size_t want = *cap ? 2 * *cap : 64;
    void *old, *more;
    memcpy(&old, items, sizeof old);
    more = ark_realloc(old, want * size);
    if (!more) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for %zu header entries", f->path, want);
    }
    memcpy(items, &more, sizeof more);
    *cap = want;
    return ARK_OK;
}

static ark_status parse_meta(ark_st_file *f, ark_stj *j) {
    ARK_TRY(ark_stj_need(j, '{'));
    if (ark_stj_take(j, '}')) {
        return ARK_OK;
    }
    do {
        pair m;
        ARK_TRY(ark_stj_string(j, &m.key));
        ARK_TRY(ark_stj_need(j, ':'));
        j->within = m.key;
        ARK_TRY(ark_stj_string(j, &m.value));
        j->within = NULL;
        ARK_TRY(grow(f, &f->meta, f->meta_count, &f->meta_cap, sizeof m));
        f->meta[f->meta_count++] = m;
    } while (ark_stj_take(j, ','));
    return ark_stj_need(j, '}');
}

static ark_status parse_header(ark_st_file *f, ark_stj *j) {
    ARK_TRY(ark_stj_need(j, '{'));
    bool has_meta = false;
    if (!ark_stj_take(j, '}')) {
        do {
            const char *name;
            ARK_TRY(ark_stj_string(j, &name));
            ARK_TRY(ark_stj_need(j, ':'));
            if (!strcmp(name, "__metadata__")) {
                if (has_meta) {
                    return ARK_ERR(ARK_EFORMAT, "%s: __metadata__ appears twice", f->path);
                }
                has_meta = true;
                ARK_TRY(parse_meta(f, j));
                continue;
            }
            if (f->count == MAX_TENSORS) {
                return ARK_ERR(ARK_EFORMAT, "%s: more than %d tensors", f->path, MAX_TENSORS);
            }
            ARK_TRY(grow(f, &f->entries, f->count, &f->cap, sizeof *f->entries));
            entry *e = &f->entries[f->count++];
            *e = (entry){.t.name = name};
            j->within = name;
            ARK_TRY(parse_entry(f, j, e));
            j->within = NULL;
        } while (ark_stj_take(j, ','));
        ARK_TRY(ark_stj_need(j, '}'));
    }
    return ark_stj_finish(j);
}

static int by_place(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    if (x->end != y->end) {
        return x->end < y->end ? -1 : 1;
    }
    return strcmp(x->t.name, y->t.name);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(entry *const *)a)->t.name, (*(entry *const *)b)->t.name);
}

static int name_is(const void *key, const void *item) {
    return strcmp(key, (*(entry *const *)item)->t.name);
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const pair *)a)->key, ((const pair *)b)->key);
}

static int key_is(const void *key, const void *item) {
    return strcmp(key, ((const pair *)item)->key);
}

/* Elements of a shape; 1 when they or their bytes do not fit. */
static int shape_bytes(const ark_st_tensor *t, size_t *numel, size_t *bytes) {
    *numel = 1;
    for (int i = 0; i < t->ndim; i++) {
        if (ark_mul(*numel, (size_t)t->shape[i], numel)) {
            return 1;
        }
    }
    return *numel > INT64_MAX || ark_mul(*numel, ark_st_dtype_bytes(t->dtype), bytes);
}

/* Entries sorted by place must tile the data exactly. */
static ark_status check_layout(ark_st_file *f, const unsigned char *data, size_t data_bytes) {
    size_t expected = 0;
    for (size_t i = 0; i < f->count; i++) {
        entry *e = &f->entries[i];
        ark_st_tensor *t = &e->t;
        size_t numel, bytes;
        if (shape_bytes(t, &numel, &bytes)) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': its shape overflows", f->path, t->name);
        }
        if (e->end < e->begin) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': ends at %zu before it begins at %zu", f->path,
                t->name, e->end, e->begin);
        }
        if (e->begin != expected) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': begins at %zu, expected %zu (%s)", f->path, t->name,
                e->begin, expected, e->begin < expected ? "overlap" : "hole");
        }
        if (e->end - e->begin != bytes) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s': %zu bytes of data, its shape and dtype need %zu",
                f->path, t->name, e->end - e->begin, bytes);
        }
        if (e->end > data_bytes) {
            return ARK_ERR(ARK_EFORMAT,
                "%s: tensor '%s': ends at %zu, the file has %zu bytes of data (truncated?)", f->path, t->name,
                e->end, data_bytes);
        }
        t->numel = (int64_t)numel;
        t->bytes = bytes;
        t->data = data + e->begin;
        expected = e->end;
    }
    if (expected != data_bytes) {
        return ARK_ERR(
            ARK_EFORMAT, "%s: %zu bytes of data, the tensors cover %zu", f->path, data_bytes, expected);
    }
    return ARK_OK;
}

static ark_status index_names(ark_st_file *f) {
    ARK_TRY(ARK_NEW(&f->by_name, f->count, "the tensor index"));
    for (size_t i = 0; i < f->count; i++) {
        f->by_name[i] = &f->entries[i];
    }
    qsort(f->by_name, f->count, sizeof *f->by_name, by_name);
    for (size_t i = 1; i < f->count; i++) {
        if (!strcmp(f->by_name[i - 1]->t.name, f->by_name[i]->t.name)) {
            return ARK_ERR(ARK_EFORMAT, "%s: tensor '%s' appears twice", f->path, f->by_name[i]->t.name);
        }
    }
    if (f->meta_count > 1) {
        qsort(f->meta, f->meta_count, sizeof *f->meta, by_key);
    }
    for (size_t i = 1; i < f->meta_count; i++) {
        if (!strcmp(f->meta[i - 1].key, f->meta[i].key)) {
            return ARK_ERR(ARK_EFORMAT, "%s: __metadata__ key '%s' appears twice", f->path, f->meta[i].key);
        }
    }
    return ARK_OK;
}

static ark_status parse(ark_st_file *f) {
    const unsigned char *bytes = f->map.data;
    size_t n = f->map.len;
    if (n < 8) {
        return ARK_ERR(ARK_EFORMAT, "%s: %zu bytes, a safetensors file has at least 8", f->path, n);
    }
    uint64_t len;
    memcpy(&len, bytes, sizeof len);
    if (len > MAX_HEADER) {
        return ARK_ERR(ARK_EFORMAT, "%s: header of %llu bytes, limit %d (not a safetensors file?)", f->path,
            (unsigned long long)len, MAX_HEADER);
    }
    size_t header = (size_t)len;
    if (header > n - 8) {
        return ARK_ERR(ARK_EFORMAT, "%s: header of %zu bytes, the file has %zu after its length (truncated?)",
            f->path, header, n - 8);
    }
    const char *text = (const char *)bytes + 8;
    if (header == 0 || text[0] != '{') {
        return ARK_ERR(ARK_EFORMAT, "%s: header does not begin with '{': not a safetensors file", f->path);
    }
    size_t valid = ark_utf8_valid(text, header);
    if (valid != header) {
        return ARK_ERR(ARK_EFORMAT, "%s: header is not UTF-8 at byte %zu", f->path, valid);
    }
    f->pool = ark_malloc(header);
    if (!f->pool) {
        return ARK_ERR(ARK_ENOMEM, "%s: out of memory for a header of %zu bytes", f->path, header);
    }
    ark_stj j = {.file = f->path, .start = text, .p = text, .end = text + header, .pool = f->pool};
    ARK_TRY(parse_header(f, &j));
    if (f->count > 1) {
        qsort(f->entries, f->count, sizeof *f->entries, by_place);
    }
    ARK_TRY(index_names(f));
    return check_layout(f, bytes + 8 + header, n - 8 - header);
}

/* Takes the map. */
static ark_status open_map(ark_map map, bool mapped, const char *name, ark_st_file **out) {
    ark_st_file *f;
    ark_status st = ARK_NEW(&f, 1, "a weight file");
    if (st != ARK_OK) {
        if (mapped) {
            ark_map_close(&map);
        }
        return st;
    }
    f->map = map;
    f->mapped = mapped;
    f->path = ark_strdup(name);
    st = f->path ? parse(f) : ARK_ERR(ARK_ENOMEM, "%s: out of memory", name);
    if (st != ARK_OK) {
        ark_st_close(f);
        return st;
    }
    *out = f;
    return ARK_OK;
}

ark_status ark_st_open(const char *path, ark_st_file **out) {
    ark_map map;
    ARK_TRY(ark_map_open(path, &map));
    return open_map(map, true, path, out);
}

ark_status ark_st_open_memory(const void *bytes, size_t n, const char *name, ark_st_file **out) {
    return open_map((ark_map){.data = bytes, .len = n}, false, name, out);
}

void ark_st_close(ark_st_file *f) {
    if (!f) {
        return;
    }
    if (f->mapped) {
        ark_map_close(&f->map);
    }
    ark_free(f->by_name);
    ark_free(f->entries);
    ark_free(f->meta);
    ark_free(f->pool);
    ark_free(f->path);
    ark_free(f);
}

size_t ark_st_count(const ark_st_file *f) {
    return f->count;
}

const ark_st_tensor *ark_st_at(const ark_st_file *f, size_t i) {
    ARK_ASSERT(i < f->count);
    return &f->entries[i].t;
}

const ark_st_tensor *ark_st_find(const ark_st_file *f, const char *name) {
    entry **e = f->count ? bsearch(name, f->by_name, f->count, sizeof *f->by_name, name_is) : NULL;
    return e ? &(*e)->t : NULL;
}

const char *ark_st_meta(const ark_st_file *f, const char *key) {
    const pair *m = f->meta_count ? bsearch(key, f->meta, f->meta_count, sizeof *f->meta, key_is) : NULL;
    return m ? m->value : NULL;
}

size_t ark_st_meta_count(const ark_st_file *f) {
    return f->meta_count;
}

void ark_st_meta_at(const ark_st_file *f, size_t i, const char **key, const char **value) {
    ARK_ASSERT(i < f->meta_count);
    *key = f->meta[i].key;
    *value = f->meta[i].value;
}
