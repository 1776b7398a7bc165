/* What the tests of packs share: two datasets in a folder of their own, and comparisons. */
#ifndef ARK_TESTS_UNIT_PACK_CASE_H
#define ARK_TESTS_UNIT_PACK_CASE_H

#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "common/check.h"
#include "data/pack_priv.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* N images of the first dataset; the second has the first M of them. S: side of the model. */
enum { N = 60, M = 7, S = 24, VIEW = 3 * S * S };

static char dir[64], yaml[128];
static ark_preproc pre;

static inline void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    must(ark_file_write(path, text, strlen(text)));
}

static inline void write_lists(void) {
    ark_buf csv;
    ark_buf_init(&csv, 1 << 20);
    must(ark_buf_adds(&csv, "path,patient_id,split,sex,age,view,\"A, or so\",B\n"));
    for (int i = 0; i < N; i++) {
        static const char *const labels[] = {"1,0", "0,-1", ",1", "-1,"};
        must(ark_buf_addf(&csv, "im/%02d.png,p%d,%s,%s,%s,%s,%s\n", i, i / 2,
            i % 5 == 4   ? "test"
            : i % 5 == 3 ? "val"
                         : "train",
            i % 3   ? "M"
            : i % 2 ? "F"
                    : "",
            i % 7 ? "61.5" : "", i % 4 ? "PA" : "lateral", labels[i % 4]));
    }
    put("a.csv", csv.data);
    csv.len = 0;
    must(ark_buf_adds(&csv, "path,split,kind\n"));
    for (int i = 0; i < M; i++) {
        must(ark_buf_addf(&csv, "im/%02d.png,%s,%s\n", i, i % 2 ? "test" : "train", i % 3 ? "dog" : "cat"));
    }
    put("b.csv", csv.data);
    ark_buf_free(&csv);
}

static inline int make(void **state) {
    (void)state;
    pre = ark_preproc_default(S);
    snprintf(dir, sizeof dir, "/tmp/ark-pack-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    char path[256];
    snprintf(path, sizeof path, "%s/im", dir);
    if (ark_mkdirs(path) != ARK_OK) {
        return -1;
    }
    ark_rng r = ark_rng_at(1, ARK_RNG_TEST, 0, 0, 0);
    for (int i = 0; i < N; i++) {
        int w = 30 + i % 23, h = 61 - i % 31;
        uint8_t px[64 * 64];
        for (int p = 0; p < w * h; p++) {
            px[p] = (uint8_t)(p % w * 3 + p / w * 2 + i + (int)ark_rng_below(&r, 20));
        }
        snprintf(path, sizeof path, "%s/im/%02d.png", dir, i);
        if (ark_png_write(path, w, h, 1, px) != ARK_OK) {
            return -1;
        }
    }
    write_lists();
    put("d.yaml",
        "a:\n  list: a.csv\n  classes: ['A, or so', B]\n  task_type: multi-label\n  test_classes: [B]\n"
        "  uncertain: zeros\n  missing: zero\n"
        "b:\n  list: b.csv\n  label: kind\n  task_type: multi-class\n");
    snprintf(yaml, sizeof yaml, "%s/d.yaml", dir);
    return 0;
}

static inline int unmake(void **state) {
    (void)state;
    return ark_rmtree(dir) == ARK_OK ? 0 : -1;
}

/* A folder of its own for each pack. */
static inline const char *folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static inline ark_pack_opts options(int side) {
    ark_pack_opts o = ark_pack_default_opts();
    o.side_px = side;
    o.threads = 2;
    return o;
}

static inline ark_pack_result pack(const char *to, const ark_pack_opts *o) {
    ark_pack_result r;
    must(ark_pack_write(yaml, NULL, 0, to, o, &r));
    return r;
}

static inline ark_datasets *read_sets(const char *path) {
    ark_datasets *d;
    must(ark_datasets_read(path, NULL, 0, &d));
    return d;
}

static inline void refused(ark_status got, ark_status want, const char *a, const char *b) {
    require(got == want, "status %s: %s", ark_status_name(got), ark_err_msg());
    require(
        strstr(ark_err_msg(), a) && strstr(ark_err_msg(), b), "'%s' lacks '%s' or '%s'", ark_err_msg(), a, b);
}

typedef struct record_list {
    size_t n;
    uint32_t crc[N + M + 10];
    char key[N + M + 10][ARK__PACK_KEY];
} record_list;

ARK_MUST_CHECK static inline ark_status note(void *arg, const ark_mdb_item *item) {
    record_list *r = arg;
    memcpy(r->key[r->n], item->key, item->key_len);
    must(ark__pack_check("x", item));
    r->crc[r->n++] = ark__pack_get32(item->value);
    return ARK_OK;
}

static inline void records(const char *of, record_list *r) {
    ark_mdb *m;
    memset(r, 0, sizeof *r);
    must(ark_mdb_open(of, &m));
    must(ark_mdb_walk(m, note, r));
    ark_mdb_close(m);
}

static inline void same_float(const float *a, const float *b, size_t n) { /* NaN equals NaN */
    for (size_t i = 0; i < n; i++) {
        require(a[i] == b[i] || (isnan(a[i]) && isnan(b[i])), "element %zu: %g, %g", i, (double)a[i],
            (double)b[i]);
    }
}

static inline void same_dataset(const ark_dataset *a, const ark_dataset *b) {
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->task, b->task);
    assert_int_equal(a->uncertain, b->uncertain);
    assert_int_equal(a->missing, b->missing);
    assert_int_equal(a->n_classes, b->n_classes);
    assert_int_equal(a->n_test_classes, b->n_test_classes);
    for (int k = 0; k < a->n_classes; k++) {
        assert_string_equal(a->classes[k], b->classes[k]);
    }
    for (int k = 0; k < a->n_test_classes; k++) {
        assert_string_equal(a->test_classes[k], b->test_classes[k]);
    }
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->paths[i], b->paths[i]);
    }
    assert_memory_equal(a->split, b->split, a->n);
    assert_memory_equal(a->patient, b->patient, a->n * sizeof *a->patient);
    assert_memory_equal(a->sex, b->sex, a->n);
    assert_memory_equal(a->view, b->view, a->n);
    same_float(a->age, b->age, a->n);
    same_float(a->labels, b->labels, a->n * (size_t)a->n_classes);
    for (int s = 0; s < ARK_SPLIT_COUNT; s++) {
        assert_int_equal(a->rows_n[s], b->rows_n[s]);
        assert_memory_equal(a->rows[s], b->rows[s], a->rows_n[s] * sizeof(uint32_t));
    }
}

/* Every packed image against its file, resized here. */
static inline void same_images(
    const ark_dataset *files, const ark_dataset *packed, int side, bool zero_copy) {
    ark_resizer *r;
    must(ark_resizer_new(&r));
    for (size_t i = 0; i < files->n; i++) {
        ark_image want, got;
        uint8_t squashed[100 * 100];
        bool owned, packed_owned;
        must(ark_dataset_image(files, i, NULL, &want, &owned));
        must(ark_dataset_image(packed, i, NULL, &got, &packed_owned));
        assert_true(owned);
        assert_int_equal(packed_owned, !zero_copy);
        const uint8_t *px = want.px8;
        int w = want.width, h = want.height;
        if (side) {
            must(ark_resize8(r, want.px8, w, h, (size_t)w, NULL, squashed, side, side, pre.filter));
            px = squashed;
            w = h = side;
        }
        assert_int_equal(got.width, w);
        assert_int_equal(got.height, h);
        assert_memory_equal(got.px8, px, (size_t)w * (size_t)h);
        ark_image_free(&want);
        if (packed_owned) {
            ark_image_free(&got);
        }
    }
    ark_resizer_free(r);
}

#endif
