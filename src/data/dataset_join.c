/* Rows of one table found by the text of a column: what labels_list and metadata_list say about an image. */
#include "data/dataset_priv.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"

#include <string.h>

/* Counting sort of the rows by key; start has a count per key, one further on. */
static void place_rows(ark__join *j, const uint32_t *ids, size_t n) {
    for (size_t k = 0; k < j->keys.n; k++) {
        j->start[k + 1] += j->start[k];
    }
    for (size_t i = 0; i < n; i++) {
        j->rows[j->start[ids[i]]++] = (uint32_t)i;
    }
    memmove(j->start + 1, j->start, j->keys.n * sizeof *j->start);
    j->start[0] = 0;
}

ark_status ark__join_new(const ark_csv *t, size_t col, ark__join *out) {
    ark__join j = {.t = t};
    size_t n = ark_csv_rows(t);
    uint32_t *ids = NULL;
    if (n > ARK__MAX_SAMPLES) {
        return ARK_ERR(ARK_EFORMAT, "%s: more than %d rows", ark_csv_path(t), ARK__MAX_SAMPLES);
    }
    ark_status st = ARK_NEW(&ids, n, "a table's keys");
    for (size_t i = 0; i < n && st == ARK_OK; i++) {
        st = ark__strset_add(&j.keys, ark_csv_get(t, i, col), &ids[i]);
    }
    st = st == ARK_OK ? ARK_NEW(&j.rows, n, "a table's rows") : st;
    st = st == ARK_OK ? ARK_NEW(&j.start, (size_t)j.keys.n + 1, "a table's keys") : st;
    if (st == ARK_OK) {
        for (size_t i = 0; i < n; i++) {
            j.start[ids[i] + 1]++;
        }
        place_rows(&j, ids, n);
    }
    ark_free(ids);
    if (st != ARK_OK) {
        ark__join_free(&j);
        return st;
    }
    *out = j;
    return ARK_OK;
}

size_t ark__join_find(const ark__join *j, const char *key, const uint32_t **rows) {
    char stem[ARK__MAX_PATH + 1];
    const char *base = ark_path_base(key), *dot = strrchr(base, '.');
    uint32_t k = ark__strset_find(&j->keys, key);
    k = k == UINT32_MAX && base != key ? ark__strset_find(&j->keys, base) : k;
    if (k == UINT32_MAX && dot && (size_t)(dot - base) < sizeof stem) {
        memcpy(stem, base, (size_t)(dot - base));
        stem[dot - base] = '\0';
        k = ark__strset_find(&j->keys, stem);
    }
    if (k == UINT32_MAX) {
        return 0;
    }
    *rows = j->rows + j->start[k];
    return j->start[k + 1] - j->start[k];
}

void ark__join_free(ark__join *j) {
    ark__strset_free(&j->keys);
    ark_free(j->start);
    ark_free(j->rows);
    *j = (ark__join){0};
}
