/* .npy: bytes written by numpy.save, our writer's bytes, refusals. */
#include "base/alloc.h"
#include "base/file.h"
#include "io/npy.h"
#include "io_check.h"

#include <math.h>

/* A version 1.0 file: the header padded as NumPy pads it, then data. Returns its length. */
static size_t make(char *out, const char *dict, const void *data, size_t n) {
    memcpy(out, "\x93NUMPY\1\0\x76\0", 10);
    memset(out + 10, ' ', 117);
    memcpy(out + 10, dict, strlen(dict));
    out[127] = '\n';
    memcpy(out + 128, data, n);
    return 128 + n;
}

static ark_status parse(const char *dict, const void *data, size_t n, ark_npy *a) {
    char bytes[512];
    size_t len = make(bytes, dict, data, n);
    char *exact = ark_malloc(len);
    memcpy(exact, bytes, len);
    ark_status st = ark_npy_parse(exact, len, "x.npy", a);
    ark_free(exact);
    return st;
}

/* numpy.save of [[0.5,-2,65504],[6e-8,inf,-0.]] float16 */
static void half_array(void **state) {
    (void)state;
    ark_npy a = {0};
    check_ok(parse("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }",
        "\x00\x38\x00\xc0\xff\x7b\x01\x00\x00\x7c\x00\x80", 12, &a));
    assert_int_equal(a.ndim, 2);
    assert_int_equal(a.shape[0], 2);
    assert_int_equal(a.shape[1], 3);
    assert_int_equal(a.numel, 6);
    static const float want[] = {0.5f, -2, 65504, 0x1p-24f, INFINITY, -0.0f};
    assert_memory_equal(a.data, want, sizeof want);
    ark_npy_free(&a);
    assert_null(a.data);
}

/* numpy.save(asfortranarray(arange(6, dtype='<i4').reshape(2, 3))) and a three-dimensional one */
static void fortran_order(void **state) {
    (void)state;
    ark_npy a = {0};
    check_ok(parse("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }",
        "\0\0\0\0\3\0\0\0\1\0\0\0\4\0\0\0\2\0\0\0\5\0\0\0", 24, &a));
    for (int i = 0; i < 6; i++) {
        assert_true(a.data[i] == i);
    }
    ark_npy_free(&a);
    /* asfortranarray(arange(24, dtype='u1').reshape(2, 3, 4)): element (i,j,k) = 12i+4j+k at i+2j+6k */
    unsigned char f[24];
    for (int i = 0; i < 24; i++) {
        f[i / 12 + 2 * (i / 4 % 3) + 6 * (i % 4)] = (unsigned char)i;
    }
    check_ok(parse("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 4), }", f, 24, &a));
    for (int i = 0; i < 24; i++) {
        assert_true(a.data[i] == i);
    }
    ark_npy_free(&a);
}

static void scalars_truths_and_vectors(void **state) {
    (void)state;
    ark_npy a = {0};
    check_ok(parse("{'descr': '<f8', 'fortran_order': False, 'shape': (), }", "\0\0\0\0\0\0\x04\x40", 8, &a));
    assert_int_equal(a.ndim, 0);
    assert_int_equal(a.numel, 1);
    assert_true(a.data[0] == 2.5f);
    ark_npy_free(&a);
    check_ok(parse("{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\1\0", 2, &a));
    assert_int_equal(a.ndim, 1);
    assert_true(a.data[0] == 1 && a.data[1] == 0);
    ark_npy_free(&a);
    check_ok(parse("{'descr': '<i8', 'fortran_order': False, 'shape': (0, 7), }", "", 0, &a));
    assert_int_equal(a.numel, 0);
    ark_npy_free(&a);
}

/* Version 2.0 differs in the width of the length, version 3.0 in the encoding. */
static void later_versions(void **state) {
    (void)state;
    static const char dict[] = "{\"descr\":\"<u2\",\"fortran_order\":False,\"shape\":(1,)}\n";
    char bytes[128] = "\x93NUMPY\2\0";
    size_t n = strlen(dict);
    bytes[8] = (char)n;
    memcpy(bytes + 12, dict, n);
    bytes[12 + n] = 5;
    for (char major = 2; major <= 3; major++) {
        bytes[6] = major;
        ark_npy a = {0};
        check_ok(ark_npy_parse(bytes, 12 + n + 2, "x.npy", &a));
        assert_true(a.data[0] == 5);
        ark_npy_free(&a);
    }
    ark_npy a = {0};
    bytes[6] = 4;
    check_error(ark_npy_parse(bytes, 12 + n + 2, "x.npy", &a), ARK_EFORMAT, "x.npy: .npy version 4.0");
    bytes[6] = 2;
    bytes[11] = 1;
    check_error(
        ark_npy_parse(bytes, 12 + n + 2, "x.npy", &a), ARK_EFORMAT, "header of 16777267 bytes, limit 65536");
    check_error(ark_npy_parse(bytes, 11, "x.npy", &a), ARK_EFORMAT, "x.npy: truncated");
}

#define REFUSE(dict, bytes, ...)                                                                             \
    do {                                                                                                     \
        ark_npy none = {0};                                                                                  \
        static const char zeros[64];                                                                         \
        check_error(parse((dict), zeros, (bytes), &none), ARK_EFORMAT, "x.npy", __VA_ARGS__);                \
        assert_null(none.data);                                                                              \
    } while (0)

static void refusals(void **state) {
    (void)state;
    REFUSE(
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8, "Python objects (a pickle): refused");
    REFUSE("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4,
        "'>f4' is not supported (big-endian)");
    REFUSE("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }", 8, "dtype '<c8' is not supported");
    REFUSE("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }", 4, "dtype '<U1' is not supported");
    REFUSE("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4, "structured dtype");
    REFUSE("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 4, "4 bytes of data", "'<f4' need 8");
    REFUSE("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", 5, "5 bytes of data", "need 4");
    REFUSE("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4, "expected a dimension");
    REFUSE("{'descr': '<f4', 'fortran_order': False, 'shape': (1 1), }", 4, "expected ',' or ')'");
    REFUSE("{'descr': '<f4', 'fortran_order': False, 'shape': 3, }", 4, "a shape in parentheses");
    REFUSE("{'descr': '<f4', 'fortran_order': 1, 'shape': (1,), }", 4, "True or False");
    REFUSE("{'descr': '<f4', 'shape': (1,), }", 4, "the keys descr, fortran_order and shape");
    REFUSE("{'descr': '<f4', 'descr': '<f4', 'shape': (1,), }", 4, "once each");
    REFUSE("{'descr': '<f4', 'x': 1}", 4, "once each");
    REFUSE("{'descr': '<f4", 4, "text in quotes");
    REFUSE("x", 4, "expected '{'");
    REFUSE("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4,
        "more than 8 dimensions");
    REFUSE("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296,4294967296), }", 4,
        "its shape overflows");
    REFUSE("{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,), }", 4,
        "its shape overflows");
    REFUSE("{'descr': '|u1', 'fortran_order': False, 'shape': (4294967297,), }", 4,
        "4294967297 elements, limit");
    ark_npy a = {0};
    check_error(ark_npy_parse("PK\3\4xxxxxxxx", 12, "x.npz", &a), ARK_EFORMAT, "x.npz: not a .npy file");
    check_error(ark_npy_read("/nonexistent/x.npy", &a), ARK_EIO, "/nonexistent/x.npy");
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    char bytes[512];
    size_t len =
        make(bytes, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", "0123456789abcdef", 16);
    for (size_t n = 0; n < len; n++) {
        char *exact = ark_malloc(n);
        memcpy(exact, bytes, n);
        ark_npy a = {0};
        check_error(ark_npy_parse(exact, n, "t", &a), ARK_EFORMAT, "t: ");
        ark_free(exact);
    }
}

/* numpy.save of float32 arrays of these shapes writes exactly these headers (NumPy 2.4). */
static void writes_what_numpy_writes(void **state) {
    (void)state;
    static const struct {
        int ndim;
        int64_t shape[3];
        const char *dict;
    } rows[] = {
        {0, {0}, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }"},
        {1, {2}, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"},
        {3, {1, 2, 1}, "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 1), }"},
    };
    static const float data[] = {1, -0.5f};
    for (size_t i = 0; i < 3; i++) {
        const char *path = temp_name("x.npy");
        check_ok(ark_npy_write_f32(path, rows[i].ndim, rows[i].shape, data));
        char want[512], *got;
        size_t n, len = make(want, rows[i].dict, data, i ? 8 : 4);
        check_ok(ark_file_read(path, 1000, &got, &n));
        assert_int_equal(n, len);
        assert_memory_equal(got, want, n);
        ark_free(got);
        ark_npy a = {0};
        check_ok(ark_npy_read(path, &a));
        assert_memory_equal(a.data, data, n - 128);
        ark_npy_free(&a);
        unlink(path);
    }
    check_error(
        ark_npy_write_f32("/tmp/x.npy", 9, (int64_t[9]){0}, data), ARK_EINVAL, "9 dimensions, limit 8");
    check_error(ark_npy_write_f32("/tmp/x.npy", 1, (int64_t[]){-1}, data), ARK_EINVAL, "dimension 0 is -1");
}

static void every_failed_allocation(void **state) {
    (void)state;
    for (uint64_t nth = 2;; nth++) { /* the first belongs to the test */
        ark_npy a = {0};
        ark_alloc_fail_after(nth);
        ark_status st = parse("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 2), }", "abcd", 4, &a);
        ark_alloc_fail_after(0);
        if (st == ARK_OK) {
            assert_int_equal(nth, 4);
            ark_npy_free(&a);
            break;
        }
        assert_int_equal(st, ARK_ENOMEM);
        assert_null(a.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_array),
        cmocka_unit_test(fortran_order),
        cmocka_unit_test(scalars_truths_and_vectors),
        cmocka_unit_test(later_versions),
        cmocka_unit_test(refusals),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(writes_what_numpy_writes),
        cmocka_unit_test(every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
