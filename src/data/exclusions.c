/* Images that a list takes out of the splits. */
#include "data/dataset.h"
#include "data/strset.h"

#include "base/alloc.h"
#include "base/err.h"
#include "io/csv.h"

#include <stdio.h>
#include <string.h>

enum { KEY = 8192 }; /* bytes: dataset, split and image with separators */

typedef struct list {
    ark_csv *t;
    size_t dataset, split, image; /* columns */
    ark__strset keys;
    uint32_t *row; /* of each key, for messages */
    bool *used;
} list;

/* false: longer than any sample's key. */
static bool make_key(char out[KEY], const char *dataset, const char *split, const char *image) {
    int n = snprintf(out, KEY, "%s\n%s\n%s", dataset, split, image);
    return n > 0 && n < KEY;
}

static ark_status read_list(const char *path, list *l) {
    char key[KEY];
    ARK_TRY(ark_csv_read(path, 0, &l->t));
    ARK_TRY(ark_csv_need(l->t, "dataset", &l->dataset));
    ARK_TRY(ark_csv_need(l->t, "split", &l->split));
    ARK_TRY(ark_csv_need(l->t, "image", &l->image));
    ARK_TRY(ARK_NEW(&l->row, ark_csv_rows(l->t), "exclusions"));
    ARK_TRY(ARK_NEW(&l->used, ark_csv_rows(l->t), "exclusions"));
    for (size_t i = 0; i < ark_csv_rows(l->t); i++) {
        uint32_t id;
        if (!make_key(key, ark_csv_get(l->t, i, l->dataset), ark_csv_get(l->t, i, l->split),
                ark_csv_get(l->t, i, l->image))) {
            return ARK_ERR(ARK_EFORMAT, "%s:%zu: a row of over %d bytes", path, ark_csv_line(l->t, i), KEY);
        }
        ARK_TRY(ark__strset_add(&l->keys, key, &id));
        l->row[id] = (uint32_t)i;
    }
    return ARK_OK;
}

static void filter(list *l, ark_dataset *d) {
    char key[KEY];
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        size_t kept = 0;
        for (size_t i = 0; i < d->rows_n[s]; i++) {
            uint32_t sample = d->rows[s][i], id = UINT32_MAX;
            if (make_key(key, d->name, ark_split_name((ark_split)s), ark_dataset_image_name(d, sample))) {
                id = ark__strset_find(&l->keys, key);
            }
            if (id == UINT32_MAX) {
                d->rows[s][kept++] = sample;
            } else {
                l->used[id] = true;
            }
        }
        d->dropped[s] += d->rows_n[s] - kept;
        d->rows_n[s] = kept;
    }
}

/* Every row about a dataset that is here must have met an image. */
static ark_status check_used(const list *l, const ark_datasets *d) {
    for (uint32_t id = 0; id < l->keys.n; id++) {
        const char *name = ark_csv_get(l->t, l->row[id], l->dataset);
        if (!l->used[id] && ark_datasets_find(d, name)) {
            return ARK_ERR(ARK_EFORMAT, "%s:%zu: dataset '%s' has no image '%s' in its split '%s'",
                ark_csv_path(l->t), ark_csv_line(l->t, l->row[id]), name,
                ark_csv_get(l->t, l->row[id], l->image), ark_csv_get(l->t, l->row[id], l->split));
        }
    }
    return ARK_OK;
}

ark_status ark_datasets_exclude(ark_datasets *d, const char *path) {
    list l = {0};
    ark_status st = read_list(path, &l);
    for (size_t i = 0; i < d->n && st == ARK_OK; i++) {
        filter(&l, &d->items[i]);
    }
    st = st == ARK_OK ? check_used(&l, d) : st;
    ark_csv_free(l.t);
    ark__strset_free(&l.keys);
    ark_free(l.row);
    ark_free(l.used);
    return st;
}
