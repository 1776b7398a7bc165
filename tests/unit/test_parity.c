/* Preprocessing as Pillow and torchvision do it (golden/parity.h): resize, centre crop and ten-crop, also of
 * images that are not square, within one level of 255 before normalisation. */
#include "base/alloc.h"
#include "data/augment.h"
#include "golden/parity.h"
#include "io_check.h"

#include <math.h>

enum { GOLDEN = sizeof parity_golden / sizeof *parity_golden, PLANE = PARITY_SIZE * PARITY_SIZE };

/* As in make_parity.py. */
static void paint(ark_image *im) {
    int w = im->width, h = im->height;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            im->px8[y * w + x] =
                (uint8_t)((x * 97 / w + y * 61 / h + (x * y / 7) % 23 + (x / 9 + y / 13) % 2 * 70) % 256);
        }
    }
}

/* out (3,S,S) in [0,1], three times the same. Counts the values that are not equal. */
static int compare(int k, const char *what, const float *out, const uint8_t *want) {
    int different = 0;
    for (int i = 0; i < PLANE; i++) {
        double got = 255 * (double)out[i];
        if (fabs(got - want[i]) > 1.001) {
            fail_msg("%d x %d, filter %d, %s: value %d is %g, torchvision has %d", parity_golden[k].width,
                parity_golden[k].height, (int)parity_golden[k].filter, what, i, got, want[i]);
        }
        assert_true(out[i] == out[PLANE + i] && out[i] == out[2 * PLANE + i]);
        different += fabs(got - want[i]) > 0.001;
    }
    return different;
}

static void within_one_level(void **state) {
    (void)state;
    float *out = ark_malloc(10 * 3 * PLANE * sizeof *out);
    int different = 0;
    for (int k = 0; k < GOLDEN; k++) {
        ark_preproc pre = {.size_px = PARITY_SIZE,
            .resize_px = PARITY_RESIZE,
            .filter = parity_golden[k].filter,
            .mean = {0, 0, 0},
            .std = {1, 1, 1}};
        ark_viewer *v;
        ark_image im;
        check_ok(ark_viewer_new(&pre, &v));
        check_ok(ark_image_new(parity_golden[k].width, parity_golden[k].height, 8, &im));
        paint(&im);
        check_ok(ark_viewer_plain(v, &im, out));
        different += compare(k, "resize", out, parity_golden[k].plain);
        check_ok(ark_viewer_centre(v, &im, out));
        different += compare(k, "centre crop", out, parity_golden[k].ten + 4 * PLANE);
        check_ok(ark_viewer_ten(v, &im, out));
        for (size_t c = 0; c < 10; c++) {
            different += compare(k, "ten-crop", out + c * 3 * PLANE, parity_golden[k].ten + c * PLANE);
        }
        ark_image_free(&im);
        ark_viewer_free(v);
    }
    ark_free(out);
    print_message("%d of %d values differ, by one level\n", different, GOLDEN * 12 * PLANE);
    assert_true(different <= GOLDEN * 12 * PLANE / 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(within_one_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
