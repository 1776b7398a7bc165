/* TIFF: pixels as they were stored and as Pillow converts them (golden/dicom.h), refusals with reasons, every
 * truncation and every damaged byte. */
#include "base/alloc.h"
#include "base/file.h"
#include "golden/dicom.h"
#include "io/image.h"
#include "io_check.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char *corpus(const char *prefix, const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/fuzz/corpus/image/%s%s", ARK_TEST_DIR, prefix, name);
    return path;
}

static void pixels_as_stored(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(tiff_golden); k++) {
        ark_image im;
        check_ok(ark_image_read(corpus("valid-tiff-", tiff_golden[k].name), NULL, &im));
        if (im.width != tiff_golden[k].width || im.height != tiff_golden[k].height ||
            im.depth != tiff_golden[k].depth) {
            fail_msg("%s: %d x %d x %d", tiff_golden[k].name, im.width, im.height, im.depth);
        }
        for (int i = 0; i < im.width * im.height; i++) {
            int got = im.depth == 16 ? im.px16[i] : im.px8[i];
            if (got != tiff_golden[k].pixels[i]) {
                fail_msg("%s: pixel %d is %d, not %d", tiff_golden[k].name, i, got, tiff_golden[k].pixels[i]);
            }
        }
        ark_image_free(&im);
    }
}

static void told(void **state) {
    (void)state;
    ark_image_info info;
    ark_image im;
    check_ok(ark_image_read8(corpus("valid-tiff-", "grey16-white"), NULL, NULL, &info, &im));
    assert_string_equal(info.format, "TIFF");
    assert_string_equal(info.photometric, "inverted grey");
    assert_string_equal(info.window, "data");
    assert_int_equal(info.depth, 16);
    assert_int_equal(im.depth, 8);
    assert_true(im.px8[0] == 255 && im.px8[im.width * im.height - 1] == 0);
    ark_image_free(&im);
}

static void refused_with_a_reason(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(tiff_refused); k++) {
        ark_image im = {0};
        const char *path = corpus("tiff-", tiff_refused[k].name);
        check_error(ark_image_read(path, NULL, &im), ARK_EFORMAT, path, tiff_refused[k].reason);
        assert_null(im.px);
    }
}

static void decode_all(bool cut) {
    for (size_t k = 0; k < COUNT(tiff_golden); k++) {
        char *bytes;
        size_t whole;
        check_ok(ark_file_read(corpus("valid-tiff-", tiff_golden[k].name), 1 << 20, &bytes, &whole));
        for (size_t at = 0; at < whole; at++) {
            size_t n = cut ? at : whole;
            uint8_t *copy = ark_malloc(n);
            memcpy(copy, bytes, n);
            if (!cut) {
                copy[at] ^= (uint8_t)(1u << at % 8);
            }
            ark_image im = {0};
            ark_image_limits small = ark_image_default_limits();
            small.max_pixels = 1 << 20;
            ark_status st = ark_image_decode(copy, n, "x", &small, &im);
            assert_true((st == ARK_OK) == (im.px != NULL));
            if (cut ? st != ARK_EFORMAT : st != ARK_OK && st != ARK_EFORMAT) {
                fail_msg("%s at %zu of %zu: %s, %s", tiff_golden[k].name, at, whole, ark_status_name(st),
                    ark_err_msg());
            }
            ark_image_free(&im);
            ark_free(copy);
        }
        ark_free(bytes);
    }
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    decode_all(true);
}

static void every_damaged_byte(void **state) {
    (void)state;
    decode_all(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_as_stored),
        cmocka_unit_test(told),
        cmocka_unit_test(refused_with_a_reason),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_damaged_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
