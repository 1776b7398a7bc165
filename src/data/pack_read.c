/* Reading of packs. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "data/dataset_priv.h"
#include "data/pack_priv.h"

#include <string.h>

struct ark_pack {
    int refs;
    char *dir;
    ark_mdb *m;
    ark__pack_index x;
};

static ark_status refuse_interrupted(const ark_pack *p) {
    return ARK_ERR(ARK_EFORMAT,
        "%s: an interrupted pack, %zu of %zu images are in it; finish it with: arkfm data pack %s %s "
        "--resume",
        p->dir, p->x.there, p->x.header.images, p->x.has_header ? p->x.header.config : "CONFIG", p->dir);
}

static ark_status read_index(const char *dir, ark_pack *p) {
    p->dir = ark_strdup(dir);
    if (!p->dir) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for a path");
    }
    ARK_TRY(ark__pack_index_read(p->m, false, &p->x));
    return p->x.complete && p->x.has_header ? ARK_OK : refuse_interrupted(p);
}

ark_status ark__pack_adopt(ark_mdb *m, const char *dir, ark_pack **out) {
    ark_pack *p;
    ark_status st = ARK_NEW(&p, 1, "a pack");
    if (st != ARK_OK) {
        ark_mdb_close(m);
        return st;
    }
    p->refs = 1;
    p->m = m;
    st = read_index(dir, p);
    if (st != ARK_OK) {
        ark_pack_unref(p);
        return st;
    }
    *out = p;
    return ARK_OK;
}

ark_status ark_pack_open(const char *dir, ark_pack **out) {
    ark_mdb *m;
    ARK_TRY(ark_mdb_open(dir, &m));
    return ark__pack_adopt(m, dir, out);
}

ark_pack *ark_pack_ref(ark_pack *p) {
    p->refs++;
    return p;
}

void ark_pack_unref(ark_pack *p) {
    if (p && --p->refs <= 0) {
        ark__pack_index_free(&p->x);
        ark_mdb_close(p->m);
        ark_free(p->dir);
        ark_free(p);
    }
}

size_t ark_pack_count(const ark_pack *p) {
    return p->x.header.n_datasets;
}

const char *ark_pack_name(const ark_pack *p, size_t i) {
    const char *name = json_string_value(json_array_get(json_object_get(p->x.header.json, "datasets"), i));
    return name ? name : "";
}

/* Where a message says which record is meant. */
static ark_status wrong(const ark_pack *p, const ark_mdb_item *item, const char *what) {
    return ARK_ERR(ARK_EFORMAT, "%s: record %.*s: %s", ark_mdb_path(p->m), (int)item->key_len,
        (const char *)item->key, what);
}

ark_status ark_pack_image(const ark_pack *p, size_t dataset, size_t sample, const ark_image_limits *limits,
    ark_image *out, bool *owned) {
    ARK_ASSERT(dataset < p->x.header.n_datasets && sample < p->x.images[dataset].n);
    const ark_mdb_item *item = &p->x.images[dataset].items[sample];
    ARK_TRY(ark__pack_check(ark_mdb_path(p->m), item));
    const unsigned char *h = (const unsigned char *)item->value + ARK__PACK_CRC,
                        *body = h + ARK__PACK_IMAGE_HEADER;
    size_t n = item->len - ARK__PACK_CRC - ARK__PACK_IMAGE_HEADER;
    uint32_t codec = ark__pack_get32(h), width = ark__pack_get32(h + 4), height = ark__pack_get32(h + 8);
    if (codec == 0) { /* the reason has the path */
        int shown = n < 900 ? (int)n : 900;
        return ARK_ERR(ARK_EFORMAT, "%.*s (when it was packed into %s)", shown, (const char *)body, p->dir);
    }
    if (codec == ARK_PACK_RAW) {
        if (width == 0 || height == 0 || width > INT32_MAX || height > INT32_MAX ||
            (size_t)width * height != n) {
            return wrong(p, item, "the number of pixels is not width times height");
        }
        *out = (ark_image){.width = (int)width, .height = (int)height, .depth = 8};
        out->px8 = (uint8_t *)(uintptr_t)body; /* only ever read */
        *owned = false;
        return ARK_OK;
    }
    char name[1200];
    ark_image im;
    snprintf(name, sizeof name, "%.1000s: record %.*s", ark_mdb_path(p->m), (int)item->key_len,
        (const char *)item->key);
    ARK_TRY(ark_image_decode(body, n, name, limits, &im));
    if (im.depth != 8 || (uint32_t)im.width != width || (uint32_t)im.height != height) {
        ark_image_free(&im);
        return wrong(p, item, "the image has another size than its record says");
    }
    *out = im;
    *owned = true;
    return ARK_OK;
}

ark_status ark_dataset_image(
    const ark_dataset *d, size_t sample, const ark_image_limits *limits, ark_image *out, bool *owned) {
    if (d->pack) {
        return ark_pack_image(d->pack, d->pack_index, sample, limits, out, owned);
    }
    ARK_TRY(ark_image_read8(d->paths[sample], limits, &d->window, NULL, out));
    *owned = true;
    return ARK_OK;
}

ark_status ark_dataset_fits(const ark_dataset *d, const ark_preproc *pre) {
    if (!d->pack || d->pack->x.header.side_px == 0) {
        return ARK_OK;
    }
    const ark__pack_header *h = &d->pack->x.header;
    if (h->side_px < pre->resize_px) {
        return ARK_ERR(ARK_EINVAL,
            "%s: dataset %s is packed at %d x %d pixels, but images are squashed to %d x %d before a crop: "
            "pack it with "
            "--size %d, or 0 for the images' own size",
            d->pack->dir, d->name, h->side_px, h->side_px, pre->resize_px, pre->resize_px, pre->resize_px);
    }
    if (h->filter != pre->filter) {
        return ARK_ERR(ARK_EINVAL,
            "%s: dataset %s was resized by the %s filter, but preprocessing has the %s one", d->pack->dir,
            d->name, h->filter == ARK_BICUBIC ? "bicubic" : "bilinear",
            pre->filter == ARK_BICUBIC ? "bicubic" : "bilinear");
    }
    return ARK_OK;
}

/* ---- datasets ---- */

static ark_status read_dataset(ark_pack *p, size_t i, const char *data_dir, ark_dataset *d) {
    ARK_TRY(ark__pack_dataset_read(ark_mdb_path(p->m), &p->x.sets[i], &p->x.tables[i], data_dir, d));
    d->pack = ark_pack_ref(p);
    d->pack_index = i;
    return ARK_OK;
}

/* Number of a dataset, or an error with the nearest name. */
static ark_status find(const ark_pack *p, const char *name, size_t *out) {
    const char *names[ARK__PACK_MAX_DATASETS];
    size_t n = ark_pack_count(p);
    for (size_t i = 0; i < n; i++) {
        names[i] = ark_pack_name(p, i);
        if (!strcmp(names[i], name)) {
            *out = i;
            return ARK_OK;
        }
    }
    const char *near = ark_nearest(name, names, n);
    return ARK_ERR(ARK_EINVAL, "%s: no dataset '%s'%s%s%s", p->dir, name, near ? " (did you mean '" : "",
        near ? near : "", near ? "'?)" : "");
}

static ark_status read_all(ark_pack *p, const char *const *names, size_t n_names, ark_datasets *d) {
    size_t n = names ? n_names : ark_pack_count(p);
    ARK_TRY(ARK_NEW(&d->items, n, "datasets"));
    d->path = ark_strdup(p->dir);
    if (!d->path) {
        return ARK_ERR(ARK_ENOMEM, "out of memory for a path");
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = i;
        if (names) {
            ARK_TRY(find(p, names[i], &at));
            if (ark_datasets_find(d, names[i])) {
                return ARK_ERR(ARK_EINVAL, "%s: dataset '%s' asked for twice", p->dir, names[i]);
            }
        }
        d->n = i + 1; /* freed with the others if reading it fails */
        ARK_TRY(read_dataset(p, at, NULL, &d->items[i]));
    }
    return ARK_OK;
}

ark_status ark__pack_read_datasets(
    ark_pack *p, const char *const *names, size_t n_names, ark_datasets **out) {
    ark_datasets *d = NULL;
    ARK_TRY(ARK_NEW(&d, 1, "datasets"));
    ark_status st = read_all(p, names, n_names, d);
    if (st != ARK_OK) {
        ark_datasets_free(d);
        return st;
    }
    *out = d;
    return ARK_OK;
}

ark_status ark__pack_datasets(const char *dir, const char *const *names, size_t n_names, ark_datasets **out) {
    ark_pack *p;
    ARK_TRY(ark_pack_open(dir, &p));
    ark_status st = ark__pack_read_datasets(p, names, n_names, out);
    ark_pack_unref(p);
    return st;
}

/* ---- an entry of a YAML file ---- */

static ark_status entry_path(
    const ark_yaml *y, const ark_yaml_node *node, const char *name, const char *key, char **out) {
    const ark_yaml_node *v = ark_yaml_get(node, key);
    if (!v) {
        return ARK_OK;
    }
    if (v->kind != ARK_YAML_SCALAR || !v->text[0]) {
        return ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: expected a folder", y->path, v->line, name, key);
    }
    char *dir = ark_path_dir(y->path);
    *out = dir ? ark_path_join(dir, v->text) : NULL;
    ark_free(dir);
    return *out ? ARK_OK : ARK_ERR(ARK_ENOMEM, "out of memory for a path");
}

static ark_status entry_word(const ark_yaml *y, const ark_yaml_node *node, const char *name, const char *key,
    const char *const *words, size_t n, int *out) {
    const ark_yaml_node *v = ark_yaml_get(node, key);
    for (size_t i = 0; v && v->kind == ARK_YAML_SCALAR && i < n; i++) {
        if (!strcmp(v->text, words[i])) {
            *out = (int)i;
            return ARK_OK;
        }
    }
    return !v ? ARK_OK
              : ARK_ERR(ARK_EINVAL, "%s:%d: %s: %s: unknown value (for example '%s')", y->path, v->line, name,
                    key, words[0]);
}

static ark_status read_entry(
    const ark_yaml *y, const char *name, const ark_yaml_node *node, const char *data_dir, ark_dataset *d) {
    ark_pack *p;
    size_t at = 0;
    char *dir = NULL;
    ARK_TRY(entry_path(y, node, name, "pack", &dir));
    ark_status st = ark_pack_open(dir, &p);
    ark_free(dir);
    ARK_TRY(st);
    st = find(p, name, &at);
    st = st ? st : read_dataset(p, at, data_dir, d);
    ark_pack_unref(p);
    return st;
}

ark_status ark__pack_entry(const ark_yaml *y, const char *name, const ark_yaml_node *node, ark_dataset *d) {
    static const char *const known[] = {"pack", "data_dir", "uncertain", "missing"};
    static const char *const uncertains[] = {"lsr-ones", "ones", "zeros", "lsr-zeros", "mask"};
    static const char *const missings[] = {"mask", "zero"};
    for (size_t i = 0; i < node->count; i++) {
        bool ok = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
            ok = ok || !strcmp(node->keys[i], known[k]);
        }
        if (!ok) {
            return ARK_ERR(ARK_EINVAL,
                "%s:%d: %s: '%s' is in the pack already: beside 'pack' there can be data_dir, uncertain and "
                "missing",
                y->path, node->key_lines[i], name, node->keys[i]);
        }
    }
    char *data_dir = NULL;
    ARK_TRY(entry_path(y, node, name, "data_dir", &data_dir));
    ark_status st = read_entry(y, name, node, data_dir, d);
    ark_free(data_dir);
    ARK_TRY(st);
    int uncertain = (int)d->uncertain, missing = (int)d->missing;
    ARK_TRY(entry_word(y, node, name, "uncertain", uncertains, 5, &uncertain));
    ARK_TRY(entry_word(y, node, name, "missing", missings, 2, &missing));
    d->uncertain = (ark_uncertain)uncertain;
    d->missing = (ark_missing)missing;
    return ARK_OK;
}
