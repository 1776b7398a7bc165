/* What is in a pack: one walk over its records. */
#include "base/alloc.h"
#include "base/err.h"
#include "data/dataset_priv.h"
#include "data/pack_priv.h"
#include "io/crc32.h"

#include <string.h>

/* The walk's state. Keys ascend, so "complete" and the datasets come before the header, and the images
 * last. */
typedef struct reading {
    ark__pack_index *x;
    const ark_mdb *m;
    bool manifest;
    size_t cap; /* of x->sets and x->tables */
} reading;

static ark_status unknown(const reading *r, const ark_mdb_item *item) {
    int n = (int)(item->key_len < 60 ? item->key_len : 60);
    return ARK_ERR(
        ARK_EFORMAT, "%s: a record '%.*s' that no pack has", ark_mdb_path(r->m), n, (const char *)item->key);
}

static ark_status read_complete(reading *r, const ark_mdb_item *item) {
    json_t *o;
    int64_t records = 0, manifest = 0;
    const char *path = ark_mdb_path(r->m);
    ARK_TRY(ark__pack_json(path, item, &o));
    ark_status st = ark__pack_number(path, o, "records", 1, INT64_MAX, &records);
    st = st ? st : ark__pack_number(path, o, "manifest", 0, UINT32_MAX, &manifest);
    json_decref(o);
    ARK_TRY(st);
    r->x->complete = true;
    r->x->stored_records = (size_t)records;
    r->x->stored_manifest = (uint32_t)manifest;
    return ARK_OK;
}

/* The next of the datasets' records: 0, 0/table, 1, 1/table, ... */
static ark_status read_dataset_record(reading *r, const ark_mdb_item *item) {
    ark__pack_index *x = r->x;
    size_t i = x->header.n_datasets; /* counted here until the header tells */
    char key[ARK__PACK_KEY];
    if (i < ARK__PACK_MAX_DATASETS && i == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 16;
        ark_mdb_item *sets = ark_realloc(x->sets, cap * sizeof *sets);
        x->sets = sets ? sets : x->sets;
        ark_mdb_item *tables = sets ? ark_realloc(x->tables, cap * sizeof *tables) : NULL;
        x->tables = tables ? tables : x->tables;
        if (!tables) {
            return ARK_ERR(ARK_ENOMEM, "out of memory for %zu datasets", cap);
        }
        r->cap = cap;
    }
    ark__pack_dataset_key(key, i, false);
    if (i < ARK__PACK_MAX_DATASETS && ark__pack_key_is(item, key)) {
        x->sets[i] = *item;
        x->tables[i] = (ark_mdb_item){0};
        x->header.n_datasets++;
        return ARK_OK;
    }
    ark__pack_dataset_key(key, i - (i > 0), true);
    if (i > 0 && ark__pack_key_is(item, key)) {
        x->tables[i - 1] = *item;
        return ARK_OK;
    }
    return unknown(r, item);
}

static ark_status read_header(reading *r, const ark_mdb_item *item) {
    ark__pack_index *x = r->x;
    const char *path = ark_mdb_path(r->m);
    size_t found = x->header.n_datasets, all = 0;
    ARK_TRY(ark__pack_header_read(path, item, &x->header));
    x->has_header = true;
    if (found != x->header.n_datasets) {
        size_t want = x->header.n_datasets;
        x->header.n_datasets = found;
        return ARK_ERR(ARK_EFORMAT, "%s: %zu datasets, the header has %zu", path, found, want);
    }
    ARK_TRY(ARK_NEW(&x->images, found, "datasets of a pack"));
    for (size_t i = 0; i < found; i++) {
        json_t *o;
        int64_t n = 0;
        if (!x->tables[i].value) {
            return ARK_ERR(ARK_EFORMAT, "%s: dataset %zu has no table", path, i);
        }
        ARK_TRY(ark__pack_json(path, &x->sets[i], &o));
        ark_status st = ark__pack_number(path, o, "samples", 1, ARK__MAX_SAMPLES, &n);
        json_decref(o);
        ARK_TRY(st);
        /* a row of a table has at least ten bytes: no small file makes us allocate much */
        if ((size_t)n > x->tables[i].len / 10) {
            return ARK_ERR(ARK_EFORMAT, "%s: dataset %zu: %lld samples in a table of %zu bytes", path, i,
                (long long)n, x->tables[i].len);
        }
        ARK_TRY(ARK_NEW(&x->images[i].items, (size_t)n, "images of a pack"));
        x->images[i].n = (size_t)n;
        all += (size_t)n;
    }
    return all == x->header.images ? ARK_OK
                                   : ARK_ERR(ARK_EFORMAT, "%s: %zu samples, the header has %zu images", path,
                                         all, x->header.images);
}

static ark_status read_image_record(reading *r, const ark_mdb_item *item) {
    ark__pack_index *x = r->x;
    size_t d = 0, s = 0;
    if (!ark__pack_parse_key(item, &d, &s) || !x->has_header || d >= x->header.n_datasets ||
        s >= x->images[d].n) {
        return unknown(r, item);
    }
    if (item->len < ARK__PACK_CRC + ARK__PACK_IMAGE_HEADER) {
        return ARK_ERR(ARK_EFORMAT, "%s: record %.*s is damaged: %zu bytes", ark_mdb_path(r->m),
            (int)item->key_len, (const char *)item->key, item->len);
    }
    x->images[d].items[s] = *item;
    x->images[d].there++;
    x->there++;
    return ARK_OK;
}

static ark_status visit(void *arg, const ark_mdb_item *item) {
    reading *r = arg;
    const char *key = item->key;
    r->x->records++;
    if (item->len < ARK__PACK_CRC) {
        return unknown(r, item);
    }
    if (ark__pack_key_is(item, "complete")) {
        return read_complete(r, item);
    }
    if (r->manifest) {
        r->x->manifest = ark_crc32(r->x->manifest, item->value, ARK__PACK_CRC);
    }
    if (item->key_len > 8 && !memcmp(key, "dataset/", 8)) {
        return read_dataset_record(r, item);
    }
    if (ark__pack_key_is(item, "header")) {
        return read_header(r, item);
    }
    return ark__pack_key_is(item, "config") ? ARK_OK : read_image_record(r, item);
}

ark_status ark__pack_index_read(const ark_mdb *m, bool manifest, ark__pack_index *out) {
    ark__pack_index x = {0};
    reading r = {.x = &x, .m = m, .manifest = manifest};
    ark_status st = ark_mdb_walk(m, visit, &r);
    if (st == ARK_OK && !x.has_header && x.records > 0) {
        st = ARK_ERR(ARK_EFORMAT, "%s: not a pack: no header record", ark_mdb_path(m));
    }
    if (st == ARK_OK && x.complete && (x.there != x.header.images || x.stored_records != x.records - 1)) {
        st = ARK_ERR(ARK_EFORMAT, "%s: damaged: %zu of %zu images, %zu of %zu records", ark_mdb_path(m),
            x.there, x.header.images, x.records - 1, x.stored_records);
    }
    if (st != ARK_OK) {
        ark__pack_index_free(&x);
        return st;
    }
    *out = x;
    return ARK_OK;
}

void ark__pack_index_free(ark__pack_index *x) {
    for (size_t i = 0; x->images && i < x->header.n_datasets; i++) {
        ark_free(x->images[i].items);
    }
    ark_free(x->images);
    ark_free(x->sets);
    ark_free(x->tables);
    json_decref(x->header.json);
    *x = (ark__pack_index){0};
}
