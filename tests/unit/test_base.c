/* Base: numbers, words, paths, the random generator's published vectors, atomic writes. */
#include "base/alloc.h"
#include "base/err.h"
#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"

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
#include <unistd.h>

/* Known answers of Philox4x32-10 from the Random123 distribution. */
static void philox_known_answers(void **state) {
    (void)state;
    uint32_t out[4];
    ark_philox((uint32_t[2]){0, 0}, (uint32_t[4]){0, 0, 0, 0}, out);
    assert_int_equal(out[0], 0x6627e8d5u);
    assert_int_equal(out[1], 0xe169c58du);
    assert_int_equal(out[2], 0xbc57ac4cu);
    assert_int_equal(out[3], 0x9b00dbd8u);
    uint32_t f = 0xffffffffu;
    ark_philox((uint32_t[2]){f, f}, (uint32_t[4]){f, f, f, f}, out);
    assert_int_equal(out[0], 0x408f276du);
    assert_int_equal(out[1], 0x41c83b0eu);
    assert_int_equal(out[2], 0xa20bc7c6u);
    assert_int_equal(out[3], 0x6d5451fdu);
}

static void rng_moments(void **state) {
    (void)state;
    ark_rng r = ark_rng_at(7, ARK_RNG_TEST, 0, 0, 0);
    double sum = 0, sq = 0;
    int n = 20000;
    for (int i = 0; i < n; i++) {
        double z = ark_rng_normal(&r);
        sum += z;
        sq += z * z;
    }
    assert_true(fabs(sum / n) < 0.03);
    assert_true(fabs(sq / n - 1) < 0.05);
    int counts[7] = {0};
    for (int i = 0; i < 7000; i++) {
        counts[ark_rng_below(&r, 7)]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_in_range(counts[i], 850, 1150);
    }
}

static void strict_numbers(void **state) {
    (void)state;
    int64_t i;
    double d;
    assert_true(ark_parse_i64("-12", &i) && i == -12);
    assert_false(ark_parse_i64("12x", &i));
    assert_false(ark_parse_i64("", &i));
    assert_false(ark_parse_i64(" 1", &i));
    assert_false(ark_parse_i64("99999999999999999999", &i));
    assert_true(ark_parse_f64("1e-3", &d) && d == 1e-3);
    assert_false(ark_parse_f64("nan", &d));
    assert_false(ark_parse_f64("1e999", &d));
    assert_false(ark_parse_f64("0.5 ", &d));
}

static void nearest_word(void **state) {
    (void)state;
    static const char *const words[] = {"pretrain", "predict", "probe"};
    assert_string_equal(ark_nearest("pretrian", words, 3), "pretrain");
    assert_string_equal(ark_nearest("predict", words, 3), "predict");
    assert_null(ark_nearest("zzzzzz", words, 3));
}

static void message_is_one_line(void **state) {
    (void)state;
    assert_int_equal(ARK_ERR(ARK_EFORMAT, "a\nb\x1b[0m"), ARK_EFORMAT);
    assert_string_equal(ark_err_msg(), "a b [0m");
    assert_int_equal(ark__err_prefix(ARK_EIO, "file %d", 3), ARK_EIO);
    assert_string_equal(ark_err_msg(), "file 3: a b [0m");
}

static void buffer_limit(void **state) {
    (void)state;
    ark_buf b;
    ark_buf_init(&b, 5);
    assert_int_equal(ark_buf_addf(&b, "%d", 1234), ARK_OK);
    assert_int_equal(ark_buf_adds(&b, "56"), ARK_EFORMAT);
    assert_string_equal(b.data, "1234");
    ark_buf_free(&b);
}

static void atomic_write(void **state) {
    (void)state;
    char dir[] = "/tmp/ark-base-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *sub = ark_path_join(dir, "a/b");
    assert_int_equal(ark_mkdirs(sub), ARK_OK);
    char *file = ark_path_join(sub, "f.txt");
    assert_int_equal(ark_file_write(file, "hello", 5), ARK_OK);
    ark_writer w;
    assert_int_equal(ark_writer_open(&w, file), ARK_OK);
    ark_writer_printf(&w, "half");
    ark_writer_abort(&w); /* the old content must still be there, the temporary must not */
    char *data;
    size_t len;
    assert_int_equal(ark_file_read(file, 100, &data, &len), ARK_OK);
    assert_string_equal(data, "hello");
    ark_free(data);
    assert_int_equal(ark_file_read(file, 4, &data, &len), ARK_EFORMAT);
    char **names;
    size_t n;
    assert_int_equal(ark_list_dir(sub, &names, &n), ARK_OK);
    assert_int_equal(n, 1);
    ark_names_free(names, n);
    assert_int_equal(ark_file_read(sub, 100, &data, &len), ARK_EIO);
    assert_int_equal(ark_rmtree(dir), ARK_OK);
    assert_false(ark_path_exists(dir));
    ark_free(file);
    ark_free(sub);
}

/* /dev/full accepts the open and fails the flush, like a full disk. */
static void full_disk_is_reported(void **state) {
    (void)state;
    ark_writer w = {
        .f = fopen("/dev/full", "wb"), .path = ark_strdup("/tmp/never"), .tmp = ark_strdup("/tmp/never.tmp")};
    ark_writer_put(&w, "x", 1);
    assert_int_equal(ark_writer_commit(&w), ARK_EIO);
    assert_non_null(strstr(ark_err_msg(), "No space left"));
    assert_false(ark_path_exists("/tmp/never"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(rng_moments),
        cmocka_unit_test(strict_numbers),
        cmocka_unit_test(nearest_word),
        cmocka_unit_test(message_is_one_line),
        cmocka_unit_test(buffer_limit),
        cmocka_unit_test(atomic_write),
        cmocka_unit_test(full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
