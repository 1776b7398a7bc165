/* safetensors: a file written by the Python package, our writer's bytes, and one attack
 * per rule of the format. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "io_check.h"

#include <math.h>

/* safetensors.torch.save({'b': bf16 [1.5,-2], 'a': f32 [[1,2,3]], 'i': i64 7, 'e': f32 zeros(0,3), 'h': f16
 * [0.5], 't': bool [1,0,1]}, metadata={'format': 'pt'}), safetensors 0.8 */
static const char python_file[] =
    "p\x01\0\0\0\0\0\0{\"__metadata__\":{\"format\":\"pt\"},\"i\":{\"dtype\":\"I64\",\"shape\":[],"
    "\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":[8,20]},"
    "\"e\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[20,20]},"
    "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[20,24]},"
    "\"h\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[24,26]},"
    "\"t\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[26,29]}}    "
    "\x07\0\0\0\0\0\0\0\0\0\x80?\0\0\0@\0\0@@\xc0?\0\xc0\08\x01\0\x01";
enum { PYTHON_BYTES = 405 };

static void reads_what_python_writes(void **state) {
    (void)state;
    assert_int_equal(sizeof python_file - 1, PYTHON_BYTES);
    ark_st_file *f = NULL;
    check_ok(ark_st_open_memory(python_file, PYTHON_BYTES, "py", &f));
    assert_int_equal(ark_st_count(f), 6);
    static const char *const order[] = {"i", "a", "e", "b", "h", "t"};
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(ark_st_at(f, i)->name, order[i]);
    }
    assert_int_equal(ark_st_meta_count(f), 1);
    assert_string_equal(ark_st_meta(f, "format"), "pt");
    assert_null(ark_st_meta(f, "none"));
    const char *key, *value;
    ark_st_meta_at(f, 0, &key, &value);
    assert_string_equal(key, "format");
    float v[3];
    const ark_st_tensor *a = ark_st_find(f, "a");
    assert_int_equal(a->ndim, 2);
    assert_int_equal(a->shape[1], 3);
    assert_int_equal(a->numel, 3);
    assert_int_equal(a->bytes, 12);
    assert_int_equal(a->dtype, ARK_ST_F32);
    check_ok(ark_st_read_f32(a, v));
    assert_true(v[0] == 1 && v[1] == 2 && v[2] == 3);
    check_ok(ark_st_read_f32(ark_st_find(f, "b"), v));
    assert_true(v[0] == 1.5f && v[1] == -2);
    check_ok(ark_st_read_f32(ark_st_find(f, "h"), v));
    assert_true(v[0] == 0.5f);
    assert_int_equal(ark_st_find(f, "i")->ndim, 0);
    check_ok(ark_st_read_f32(ark_st_find(f, "i"), v));
    assert_true(v[0] == 7);
    assert_int_equal(ark_st_find(f, "e")->numel, 0);
    check_ok(ark_st_read_f32(ark_st_find(f, "e"), v));
    check_error(ark_st_read_f32(ark_st_find(f, "t"), v), ARK_EFORMAT, "tensor 't'", "BOOL");
    assert_null(ark_st_find(f, "z"));
    ark_st_close(f);
}

/* Values from numpy: uint16 bits viewed as float16. */
static void half_precision(void **state) {
    (void)state;
    static const uint16_t bits[] = {
        0x0001, 0x03ff, 0x0400, 0x7bff, 0x7c00, 0xfc00, 0x8000, 0x3555, 0x83ff, 0x7e00};
    static const float want[] = {
        0x1p-24f, 0x1.ff8p-15f, 0x1p-14f, 65504, INFINITY, -INFINITY, -0.0f, 0x1.554p-2f, -0x1.ff8p-15f};
    float got[10];
    check_ok(ark_st_read_f32(&(ark_st_tensor){.dtype = ARK_ST_F16, .numel = 10, .data = bits}, got));
    assert_memory_equal(got, want, sizeof want);
    assert_true(isnan(got[9]));
}

static void every_number_type(void **state) {
    (void)state;
    static const struct {
        ark_st_dtype dtype;
        uint64_t bits;
        float want;
    } rows[] = {{ARK_ST_U8, 0xff, 255}, {ARK_ST_I8, 0xff, -1}, {ARK_ST_U16, 0xffff, 65535},
        {ARK_ST_I16, 0x8000, -32768}, {ARK_ST_U32, 0x80000000, 0x1p31f}, {ARK_ST_I32, 0x80000000, -0x1p31f},
        {ARK_ST_U64, 1ull << 63, 0x1p63f}, {ARK_ST_I64, 1ull << 63, -0x1p63f},
        {ARK_ST_F64, 0x3fe0000000000000, 0.5f}, {ARK_ST_F32, 0x3f000000, 0.5f}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char unaligned[9];
        memcpy(unaligned + 1, &rows[i].bits, 8);
        float got = NAN;
        check_ok(ark_st_read_f32(
            &(ark_st_tensor){.dtype = rows[i].dtype, .numel = 1, .data = unaligned + 1}, &got));
        assert_true(got == rows[i].want);
    }
    assert_string_equal(ark_st_dtype_name(ARK_ST_BF16), "BF16");
    assert_int_equal(ark_st_dtype_bytes(ARK_ST_BF16), 2);
}

/* A file with this header and so many bytes of data. */
static ark_status open_made(const char *header, size_t data_bytes, ark_st_file **f) {
    static char bytes[4096];
    uint64_t n = strlen(header);
    assert_true(8 + n + data_bytes <= sizeof bytes);
    memcpy(bytes, &n, 8);
    memcpy(bytes + 8, header, n);
    memset(bytes + 8 + n, 0, data_bytes);
    return ark_st_open_memory(bytes, 8 + n + data_bytes, "w.st", f);
}

#define REFUSE(header, bytes, ...)                                                                           \
    do {                                                                                                     \
        ark_st_file *none = NULL;                                                                            \
        check_error(open_made((header), (bytes), &none), ARK_EFORMAT, "w.st", __VA_ARGS__);                  \
        assert_null(none);                                                                                   \
    } while (0)

#define F32(name, shape, begin, end)                                                                         \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void layout_attacks(void **state) {
    (void)state;
    REFUSE("{" F32("a", "[1]", 4, 8) "}", 8, "tensor 'a': begins at 4, expected 0 (hole)");
    REFUSE("{" F32("a", "[1]", 0, 4) "," F32("b", "[1]", 8, 12) "}", 12,
        "tensor 'b': begins at 8, expected 4 (hole)");
    REFUSE("{" F32("a", "[2]", 0, 8) "," F32("b", "[1]", 4, 8) "}", 8,
        "tensor 'b': begins at 4, expected 8 (overlap)");
    REFUSE("{" F32("a", "[1]", 0, 4) "," F32("b", "[1]", 0, 4) "}", 4, "tensor 'b'", "overlap");
    REFUSE("{" F32("a", "[0]", 0, 0) "," F32("b", "[1]", 8, 4) "}", 8,
        "tensor 'b': ends at 4 before it begins at 8");
    REFUSE("{" F32("a", "[2]", 0, 4) "}", 4, "tensor 'a': 4 bytes of data, its shape and dtype need 8");
    REFUSE("{" F32("a", "[]", 0, 8) "}", 8, "tensor 'a': 8 bytes of data, its shape and dtype need 4");
    REFUSE(
        "{" F32("a", "[2]", 0, 8) "}", 4, "tensor 'a': ends at 8, the file has 4 bytes of data (truncated?)");
    REFUSE("{" F32("a", "[1]", 0, 4) "}", 5, "5 bytes of data, the tensors cover 4");
    REFUSE("{}", 1, "1 bytes of data, the tensors cover 0");
    REFUSE(
        "{" F32("a", "[4294967296,4294967296,4294967296]", 0, 4) "}", 4, "tensor 'a': its shape overflows");
    REFUSE("{" F32("a", "[4611686018427387904,2]", 0, 4) "}", 4, "tensor 'a': its shape overflows");
    REFUSE("{" F32("a", "[4611686018427387904]", 0, 4) "}", 4, "tensor 'a': its shape overflows");
}

static void entry_attacks(void **state) {
    (void)state;
    REFUSE("{" F32("a", "[1]", 0, 4) "," F32("a", "[1]", 4, 8) "}", 8, "tensor 'a' appears twice");
    REFUSE("{" F32("a", "[1]", 0, 4) "," F32("\\u0061", "[1]", 4, 8) "}", 8, "tensor 'a' appears twice");
    REFUSE("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
        "tensor 'a': dtype 'F8_E4M3'");
    REFUSE("{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor 'a': dtype 'f32'");
    REFUSE("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"offsets\":[0,4]}}", 4,
        "tensor 'a': unknown key 'offsets'");
    REFUSE("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor 'a': no data_offsets");
    REFUSE("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor 'a': no dtype");
    REFUSE("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"}}", 4, "tensor 'a': repeated key 'dtype'");
    REFUSE("{" F32("a", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "tensor 'a': more than 8 dimensions");
    REFUSE("{" F32("a", "[-1]", 0, 4) "}", 4, "in entry 'a': expected a dimension at byte 29");
    REFUSE("{" F32("a", "[1.0]", 0, 4) "}", 4, "in entry 'a': expected a dimension");
    REFUSE("{" F32("a", "[01]", 0, 4) "}", 4, "in entry 'a': expected a dimension");
    REFUSE("{" F32("a", "[1e0]", 0, 4) "}", 4, "in entry 'a': expected a dimension");
    REFUSE("{" F32("a", "[9223372036854775808]", 0, 4) "}", 4, "in entry 'a': expected a number below 2^63");
    REFUSE("{" F32("a", "[1]", 0, 99999999999999999999) "}", 4, "in entry 'a': expected a number below 2^63");
    REFUSE("{" F32("a", "[1,]", 0, 4) "}", 4, "in entry 'a': expected a dimension");
    REFUSE("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4,
        "in entry 'a': expected ']'");
    REFUSE("{\"a\":{}}", 0, "in entry 'a': expected a string");
    REFUSE("{\"a\":7}", 0, "in entry 'a': expected '{'");
    REFUSE("{\"a\":{\"dtype\":{\"x\":1}}}", 0, "in entry 'a': expected a string");
    REFUSE("{\"a\":{\"dtype\":\"F32\\u0000\"}}", 0, "in entry 'a': expected text without NUL");
}

static void metadata_attacks(void **state) {
    (void)state;
    REFUSE("{\"__metadata__\":{\"n\":1}}", 0, "in entry 'n': expected a string");
    REFUSE("{\"__metadata__\":{\"n\":\"1\",\"n\":\"2\"}}", 0, "__metadata__ key 'n' appears twice");
    REFUSE("{\"__metadata__\":{},\"__metadata__\":{}}", 0, "__metadata__ appears twice");
    REFUSE("{\"__metadata__\":null}", 0, "expected '{'");
}

static void header_attacks(void **state) {
    (void)state;
    REFUSE("", 8, "header does not begin with '{'");
    REFUSE(" {}", 0, "header does not begin with '{'");
    REFUSE("{}x", 0, "expected nothing but padding at byte 2");
    REFUSE("{", 0, "expected a string at byte 1");
    REFUSE("{\"a", 0, "expected the end of a string at byte 3");
    REFUSE("{\"a\n\":", 0, "expected the end of a string at byte 3");
    REFUSE("{\"\\q\":", 0, "expected a known escape");
    REFUSE("{\"\\ud800\":", 0, "expected a second surrogate");
    REFUSE("{\"\\ud800\\u0041\":", 0, "expected a second surrogate");
    REFUSE("{\"\\udc00\":", 0, "expected a first surrogate");
    REFUSE("{\"\\u12g4\":", 0, "expected four hexadecimal digits");
    static const char *const not_utf8[] = {"{\"\xff\"", "{\"\xc0\x80\"", "{\"\xed\xa0\x80\"",
        "{\"\xf4\x90\x80\x80\"", "{\"\xe0\x9f\xbf\"", "{\"\xf0\x8f\xbf\xbf\"", "{\"\xc3", "{\"\xe2\x82"};
    for (size_t i = 0; i < sizeof not_utf8 / sizeof *not_utf8; i++) {
        REFUSE(not_utf8[i], 0, "header is not UTF-8 at byte 2");
    }
    ark_st_file *f = NULL;
    check_error(
        ark_st_open_memory("\x02\0\0\0\0\0", 6, "w.st", &f), ARK_EFORMAT, "w.st: 6 bytes", "at least 8");
    check_error(ark_st_open_memory(NULL, 0, "w.st", &f), ARK_EFORMAT, "w.st: 0 bytes");
    check_error(ark_st_open_memory("\x09\0\0\0\0\0\0\0{}", 10, "w.st", &f), ARK_EFORMAT, "header of 9 bytes",
        "the file has 2", "truncated?");
    check_error(ark_st_open_memory("\x01\xe1\xf5\x05\0\0\0\0{}", 10, "w.st", &f), ARK_EFORMAT,
        "header of 100000001 bytes, limit 100000000");
    check_error(
        ark_st_open_memory("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "w.st", &f), ARK_EFORMAT, "limit");
    check_error(ark_st_open("/nonexistent/w.st", &f), ARK_EIO, "/nonexistent/w.st");
    assert_null(f);
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    for (size_t n = 0; n < PYTHON_BYTES; n++) {
        ark_st_file *f = NULL;
        char *exact = ark_malloc(n); /* so that a sanitizer sees reads beyond it */
        memcpy(exact, python_file, n);
        check_error(ark_st_open_memory(exact, n, "t", &f), ARK_EFORMAT, "t: ");
        ark_free(exact);
    }
}

static void unusual_but_valid(void **state) {
    (void)state;
    ark_st_file *f = NULL;
    check_ok(ark_st_open_memory("\x08\0\0\0\0\0\0\0{}      ", 16, "empty", &f));
    assert_int_equal(ark_st_count(f), 0);
    assert_null(ark_st_find(f, "a"));
    ark_st_close(f);
    /* entries out of order, blanks, escapes, a dimension of 0 next to a huge one */
    check_ok(
        open_made("{ \"b\" : {\"data_offsets\":[4, 8],\"shape\":[1],\"dtype\":\"F32\"},\n" F32(
                      "\\ud83d\\ude00\\n", "[1]", 0, 4) "," F32("z", "[0,4611686018427387904]", 8, 8) "}  ",
            8, &f));
    assert_string_equal(ark_st_at(f, 0)->name, "\xf0\x9f\x98\x80\n");
    assert_string_equal(ark_st_at(f, 1)->name, "b");
    assert_int_equal(ark_st_find(f, "z")->numel, 0);
    ark_st_close(f);
}

/* The bytes are what safetensors.numpy.save (0.8) writes for the same two arrays and metadata. */
static void writes_known_bytes(void **state) {
    (void)state;
    static const char want[] = "\x90\0\0\0\0\0\0\0{\"__metadata__\":{\"a\":\"q\\\"\\\\\\u0001\"},"
                               "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                               "\"b\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[8,9]}}    "
                               "\0\0\x80?\0\0\0@\x05";
    ark_st_writer *w = NULL;
    check_ok(ark_st_writer_new(&w));
    check_ok(ark_st_writer_meta(w, "a", "q\"\\\x01"));
    unsigned char five = 5;
    float two[] = {1, 2};
    check_ok(ark_st_writer_add(w, "b", ARK_ST_U8, 0, NULL, &five));
    check_ok(ark_st_writer_add(w, "w", ARK_ST_F32, 1, (int64_t[]){2}, two));
    const char *path = temp_name("w.safetensors");
    for (int twice = 0; twice < 2; twice++) {
        check_ok(ark_st_writer_save(w, path));
        char *bytes;
        size_t n;
        check_ok(ark_file_read(path, 1000, &bytes, &n));
        assert_int_equal(n, sizeof want - 1);
        assert_memory_equal(bytes, want, n);
        ark_free(bytes);
    }
    ark_st_file *f = NULL;
    check_ok(ark_st_open(path, &f));
    assert_string_equal(ark_st_meta(f, "a"), "q\"\\\x01");
    assert_int_equal(*(const unsigned char *)ark_st_find(f, "b")->data, 5);
    ark_st_close(f);
    unlink(path);
    check_error(ark_st_writer_save(w, "/nonexistent/w.st"), ARK_EIO, "/nonexistent/w.st");
    ark_st_writer_free(w);
}

static void writer_refusals(void **state) {
    (void)state;
    ark_st_writer *w = NULL;
    float x = 0;
    check_ok(ark_st_writer_new(&w));
    check_ok(ark_st_writer_add(w, "a", ARK_ST_F32, 0, NULL, &x));
    check_error(ark_st_writer_add(w, "a", ARK_ST_F32, 0, NULL, &x), ARK_EINVAL, "tensor 'a' was given twice");
    check_error(ark_st_writer_add(w, "__metadata__", ARK_ST_F32, 0, NULL, &x), ARK_EINVAL, "'__metadata__'");
    check_error(ark_st_writer_add(w, "\xff", ARK_ST_F32, 0, NULL, &x), ARK_EINVAL, "not a name");
    check_error(
        ark_st_writer_add(w, "n", ARK_ST_F32, 1, (int64_t[]){-3}, &x), ARK_EINVAL, "'n': dimension 0 is -3");
    check_error(
        ark_st_writer_add(w, "n", ARK_ST_F32, 2, (int64_t[]){INT64_MAX, 9}, &x), ARK_EINVAL, "too large");
    check_error(
        ark_st_writer_add(w, "n", ARK_ST_F32, 9, (int64_t[9]){0}, &x), ARK_EINVAL, "9 dimensions (limit 8)");
    check_ok(ark_st_writer_meta(w, "k", "v"));
    check_error(ark_st_writer_meta(w, "k", "v"), ARK_EINVAL, "metadata 'k' was given twice");
    check_error(ark_st_writer_meta(w, "u", "\xff"), ARK_EINVAL, "metadata 'u': not UTF-8");
    ark_st_writer_free(w);
    ark_st_writer_free(NULL);
    ark_st_close(NULL);
}

static void many_tensors(void **state) {
    (void)state;
    ark_buf b;
    ark_buf_init(&b, 100 << 20);
    check_ok(ark_buf_add(&b, "12345678{", 9));
    for (int i = 0; i <= 100000; i++) {
        check_ok(ark_buf_addf(
            &b, "%s\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i ? "," : "", i));
    }
    check_ok(ark_buf_adds(&b, "}"));
    uint64_t n = b.len - 8;
    memcpy(b.data, &n, 8);
    ark_st_file *f = NULL;
    check_error(ark_st_open_memory(b.data, b.len, "many", &f), ARK_EFORMAT, "many: more than 100000 tensors");
    ark_buf_free(&b);
}

static void every_failed_allocation(void **state) {
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        ark_st_file *f = NULL;
        ark_alloc_fail_after(nth);
        ark_status st = ark_st_open_memory(python_file, PYTHON_BYTES, "t", &f);
        ark_alloc_fail_after(0);
        if (st == ARK_OK) {
            assert_true(nth > 5);
            ark_st_close(f);
            break;
        }
        assert_int_equal(st, ARK_ENOMEM);
        assert_null(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_python_writes),
        cmocka_unit_test(half_precision),
        cmocka_unit_test(every_number_type),
        cmocka_unit_test(layout_attacks),
        cmocka_unit_test(entry_attacks),
        cmocka_unit_test(metadata_attacks),
        cmocka_unit_test(header_attacks),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(unusual_but_valid),
        cmocka_unit_test(writes_known_bytes),
        cmocka_unit_test(writer_refusals),
        cmocka_unit_test(many_tensors),
        cmocka_unit_test(every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
