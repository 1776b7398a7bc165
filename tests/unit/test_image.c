/* Images: pixels as Pillow reads them (golden/image.h), every truncation refused, limits
 * before allocation. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "golden/image.h"
#include "io/image.h"
#include "io_check.h"

enum { GOLDEN = sizeof image_golden / sizeof *image_golden };

/* Decode from a block of exactly n bytes, so that a sanitizer sees reads beyond it. */
static ark_status decode(const void *bytes, size_t n, const char *name, ark_image *im) {
    void *exact = ark_malloc(n);
    memcpy(exact, bytes, n);
    ark_status st = ark_image_decode(exact, n, name, NULL, im);
    ark_free(exact);
    return st;
}

static void pixels_as_pillow(void **state) {
    (void)state;
    for (size_t i = 0; i < GOLDEN; i++) {
        ark_image im = {0};
        check_ok(decode(image_golden[i].file, image_golden[i].bytes, image_golden[i].name, &im));
        if (im.width != image_golden[i].width || im.height != image_golden[i].height ||
            im.depth != image_golden[i].depth) {
            fail_msg("%s: %d x %d x %d", image_golden[i].name, im.width, im.height, im.depth);
        }
        /* PNG is exact; an inverse DCT other than libjpeg-turbo's may round otherwise */
        int allowed = strncmp(image_golden[i].name, "jpeg", 4) ? 0 : 1;
        for (int p = 0; p < im.width * im.height; p++) {
            int got = im.depth == 16 ? im.px16[p] : im.px8[p], want = image_golden[i].pixels[p];
            if (abs(got - want) > allowed) {
                fail_msg("%s: pixel %d is %d, Pillow has %d", image_golden[i].name, p, got, want);
            }
        }
        ark_image_free(&im);
    }
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < GOLDEN; i++) {
        /* the last four bytes of a PNG are the checksum of an empty chunk */
        size_t needed = image_golden[i].bytes - (strncmp(image_golden[i].name, "png", 3) ? 0 : 4);
        for (size_t n = 0; n < needed; n++) {
            ark_image im = {0};
            ark_status st = decode(image_golden[i].file, n, "cut", &im);
            if (st != ARK_EFORMAT || strncmp(ark_err_msg(), "cut: ", 5) != 0 || im.px) {
                fail_msg("%s cut to %zu of %zu bytes: %s, %s", image_golden[i].name, n, image_golden[i].bytes,
                    ark_status_name(st), ark_err_msg());
            }
        }
    }
}

/* Whatever one wrong byte does, the answer is an image or ARK_EFORMAT. */
static void every_damaged_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < GOLDEN; i++) {
        unsigned char bytes[2048];
        assert_true(image_golden[i].bytes <= sizeof bytes);
        for (size_t at = 0; at < image_golden[i].bytes; at++) {
            memcpy(bytes, image_golden[i].file, image_golden[i].bytes);
            bytes[at] ^= (unsigned char)(1u << at % 8);
            ark_image im = {0};
            ark_image_limits small = ark_image_default_limits();
            small.max_pixels = 1 << 20;
            ark_status st = ark_image_decode(bytes, image_golden[i].bytes, "damaged", &small, &im);
            assert_true(st == ARK_OK || st == ARK_EFORMAT);
            assert_true((st == ARK_OK) == (im.px != NULL));
            ark_image_free(&im);
        }
    }
}

/* The grey PNG with another size in its header (and the right CRC for 60000 x 60000). */
static void bombs_are_refused_by_their_header(void **state) {
    (void)state;
    static const unsigned char head[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H',
        'D', 'R', 0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 0, 0, 0, 0, 0xa5, 0xb9, 0x2a, 0x9e, 0, 0, 0, 0, 'I',
        'D', 'A', 'T', 0x35, 0xaf, 6, 0x1e};
    uint64_t before = ark_alloc_get_stats().peak_bytes;
    ark_image im = {0};
    check_error(decode(head, sizeof head, "bomb.png", &im), ARK_EFORMAT,
        "bomb.png: 60000 x 60000 pixels, limit 16384");
    unsigned char jpeg[2048];
    for (size_t i = 0; i < GOLDEN; i++) {
        if (strncmp(image_golden[i].name, "jpeg", 4) != 0) {
            continue;
        }
        memcpy(jpeg, image_golden[i].file, image_golden[i].bytes);
        for (size_t at = 2; at < image_golden[i].bytes;
             at++) { /* start of frame: length, precision, height, width */
            if (jpeg[at] == 0xff && (jpeg[at + 1] == 0xc0 || jpeg[at + 1] == 0xc2) && jpeg[at + 4] == 8) {
                memcpy(jpeg + at + 5, "\x3f\xff\x3f\xff", 4);
                break;
            }
        }
        check_error(decode(jpeg, image_golden[i].bytes, "bomb.jpg", &im), ARK_EFORMAT,
            "bomb.jpg: 16383 x 16383 pixels, limit 67108864 in all");
    }
    assert_true(ark_alloc_get_stats().peak_bytes < before + (1 << 20));
}

static void limits(void **state) {
    (void)state;
    const unsigned char *file = png_grey8_file;
    size_t n = sizeof png_grey8_file;
    ark_image im = {0};
    ark_image_limits l = {.max_side = 12, .max_pixels = 1000, .max_file_bytes = 1000};
    check_error(
        ark_image_decode(file, n, "a.png", &l, &im), ARK_EFORMAT, "a.png: 13 x 9 pixels, limit 12 a side");
    l.max_side = 13;
    l.max_pixels = 116;
    check_error(
        ark_image_decode(file, n, "a.png", &l, &im), ARK_EFORMAT, "a.png: 13 x 9 pixels, limit 116 in all");
    l.max_pixels = 117;
    check_ok(ark_image_decode(file, n, "a.png", &l, &im));
    ark_image_free(&im);
    l.max_file_bytes = n - 1;
    check_error(ark_image_decode(file, n, "a.png", &l, &im), ARK_EFORMAT, "a.png: ", "bytes, limit");
    const char *path = temp_name("a.png");
    check_ok(ark_file_write(path, file, n));
    check_error(ark_image_read(path, &l, &im), ARK_EFORMAT, path, "bytes, limit");
    check_ok(ark_image_read(path, NULL, &im));
    assert_int_equal(im.width, 13);
    ark_image_free(&im);
    unlink(path);
    check_error(ark_image_read("/nonexistent/a.png", NULL, &im), ARK_EIO, "/nonexistent/a.png");
}

static void other_formats_are_named(void **state) {
    (void)state;
    ark_image im = {0};
    char dicom[132] = {0};
    memcpy(dicom + 128, "DICM", 4);
    check_error(decode(dicom, sizeof dicom, "x.dcm", &im), ARK_EFORMAT, "x.dcm: DICOM: no pixel data");
    check_error(decode("GIF89a", 6, "x.png", &im), ARK_EFORMAT,
        "x.png: neither PNG, JPEG, TIFF nor DICOM (it looks like GIF)");
    check_error(decode("hello", 5, "x.png", &im), ARK_EFORMAT, "x.png: neither PNG, JPEG, TIFF nor DICOM");
    check_error(decode("", 0, "x.png", &im), ARK_EFORMAT, "x.png: empty file");
}

/* An 8 x 8 progressive grey JPEG of zeros: one scan for DC, then one per AC coefficient
 * and bit, `scans` in all. */
static size_t many_scans(unsigned char *out, int scans) {
    static const unsigned char head[] = {0xff, 0xd8, 0xff, 0xc2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0,
        /* one code of 1 bit for symbol 0, as table 0 of DC and of AC */
        0xff, 0xc4, 0, 20, 0x00, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xc4, 0, 20, 0x10,
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xdb, 0, 67, 0};
    size_t n = sizeof head;
    memcpy(out, head, n);
    memset(out + n, 1, 64);
    n += 64;
    for (int i = 0; i < scans; i++) {
        unsigned char k = (unsigned char)(i == 0 ? 0 : (i - 1) % 63 + 1);
        unsigned char bits = i == 0 ? 0 : i <= 63 ? 0x01 : 0x10;
        const unsigned char scan[] = {0xff, 0xda, 0, 8, 1, 1, 0x00, k, k, bits, 0x7f};
        memcpy(out + n, scan, sizeof scan);
        n += sizeof scan;
    }
    memcpy(out + n, "\xff\xd9", 2);
    return n + 2;
}

static void scans_are_bounded(void **state) {
    (void)state;
    unsigned char file[2048];
    ark_image im = {0};
    check_ok(decode(file, many_scans(file, 100), "scans.jpg", &im));
    assert_int_equal(im.width, 8);
    assert_int_equal(im.px8[63], 128);
    ark_image_free(&im);
    check_error(decode(file, many_scans(file, 101), "scans.jpg", &im), ARK_EFORMAT,
        "scans.jpg: JPEG: more than 100 scans");
}

/* The same six levels under a window, and what numpy makes of them:
 *   np.clip(np.floor(255 * (v - low) / (high - low) + .5), 0, 255) */
static void check_window(ark_window w, const char *name, double centre, double width, const uint8_t want[6]) {
    static const uint16_t wide[] = {100, 355, 356, 0x7fff, 0xfe00, 0xff00};
    ark_image im;
    ark_image_info info = {0};
    check_ok(ark_image_new(3, 2, 16, &im));
    memcpy(im.px16, wide, sizeof wide);
    ark_image_window(&im, &w, &info);
    assert_int_equal(im.depth, 8);
    assert_memory_equal(im.px8, want, 6);
    assert_string_equal(info.window, name);
    assert_true(info.centre == centre && info.width_levels == width);
    ark_image_to8(&im); /* once is enough */
    assert_memory_equal(im.px8, want, 6);
    ark_image_free(&im);
}

static void windows_of_16_bits(void **state) {
    (void)state;
    check_window((ark_window){0}, "data", 32690.5, 65181, (const uint8_t[]){0, 1, 1, 128, 254, 255});
    check_window((ark_window){ARK_WINDOW_DATA, 0, 0}, "data", 32690.5, 65181,
        (const uint8_t[]){0, 1, 1, 128, 254, 255});
    check_window(
        (ark_window){ARK_WINDOW_FULL, 0, 0}, "full", 32768, 65536, (const uint8_t[]){0, 1, 1, 127, 253, 254});
    check_window((ark_window){ARK_WINDOW_FIXED, 356, 257}, "fixed", 356, 257,
        (const uint8_t[]){0, 127, 128, 255, 255, 255});
    check_window(
        (ark_window){ARK_WINDOW_FIXED, 356, 1}, "fixed", 356, 1, (const uint8_t[]){0, 0, 255, 255, 255, 255});
    ark_image im;
    ark_image_info info = {0};
    check_ok(ark_image_new(2, 1, 8, &im));
    im.px8[0] = 10;
    im.px8[1] = 60;
    ark_image_window(&im, NULL, &info);
    assert_true(im.px8[0] == 10 && im.px8[1] == 60 && !strcmp(info.window, "none"));
    ark_image_window(&im, &(ark_window){ARK_WINDOW_FULL, 0, 0}, &info);
    assert_true(im.px8[0] == 10 && im.px8[1] == 60 && !strcmp(info.window, "none"));
    ark_image_window(&im, &(ark_window){ARK_WINDOW_DATA, 0, 0}, &info);
    assert_true(im.px8[0] == 0 && im.px8[1] == 255 && !strcmp(info.window, "data"));
    ark_image_window(&im, &(ark_window){ARK_WINDOW_FIXED, 300, 101}, &info);
    assert_true(im.px8[0] == 0 && im.px8[1] == 14);
    im.px8[1] = 0;
    ark_image_window(&im, &(ark_window){ARK_WINDOW_DATA, 0, 0}, &info); /* a single level */
    assert_true(im.px8[0] == 0 && im.px8[1] == 0);
    ark_image_free(&im);
    ark_image_free(&im);
    ark_image_free(NULL);
    check_error(ark_image_new(0, 2, 8, &im), ARK_EINVAL, "0 x 2");
    check_error(ark_image_new(2, 2, 12, &im), ARK_EINVAL, "12 bits");
    check_error(ark_image_decode8("x", 1, "a", NULL, &(ark_window){ARK_WINDOW_FIXED, 0, 0.5}, NULL, &im),
        ARK_EINVAL, "a: a window of centre 0 and width 0.5");
}

static void written_png_is_read_back(void **state) {
    (void)state;
    uint8_t px[3 * 35];
    for (int i = 0; i < 105; i++) {
        px[i] = (uint8_t)(i * 37);
    }
    const char *path = temp_name("w.png");
    ark_image im = {0};
    check_ok(ark_png_write(path, 7, 15, 1, px));
    check_ok(ark_image_read(path, NULL, &im));
    assert_int_equal(im.width, 7);
    assert_int_equal(im.height, 15);
    assert_memory_equal(im.px8, px, 105);
    ark_image_free(&im);
    check_ok(ark_png_write(path, 5, 7, 3, px));
    check_ok(ark_image_read(path, NULL, &im));
    for (int i = 0; i < 35; i++) {
        assert_int_equal(
            im.px8[i], (19595 * px[3 * i] + 38470 * px[3 * i + 1] + 7471 * px[3 * i + 2] + 32768) >> 16);
    }
    ark_image_free(&im);
    unlink(path);
    check_error(ark_png_write(path, 5, 7, 2, px), ARK_EINVAL, path, "2 channels");
    check_error(ark_png_write("/nonexistent/w.png", 5, 7, 1, px), ARK_EIO, "/nonexistent/w.png");
}

static void written_jpeg_is_read_back(void **state) {
    (void)state;
    uint8_t px[40 * 24];
    for (int i = 0; i < 40 * 24; i++) {
        px[i] = (uint8_t)(i % 40 * 4 + i / 40 * 3);
    }
    const char *path = temp_name("w.jpg");
    ark_image im = {0};
    check_ok(ark_jpeg_write(path, 40, 24, px, 95));
    check_ok(ark_image_read(path, NULL, &im));
    assert_int_equal(im.width, 40);
    assert_int_equal(im.height, 24);
    for (int i = 0; i < 40 * 24; i++) {
        assert_in_range(im.px8[i] + 3 - px[i], 0, 6); /* a ramp at quality 95 */
    }
    ark_image_free(&im);
    unlink(path);
    check_error(ark_jpeg_write(path, 40, 0, px, 95), ARK_EINVAL, path, "40 x 0", "quality 95");
    check_error(ark_jpeg_write(path, 40, 24, px, 101), ARK_EINVAL, "quality 101");
    check_error(ark_jpeg_write(path, 70000, 1, px, 95), ARK_EFORMAT, path, "65500");
    assert_int_not_equal(access(path, F_OK), 0);
    check_error(ark_jpeg_write("/nonexistent/w.jpg", 40, 24, px, 95), ARK_EIO, "/nonexistent/w.jpg");
}

static void every_failed_allocation(void **state) {
    (void)state;
    static const struct {
        const unsigned char *file;
        size_t bytes;
    } files[] = {{png_rgb8_file, sizeof png_rgb8_file}, {jpeg_ycc420_file, sizeof jpeg_ycc420_file}};
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t nth = 1;; nth++) {
            ark_image im = {0};
            ark_alloc_fail_after(nth);
            ark_status st = ark_image_decode(files[i].file, files[i].bytes, "x", NULL, &im);
            ark_alloc_fail_after(0);
            if (st == ARK_OK) {
                assert_true(nth > 2);
                ark_image_free(&im);
                break;
            }
            check_error(st, ARK_ENOMEM, "x: ");
            assert_null(im.px);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_as_pillow),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_damaged_byte),
        cmocka_unit_test(bombs_are_refused_by_their_header),
        cmocka_unit_test(limits),
        cmocka_unit_test(other_formats_are_named),
        cmocka_unit_test(scans_are_bounded),
        cmocka_unit_test(windows_of_16_bits),
        cmocka_unit_test(written_png_is_read_back),
        cmocka_unit_test(written_jpeg_is_read_back),
        cmocka_unit_test(every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
