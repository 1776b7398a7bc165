/* LMDB files: ours read what liblmdb writes, and refuse what liblmdb would follow out of the map. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "common/check.h"
#include "io/mdb.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 700, MOST = 20000 };

static char dir[64];
static char keys[N][32];
static unsigned char *values[N];
static size_t lens[N];

/* Values from none to five pages, keys of 1 to 20 bytes, put in an order of no meaning. */
static int write_file(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/ark-mdb-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    ark_rng r = ark_rng_at(1, ARK_RNG_TEST, 0, 0, 0);
    uint32_t order[N];
    ark_mdb_item items[N];
    for (uint32_t i = 0; i < N; i++) {
        order[i] = i;
        snprintf(keys[i], sizeof keys[i], "%.*s%04u", (int)(i % 16), "keykeykeykeykeyk", i + 1000);
        lens[i] = i % 3 == 0 ? ark_rng_u32(&r) % MOST : ark_rng_u32(&r) % 60;
        values[i] = malloc(lens[i] + 1);
        for (size_t k = 0; k < lens[i]; k++) {
            values[i][k] = (unsigned char)ark_rng_u32(&r);
        }
    }
    ark_rng_shuffle(&r, order, N);
    ark_mdb_writer *w;
    if (ark_mdb_writer_open(dir, &w) != ARK_OK) {
        return -1;
    }
    for (size_t at = 0; at < N; at += 50) { /* several transactions, so that pages are freed and used again */
        for (size_t k = 0; k < 50; k++) {
            uint32_t i = order[at + k];
            items[k] = (ark_mdb_item){keys[i], strlen(keys[i]), values[i], lens[i]};
        }
        must(ark_mdb_write(w, items, 50));
    }
    ark_mdb_writer *other;
    assert_int_equal(ark_mdb_writer_open(dir, &other), ARK_EIO);
    assert_non_null(strstr(ark_err_msg(), "another process"));
    ark_mdb_writer_close(w);
    return 0;
}

static int remove_file(void **state) {
    (void)state;
    for (int i = 0; i < N; i++) {
        free(values[i]);
    }
    return ark_rmtree(dir) == ARK_OK ? 0 : -1;
}

typedef struct seen {
    size_t n;
    bool same;
    char last[32];
} seen;

static ark_status compare(void *arg, const ark_mdb_item *item) {
    seen *s = arg;
    char key[32] = {0};
    require(item->key_len < sizeof key, "key of %zu bytes", item->key_len);
    memcpy(key, item->key, item->key_len);
    require(strcmp(s->last, key) < 0, "%s after %s", key, s->last);
    memcpy(s->last, key, sizeof key);
    int64_t i = -1;
    require(item->key_len >= 4 && ark_parse_i64(key + item->key_len - 4, &i), "key %s", key);
    i -= 1000;
    bool same = i >= 0 && i < N && !strcmp(keys[i], key) && item->len == lens[i] &&
                memcmp(item->value, values[i], lens[i]) == 0;
    s->same = s->same && same;
    s->n++;
    return ARK_OK;
}

static void every_pair(void **state) {
    (void)state;
    ark_mdb *m;
    must(ark_mdb_open(dir, &m));
    seen s = {.same = true};
    must(ark_mdb_walk(m, compare, &s));
    must(ark_mdb_check_free(m));
    assert_int_equal(s.n, N);
    assert_int_equal(ark_mdb_entries(m), N);
    assert_true(s.same);
    ark_mdb_close(m);
}

static unsigned char *file_bytes(size_t *n) {
    char *bytes, *path = ark_path_join(dir, "data.mdb");
    must(ark_file_read(path, SIZE_MAX / 2, &bytes, n));
    ark_free(path);
    return (unsigned char *)bytes;
}

/* Damaged bytes may change values, which have no checksum here, but never lead outside of the file. */
static ark_status touch(void *arg, const ark_mdb_item *item) {
    unsigned *sum = arg;
    if (item->len) {
        *sum += ((const unsigned char *)item->value)[0];
        *sum += ((const unsigned char *)item->value)[item->len - 1];
    }
    for (size_t i = 0; i < item->key_len; i++) {
        *sum += ((const unsigned char *)item->key)[i];
    }
    return ARK_OK;
}

static ark_status read_memory(const unsigned char *bytes, size_t n) {
    ark_mdb *m;
    unsigned sum = 0;
    ARK_TRY(ark_mdb_parse(bytes, n, "mem", &m));
    ark_status st = ark_mdb_walk(m, touch, &sum);
    st = st ? st : ark_mdb_check_free(m);
    ark_mdb_close(m);
    return st;
}

static void truncated(void **state) {
    (void)state;
    size_t n;
    unsigned char *bytes = file_bytes(&n);
    for (size_t cut = 0; cut < n; cut += cut < 400 ? 1 : 4001) {
        unsigned char *part = malloc(cut + 1); /* of its own size, for the address sanitizer */
        memcpy(part, bytes, cut);
        assert_int_equal(read_memory(part, cut), ARK_EFORMAT);
        free(part);
    }
    assert_int_equal(read_memory(bytes, n), ARK_OK);
    ark_free(bytes);
}

static void damaged(void **state) {
    (void)state;
    size_t n, refused = 0;
    unsigned char *bytes = file_bytes(&n);
    ark_rng r = ark_rng_at(2, ARK_RNG_TEST, 0, 0, 0);
    for (int i = 0; i < 3000; i++) {
        /* mostly the headers of pages, where the structure is */
        size_t at = ark_rng_u32(&r) % n;
        at = i % 4 ? at / 4096 * 4096 + at % 48 : at;
        unsigned char was = bytes[at];
        bytes[at] ^= (unsigned char)(1u << ark_rng_u32(&r) % 8);
        refused += read_memory(bytes, n) == ARK_EFORMAT;
        bytes[at] = was;
    }
    assert_true(refused > 100); /* most pages are the insides of values */
    ark_free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair),
        cmocka_unit_test(truncated),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, write_file, remove_file);
}
