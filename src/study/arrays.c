/* Embeddings made elsewhere: arrays whose rows are matched to the images of a dataset. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "io/csv.h"
#include "io/npz.h"
#include "study/inputs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one array --- */

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

static ark_status check_shape(const char *path, ark_npy *a) {
    if (a->ndim == 2 && a->shape[1] >= 1) {
        return ARK_OK;
    }
    ark_status st = ARK_ERR(
        ARK_EFORMAT, "%s: an array of %d dimensions, embeddings have two: (images, features)", path, a->ndim);
    ark_npy_free(a);
    return st;
}

/* A key of an .npz; NULL: the only array. */
static ark_status read_member(const ark_npz *z, const char *path, const char *key, ark_npy *out) {
    if (!key && ark_npz_count(z) != 1) {
        return ARK_ERR(
            ARK_EINVAL, "%s has %zu arrays: write %s:NAME", path, ark_npz_count(z), ark_path_base(path));
    }
    ARK_TRY(ark_npz_read(z, key ? key : ark_npz_name(z, 0), out));
    return check_shape(path, out);
}

/* PATH.npy, PATH.npz or PATH.npz:KEY */
ark_status ark__study_read_array(const char *spec, ark_npy *out) {
    char path[4096];
    const char *colon = strstr(spec, ".npz:");
    snprintf(path, sizeof path, "%.*s", colon ? (int)(colon + 4 - spec) : (int)strlen(spec), spec);
    if (!ends_with(path, ".npz")) {
        ARK_TRY(ark_npy_read(path, out));
        return check_shape(path, out);
    }
    ark_npz *z;
    ARK_TRY(ark_npz_open(path, &z));
    ark_status st = read_member(z, path, colon ? colon + 5 : NULL, out);
    ark_npz_close(z);
    return st;
}

/* --- rows to images --- */

/* The rows of a split out of an array: row[sample] of every image. */
static ark_status take_split(
    const ark_npy *a, const size_t *row, const ark_dataset *data, ark_split split, ark_features *out) {
    size_t n = data->rows_n[split], d = (size_t)a->shape[1];
    float *x = NULL;
    uint32_t *sample = NULL;
    if (n == 0) {
        return ARK_OK;
    }
    ark_status st = ARK_NEW(&x, n * d, "embeddings");
    st = st ? st : ARK_NEW(&sample, n, "samples");
    if (st != ARK_OK) {
        ark_free(x);
        ark_free(sample);
        return st;
    }
    for (size_t i = 0; i < n; i++) {
        sample[i] = data->rows[split][i];
        memcpy(x + i * d, a->data + row[sample[i]] * d, d * sizeof *x);
    }
    return ark_features_wrap(x, d, sample, n, data, out);
}

/* A whole array for one split, in the split's order. */
static ark_status split_array(const char *spec, const ark_dataset *data, ark_split split, ark_features *out) {
    ark_npy a;
    size_t *row = NULL, n = data->rows_n[split];
    ARK_TRY(ark__study_read_array(spec, &a));
    ark_status st = ARK_OK;
    if ((size_t)a.shape[0] != n) {
        st = ARK_ERR(ARK_EINVAL, "%s has %lld rows, split %s of %s has %zu images", spec,
            (long long)a.shape[0], ark_split_name(split), data->name, n);
    }
    st = st ? st : ARK_NEW(&row, data->n, "rows");
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        row[data->rows[split][i]] = i;
    }
    st = st ? st : take_split(&a, row, data, split, out);
    ark_free(row);
    ark_npy_free(&a);
    return st;
}

/* --- rows named by a list --- */

typedef struct named {
    const char *id;
    size_t row;
} named;

static int by_id(const void *a, const void *b) {
    return strcmp(((const named *)a)->id, ((const named *)b)->id);
}

static const named *look_up(const named *ids, size_t n, const char *id) {
    named key = {.id = id};
    return bsearch(&key, ids, n, sizeof *ids, by_id);
}

/* The row of an image: its path, or the longest end of it that is a name of the list, with or without the
 * extension. */
static const named *find_image(const named *ids, size_t n, const char *path) {
    char stem[4200];
    for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
        const named *hit = look_up(ids, n, p);
        const char *dot = strrchr(p, '.');
        if (!hit && dot && !strchr(dot, '/')) {
            snprintf(stem, sizeof stem, "%.*s", (int)(dot - p), p);
            hit = look_up(ids, n, stem);
        }
        if (hit) {
            return hit;
        }
    }
    return NULL;
}

static ark_status match(const named *ids, size_t n, const char *list, const ark_dataset *data, size_t *row) {
    size_t missing = 0;
    const char *first = "";
    uint8_t *taken;
    ARK_TRY(ARK_NEW(&taken, n, "ids"));
    ark_status st = ARK_OK;
    for (size_t i = 0; i < data->n && st == ARK_OK; i++) {
        const named *hit = find_image(ids, n, data->paths[i]);
        if (!hit) {
            first = missing++ ? first : data->paths[i];
        } else if (taken[hit->row]++) {
            st = ARK_ERR(ARK_EINVAL, "%s: '%s' stands for two images of %s, one of them %s", list, hit->id,
                data->name, data->paths[i]);
        } else {
            row[i] = hit->row;
        }
    }
    ark_free(taken);
    if (st == ARK_OK && missing) {
        st = ARK_ERR(ARK_EINVAL, "%s: no row for %zu of the %zu images of %s, the first is %s", list, missing,
            data->n, data->name, first);
    }
    return st;
}

static ark_status match_list(const char *list, size_t rows, const ark_dataset *data, size_t *row) {
    ark_csv *t;
    named *ids = NULL;
    ARK_TRY(ark_csv_read(list, 0, &t));
    size_t n = ark_csv_rows(t);
    ark_status st = ARK_OK;
    if (n != rows) {
        st = ARK_ERR(ARK_EINVAL, "%s names %zu images, the array has %zu rows", list, n, rows);
    }
    st = st ? st : ARK_NEW(&ids, n, "ids");
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        ids[i] = (named){.id = ark_csv_get(t, i, 0), .row = i};
    }
    if (st == ARK_OK && n > 0) {
        qsort(ids, n, sizeof *ids, by_id);
    }
    for (size_t i = 1; i < n && st == ARK_OK; i++) {
        if (!strcmp(ids[i].id, ids[i - 1].id)) {
            st = ARK_ERR(ARK_EINVAL, "%s: '%s' stands there twice", list, ids[i].id);
        }
    }
    st = st ? st : match(ids, n, list, data, row);
    ark_free(ids);
    ark_csv_free(t);
    return st;
}

/* One array for the whole dataset. */
static ark_status whole_array(
    const ark_study_source *source, const ark_dataset *data, ark_features f[ARK_SPLIT_COUNT]) {
    ark_npy a;
    size_t *row = NULL;
    ARK_TRY(ark__study_read_array(source->embeddings, &a));
    ark_status st = ARK_NEW(&row, data->n, "rows");
    for (size_t i = 0; i < data->n && st == ARK_OK; i++) {
        row[i] = i;
    }
    if (st == ARK_OK && source->ids) {
        st = match_list(source->ids, (size_t)a.shape[0], data, row);
    } else if (st == ARK_OK && (size_t)a.shape[0] != data->n) {
        st = ARK_ERR(ARK_EINVAL, "%s has %lld rows, %s has %zu images: --ids FILE tells which row is which",
            source->embeddings, (long long)a.shape[0], data->name, data->n);
    }
    for (int s = 0; s < ARK_SPLIT_COUNT && st == ARK_OK; s++) {
        st = take_split(&a, row, data, (ark_split)s, &f[s]);
    }
    ark_free(row);
    ark_npy_free(&a);
    return st;
}

/* --- which form --- */

/* An .npz whose arrays carry the names of splits. */
static ark_status named_after_splits(const char *path, bool *yes) {
    ark_npz *z;
    *yes = false;
    if (!ends_with(path, ".npz")) {
        return ARK_OK;
    }
    ARK_TRY(ark_npz_open(path, &z));
    for (size_t i = 0; i < ark_npz_count(z); i++) {
        *yes = *yes || !strcmp(ark_npz_name(z, i), ark_split_name(ARK_TRAIN)) ||
               !strcmp(ark_npz_name(z, i), ark_split_name(ARK_TEST));
    }
    ark_npz_close(z);
    return ARK_OK;
}

static ark_status from_splits(const char *path, const ark_dataset *data, ark_features f[ARK_SPLIT_COUNT]) {
    char spec[4200];
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        if (data->rows_n[s] > 0) {
            snprintf(spec, sizeof spec, "%.4096s:%s", path, ark_split_name((ark_split)s));
            ARK_TRY(split_array(spec, data, (ark_split)s, &f[s]));
        }
    }
    return ARK_OK;
}

/* train=A,val=B,test=C: a split with images that is not given stays empty. */
static ark_status from_list(const char *spec, const ark_dataset *data, ark_features f[ARK_SPLIT_COUNT]) {
    for (const char *s = spec; *s;) {
        size_t len = strcspn(s, ",");
        char item[4200];
        snprintf(item, sizeof item, "%.*s", (int)(len < 4196 ? len : 4196), s);
        char *eq = strchr(item, '=');
        int split = 0;
        while (eq && split < ARK_SPLIT_COUNT &&
               (strncmp(item, ark_split_name((ark_split)split), (size_t)(eq - item)) != 0 ||
                   strlen(ark_split_name((ark_split)split)) != (size_t)(eq - item))) {
            split++;
        }
        if (!eq || split == ARK_SPLIT_COUNT || f[split].n > 0) {
            return ARK_ERR(
                ARK_EINVAL, "embeddings '%s': expected train=FILE, val=FILE or test=FILE, each once", item);
        }
        ARK_TRY(split_array(eq + 1, data, (ark_split)split, &f[split]));
        s += len + (s[len] == ',');
    }
    return ARK_OK;
}

ark_status ark__study_arrays(
    const ark_study_source *source, const ark_dataset *data, ark_features f[ARK_SPLIT_COUNT]) {
    bool splits;
    if (strchr(source->embeddings, '=')) {
        if (source->ids) {
            return ARK_ERR(ARK_EINVAL, "ids are for one array of all images, not for arrays of splits");
        }
        return from_list(source->embeddings, data, f);
    }
    ARK_TRY(named_after_splits(source->embeddings, &splits));
    return splits && !source->ids ? from_splits(source->embeddings, data, f) : whole_array(source, data, f);
}
