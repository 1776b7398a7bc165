/* .npz: archives written by numpy.savez and zipfile (golden/make_npz.py), refusals. */
#include "base/alloc.h"
#include "base/file.h"
#include "io/npz.h"
#include "io_check.h"

#define CORPUS ARK_TEST_DIR "/fuzz/corpus/npz/"

static ark_status read_member(const char *file, const char *name, ark_npy *a) {
    char path[512];
    ark_npz *z;
    snprintf(path, sizeof path, CORPUS "%s", file);
    ark_status st = ark_npz_open(path, &z);
    if (st != ARK_OK) {
        return st;
    }
    st = ark_npz_read(z, name, a);
    ark_npz_close(z);
    return st;
}

static void archives_of_numpy(void **state) {
    (void)state;
    static const char *const files[] = {
        "valid-stored", "valid-deflated", "valid-comment", "valid-zip64-local", "valid-zip64-end"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        ark_npy a = {0}, b = {0};
        check_ok(read_member(files[i], "train", &a));
        check_ok(read_member(files[i], "test", &b));
        assert_true(a.ndim == 2 && a.shape[0] == 2 && a.shape[1] == 3);
        for (int j = 0; j < 6; j++) {
            assert_true(a.data[j] == (float)j / 4); /* arange(6).reshape(2, 3) / 4 */
        }
        for (int j = 0; j < 4; j++) {
            assert_true(b.data[j] == (float)j); /* Fortran order in the file */
        }
        ark_npy_free(&a);
        ark_npy_free(&b);
    }
    ark_npz *z;
    check_ok(ark_npz_open(CORPUS "valid-comment", &z));
    assert_int_equal(ark_npz_count(z), 2);
    assert_string_equal(ark_npz_name(z, 1), "test");
    ark_npz_close(z);
    check_ok(ark_npz_open(CORPUS "empty", &z));
    assert_int_equal(ark_npz_count(z), 0);
    ark_npz_close(z);
}

static void bad_archives_are_named(void **state) {
    (void)state;
    static const struct {
        const char *file, *member, *says;
    } cases[] = {{"truncated", "train", "no end record"}, {"object", "a", "pickle"},
        {"twice", "a", "two members"}, {"not-npy", "a", "not a .npy file"},
        {"bzip2", "a", "compression method 12"}, {"wrong-crc", "train", "checksum"},
        {"bomb", "train", "claims 4294967280 bytes"}, {"longer-than-file", "train", "do not fit a file"},
        {"header-outside", "train", "no header at"}, {"directory-outside", "train", "central directory"},
        {"many-members", "train", "60000 members"}, {"encrypted", "train", "is encrypted"},
        {"zip64-missing", "train", "claims 4294967295 bytes"},
        {"zip64-locator-outside", "train", "zip64 end record"}, {"damaged-deflate", "train", "train"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ark_npy a = {0};
        check_error(read_member(cases[i].file, cases[i].member, &a), ARK_EFORMAT, cases[i].says);
    }
    ark_npy a = {0};
    check_error(read_member("valid-stored", "val", &a), ARK_EINVAL, "no array 'val'", "train, test");
    check_error(read_member("missing", "val", &a), ARK_EIO, "missing");
}

static void out_of_memory_leaks_nothing(void **state) {
    (void)state;
    uint64_t live = ark_alloc_get_stats().live_bytes;
    ark_status st = ARK_ENOMEM;
    for (uint64_t nth = 1; st != ARK_OK; nth++) {
        ark_npy a = {0};
        assert_true(nth < 50);
        ark_alloc_fail_after(nth);
        st = read_member("valid-deflated", "test", &a);
        ark_alloc_fail_after(0);
        assert_true(st == ARK_OK || st == ARK_ENOMEM);
        ark_npy_free(&a);
        assert_int_equal(ark_alloc_get_stats().live_bytes, live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(archives_of_numpy),
        cmocka_unit_test(bad_archives_are_named), cmocka_unit_test(out_of_memory_leaks_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
