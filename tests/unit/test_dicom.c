/* DICOM: stored samples and grey levels as pydicom has them (golden/dicom.h), the real files of
 * shared/data/dicom by their digests, refusals with reasons, every truncation, and nothing of the patient in
 * any message. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "common/sha256.h"
#include "golden/dicom.h"
#include "io/csv.h"
#include "io/dicom.h"
#include "io_check.h"

#include <math.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* GDCM keeps a hundred bytes of each damaged JPEG 2000 stream; nothing of ours is excused. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libopenjp2";
}

static const char *corpus(const char *prefix, const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/fuzz/corpus/dicom/%s%s", ARK_TEST_DIR, prefix, name);
    return path;
}

/* The file's bytes in a block of exactly their number, so that a sanitizer sees reads beyond it. */
static uint8_t *load(const char *path, size_t *n) {
    char *bytes;
    check_ok(ark_file_read(path, 1 << 24, &bytes, n));
    uint8_t *exact = ark_malloc(*n);
    memcpy(exact, bytes, *n);
    ark_free(bytes);
    return exact;
}

/* False where this build has no codec for the file. */
static bool built(ark_status st) {
    return st != ARK_ENOTBUILT;
}

static int stored_at(const ark_dicom_meta *m, const ark_image *im, int i) {
    int v = im->depth == 8 ? im->px8[i] : im->px16[i];
    return !m->is_signed ? v : im->depth == 8 ? (int8_t)v : (int16_t)v;
}

/* libjpeg-turbo and pydicom's libjpeg may round an inverse DCT otherwise. */
static int allowed(const char *name) {
    return !strncmp(name, "jpeg", 4) ? 1 : 0;
}

static void stored_as_pydicom(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(dicom_golden); k++) {
        const char *name = dicom_golden[k].name;
        ark_dicom *d;
        ark_image im;
        size_t n;
        uint8_t *bytes = load(corpus("valid-", name), &n);
        check_ok(ark_dicom_open(bytes, n, name, NULL, &d));
        const ark_dicom_meta *m = ark_dicom_describe(d);
        assert_int_equal(m->width, dicom_golden[k].width);
        assert_int_equal(m->height, dicom_golden[k].height);
        assert_int_equal(m->bits_stored, dicom_golden[k].bits);
        ark_status st = ark_dicom_stored(d, &im);
        if (built(st)) {
            check_ok(st);
            for (int i = 0; i < im.width * im.height && dicom_golden[k].stored; i++) {
                int got = stored_at(m, &im, i), want = dicom_golden[k].stored[i];
                if (abs(got - want) > allowed(name)) {
                    fail_msg("%s: sample %d is %d, pydicom has %d", name, i, got, want);
                }
            }
            ark_image_free(&im);
        }
        ark_dicom_free(d);
        ark_free(bytes);
    }
}

static void levels_as_pydicom(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(dicom_golden); k++) {
        const char *name = dicom_golden[k].name;
        ark_image_info info;
        ark_image im;
        ark_status st = ark_image_read8(corpus("valid-", name), NULL, NULL, &info, &im);
        if (!built(st)) {
            continue;
        }
        check_ok(st);
        assert_int_equal(im.depth, 8);
        assert_string_equal(info.format, "DICOM");
        assert_int_equal(info.view, 'P');
        assert_string_equal(info.body_part, "CHEST");
        for (int i = 0; i < im.width * im.height; i++) {
            if (abs(im.px8[i] - dicom_golden[k].levels[i]) > allowed(name)) {
                fail_msg("%s: level %d is %d, pydicom has %d", name, i, im.px8[i], dicom_golden[k].levels[i]);
            }
        }
        ark_image other; /* the other door opens on the same */
        check_ok(ark_image_read(corpus("valid-", name), NULL, &other));
        assert_memory_equal(other.px8, im.px8, (size_t)im.width * (size_t)im.height);
        ark_image_free(&other);
        ark_image_free(&im);
    }
}

static void other_windows(void **state) {
    (void)state;
    ark_image_info info;
    ark_image im;
    const char *path = corpus("valid-", "explicit-16-rescale"); /* 0.5 v - 1024 of all v from 0 to 65535 */
    check_ok(ark_image_read8(path, NULL, NULL, &info, &im));
    assert_string_equal(info.window, "linear");
    assert_true(info.centre == 12000.5 && info.width_levels == 20000);
    ark_image_free(&im);
    for (int kind = ARK_WINDOW_DATA; kind <= ARK_WINDOW_FULL; kind++) {
        check_ok(ark_image_read8(path, NULL, &(ark_window){.kind = (ark_window_kind)kind}, &info, &im));
        assert_string_equal(info.window, kind == ARK_WINDOW_DATA ? "data" : "full");
        assert_true(info.centre == (-1024 + 31743.5 + 1) / 2 && info.width_levels == 32768.5);
        assert_true(im.px8[0] == 0 && im.px8[im.width * im.height - 1] == 255);
        ark_image_free(&im);
    }
    check_ok(ark_image_read8(path, NULL, &(ark_window){ARK_WINDOW_FIXED, -1024, 3}, &info, &im));
    assert_string_equal(info.window, "fixed");
    assert_true(im.px8[0] == 191 && im.px8[1] == 255); /* (0.5 / 2 + 0.5) of 255 */
    ark_image_free(&im);
    check_ok(ark_image_read8(
        corpus("valid-", "implicit-12-mono1"), NULL, &(ark_window){.kind = ARK_WINDOW_FULL}, &info, &im));
    assert_string_equal(info.photometric, "inverted grey");
    assert_true(im.px8[0] == 255 && im.px8[im.width * im.height - 1] == 0);
    ark_image_free(&im);
}

static void metadata(void **state) {
    (void)state;
    size_t n;
    ark_dicom *d;
    uint8_t *bytes = load(corpus("valid-", "voi-lut"), &n);
    check_ok(ark_dicom_open(bytes, n, "x", NULL, &d));
    const ark_dicom_meta *m = ark_dicom_describe(d);
    assert_string_equal(m->patient_id, "SECRET-ID");
    assert_int_equal(m->sex, 'F');
    assert_true(m->age == 1.5);
    assert_string_equal(m->modality, "DX");
    assert_string_equal(m->view_position, "PA");
    assert_int_equal(m->voi, ARK_VOI_LUT);
    assert_true(m->centre == 2000 && m->window == 3000);
    ark_dicom_free(d);
    ark_free(bytes);
}

static void refused_with_a_reason(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(dicom_refused); k++) {
        ark_image im = {0};
        const char *path = corpus("", dicom_refused[k].name);
        ark_status st = ark_image_read8(path, NULL, NULL, NULL, &im);
        check_error(st, ARK_EFORMAT, path, dicom_refused[k].reason);
        assert_null(im.px);
        assert_null(strstr(ark_err_msg(), "ecret"));
        assert_null(strstr(ark_err_msg(), "SECRET"));
    }
}

/* Every cut of every file, of every transfer syntax: refused, without a word about the patient. */
static void every_truncation_is_refused(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(dicom_golden); k++) {
        size_t whole;
        uint8_t *bytes = load(corpus("valid-", dicom_golden[k].name), &whole);
        size_t pad = whole - 1; /* native pixels of an odd number of bytes are padded */
        for (size_t n = 0; n < pad; n++) {
            ark_image im = {0};
            uint8_t *cut = ark_malloc(n);
            memcpy(cut, bytes, n);
            ark_status st = ark_image_decode8(cut, n, "cut", NULL, NULL, NULL, &im);
            if (st != ARK_EFORMAT || strncmp(ark_err_msg(), "cut: ", 5) != 0 || im.px ||
                strstr(ark_err_msg(), "ecret") || strstr(ark_err_msg(), "SECRET")) {
                fail_msg("%s cut to %zu of %zu bytes: %s, %s", dicom_golden[k].name, n, whole,
                    ark_status_name(st), ark_err_msg());
            }
            ark_free(cut);
        }
        ark_free(bytes);
    }
}

/* Whatever one wrong byte does, the answer is an image or a refusal. */
static void every_damaged_byte(void **state) {
    (void)state;
    for (size_t k = 0; k < COUNT(dicom_golden); k++) {
        size_t n;
        uint8_t *bytes = load(corpus("valid-", dicom_golden[k].name), &n);
        for (size_t at = 128; at < n; at++) {
            ark_image im = {0};
            ark_image_limits small = ark_image_default_limits();
            small.max_pixels = 1 << 20;
            bytes[at] ^= (uint8_t)(1u << at % 8);
            ark_status st = ark_image_decode8(bytes, n, "damaged", &small, NULL, NULL, &im);
            bytes[at] ^= (uint8_t)(1u << at % 8);
            assert_true(st == ARK_OK || st == ARK_EFORMAT || st == ARK_ENOTBUILT);
            assert_true((st == ARK_OK) == (im.px != NULL));
            ark_image_free(&im);
        }
        ark_free(bytes);
    }
}

static void every_failed_allocation(void **state) {
    (void)state;
    static const char *const names[] = {"deflated-12", "rle-16", "rgb", "jls-12-pieces", "jpeg-8", "j2k-8"};
    for (size_t k = 0; k < COUNT(names); k++) {
        size_t n;
        uint8_t *bytes = load(corpus("valid-", names[k]), &n);
        for (uint64_t nth = 1;; nth++) {
            ark_image im = {0};
            ark_alloc_fail_after(nth);
            ark_status st = ark_image_decode8(bytes, n, "x", NULL, NULL, NULL, &im);
            ark_alloc_fail_after(0);
            if (st == ARK_OK || !built(st)) {
                assert_true(nth > 1);
                ark_image_free(&im);
                break;
            }
            check_error(st, ARK_ENOMEM, "");
            assert_null(im.px);
        }
        ark_free(bytes);
    }
}

/* A view of the file's own words, or of the direction of its rows. */
static void check_view(const char *position, char want) {
    size_t n;
    uint8_t *bytes = load(corpus("valid-", "explicit-8"), &n);
    for (size_t i = 0; i + 10 < n; i++) {
        if (!memcmp(bytes + i,
                "\x18\0\1\x51"
                "CS\2\0PA",
                10)) {
            memcpy(bytes + i + 8, position, 2);
            ark_dicom *d;
            check_ok(ark_dicom_open(bytes, n, "x", NULL, &d));
            assert_int_equal(ark_dicom_describe(d)->view, want);
            ark_dicom_free(d);
            ark_free(bytes);
            return;
        }
    }
    fail();
}

static void views(void **state) {
    (void)state;
    check_view("PA", 'P');
    check_view("AP", 'A');
    check_view("LL", 'L');
    check_view("RL", 'L');
    check_view("L ", 'L');
    check_view("XX", 'O');
    check_view("  ", 0);
}

/* Files of others with the digests that their owner states. */
static void real_files(void **state) {
    (void)state;
    char folder[1024], path[2048], hex[65];
    const char *shared = getenv("ARK_SHARED");
    snprintf(folder, sizeof folder, "%s%s/data/dicom", shared ? shared : ARK_TEST_DIR,
        shared ? "" : "/../../shared");
    snprintf(path, sizeof path, "%s/truth.csv", folder);
    if (!ark_path_exists(path)) {
        print_message("SKIP: %s is absent\n", path);
        skip();
    }
    ark_csv *t;
    check_ok(ark_csv_read(path, ',', &t));
    long file = ark_csv_find(t, "file"), digest = ark_csv_find(t, "sha256_stored_pixels_le");
    assert_true(file >= 0 && digest >= 0 && ark_csv_rows(t) > 10);
    for (size_t row = 0; row < ark_csv_rows(t); row++) {
        ark_dicom *d;
        ark_image im;
        size_t n;
        snprintf(path, sizeof path, "%s/%s", folder, ark_csv_get(t, row, (size_t)file));
        uint8_t *bytes = load(path, &n);
        check_ok(ark_dicom_open(bytes, n, path, NULL, &d));
        ark_status st = ark_dicom_stored(d, &im);
        if (built(st)) {
            check_ok(st);
            ark_test_sha256(im.px, (size_t)im.width * (size_t)im.height * (size_t)im.depth / 8, hex);
            if (strcmp(hex, ark_csv_get(t, row, (size_t)digest)) != 0) {
                fail_msg("%s: pixels of digest %s", path, hex);
            }
            ark_image_free(&im);
        }
        ark_dicom_free(d);
        ark_free(bytes);
    }
    ark_csv_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_as_pydicom),
        cmocka_unit_test(levels_as_pydicom),
        cmocka_unit_test(other_windows),
        cmocka_unit_test(metadata),
        cmocka_unit_test(refused_with_a_reason),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_damaged_byte),
        cmocka_unit_test(every_failed_allocation),
        cmocka_unit_test(views),
        cmocka_unit_test(real_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
